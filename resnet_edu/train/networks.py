"""The networks that the training command knows, by name: ``cifar_resnet20``, ``cifar_plain56``, ``resnet50`` and so on.

The prefix keeps two families apart: 50 is 6*8+2 too, so ``cifar_resnet50`` is a network of the CIFAR family and
``resnet50`` is torchvision's.
"""

import re
from collections.abc import Sequence

from torch import nn

from resnet_edu import resnet
from resnet_edu.cifar import cifar_plain, cifar_resnet

IMAGENET = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)
NORMS = ("batch", "group")


def make(
    name: str,
    *,
    in_channels: int,
    num_classes: int,
    widths: Sequence[int] = (16, 32, 64),
    shortcut: str = "A",
    norm: str = "batch",
) -> nn.Module:
    """Return a freshly initialised network; seed torch's generator first.

    Args:
        name: ``cifar_plainD`` or ``cifar_resnetD`` with a depth D of 6n+2, or one of torchvision's ten ResNets, which
            take images of three channels.
        in_channels: channels of the images.
        num_classes: classes.
        widths: channels of the three stages of a CIFAR network.
        shortcut: of a CIFAR residual network, "A", "B" or "C".
        norm: ``"batch"``, or ``"group"`` for group normalisation, whose result does not depend on the batch (groups of
            4 channels in a CIFAR network, 32 groups otherwise).

    Raises:
        ValueError: an unknown name or normalisation, a depth that is not 6n+2, or widths that do not fit.

    Example:
        >>> net = make("cifar_plain8", in_channels=1, num_classes=10, widths=(4, 8, 16))
        >>> sum(p.numel() for p in net.parameters())
        4934

    Used in chapters 8 and 9.
    """
    if norm not in NORMS:
        raise ValueError(f"no normalisation is called {norm!r}; there are: {', '.join(NORMS)}")
    if found := re.fullmatch(r"cifar_(plain|resnet)(\d+)", name):
        norm_layer = _groups_of_four if norm == "group" else None
        sizes = {"widths": tuple(widths), "in_channels": in_channels, "num_classes": num_classes}
        if found[1] == "plain":
            return cifar_plain(int(found[2]), **sizes, norm_layer=norm_layer)
        return cifar_resnet(int(found[2]), shortcut, **sizes, norm_layer=norm_layer)
    if name in IMAGENET:
        norm_layer = (lambda channels: nn.GroupNorm(32, channels)) if norm == "group" else None
        return getattr(resnet, name)(num_classes=num_classes, norm_layer=norm_layer)
    raise ValueError(
        f"no network is called {name!r}; there are cifar_plainD and cifar_resnetD with a depth D of 6n+2, such as "
        f"cifar_resnet20, and {', '.join(IMAGENET)}"
    )


def _groups_of_four(channels: int) -> nn.GroupNorm:
    if channels % 4:
        raise ValueError(f"group normalisation here takes groups of 4 channels, and {channels} is no multiple of 4")
    return nn.GroupNorm(channels // 4, channels)
