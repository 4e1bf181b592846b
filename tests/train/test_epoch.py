"""An epoch asks the device for nothing, and its numbers are those of the plain loop."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from resnet_edu import data
from resnet_edu.train.batches import Images, shuffled
from resnet_edu.train.epoch import evaluate_images, fastest_precision, make_objective, train_epoch
from resnet_edu.train.networks import make
from resnet_edu.train.recipe import Recipe, make_optimizer, make_schedule
from resnet_edu.train.step import evaluate, train_step


class Waits(TorchDispatchMode):
    """Counts the operations that make the computer wait for the device."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


@pytest.fixture
def digits():
    digits = data.load("digits")
    mean = data.pixel_mean(digits.train_images)
    return (
        Images(digits.train_images, digits.train_labels, mean, "cpu"),
        Images(digits.test_images, digits.test_labels, mean, "cpu"),
    )


def network(name="cifar_resnet8"):
    torch.manual_seed(0)
    return make(name, in_channels=1, num_classes=10, widths=(4, 8, 16))


def engine(model, images, precision="fp32"):
    recipe = Recipe()
    optimizer = make_optimizer(model, recipe)
    schedule = make_schedule(optimizer, recipe, 100)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    batches = shuffled(images, 128, torch.Generator().manual_seed(0), pad=1, mirror=False)
    objective = make_objective(model, images, pad=1, precision=precision)
    return train_epoch(objective, batches, optimizer, schedule, scaler)


def test_an_epoch_waits_for_nothing(digits):
    with Waits() as waits:
        engine(network(), digits[0])
    assert waits.count == 0
    with Waits() as waits:  # the counter counts
        torch.ones(3).sum().item()
    assert waits.count == 1


def test_an_epoch_is_the_plain_loop_on_the_same_batches(digits):
    fast, plain = network(), network()
    losses, wrong = engine(fast, digits[0])
    optimizer = make_optimizer(plain, Recipe())
    batches = shuffled(digits[0], 128, torch.Generator().manual_seed(0), pad=1, mirror=False)
    expected = [
        train_step(plain, optimizer, digits[0].prepare(images, views, 1), labels) for images, labels, views in batches
    ]
    torch.testing.assert_close(losses, torch.stack(expected))
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(fast.state_dict()[name], value, msg=name)
    assert 0 < wrong < 11 * 128


def test_evaluation_is_the_teaching_one(digits):
    model = network()
    engine(model, digits[0])
    test = digits[1]
    for mode in (True, False):
        model.train(mode)
        found = evaluate_images(model, test, batch_size=100)
        assert found == pytest.approx(evaluate(model, test.prepare(test.images), test.labels), rel=1e-5)
        assert model.training is mode


def test_half_precision_is_used_where_asked_for(digits):
    seen = set()
    model = network()
    model.conv1.register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    losses, _ = engine(model, digits[0], precision="bf16")
    assert seen == {torch.bfloat16}
    assert losses.dtype == torch.float32  # the loss is computed in full precision
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_label_smoothing_reaches_the_loss(digits):
    images = digits[0]
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    _, labels, views = next(shuffled(images, 128, torch.Generator(), pad=0, mirror=False))
    losses = [
        make_objective(model, images, pad=0, label_smoothing=share)(images.images[:128], labels, views)[0]
        for share in (0.0, 0.5)
    ]
    assert losses[0] != losses[1]


def test_a_precision_is_chosen_for_the_device(monkeypatch):
    assert fastest_precision(torch.device("cpu")) in ("fp32", "bf16")
    for capability, expected in (((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        assert fastest_precision(torch.device("cuda")) == expected
