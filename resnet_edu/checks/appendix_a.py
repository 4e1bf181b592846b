"""The checks of appendix A: name the version of a ResNet from its parameters and its multiply-adds."""

import functools
import re

import torch
from torch import nn

from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.checks.verdict import Wrong, exercise
from resnet_edu.cifar import cifar_resnet, make_shortcut
from resnet_edu.resnet import ResNet

LAYERS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
CIFAR_DEPTHS = (20, 32, 44, 56, 110)
_NAME = re.compile(r"(imagenet|cifar)\s+(\d+)\s+(a|b|c|v1\.5|v1)", re.IGNORECASE)
_UNKNOWN = {"P": "ImageNet 101 v1", "Q": "CIFAR 44 B", "R": "ImageNet 34 A", "S": "ImageNet 50 v1.5", "T": "CIFAR 56 C"}


class _BottleneckV1(Bottleneck):
    """The paper's bottleneck: the stride sits on the first 1x1 convolution."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride


def unknown(letter: str) -> dict[str, int]:
    """Return what is known of one of the five networks of exercise A.1: a dict of two numbers.

    Args:
        letter: "P", "Q", "R", "S" or "T".

    Example:
        >>> sorted(unknown("P"))
        ['multiply_adds', 'parameters']
    """
    return dict(_measure(_UNKNOWN[letter]))


@exercise("A.1")
def ex_a_1(names):
    """Check the names of the five unknown networks: a dict from letter to a name such as ``"ImageNet 18 B"``."""
    if not isinstance(names, dict) or set(names) != set(_UNKNOWN):
        raise Wrong(f"The answer should be a dict with the keys {', '.join(_UNKNOWN)}. Fill in the stub, key by key.")
    for letter, name in names.items():
        claimed, known = _measure(_checked(letter, name)), unknown(letter)
        if claimed == known:
            continue
        raise Wrong(f"{letter} is not {name!r}. {_difference(name, claimed, known)}")


def _checked(letter: str, name) -> str:
    """The name in its one spelling, or Wrong with what a name looks like."""
    match = _NAME.fullmatch(name.strip()) if isinstance(name, str) else None
    if match is None:
        raise Wrong(f'{letter} should be family, depth and version, such as "ImageNet 18 B", but it is {name!r}.')
    family, depth, version = match[1].lower(), int(match[2]), match[3].lower()
    known = LAYERS if family == "imagenet" else CIFAR_DEPTHS
    if depth not in known:
        raise Wrong(
            f"{letter}: no {match[1]} ResNet-{depth} is among the five; look at depths {', '.join(map(str, known))}."
        )
    bottlenecks = family == "imagenet" and depth >= 50
    if bottlenecks != version.startswith("v"):
        wanted = (
            "v1 or v1.5, where the stride sits" if bottlenecks else "A, B or C, the shortcut: it has no bottlenecks"
        )
        raise Wrong(f"{letter}: the version of {match[1]} ResNet-{depth} is {wanted}, not {match[3]}.")
    return f"{family} {depth} {version}"


def _difference(name: str, claimed: dict[str, int], known: dict[str, int]) -> str:
    """What tells the claimed network from the unknown one, and where to look."""
    ratio = claimed["parameters"] / known["parameters"]
    if ratio == 1:
        work = f"{claimed['multiply_adds']:,} multiply-adds"
        return f"It has the right parameters, but {work}: the same layers at other sizes. Where does the stride sit?"
    said = f"It has {claimed['parameters']:,} parameters, and the unknown {known['parameters']:,}"
    if not 0.1 < ratio < 10:
        return f"{said}: that is the other family, or far from the depth."
    if not 0.9 < ratio < 1.1:
        return f"{said}: look for another depth."
    if name.lower().split()[-1] in "abc":
        return f"{said}: nearly, so the depth may be right and the shortcut is not. A has the fewest, C the most."
    return f"{said}: look for another depth."


@functools.cache  # the biggest takes half a second to build
def _measure(name: str) -> dict[str, int]:
    """Build a network by its name and count."""
    family, depth, version = name.lower().split()
    with torch.device("meta"):
        if family == "cifar":
            net, size = cifar_resnet(int(depth), version.upper()), 32
        else:
            net, size = _imagenet(int(depth), version), 224
        counts: list[int] = []
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(lambda m, _, out: counts.append(m.weight[0].numel() * out.numel()))
        net(torch.empty(1, 3, size, size))
    return {"parameters": sum(p.numel() for p in net.parameters()), "multiply_adds": sum(counts)}


def _imagenet(depth: int, version: str) -> ResNet:
    if depth >= 50:
        return ResNet(_BottleneckV1 if version == "v1" else Bottleneck, LAYERS[depth])
    net = ResNet(BasicBlock, LAYERS[depth])
    for block in net.modules():
        if isinstance(block, BasicBlock):
            inplanes, planes = block.conv1.in_channels, block.conv2.out_channels
            block.downsample = make_shortcut(version.upper(), inplanes, planes, block.stride)
    return net
