"""The spread of the answers is that of the logits over images: none for a network that answers all alike."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from resnet_edu.train.plan import Plan
from resnet_edu.train.recipe import Recipe
from resnet_edu.train.run import Run

FOLDER = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def warmup(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("warmup_small", FOLDER / "warmup_small.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("digits_curves", None)


def test_the_spread_is_that_of_the_logits_over_images(warmup) -> None:
    run = Run(Plan("cifar_resnet8", "digits", Recipe(epochs=1), widths=(4, 8, 16)), torch.device("cpu"))
    images = run.train_images
    with torch.no_grad():
        logits = run.model.eval()(images.prepare(images.images[:1000]))
    by_hand = (logits - logits.mean(0)).square().sum(0).div(999).sqrt().mean().item()
    assert by_hand > 0.01
    assert warmup.spread_of_answers(run) == pytest.approx(by_hand, rel=1e-4)


def test_a_network_that_answers_alike_has_no_spread(warmup) -> None:
    run = Run(Plan("cifar_resnet8", "digits", Recipe(epochs=1), widths=(4, 8, 16)), torch.device("cpu"))
    torch.nn.init.zeros_(run.model.fc.weight)
    assert warmup.spread_of_answers(run) == pytest.approx(0, abs=1e-6)
