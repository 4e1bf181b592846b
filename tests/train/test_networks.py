"""Names lead to the right networks, and two families are kept apart."""

import pytest
import torch
from torch import nn

from resnet_edu.train.networks import IMAGENET, make


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def test_the_prefix_keeps_the_families_apart():
    assert parameters(make("cifar_resnet50", in_channels=3, num_classes=10)) < 1_000_000
    assert parameters(make("resnet50", in_channels=3, num_classes=1000)) == 25_557_032


@pytest.mark.parametrize("name", ["cifar_plain20", "cifar_resnet20"])
def test_the_papers_networks_by_name(name):
    assert parameters(make(name, in_channels=3, num_classes=10)) == 269_722


def test_every_name_is_torchvisions():
    torchvision_models = pytest.importorskip("torchvision.models")
    assert all(hasattr(torchvision_models, name) for name in IMAGENET)


def test_group_normalisation_does_not_look_at_the_batch():
    torch.manual_seed(0)
    model = make("cifar_resnet8", in_channels=1, num_classes=10, widths=(4, 8, 16), norm="group")
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    images = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(model(images)[:1], model(images[:1]))


@pytest.mark.parametrize(
    ("name", "kwargs", "words"),
    [
        ("resnet20", {}, "no network is called 'resnet20'; there are cifar_plainD"),
        ("cifar_resnet21", {}, "depth must be 6n.2"),
        ("cifar_resnet8", {"norm": "layer"}, "no normalisation is called 'layer'"),
        ("cifar_resnet8", {"norm": "group", "widths": (6, 8, 16)}, "6 is no multiple of 4"),
        ("cifar_resnet8", {"shortcut": "D"}, "shortcut must be"),
    ],
)
def test_what_is_unknown_is_named(name, kwargs, words):
    with pytest.raises(ValueError, match=words):
        make(name, in_channels=1, num_classes=10, **kwargs)
