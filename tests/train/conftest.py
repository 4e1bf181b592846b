"""Small runs on digits: a network of 8 layers and a few epochs of 11 iterations."""

import pytest

from resnet_edu.train.plan import Plan
from resnet_edu.train.recipe import Recipe

SMALL = ["--model", "cifar_resnet8", "--data", "digits", "--widths", "4", "8", "16", "--device", "cpu"]


@pytest.fixture
def plan():
    """Return a plan of so many epochs, with other settings where they are given."""

    def make(epochs=2, model="cifar_resnet8", **settings):
        recipe = {name: settings.pop(name) for name in list(settings) if name in Recipe.__dataclass_fields__}
        return Plan(model, "digits", Recipe(epochs=epochs, **recipe), **({"widths": (4, 8, 16)} | settings))

    return make


@pytest.fixture
def arguments():
    """Return the command's arguments for a small run, with more of them."""
    return lambda *more: [*SMALL, *map(str, more)]
