"""The checks of chapter 5: widths predicted, groups at one price, the bottleneck from scratch, a broken one."""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parameter import UninitializedParameter

from resnet_edu.blocks import Bottleneck, conv1x1
from resnet_edu.checks.block_slips import same, slip_maker, slips_at_the_addition
from resnet_edu.checks.compare import expect_module, expect_same_function, expect_same_parameters
from resnet_edu.checks.scalars import whole_number, whole_numbers
from resnet_edu.checks.verdict import Wrong, exercise

PARTS = ("middle channels", "output channels", "output height", "projection")


@exercise("5.1")
def ex_5_1(answer):
    """Check predictions about six bottlenecks: a dict of (middle channels, output channels, height, projection)."""
    blocks = {
        "a": ((64, 64), {}, 56),
        "b": ((256, 64), {}, 56),
        "c": ((256, 128), {"stride": 2}, 56),
        "d": ((512, 128), {"groups": 32, "base_width": 4}, 28),
        "e": ((1024, 512), {"stride": 2, "base_width": 128}, 14),
        "f": ((64, 16), {"stride": 2}, 15),
    }
    if not isinstance(answer, dict) or set(answer) != set(blocks):
        raise Wrong(f"The answer should be a dict with the keys {', '.join(blocks)}. Fill in the stub, key by key.")
    for name, ((inplanes, planes), options, size) in blocks.items():
        met, stride = _prediction(name, answer[name]), options.get("stride", 1)
        block = Bottleneck(inplanes, planes, **options)
        out = 4 * planes
        right = (block.conv2.out_channels, out, -(-size // stride), stride != 1 or inplanes != out)
        slips = (
            _slips_in_middle(inplanes, planes, options.get("groups", 1), options.get("base_width", 64)),
            [
                (
                    4 * inplanes,
                    "expansion multiplies `planes`, not the channels that come in, nor those of the middle.",
                ),
                (4 * right[0], "groups and base_width widen the middle only: the output has expansion * `planes`."),
                (planes, "the last 1x1 goes up again, by the expansion."),
                (inplanes, "what comes in does not decide what comes out: `planes` does."),
            ],
            [
                (size, "the stride is missing."),
                (size // stride, "a 3x3 with padding 1 and stride 2 rounds halves up: (H + 1) // 2."),
                (size // 2, "without a stride the size stays."),
            ],
            [
                (False, "the identity fits only if channels AND size of output and input are equal."),
                (True, "output and input have the same channels and the same size."),
            ],
        )
        for part, number, expected, known in zip(PARTS, met, right, slips, strict=True):
            if number != expected:  # the right number is not given away: that would end the exercise
                hint = next((hint for wrong, hint in known if wrong == number), "read the arguments once more.")
                raise Wrong(f"In `{name}` the {part} should not be {number}: {hint}")


def _prediction(name: str, met) -> tuple:
    projects = met[-1] if isinstance(met, tuple | list) and len(met) == 4 else None
    projects = projects.tolist() if hasattr(projects, "tolist") else projects  # NumPy's or PyTorch's True
    if not isinstance(projects, bool):
        raise Wrong(f"`{name}` should be three integers and True or False, ({', '.join(PARTS)}), but it is {met!r}.")
    return (*whole_numbers(f"`{name}`, without its last part,", met[:3]), projects)


def _slips_in_middle(inplanes: int, planes: int, groups: int, base_width: int) -> list[tuple[int, str]]:
    return [
        (int(planes * base_width / 64), "the width of one group is multiplied by `groups`."),
        (planes, "base_width and groups change it: int(planes * (base_width / 64)) * groups."),
        (4 * planes, "the middle is narrow: the expansion belongs to the last 1x1."),
        (inplanes, "the first 1x1 changes the channels: `planes` decides, not what comes in."),
        (base_width * groups, "base_width is the width of a group where `planes` is 64: it grows with `planes`."),
        (base_width, "base_width is the width of one group where `planes` is 64."),
    ]


@exercise("5.2")
def ex_5_2(answer):
    """Check, for each number of groups, the base_width that brings the block closest to 69,632 weights."""
    if not isinstance(answer, dict) or set(answer) != {1, 2, 4, 8, 32}:
        raise Wrong("The answer should be a dict with the keys 1, 2, 4, 8 and 32, the numbers of groups.")
    target, widest = _weights(1, 64), range(1, 65)
    for groups, base_width in answer.items():
        met = whole_number(f"For {groups} groups base_width", base_width)
        if met < 1:
            raise Wrong(f"For {groups} groups base_width should be positive, but it is {met}.")
        right = min(widest, key=lambda d: abs(_weights(groups, d) - target))
        if met == right:
            continue
        weights = _weights(groups, met)
        slips = [
            (right * groups, "That is the width of the whole middle: base_width is the width of one group."),
            (
                min(widest, key=lambda d: abs(_weights(groups, d, grouped=False) - target)),
                "In a grouped 3x3 each output channel reads width / groups input channels: divide its weights.",
            ),
            (right - 1, "One neighbour is closer: closest may be above or below."),
            (right + 1, "One neighbour is closer: closest may be above or below."),
        ]
        far = "Too many: try less." if weights > target else "Too few: try more."
        hint = next((hint for wrong, hint in slips if wrong == met), far)
        block = f"Bottleneck(256, 64, groups={groups}, base_width={met})"
        raise Wrong(f"{block} has {weights:,} weights in its convolutions, and {target:,} is the aim. {hint}")


def _weights(groups: int, base_width: int, grouped: bool = True) -> int:
    width = base_width * groups
    return 2 * 256 * width + 9 * width * width // (groups if grouped else 1)


@exercise("5.3")
def ex_5_3(answer):
    """Check a bottleneck that makes its own shortcut: ``answer(inplanes, planes, stride, groups, base_width)``."""
    for call in (  # each one brings one new difficulty
        {"inplanes": 20, "planes": 5},
        {"inplanes": 12, "planes": 5},
        {"inplanes": 20, "planes": 5, "stride": 2},
        {"inplanes": 12, "planes": 8, "stride": 2},
        {"inplanes": 20, "planes": 5, "base_width": 96},
        {"inplanes": 20, "planes": 5, "groups": 5},
        {"inplanes": 20, "planes": 8, "stride": 2, "groups": 4, "base_width": 28},  # int(3.5) * 4 = 12
    ):
        _expect_bottleneck("MyBottleneck", answer, **call)


@exercise("5.4")
def ex_5_4(answer):
    """Check the repaired block, a class called as ``answer(inplanes, planes, stride)``."""
    for inplanes, planes, stride in ((20, 5, 1), (12, 5, 1), (20, 5, 2), (24, 7, 2)):
        _expect_bottleneck("FixedBottleneck", answer, inplanes=inplanes, planes=planes, stride=stride)


def _expect_bottleneck(name: str, answer, inplanes: int, planes: int, **options: int) -> None:
    options = {key: value for key, value in options.items() if (key, value) != _ONE}  # the default goes without saying
    words = [str(inplanes), str(planes), *(f"{key}={value}" for key, value in options.items())]
    what = f"{name}({', '.join(words)})"
    if isinstance(answer, nn.Module):
        raise Wrong("Hand in the class itself, without parentheses: the check makes blocks of its own.")
    try:
        met = answer(inplanes, planes, **options)
    except ValueError as error:
        if "divisible by groups" in str(error):
            raise Wrong(f"{what}: {error}. Round the width of one group, int(...), and then multiply.") from error
        raise
    expect_module(what, met)
    bases = {base.__module__.split(".")[0] for module in met.modules() for base in type(module).__mro__}
    if bases & {"resnet_edu", "torchvision"}:
        raise Wrong(f"{what} uses a block that somebody else wrote. Write the layers yourself.")
    if any(isinstance(parameter, UninitializedParameter) for parameter in met.parameters()):
        with torch.no_grad():  # a lazy layer gets its shapes from its first input
            met.eval()(torch.zeros(1, inplanes, 9, 7))
    flat = [tuple(p.shape) for p in met.parameters() if p.dim() == 2 and 1 not in p.shape]
    if flat:
        hint = f"Write the 1x1 as a convolution: its weights have four dimensions, {(*flat[0], 1, 1)}."
        raise Wrong(f"{what} has a parameter of shape {flat[0]}. {hint}")
    expected = _make(inplanes, planes, **options)
    expect_same_parameters(what, met, expected, _differences(expected, inplanes, planes))
    expect_same_function(what, met, expected, torch.randn(4, inplanes, 9, 7), slips=SLIPS, otherwise=OTHERWISE)


_ONE = ("stride", 1)


def _make(inplanes: int, planes: int, stride: int = 1, groups: int = 1, base_width: int = 64) -> Bottleneck:
    out, downsample = 4 * planes, None
    if stride != 1 or inplanes != out:
        downsample = nn.Sequential(conv1x1(inplanes, out, stride), nn.BatchNorm2d(out))
    return Bottleneck(inplanes, planes, stride, downsample, groups, base_width)


def _differences(right: Bottleneck, inplanes: int, planes: int) -> dict[int, str]:
    """What a surplus (or a lack, below 0) of so many parameters says."""
    width, out, groups = right.conv2.out_channels, 4 * planes, right.conv2.groups
    total = _count(inplanes, width, groups, out, right.downsample is not None)
    project = (
        "Where input and output have the same shape the shortcut is the identity: no layers, not even unused ones."
    )
    if right.downsample is not None:
        project = "A projection is missing: it is needed if the stride is not 1 OR the channels change."
    variants = [
        (_count(inplanes, width, groups, out, right.downsample is None), project),
        (total - 2 * out, "A BatchNorm is missing: after EVERY convolution, the last 1x1 and the projection too."),
        (total - 2 * width, "One BatchNorm is missing or shared: each convolution has its own."),
        (total - 4 * width - 2 * out, "The BatchNorms are missing."),
        (total + 2 * width + out, "The convolutions need no bias: BatchNorm would subtract it."),
        (total + 2 * width + 2 * out, "The convolutions need no bias: BatchNorm would subtract it."),
        (total + out, "The projection needs no bias: its BatchNorm would subtract it."),
        (total + 2 * out, project if right.downsample is None else "One BatchNorm is too many."),
        (total + 2 * inplanes - 2 * out, "A BatchNorm FOLLOWS its convolution, that of the projection too."),
        (total - out, "A bias does not replace a BatchNorm: after EVERY convolution, the projection too."),
        (total - inplanes * width + inplanes * width // groups, GROUPS),
        (total - width * out + width * out // groups, GROUPS),
        (total - (inplanes + out) * width + (inplanes + out) * width // groups, GROUPS),
        (
            _count(inplanes, width + groups, groups, out, right.downsample is not None),
            "int(...) rounds DOWN. " + MIDDLE,
        ),
        (_count(inplanes, width, 1, out, right.downsample is not None), "`groups` does not reach the 3x3."),
        (_count(inplanes, planes, 1, out, right.downsample is not None), MIDDLE),
        (
            _count(inplanes, planes, groups, out, right.downsample is not None),
            MIDDLE,
        ),
        (_count(inplanes, width // groups, groups, out, right.downsample is not None), MIDDLE),
        (_count(inplanes, planes, 1, 4 * inplanes, True), FOUR_TIMES),
        (_count(inplanes, width, groups, 4 * inplanes, True), FOUR_TIMES),
        (_count(inplanes, width, groups, 4 * width, inplanes != 4 * width), ENDS),
        (_count(inplanes, width, groups, 4 * width, True), ENDS),
        (_count(inplanes, width, groups, width, inplanes != width), "The last 1x1 goes up again, to 4 * planes."),
        (_count(inplanes, width, groups, width, True), "The last 1x1 goes up again, to 4 * planes."),
    ]
    return {count - total: hint for count, hint in reversed(variants) if count != total}  # the first has precedence


GROUPS = "`groups` belongs to the 3x3 alone: the 1x1 convolutions mix all channels."
MIDDLE = "The middle has int(planes * (base_width / 64)) * groups channels."
FOUR_TIMES = "The output has 4 * planes channels, not 4 * inplanes."
ENDS = "groups and base_width change the middle only: the output has 4 * planes channels."


def _count(inplanes: int, width: int, groups: int, out: int, projected: bool) -> int:
    branch = inplanes * width + 9 * width * width // groups + width * out + 2 * (2 * width + out)
    return branch + projected * (inplanes * out + 2 * out)


def _branch(
    block: Bottleneck, x: Tensor, at: int = 2, first=F.relu, middle=F.relu, last=same, early=(), bare=()
) -> Tensor:
    """The branch with its stride on convolution ``at``, and what follows each BatchNorm.

    In the layers ``early`` it stands in front of the BatchNorm, and in the layers ``bare`` there is no BatchNorm.
    """
    layers = ((block.conv1, block.bn1, first), (block.conv2, block.bn2, middle), (block.conv3, block.bn3, last))
    for number, (conv, norm, then) in enumerate(layers, start=1):
        stride = block.stride if number == at else 1
        x = F.conv2d(x, conv.weight, stride=stride, padding=conv.padding, groups=conv.groups)
        called = same if number in bare else norm
        x = called(then(x)) if number in early else then(called(x))
    return x


_slip = slip_maker(_branch)


BEFORE = "A ReLU follows the last BatchNorm: it belongs after the addition, so that the branch can subtract too."
LATE = (  # in evaluation mode this is the same function
    "The stride is on the last 1x1: the 3x3 then works at full size for nothing, and in training its BatchNorm "
    "averages over pixels that are dropped. The 3x3 has the stride."
)
SLIPS = [
    *slips_at_the_addition(_slip),
    (_slip(last=F.relu), BEFORE),
    (_slip(last=F.relu, end=same), BEFORE),
    (_slip(end=same), "The ReLU after the addition is missing."),
    (_slip(first=same), "The ReLU after the first BatchNorm is missing."),
    (_slip(middle=same), "The ReLU after the second BatchNorm, that of the 3x3, is missing."),
    (_slip(first=same, middle=same), "Inside the branch a ReLU follows the first and the second BatchNorm."),
    (_slip(at=1), "The stride is on the first 1x1, which is v1: in v1.5 the 3x3 has it."),
    (_slip(at=3), LATE),
    (_slip(at=3, last=F.relu), BEFORE),
    (_slip(at=3, last=F.relu, end=same), BEFORE),
    *((_slip(early=layers), "ReLU comes behind the BatchNorm, not in front of it.") for layers in ((1,), (2,), (1, 2))),
    *((_slip(bare=layers), "A BatchNorm is made and never called.") for layers in ((1,), (2,), (3,))),
]


def _shortcut_first(slip: Callable) -> Callable:
    """The same mistake where the shortcut is called before the branch: weights are matched in the order of calls."""

    def run(block: Bottleneck, x: Tensor) -> Tensor:
        block = deepcopy(block)
        if block.downsample is not None:
            block.bn3, block.downsample[1] = block.downsample[1], block.bn3
        return slip(block, x)

    return run


SLIPS += [(_shortcut_first(slip), hint) for slip, hint in SLIPS]
OTHERWISE = "Compare your forward with the formula, layer by layer: convolution, BatchNorm, ReLU."
