"""ResNet for 224x224 images and the ten networks of its family, equal to torchvision's weight for weight.

`ResNet._make_layer` is chapter 6, the class chapter 7; the last five networks, with groups and wider middles, are
chapter 12's relatives. Argument and attribute names are torchvision's, so weights load by name in both directions.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.blocks import BasicBlock, Bottleneck, PlainBlock, conv1x1, init_weights


def check_arguments(
    block: type[nn.Module], layers: Sequence[int], replace_stride_with_dilation: Sequence[bool], zero_init: bool
) -> None:
    """Refuse arguments of which `ResNet` could only make an obscure error, or silently another network.

    Args:
        block, layers, replace_stride_with_dilation: as `ResNet`'s.
        zero_init: as its `zero_init_residual`.

    Raises:
        ValueError: block has no `expansion`; layers are not four positive numbers; replace_stride_with_dilation has not
            three elements; zero_init is asked of a block without a shortcut.

    Example:
        >>> check_arguments(BasicBlock, [2, 2, 2], [False, False, False], zero_init=False)
        Traceback (most recent call last):
        ValueError: layers must be four positive numbers of blocks, one for each of layer1 to layer4, got [2, 2, 2]

    Used in chapter 7.
    """
    if not hasattr(block, "expansion"):
        raise ValueError(
            f"{getattr(block, '__name__', block)} has no `expansion`: set it to the block's output channels / planes "
            "(1 in BasicBlock, 4 in Bottleneck), ResNet sizes the next block and fc by it"
        )
    if len(layers) != 4 or min(layers) < 1:
        raise ValueError(
            f"layers must be four positive numbers of blocks, one for each of layer1 to layer4, got {layers}"
        )
    if len(replace_stride_with_dilation) != 3:
        raise ValueError(
            "replace_stride_with_dilation should be None or a 3-element tuple, one flag for each of layer2 to layer4, "
            f"got {replace_stride_with_dilation}"
        )
    if zero_init and isinstance(block, type) and issubclass(block, PlainBlock):
        raise ValueError(
            f"zero_init_residual needs a shortcut, and {block.__name__} has none: with its last norm at zero "
            "the block's output would be zero"
        )


class ResNet(nn.Module):
    """Stem, four stages of blocks, global average pooling and a linear classifier.

    Args:
        block: `BasicBlock`, `Bottleneck`, `PlainBlock`, torchvision's, or another with `expansion` and their arguments.
        layers: blocks in each of the four stages.
        num_classes: classes.
        zero_init_residual: start the last norm of each block (its `bn3`, else its `bn2`) at zero, so that each block
            starts as the ReLU of its shortcut.
        groups: groups of each 3x3 convolution (`Bottleneck` only).
        width_per_group: 64 is ResNet; see `Bottleneck`.
        replace_stride_with_dilation: three flags, for layer2 to layer4: keep the size and dilate (`Bottleneck` only).
        norm_layer: makes the normalisation of so many channels; batch normalisation where it is None.

    Shape: (N, 3, H, W) -> (N, num_classes); the stages work at H/4, H/8, H/16 and H/32.

    Raises:
        ValueError: see `check_arguments`, `check_basic_arguments` and, in forward, `add_shortcut`.
        NotImplementedError: dilation with `BasicBlock` or `PlainBlock`.

    Example:
        >>> net = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10)
        >>> net(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 10])

    He et al. 2015, Table 1 and Figure 3; `Bottleneck` is v1.5. Built in chapter 7.
    """

    def __init__(
        self,
        block: type[nn.Module],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        dilate = replace_stride_with_dilation
        flags = [False, False, False] if dilate is None else dilate
        check_arguments(block, layers, flags, zero_init_residual)
        self._norm_layer = nn.BatchNorm2d if norm_layer is None else norm_layer
        self.inplanes, self.dilation = 64, 1  # what the next block will meet; _make_layer moves both on
        self.groups, self.base_width = groups, width_per_group
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], stride=2, dilate=flags[0])
        self.layer3 = self._make_layer(block, 256, layers[2], stride=2, dilate=flags[1])
        self.layer4 = self._make_layer(block, 512, layers[3], stride=2, dilate=flags[2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)  # adaptive: no size of image is built in
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        self._init_weights(zero_init_residual)

    def _make_layer(
        self, block: type[nn.Module], planes: int, blocks: int, stride: int = 1, dilate: bool = False
    ) -> nn.Sequential:
        """Return one stage: (N, self.inplanes, H, W) -> (N, planes * expansion, H/stride, W/stride).

        With `dilate` the stage keeps the size and its later blocks dilate. Built in chapter 6.
        """
        norm, outplanes = self._norm_layer, planes * block.expansion
        width = self.groups, self.base_width
        previous_dilation = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        downsample = None
        # Option B: layer1 of ResNet-34 needs no projection, layer1 of ResNet-50 does (64 -> 256 channels)
        if stride != 1 or self.inplanes != outplanes:
            downsample = nn.Sequential(conv1x1(self.inplanes, outplanes, stride), norm(outplanes))
        # The first block reads the map that comes in, as ever; those behind it meet a map that was not thinned out
        first = block(self.inplanes, planes, stride, downsample, *width, previous_dilation, norm)
        self.inplanes = outplanes
        layers = [first]
        for _ in range(1, blocks):
            layers.append(block(self.inplanes, planes, 1, None, *width, self.dilation, norm))
        return nn.Sequential(*layers)

    def _init_weights(self, zero_init_residual: bool) -> None:
        """Draw the first weights; built in chapter 7."""
        init_weights(self)
        if zero_init_residual:
            for module in self.modules():
                if hasattr(module, "downsample"):  # a block with a shortcut, ours or torchvision's
                    last_norm = module.bn3 if hasattr(module, "bn3") else module.bn2
                    if last_norm.weight is not None:
                        nn.init.zeros_(last_norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of (N, 3, H, W) images, (N, num_classes). The sizes stand for 224x224."""
        x = self.relu(self.bn1(self.conv1(x)))  # 112x112
        x = self.maxpool(x)  # 56x56
        x = self.layer1(x)  # 56x56
        x = self.layer2(x)  # 28x28
        x = self.layer3(x)  # 14x14
        x = self.layer4(x)  # 7x7
        x = torch.flatten(self.avgpool(x), 1)
        return self.fc(x)


def resnet18(**kwargs: Any) -> ResNet:
    """Return ResNet-18: 11,689,512 parameters.

    Args:
        **kwargs: see `ResNet`.

    Shape: (N, 3, H, W) -> (N, num_classes).

    Example:
        >>> with torch.device("meta"):  # shapes only, nothing is drawn
        ...     sum(p.numel() for p in resnet18().parameters())
        11689512

    He et al. 2015, Table 1. Built in chapter 7.
    """
    return ResNet(BasicBlock, [2, 2, 2, 2], **kwargs)


def resnet34(**kwargs: Any) -> ResNet:
    """Return ResNet-34: 21,797,672 parameters.

    Args:
        **kwargs: see `ResNet`.

    Shape: (N, 3, H, W) -> (N, num_classes).

    Example:
        >>> with torch.device("meta"):  # shapes only, nothing is drawn
        ...     sum(p.numel() for p in resnet34().parameters())
        21797672

    He et al. 2015, Table 1 and Figure 3; the shortcuts are option B. Built in chapter 7.
    """
    return ResNet(BasicBlock, [3, 4, 6, 3], **kwargs)


def resnet50(**kwargs: Any) -> ResNet:
    """Return ResNet-50: 25,557,032 parameters.

    Args:
        **kwargs: see `ResNet`.

    Shape: (N, 3, H, W) -> (N, num_classes).

    Example:
        >>> with torch.device("meta"):  # shapes only, nothing is drawn
        ...     sum(p.numel() for p in resnet50().parameters())
        25557032

    He et al. 2015, Table 1; v1.5. Built in chapter 7.
    """
    return ResNet(Bottleneck, [3, 4, 6, 3], **kwargs)


def resnet101(**kwargs: Any) -> ResNet:
    """Return ResNet-101: 44,549,160 parameters.

    Args:
        **kwargs: see `ResNet`.

    Shape: (N, 3, H, W) -> (N, num_classes).

    Example:
        >>> with torch.device("meta"):  # shapes only, nothing is drawn
        ...     sum(p.numel() for p in resnet101().parameters())
        44549160

    He et al. 2015, Table 1; v1.5. Built in chapter 7.
    """
    return ResNet(Bottleneck, [3, 4, 23, 3], **kwargs)


def resnet152(**kwargs: Any) -> ResNet:
    """Return ResNet-152: 60,192,808 parameters.

    Args:
        **kwargs: see `ResNet`.

    Shape: (N, 3, H, W) -> (N, num_classes).

    Example:
        >>> with torch.device("meta"):  # shapes only, nothing is drawn
        ...     sum(p.numel() for p in resnet152().parameters())
        60192808

    He et al. 2015, Table 1; v1.5. Built in chapter 7.
    """
    return ResNet(Bottleneck, [3, 8, 36, 3], **kwargs)


def _with_own(kwargs: dict[str, Any], **own: int) -> dict[str, Any]:
    """The arguments, with those that make a network what it is; another value for one of them is refused."""
    for name, value in own.items():
        if kwargs.get(name, value) != value:
            raise ValueError(
                f"this network has {name}={value}, got {kwargs[name]}: leave it out, or build ResNet(Bottleneck, ...)"
            )
    return kwargs | own


def resnext50_32x4d(**kwargs: Any) -> ResNet:
    """Return ResNeXt-50, 32 groups of 4 channels: 25,028,904 parameters.

    Args:
        **kwargs: see `ResNet`; `groups` and `width_per_group` can only be the network's own.

    Shape: (N, 3, H, W) -> (N, num_classes).

    Raises:
        ValueError: another `groups` or `width_per_group`.

    Example:
        >>> with torch.device("meta"):  # shapes only, nothing is drawn
        ...     sum(p.numel() for p in resnext50_32x4d().parameters())
        25028904

    Xie et al. 2016, arXiv:1611.05431, Table 1. Chapter 12.
    """
    return ResNet(Bottleneck, [3, 4, 6, 3], **_with_own(kwargs, groups=32, width_per_group=4))


def resnext101_32x8d(**kwargs: Any) -> ResNet:
    """Return ResNeXt-101, 32 groups of 8 channels: 88,791,336 parameters.

    Args:
        **kwargs: see `ResNet`; `groups` and `width_per_group` can only be the network's own.

    Shape: (N, 3, H, W) -> (N, num_classes).

    Raises:
        ValueError: another `groups` or `width_per_group`.

    Example:
        >>> with torch.device("meta"):  # shapes only, nothing is drawn
        ...     sum(p.numel() for p in resnext101_32x8d().parameters())
        88791336

    Xie et al. 2016, arXiv:1611.05431. Chapter 12.
    """
    return ResNet(Bottleneck, [3, 4, 23, 3], **_with_own(kwargs, groups=32, width_per_group=8))


def resnext101_64x4d(**kwargs: Any) -> ResNet:
    """Return ResNeXt-101, 64 groups of 4 channels: 83,455,272 parameters.

    Args:
        **kwargs: see `ResNet`; `groups` and `width_per_group` can only be the network's own.

    Shape: (N, 3, H, W) -> (N, num_classes).

    Raises:
        ValueError: another `groups` or `width_per_group`.

    Example:
        >>> with torch.device("meta"):  # shapes only, nothing is drawn
        ...     sum(p.numel() for p in resnext101_64x4d().parameters())
        83455272

    Xie et al. 2016, arXiv:1611.05431, Table 4. Chapter 12.
    """
    return ResNet(Bottleneck, [3, 4, 23, 3], **_with_own(kwargs, groups=64, width_per_group=4))


def wide_resnet50_2(**kwargs: Any) -> ResNet:
    """Return Wide ResNet-50-2, 3x3 convolutions twice as wide: 68,883,240 parameters.

    Args:
        **kwargs: see `ResNet`; `width_per_group` can only be the network's own.

    Shape: (N, 3, H, W) -> (N, num_classes).

    Raises:
        ValueError: another `width_per_group`.

    Example:
        >>> with torch.device("meta"):  # shapes only, nothing is drawn
        ...     sum(p.numel() for p in wide_resnet50_2().parameters())
        68883240

    Zagoruyko and Komodakis 2016, arXiv:1605.07146, Table 8. Chapter 12.
    """
    return ResNet(Bottleneck, [3, 4, 6, 3], **_with_own(kwargs, width_per_group=128))


def wide_resnet101_2(**kwargs: Any) -> ResNet:
    """Return Wide ResNet-101-2, 3x3 convolutions twice as wide: 126,886,696 parameters.

    Args:
        **kwargs: see `ResNet`; `width_per_group` can only be the network's own.

    Shape: (N, 3, H, W) -> (N, num_classes).

    Raises:
        ValueError: another `width_per_group`.

    Example:
        >>> with torch.device("meta"):  # shapes only, nothing is drawn
        ...     sum(p.numel() for p in wide_resnet101_2().parameters())
        126886696

    Zagoruyko and Komodakis 2016, arXiv:1605.07146. Chapter 12.
    """
    return ResNet(Bottleneck, [3, 4, 23, 3], **_with_own(kwargs, width_per_group=128))
