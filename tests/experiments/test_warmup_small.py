"""The spread of the answers is that of the logits over images: none for a network that answers all alike."""

import pytest
import torch
import warmup_small

from resnet_edu.train.plan import Plan
from resnet_edu.train.recipe import Recipe
from resnet_edu.train.run import Run


def test_the_spread_is_that_of_the_logits_over_images() -> None:
    run = Run(Plan("cifar_resnet8", "digits", Recipe(epochs=1), widths=(4, 8, 16)), torch.device("cpu"))
    images = run.train_images
    with torch.no_grad():
        logits = run.model.eval()(images.prepare(images.images[:1000]))
    by_hand = (logits - logits.mean(0)).square().sum(0).div(999).sqrt().mean().item()
    assert by_hand > 0.01
    assert warmup_small.spread_of_answers(run) == pytest.approx(by_hand, rel=1e-4)


def test_a_network_that_answers_alike_has_no_spread() -> None:
    run = Run(Plan("cifar_resnet8", "digits", Recipe(epochs=1), widths=(4, 8, 16)), torch.device("cpu"))
    torch.nn.init.zeros_(run.model.fc.weight)
    assert warmup_small.spread_of_answers(run) == pytest.approx(0, abs=1e-6)
