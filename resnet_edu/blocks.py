"""The building blocks: two convolutions, the addition, and the three blocks that the networks stack.

`PlainBlock` (chapters 2 and 3) has no shortcut, `BasicBlock` (chapter 4) adds one, `Bottleneck` (chapter 5) makes it
cheap to go deep. All three take the same arguments, so that one `_make_layer` (chapter 6) can stack any of them.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def conv3x3(in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps the size at stride 1, for every dilation.

    Args:
        in_planes: channels that come in.
        out_planes: channels that go out.
        stride: how many pixels the kernel moves on.
        groups: parts into which the channels are split; each part reads its own only.
        dilation: how many pixels the kernel's taps lie apart.

    Shape: (N, in_planes, H, W) -> (N, out_planes, ceil(H/stride), ceil(W/stride)).

    Example:
        >>> conv3x3(16, 32, stride=2)(torch.zeros(1, 16, 8, 8)).shape
        torch.Size([1, 32, 4, 4])

    Built in chapter 4. No bias: the normalisation that follows has its own, and would subtract this one.
    """
    # padding = dilation: the kernel reaches `dilation` pixels to each side
    return nn.Conv2d(
        in_planes, out_planes, 3, stride=stride, padding=dilation, dilation=dilation, groups=groups, bias=False
    )


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """Return a 1x1 convolution without bias: it mixes channels, pixel by pixel.

    Args:
        in_planes: channels that come in.
        out_planes: channels that go out.
        stride: how many pixels it moves on.

    Shape: (N, in_planes, H, W) -> (N, out_planes, ceil(H/stride), ceil(W/stride)).

    Example:
        >>> conv1x1(16, 32, stride=2)(torch.zeros(1, 16, 8, 8)).shape
        torch.Size([1, 32, 4, 4])

    Built in chapter 4. At stride 2 it sees one pixel in four and ignores the others.
    """
    return nn.Conv2d(in_planes, out_planes, 1, stride=stride, bias=False)


def explain_mismatch(out: list[int], identity: list[int]) -> str:
    """Say why a branch and a shortcut of these shapes cannot be added, and what to do about it.

    Args:
        out: shape of F(x), [N, C, H, W].
        identity: shape of the shortcut.

    Example:
        >>> print(explain_mismatch([2, 8, 4, 4], [2, 1, 4, 4]))
        The branch F(x) has shape [2, 8, 4, 4], but the shortcut has shape [2, 1, 4, 4].
        Channels differ, 8 and 1: `downsample` is missing, or does not make 8 (planes * expansion) channels.
        Without this error, PyTorch would have broadcast the one channel over all 8.

    Built in chapter 4.
    """
    text = f"The branch F(x) has shape {out}, but the shortcut has shape {identity}."
    if len(out) != 4 or len(identity) != 4 or out[0] != identity[0]:
        return text + "\nBoth must be (N, C, H, W) with the same N: check the input and what `downsample` returns."
    if out[1] != identity[1]:
        text += f"\nChannels differ, {out[1]} and {identity[1]}: `downsample` is missing,"
        text += f" or does not make {out[1]} (planes * expansion) channels."
    if out[2:] != identity[2:]:
        text += f"\nSizes differ, {out[2:]} and {identity[2:]}: `downsample` is missing, or has not the block's stride."
    if identity[1] == 1:
        text += f"\nWithout this error, PyTorch would have broadcast the one channel over all {out[1]}."
    return text


def add_shortcut(out: Tensor, identity: Tensor) -> Tensor:
    """Return F(x) + x, the step that makes a network residual, and refuse shapes that are not equal.

    Args:
        out: F(x), what the block's branch computed, (N, C, H, W).
        identity: x, or x made to fit by `downsample`, (N, C, H, W).

    Raises:
        ValueError: the shapes differ. A plain `+` would let PyTorch broadcast a one-channel shortcut without a word.

    Example:
        >>> add_shortcut(torch.ones(1, 2, 1, 1), torch.ones(1, 2, 1, 1)).flatten().tolist()
        [2.0, 2.0]

    He et al. 2015, equations 1 and 2. Built in chapter 4.
    """
    # a trace (torch.jit.trace, ONNX) records tensors only: the comparison could not be part of it
    if not torch.jit.is_tracing() and out.shape != identity.shape:
        raise ValueError(explain_mismatch(list(out.shape), list(identity.shape)))
    # not `+=`: what a hook saw of F(x) stays as it was
    return out + identity


# torch.fx (torchvision's create_feature_extractor) has no values for the `if` above: it records the call as one step
torch.fx.wrap("add_shortcut")


def check_basic_arguments(block: str, groups: int, base_width: int, dilation: int) -> None:
    """Refuse what only a `Bottleneck` can do.

    Args:
        block: the block's name, for the message.
        groups, base_width, dilation: as `Bottleneck`'s.

    Raises:
        ValueError: groups is not 1 or base_width is not 64.
        NotImplementedError: dilation is over 1.

    Example:
        >>> check_basic_arguments("BasicBlock", groups=32, base_width=4, dilation=1)
        Traceback (most recent call last):
        ValueError: BasicBlock only supports groups=1 and base_width=64, got 32 and 4; Bottleneck takes both

    Used by the blocks of chapters 2 and 4; groups and widths are chapter 12's.
    """
    if groups != 1 or base_width != 64:
        raise ValueError(
            f"{block} only supports groups=1 and base_width=64, got {groups} and {base_width}; Bottleneck takes both"
        )
    if dilation > 1:
        raise NotImplementedError(f"Dilation > 1 not supported in {block}, got {dilation}; Bottleneck takes it")


class PlainBlock(nn.Module):
    """Two 3x3 convolutions with normalisation and ReLU, and no shortcut: what a residual block is compared with.

    Args:
        downsample: taken so that the block fits where `BasicBlock` fits, and discarded.
        inplanes, planes, stride, groups, base_width, dilation, norm_layer: as `BasicBlock`'s.

    Shape: (N, inplanes, H, W) -> (N, planes, ceil(H/stride), ceil(W/stride)).

    Raises:
        ValueError, NotImplementedError: groups, base_width or dilation, see `check_basic_arguments`.

    Example:
        >>> PlainBlock(16, 32, stride=2)(torch.zeros(1, 16, 8, 8)).shape
        torch.Size([1, 32, 4, 4])

    He et al. 2015, section 3.3, "Plain Network". Built in chapters 2 and 3.
    """

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        check_basic_arguments("PlainBlock", groups, base_width, dilation)
        norm_layer = nn.BatchNorm2d if norm_layer is None else norm_layer
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(F(x)), (N, planes, ceil(H/stride), ceil(W/stride))."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut around both: relu(F(x) + x).

    Args:
        inplanes: channels that come in.
        planes: channels that go out.
        stride: of the first convolution, and of `downsample`.
        downsample: the shortcut, where x has not the shape of F(x); None is the identity.
        groups: 1 only.
        base_width: 64 only.
        dilation: 1 only.
        norm_layer: makes the normalisation of so many channels; batch normalisation where it is None.

    Shape: (N, inplanes, H, W) -> (N, planes, ceil(H/stride), ceil(W/stride)).

    Raises:
        ValueError, NotImplementedError: groups, base_width or dilation, see `check_basic_arguments`.
        ValueError: in forward, F(x) and the shortcut differ in shape, see `add_shortcut`.

    Example:
        >>> BasicBlock(16, 32, stride=2, downsample=conv1x1(16, 32, stride=2))(torch.zeros(1, 16, 8, 8)).shape
        torch.Size([1, 32, 4, 4])

    He et al. 2015, section 3.2 and Figure 5 left. Built in chapter 4.
    """

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        check_basic_arguments("BasicBlock", groups, base_width, dilation)
        norm_layer = nn.BatchNorm2d if norm_layer is None else norm_layer
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(F(x) + x), (N, planes, ceil(H/stride), ceil(W/stride))."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        identity = x if self.downsample is None else self.downsample(x)
        return self.relu(add_shortcut(out, identity))


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up to four times `planes`, and a shortcut around the three.

    Args:
        inplanes: channels that come in.
        planes: channels of the middle, before groups and base_width; 4 * planes go out.
        stride: of the 3x3 convolution, and of `downsample`.
        downsample: the shortcut, where x has not the shape of F(x); None is the identity.
        groups: groups of the 3x3 convolution (ResNeXt).
        base_width: the middle has int(planes * base_width / 64) * groups channels (ResNeXt, Wide ResNet).
        dilation: of the 3x3 convolution.
        norm_layer: makes the normalisation of so many channels; batch normalisation where it is None.

    Shape: (N, inplanes, H, W) -> (N, 4*planes, ceil(H/stride), ceil(W/stride)).

    Raises:
        ValueError: in forward, F(x) and the shortcut differ in shape, see `add_shortcut`.

    Example:
        >>> Bottleneck(64, 16)(torch.zeros(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])

    He et al. 2015, section 4.1, "Deeper Bottleneck Architectures", and Figure 5 right. Built in chapter 5.
    """

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        norm_layer = nn.BatchNorm2d if norm_layer is None else norm_layer
        width = int(planes * (base_width / 64)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        # Departure from the paper, known as v1.5: the stride sits here, where it skips no pixel, and not on conv1
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(F(x) + x), (N, 4*planes, ceil(H/stride), ceil(W/stride))."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        identity = x if self.downsample is None else self.downsample(x)
        return self.relu(add_shortcut(out, identity))


def init_weights(model: nn.Module) -> None:
    """Draw every convolution from He's normal distribution and start every normalisation as weight 1, bias 0.

    Variance 2 / fan_out keeps the size of the gradient through a stack of ReLUs (He et al. 2015, arXiv:1502.01852:
    the authors' earlier paper, not ResNet's). Linear layers keep PyTorch's own.

    Args:
        model: any module; its ``nn.Conv2d``, ``nn.BatchNorm2d`` and ``nn.GroupNorm`` are changed in place.

    Example:
        >>> conv = conv1x1(3, 5000)
        >>> init_weights(conv)
        >>> round(conv.weight.std().item() / (2 / 5000) ** 0.5, 1)
        1.0

    Used by the networks of chapters 2 to 7.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm) and module.weight is not None:
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
