"""The learning rate is the paper's at every iteration, and bad numbers are refused."""

import pytest
import torch
from torch import nn

from resnet_edu.train.recipe import Recipe, make_optimizer, make_schedule


def rates(recipe, total):
    optimizer = make_optimizer(nn.Linear(1, 1), recipe)
    schedule = make_schedule(optimizer, recipe, total)
    found = []
    for _ in range(total):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_the_papers_schedule_on_cifar():
    total = 164 * (50_000 // 128)
    found = rates(Recipe(warmup=400), total)
    assert found[0] == found[399] == pytest.approx(0.01)
    assert found[400] == found[31_999] == pytest.approx(0.1)
    assert found[32_000] == found[47_999] == pytest.approx(0.01)
    assert found[48_000] == found[-1] == pytest.approx(0.001)


def test_a_shorter_run_scales_the_drops():
    assert Recipe(epochs=20).drops(20 * 390) == [3900, 5850]
    assert Recipe().drops(164 * 391) == [32_000, 48_000]  # with the last, smaller batch it would be the same


def test_one_cycle_rises_to_the_peak_and_falls_to_nothing():
    found = rates(Recipe(schedule="one-cycle", lr=0.4), 100)
    assert max(found) == pytest.approx(0.4, rel=1e-3)
    assert 25 < found.index(max(found)) < 35
    assert found[0] < 0.05 and found[-1] < 0.001


def test_one_cycle_keeps_the_momentum_of_the_recipe():
    recipe = Recipe(schedule="one-cycle", momentum=0.7)
    optimizer = make_optimizer(nn.Linear(1, 1), recipe)
    schedule = make_schedule(optimizer, recipe, 10)
    for _ in range(10):
        assert optimizer.param_groups[0]["momentum"] == 0.7
        optimizer.step()
        schedule.step()


def test_the_optimiser_is_sgd_with_the_papers_numbers():
    group = make_optimizer(nn.Linear(1, 1), Recipe()).param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"], group["nesterov"]) == (0.1, 0.9, 1e-4, False)


def test_a_first_step_that_is_skipped_leaves_no_trace():
    """As with float16 on a GPU, where the first gradients may overflow: fused steps, and a scaler that skips."""
    torch.manual_seed(0)
    model, images = nn.Linear(3, 2), torch.randn(4, 3)
    optimizer = make_optimizer(model, Recipe(weight_decay=0.0))
    optimizer.param_groups[0]["fused"] = optimizer._step_supports_amp_scaling = True
    scaler = torch.amp.GradScaler("cpu")
    before = model.weight.detach().clone()
    for overflow in (True, False):
        optimizer.zero_grad()
        scaler.scale(model(images).sum()).backward()
        if overflow:
            model.weight.grad[0, 0] = float("inf")
        torch.use_deterministic_algorithms(True)  # memory that nobody has written to is NaN
        try:
            scaler.step(optimizer)
        finally:
            torch.use_deterministic_algorithms(False)
        scaler.update()
        if overflow:
            assert torch.equal(model.weight, before)
    expected = before - 0.1 * images.sum(dim=0)
    torch.testing.assert_close(model.weight.detach(), expected)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"epochs": 0}, "epochs should be at least 1"),
        ({"batch_size": 0}, "batch_size should be at least 1"),
        ({"lr": 0.0}, "lr should be positive"),
        ({"lr": float("nan")}, "lr should be positive"),
        ({"momentum": -1}, "momentum should be at least 0"),
        ({"weight_decay": -1e-4}, "weight_decay"),
        ({"warmup": -1}, "warmup"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"schedule": "cosine"}, "no schedule is called 'cosine'; there are: steps, one-cycle"),
    ],
)
def test_impossible_numbers_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        Recipe(**wrong)
