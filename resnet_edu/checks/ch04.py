"""The checks of chapter 4: shortcuts predicted, the basic block from scratch, a pooled projection, a broken block."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock, conv1x1
from resnet_edu.checks.block_slips import same, slip_maker, slips_at_the_addition
from resnet_edu.checks.compare import expect_module, expect_same_function, expect_same_parameters
from resnet_edu.checks.scalars import whole_number
from resnet_edu.checks.verdict import Wrong, exercise, expect_equal
from resnet_edu.cifar import make_shortcut

PARTS = ("shortcut", "parameters", "output height")
KINDS = ("identity", "zeros", "projection")


@exercise("4.1")
def ex_4_1(answer):
    """Check predictions about six basic blocks: a dict of (shortcut, parameters, output height)."""
    blocks = {  # option, inplanes, planes, stride, height
        "a": ("B", 16, 16, 1, 32),
        "b": ("A", 16, 32, 2, 32),
        "c": ("B", 16, 32, 2, 32),
        "d": ("B", 16, 32, 1, 32),
        "e": ("A", 32, 32, 2, 15),
        "f": ("C", 16, 16, 1, 32),
    }
    if not isinstance(answer, dict) or set(answer) != set(blocks):
        raise Wrong(f"The answer should be a dict with the keys {', '.join(blocks)}. Fill in the stub, key by key.")
    for name, (option, inplanes, planes, stride, height) in blocks.items():
        met = answer[name]
        if not isinstance(met, tuple | list) or len(met) != 3 or not isinstance(met[0], str):
            raise Wrong(f"`{name}` should be ({', '.join(PARTS)}), a word and two integers, but it is {met!r}.")
        numbers = zip(PARTS[1:], met[1:], strict=True)
        met = met[0], *(whole_number(f"In `{name}` the {part}", number) for part, number in numbers)
        shortcut = make_shortcut(option, inplanes, planes, stride)
        kind = {"NoneType": "identity", "ZeroPadShortcut": "zeros"}.get(type(shortcut).__name__, "projection")
        right = (kind, _size(BasicBlock(inplanes, planes, stride, shortcut)), -(-height // stride))
        slips = (
            _slips_in_kind(option, stride != 1 or inplanes != planes),
            _slips_in_parameters(inplanes, planes, kind == "projection"),
            [
                (height, "the stride is missing."),
                (height // stride, "a 3x3 with padding 1 and stride 2 rounds halves up: (H + 1) // 2."),
            ],
        )
        otherwise = (
            f"write one of {', '.join(KINDS)}.",
            "count once more, layer by layer.",
            "only the stride shrinks it.",
        )
        for part, given, expected, known, other in zip(PARTS, met, right, slips, otherwise, strict=True):
            if given != expected:  # the right one is not given away: that would end the exercise
                hint = next((hint for wrong, hint in known if wrong == given), other)
                raise Wrong(f"In `{name}` the {part} should not be {given!r}: {hint}")


def _slips_in_kind(option: str, changes: bool) -> list[tuple[str, str]]:
    """Why each kind would be wrong (the right one is never looked up)."""
    other = {"A": "option A has no projections at all.", "B": "option B fills nothing with zeros: it projects."}
    if option == "C":
        return [(kind, "option C projects in every block.") for kind in KINDS[:2]]
    if changes:
        fits = "the identity fits only if channels AND size stay the same."
        return [("identity", fits), (("projection" if option == "A" else "zeros"), other[option])]
    return [(kind, "nothing changes here, so x fits as it is.") for kind in KINDS[1:]]


def _slips_in_parameters(inplanes: int, planes: int, projected: bool) -> list[tuple[int, str]]:
    convs, project = 9 * inplanes * planes + 9 * planes * planes, inplanes * planes
    right = convs + 4 * planes + projected * (project + 2 * planes)
    norms = "there are two BatchNorms, three with a projection, each with a scale AND a shift for each channel."
    return [
        (convs + projected * project, "each BatchNorm has two numbers for each of its channels."),
        (right - 2 * planes, norms),
        (right - (2 + projected) * planes, norms),
        (convs + 4 * planes, "the projection has weights, and a BatchNorm."),
        (convs + 4 * planes + project + 2 * planes, "this shortcut has no parameters."),
        (right + 2 * planes, "the convolutions have no bias."),
        (right + 3 * planes, "the convolutions have no bias."),
        (right + 2 * (inplanes - planes), "a BatchNorm normalises what its convolution gives: `planes` channels."),
        (right + 9 * (planes - inplanes) * planes, "the first convolution reads `inplanes` channels."),
        (right + 9 * (inplanes - planes) * planes, "the second convolution reads `planes` channels, from the first."),
        (right + 8 * project, "a projection is a 1x1: it has one weight for each pair of channels, not nine."),
    ]


@exercise("4.2")
def ex_4_2(answer):
    """Check a basic block that makes its own shortcut: ``answer(inplanes, planes, stride)``."""
    for inplanes, planes, stride in ((6, 6, 1), (4, 6, 1), (6, 6, 2), (4, 7, 2), (5, 3, 2), (6, 4, 1), (6, 6, 3)):
        _expect_block("MyBlock", answer, inplanes, planes, stride)


@exercise("4.3")
def ex_4_3(answer):
    """Check a projection that averages where it shrinks: ``answer(inplanes, planes, stride)``."""
    cases = ((6, 5, 1), (5, 5)), ((4, 6, 2), (8, 6)), ((4, 6, 2), (9, 7)), ((4, 6, 3), (7, 8))
    where_channels_stay = ((6, 6, 2), (9, 7)), ((5, 5, 1), (5, 5))
    for (inplanes, planes, stride), size in cases + where_channels_stay:
        what = f"pooled_projection({inplanes}, {planes}, {stride})"
        met = answer(inplanes, planes, stride)
        expect_module(what, met)
        expected = _PooledProjection(inplanes, planes, stride)
        few = {
            -2 * planes: "The BatchNorm is missing.",
            -inplanes * planes - 2 * planes: "Convolution and BatchNorm belong to it also where the channels stay.",
            planes: "The convolution needs no bias: BatchNorm would subtract it.",
            8 * inplanes * planes: "The convolution is a 1x1.",
            2 * (inplanes - planes): "The BatchNorm comes after the convolution.",
        }
        expect_same_parameters(what, met, expected, few)
        x = torch.randn(4, inplanes, *size)
        out = met(x)
        if isinstance(out, Tensor):
            shape = (4, planes, *(-(-side // stride) for side in size))
            hint = "Half a window at the edge still counts: sizes round up, as the branch's do."
            if out.shape[2:] < torch.Size(side // stride for side in size):
                hint = "The pooling shrinks by the stride, once: the convolution has stride 1."
            elif out.shape[2:] > shape[2:]:
                hint = "The maps are too large: windows of stride x stride pixels, side by side, and nothing is padded."
            expect_equal(f"The shape that {what} makes of {tuple(x.shape)}", tuple(out.shape), shape, hint)
        otherwise = "Average each window of stride x stride pixels, then 1x1 convolution, then BatchNorm."
        expect_same_function(what, met, expected, x, slips=POOL_SLIPS, otherwise=otherwise)


class _PooledProjection(nn.Module):
    def __init__(self, inplanes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv, self.bn = conv1x1(inplanes, planes), nn.BatchNorm2d(planes)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(F.avg_pool2d(x, self.stride, ceil_mode=True)))


def _adaptive(block: _PooledProjection, x: Tensor) -> Tensor:
    sizes = [-(-side // block.stride) for side in x.shape[2:]]
    return block.bn(block.conv(F.adaptive_avg_pool2d(x, sizes)))


POOL_SLIPS = [
    (_adaptive, "On an odd size adaptive pooling makes windows that overlap. Use F.avg_pool2d with ceil_mode=True."),
    (
        lambda block, x: block.bn(block.conv(x[:, :, :: block.stride, :: block.stride])),
        "It still reads one pixel in four. That is option B: average first.",
    ),
    (
        lambda block, x: block.bn(block.conv(F.max_pool2d(x, block.stride, ceil_mode=True))),
        "It takes the largest of each window, and should take the mean.",
    ),
    (
        lambda block, x: F.avg_pool2d(block.bn(block.conv(x)), block.stride, ceil_mode=True),
        "BatchNorm comes last: averaged afterwards, its output no longer has the spread that it made.",
    ),
    (
        lambda block, x: block.bn(block.conv(F.avg_pool2d(x, 3, block.stride, 1))),
        "The window is stride x stride pixels, without padding; yours is 3x3.",
    ),
    (
        lambda block, x: block.bn(block.conv(F.avg_pool2d(x, 3, block.stride, 1, count_include_pad=False))),
        "The window is stride x stride pixels, without padding; yours is 3x3.",
    ),
    (
        lambda block, x: block.bn(block.conv(F.avg_pool2d(F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2)), 2))),
        "A window that hangs over the edge averages the pixels that are there, without zeros: ceil_mode=True does.",
    ),
    (lambda block, x: F.relu(_PooledProjection.forward(block, x)), "A shortcut has no ReLU."),
]


@exercise("4.4")
def ex_4_4(answer):
    """Check the repaired block, a class called as ``answer(inplanes, planes, stride)``."""
    for inplanes, planes, stride in ((6, 6, 1), (6, 6, 2), (4, 6, 1), (1, 6, 1), (4, 7, 2), (6, 4, 1), (6, 6, 3)):
        _expect_block("FixedBlock", answer, inplanes, planes, stride)


def _expect_block(name: str, answer, inplanes: int, planes: int, stride: int) -> None:
    what = f"{name}({inplanes}, {planes})" if stride == 1 else f"{name}({inplanes}, {planes}, stride={stride})"
    if isinstance(answer, nn.Module):
        raise Wrong("Hand in the class itself, without parentheses: the check makes blocks of its own.")
    met = answer(inplanes, planes) if stride == 1 else answer(inplanes, planes, stride)  # 1 is the default
    expect_module(what, met)
    bases = {base.__module__.split(".")[0] for module in met.modules() for base in type(module).__mro__}
    if bases & {"resnet_edu", "torchvision"}:
        raise Wrong(f"{what} uses a block that somebody else wrote. Write the layers yourself.")
    expected = BasicBlock(inplanes, planes, stride, make_shortcut("B", inplanes, planes, stride))
    expect_same_parameters(what, met, expected, _differences(expected, inplanes, planes))
    x = torch.randn(4, inplanes, 9, 7)
    expect_same_function(what, met, expected, x, slips=SLIPS, otherwise=OTHERWISE)


def _differences(right: BasicBlock, inplanes: int, planes: int) -> dict[int, str]:
    """What a surplus (or a lack, below 0) of so many parameters says; the first has precedence."""
    project, projected = inplanes * planes, right.downsample is not None
    variants = [
        (project, "The projection needs a BatchNorm, and only where the shape changes is there a projection."),
        (project + 2 * planes, "Where nothing changes the shortcut is the identity: no layers, not even unused ones."),
        (4 * planes, "The convolutions need no bias: BatchNorm would subtract it."),
    ]
    if projected:
        variants = [
            (-project - 2 * planes, "A projection is missing: it is needed if the size OR the channels change."),
            (-2 * planes, "A BatchNorm is missing: every convolution has one, the projection too."),
            (planes, "The projection needs no bias: its BatchNorm would subtract it."),
            (-planes, "The projection has a BatchNorm, not a bias."),
            (3 * planes, "The convolutions need no bias: BatchNorm would subtract it."),
            (8 * project, "The projection is a 1x1 convolution, not a 3x3."),
        ]
    if inplanes != planes:
        variants.append((2 * (inplanes - planes), "A BatchNorm comes after its convolution: it has `planes` channels."))
    variants += [
        (2 * planes, "The convolutions need no bias: BatchNorm would subtract it."),
        (-2 * planes, "Each convolution has a BatchNorm of its own: one is missing or shared."),
        (planes, "A convolution needs no bias: BatchNorm would subtract it."),
        (-4 * planes, "The BatchNorms are missing: one after each convolution."),
        (9 * (inplanes - planes) * planes, "The second convolution reads what the first gave: `planes` channels."),
        (9 * planes * planes + 2 * planes, "There is a convolution too many: a basic block has two."),
        (-9 * planes * planes - 2 * planes, "There is one convolution, and a basic block has two."),
    ]
    return dict(reversed(variants))


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _branch(block: BasicBlock, x: Tensor, at: int = 1, middle=F.relu, last=same, norms_last: bool = False) -> Tensor:
    """The branch with its stride on convolution ``at``, and what follows each BatchNorm (or goes before it)."""
    layers = ((block.conv1, block.bn1, middle), (block.conv2, block.bn2, last))
    for number, (conv, norm, then) in enumerate(layers, start=1):
        x = F.conv2d(x, conv.weight, stride=block.stride if number == at else 1, padding=1)
        x = norm(then(x)) if norms_last else then(norm(x))
    return x


_slip = slip_maker(_branch)


def _one_norm(block: BasicBlock, x: Tensor) -> Tensor:
    identity = x if block.downsample is None else block.downsample(x)
    return F.relu(block.bn1(block.conv2(F.relu(block.bn1(block.conv1(x))))) + identity)


def _norm_at_the_end(block: BasicBlock, x: Tensor) -> Tensor:
    identity = x if block.downsample is None else block.downsample(x)
    return F.relu(block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x)))) + identity))


BEFORE = "A ReLU follows the second BatchNorm: it belongs after the addition, so that the branch can subtract too."
SECOND = "The stride is on the second convolution: the first has it, and saves half the work."
SLIPS = [
    *slips_at_the_addition(_slip),
    (_slip(last=F.relu), BEFORE),
    (_slip(last=F.relu, end=same), BEFORE),
    (_slip(end=same), "The ReLU after the addition is missing."),
    (_slip(middle=same), "The ReLU after the first BatchNorm is missing."),
    (_slip(middle=same, end=same), "Both ReLUs are missing: after the first BatchNorm, and after the addition."),
    (_slip(norms_last=True), "The ReLU comes after the first BatchNorm, not before it."),
    (_one_norm, "The first BatchNorm is used twice: each convolution has one of its own."),
    (_norm_at_the_end, "The second BatchNorm comes before the addition: after it, it would rescale x as well."),
    (_slip(at=2), SECOND),
    (_slip(at=2, last=F.relu), BEFORE),
    (_slip(at=2, last=F.relu, end=same), BEFORE),
    (_slip(at=2, end=same), "The ReLU after the addition is missing."),
]
OTHERWISE = "Compare your forward with the formula, layer by layer: convolution, BatchNorm, ReLU."
