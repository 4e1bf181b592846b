"""The networks of He et al. 2015, section 4.2: 6n+2 layers for 32x32 images, plain and residual (chapters 2, 3 and 9).

Not torchvision's ResNet-18: ResNet-20 has 0.27 million parameters, a 3x3 stem without pooling, and three narrow stages.
"""

from collections.abc import Callable, Sequence
from numbers import Integral

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock, PlainBlock, conv1x1, conv3x3, init_weights


class ZeroPadShortcut(nn.Module):
    """Option A: keep every stride-th pixel and append channels of zeros. It has no parameters.

    Args:
        inplanes: channels that come in.
        planes: channels that go out; where they are fewer, the last ones are dropped.
        stride: of the block.

    Shape: (N, inplanes, H, W) -> (N, planes, ceil(H/stride), ceil(W/stride)).

    Example:
        >>> ZeroPadShortcut(1, 2, stride=2)(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).flatten().tolist()
        [1.0, 0.0]

    He et al. 2015, section 3.3, "Residual Network". Built in chapter 4.
    """

    def __init__(self, inplanes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.extra = planes - inplanes
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return x, thinned out and padded, (N, planes, ceil(H/stride), ceil(W/stride))."""
        x = x[:, :, :: self.stride, :: self.stride]
        # F.pad counts from the last dimension: no columns, no rows, `extra` channels behind
        return F.pad(x, (0, 0, 0, 0, 0, self.extra))


def make_shortcut(
    option: str, inplanes: int, planes: int, stride: int, norm_layer: Callable[..., nn.Module] = nn.BatchNorm2d
) -> nn.Module | None:
    """Return the module to pass as a block's `downsample`; None is the identity.

    Args:
        option: "A" zero padding, "B" projection only where the shape changes, "C" projection in every block.
        inplanes: channels that come into the block.
        planes: channels that leave it.
        stride: of the block.
        norm_layer: makes the projection's normalisation.

    Raises:
        ValueError: another option.

    Example:
        >>> [type(make_shortcut(option, 16, 32, 2)).__name__ for option in "ABC"]
        ['ZeroPadShortcut', 'Sequential', 'Sequential']
        >>> [type(make_shortcut(option, 16, 16, 1)).__name__ for option in "ABC"]
        ['NoneType', 'NoneType', 'Sequential']

    He et al. 2015, section 4.1, "Identity v Projection Shortcuts". Built in chapter 4.
    """
    if option not in ("A", "B", "C"):
        raise ValueError(f'shortcut must be "A" (zero padding), "B" or "C" (projections), got {option!r}')
    changes = stride != 1 or inplanes != planes
    if option == "C" or (option == "B" and changes):
        return nn.Sequential(conv1x1(inplanes, planes, stride), norm_layer(planes))
    return ZeroPadShortcut(inplanes, planes, stride) if changes else None


def blocks_per_stage(depth: int) -> int:
    """Return n for a depth of 6n+2: three stages of n blocks of two convolutions, the stem and the classifier.

    Args:
        depth: 6n+2, an integer.

    Raises:
        TypeError: the depth is no integer.
        ValueError: the depth is not 6n+2 with n of at least 1; the two nearest depths are named.

    Example:
        >>> blocks_per_stage(56)
        9

    He et al. 2015, section 4.2. Built in chapter 2.
    """
    if not isinstance(depth, Integral):
        raise TypeError(f"depth must be an integer, 6n+2, got {depth!r}")
    n = max(1, (depth - 2) // 6)
    if depth != 6 * n + 2:
        raise ValueError(f"depth must be 6n+2 with n of at least 1, got {depth}; nearest: {6 * n + 2} or {6 * n + 8}")
    return n


class CifarNet(nn.Module):
    """A 3x3 stem, three stages of n blocks, global average pooling and a linear classifier.

    Args:
        block: `BasicBlock` or `PlainBlock`, or one that takes their arguments and gives `planes` channels, as they do
            (a `Bottleneck` gives four times as many; `ResNet` stacks it).
        n: blocks in each stage, at least 1.
        shortcut: "A", "B" or "C", see `make_shortcut`; a `PlainBlock` discards it.
        widths: channels of the three stages.
        in_channels: channels of the images.
        num_classes: classes.
        norm_layer: makes the normalisation of so many channels; batch normalisation where it is None, nothing at all
            where it is `nn.Identity`.

    Shape: (N, in_channels, H, W) -> (N, num_classes); the stages work at H, H/2 and H/4.

    Raises:
        TypeError: n is no integer.
        ValueError: n is below 1, the block's `expansion` is not 1, widths are not three positive numbers, or shortcut
            is another letter.

    Example:
        >>> CifarNet(BasicBlock, 1, widths=(4, 8, 16), in_channels=1)(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])

    He et al. 2015, section 4.2. Built in chapters 2 (plain) and 3 (residual).
    """

    def __init__(
        self,
        block: type[nn.Module],
        n: int,
        shortcut: str = "A",
        *,
        widths: Sequence[int] = (16, 32, 64),
        in_channels: int = 3,
        num_classes: int = 10,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(n, Integral):
            raise TypeError(f"n must be an integer, the number of blocks in each stage, got {n!r}")
        if n < 1:
            raise ValueError(f"n must be at least 1 block a stage, got {n}")
        if getattr(block, "expansion", 1) != 1:
            raise ValueError(
                f"CifarNet stacks blocks that give `planes` channels, and {block.__name__} gives {block.expansion} "
                "times as many (its expansion): use BasicBlock or PlainBlock here, or stack it with ResNet"
            )
        if len(widths) != 3 or min(widths) < 1:
            raise ValueError(f"widths must be three positive numbers, one a stage, got {widths}")
        self._norm_layer = nn.BatchNorm2d if norm_layer is None else norm_layer
        self.inplanes = widths[0]
        self.conv1 = conv3x3(in_channels, self.inplanes)
        self.bn1 = self._norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = self._make_layer(block, widths[0], n, 1, shortcut)
        self.layer2 = self._make_layer(block, widths[1], n, 2, shortcut)
        self.layer3 = self._make_layer(block, widths[2], n, 2, shortcut)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[2], num_classes)
        init_weights(self)

    def _make_layer(self, block: type[nn.Module], planes: int, n: int, stride: int, shortcut: str) -> nn.Sequential:
        """Return n blocks, the first with the stride: (N, self.inplanes, H, W) -> (N, planes, H/stride, W/stride)."""
        layers = []
        for index in range(n):
            stride = stride if index == 0 else 1
            downsample = make_shortcut(shortcut, self.inplanes, planes, stride, self._norm_layer)
            layers.append(block(self.inplanes, planes, stride, downsample, norm_layer=self._norm_layer))
            self.inplanes = planes
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of (N, in_channels, H, W) images, (N, num_classes)."""
        x = self.relu(self.bn1(self.conv1(x)))  # 32x32
        x = self.layer1(x)  # 32x32
        x = self.layer2(x)  # 16x16
        x = self.layer3(x)  # 8x8
        x = torch.flatten(self.avgpool(x), 1)
        return self.fc(x)


def cifar_resnet(
    depth: int,
    shortcut: str = "A",
    *,
    widths: Sequence[int] = (16, 32, 64),
    in_channels: int = 3,
    num_classes: int = 10,
    norm_layer: Callable[..., nn.Module] | None = None,
) -> CifarNet:
    """Return the residual network of `depth` weighted layers; the paper's are 20, 32, 44, 56, 110, 1202, option A.

    Args:
        depth: 6n+2.
        shortcut: "A", "B" or "C", see `make_shortcut`.
        widths, in_channels, num_classes, norm_layer: see `CifarNet`.

    Shape: (N, in_channels, H, W) -> (N, num_classes).

    Raises:
        TypeError: the depth is no integer.
        ValueError: the depth is not 6n+2, or see `CifarNet`.

    Example:
        >>> sum(p.numel() for p in cifar_resnet(20).parameters())
        269722

    He et al. 2015, section 4.2 and Table 6. Built in chapter 3, trained in chapter 9.
    """
    sizes = {"widths": widths, "in_channels": in_channels, "num_classes": num_classes}
    return CifarNet(BasicBlock, blocks_per_stage(depth), shortcut, **sizes, norm_layer=norm_layer)


def cifar_plain(
    depth: int,
    *,
    widths: Sequence[int] = (16, 32, 64),
    in_channels: int = 3,
    num_classes: int = 10,
    norm_layer: Callable[..., nn.Module] | None = None,
) -> CifarNet:
    """Return the plain network of `depth` weighted layers: `cifar_resnet(depth, "A")` without its shortcuts.

    From the same seed both start with the same weights, so a comparison differs by the shortcuts alone.

    Args:
        depth: 6n+2.
        widths, in_channels, num_classes, norm_layer: see `CifarNet`.

    Shape: (N, in_channels, H, W) -> (N, num_classes).

    Raises:
        TypeError: the depth is no integer.
        ValueError: the depth is not 6n+2, or see `CifarNet`.

    Example:
        >>> sum(p.numel() for p in cifar_plain(20).parameters())
        269722

    He et al. 2015, section 4.2. Built in chapter 2.
    """
    # option A: its shortcuts draw no random numbers before they are discarded
    sizes = {"widths": widths, "in_channels": in_channels, "num_classes": num_classes}
    return CifarNet(PlainBlock, blocks_per_stage(depth), "A", **sizes, norm_layer=norm_layer)
