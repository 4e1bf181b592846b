"""The checks of chapter 3: units on one number, a unit of any length, its gradient, its weights, a broken block."""

import copy
import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.block_slips import same, slip_maker, slips_at_the_addition
from resnet_edu.checks.compare import expect_module, expect_same_function, expect_same_parameters, name_slip
from resnet_edu.checks.scalars import number
from resnet_edu.checks.verdict import NotAttempted, Wrong, exercise, expect_close
from resnet_edu.cifar import ZeroPadShortcut

NEGATIVE = "The ReLU stands after the addition: what is below 0 there becomes 0."
BEFORE_RELU = "The 1 of the shortcut stands before the ReLU: is x + F(x) above 0 here?"
PER_UNIT = "Each unit multiplies the slope by 1 + F', and F' is the slope of F alone."
ALL_TEN = "The chain rule multiplies the slopes of all ten."


@exercise("3.1")
def ex_3_1(answer):
    """Check eight predictions about units of one number: a dict of numbers."""
    predictions = {  # the right number, and what a plausible mistake gives
        "output, F(x) = 0, x = 3": (3, [(0, "Only F is zero: the shortcut still carries x.")]),
        "output, F(x) = 0, x = -2": (0, [(-2, NEGATIVE), (2, "ReLU cuts off, it does not turn the sign.")]),
        "slope, F(x) = -5, x = 3": (
            0,
            [(1, BEFORE_RELU), (-4, "F is constant: its slope is 0."), (-5, "That is F; its slope is asked.")],
        ),
        "slope, F(x) = -x/2, x = 3": (
            0.5,
            [(-0.5, "The slope of F is not all: add the shortcut's."), (1.5, "F goes DOWN here."), (1, PER_UNIT)],
        ),
        "slope, 10 units, F(x) = 0, x = 3": (
            1,
            [(0, PER_UNIT), (10, ALL_TEN), (2**10, PER_UNIT), (3, "That is the output; the slope is asked.")],
        ),
        "slope, 10 layers relu(x/2), x = 3": (
            0.5**10,
            [
                (1.5**10, "These layers are plain: nothing is added."),
                (5, ALL_TEN),
                (0.5, ALL_TEN),
            ],
        ),
        "slope, 10 units, F(x) = x/2, x = 3": (
            1.5**10,
            [
                (0.5**10, "That is the plain product: each unit's slope is 1 + 1/2."),
                (1 + 0.5**10, "The 1 is added in EVERY unit, before the product is taken."),
                (15, ALL_TEN),
                (1.5, ALL_TEN),
                (2**10, PER_UNIT),
                (1, PER_UNIT),
                (3 * 1.5**10, "That is the output; the slope is asked."),
            ],
        ),
        "slope, 10 units, one with F(x) = -5, the others 0, x = 3": (
            0,
            [(1, "Nine units let everything through; what does the tenth do?"), (9, ALL_TEN)],
        ),
    }
    if not isinstance(answer, dict) or set(answer) != set(predictions):
        raise Wrong(f"The answer should be a dict with {len(predictions)} keys. Fill in the stub, key by key.")
    for name, (right, slips) in predictions.items():
        met = number(f"`{name}`", answer[name])
        if not abs(met - right) <= 1e-3 * abs(right):  # nan is wrong too; the right number is not given away
            layer = "relu(x/2)" if "layers" in name else "relu(F(x) + x)"
            otherwise = f"Write down y = {layer} for this question, and follow x through it."
            if abs(met - right) <= 0.03 * abs(right):
                otherwise = "Nearly: do not round it, write it as an expression."
            hint = next((hint for number, hint in slips if abs(met - number) <= 1e-3 * abs(number)), otherwise)
            raise Wrong(f"`{name}` is not {met:g}. {hint}")


class _Unit(nn.Module):
    """relu(F(x) + x), F of any number of convolutions: what exercise 3.2 asks for."""

    def __init__(self, channels: int, convs: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(convs))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(convs))

    def steps(self, x: Tensor, relu: bool = True) -> list[Tensor]:
        """x, and what each trio makes of it; the last one stops before its ReLU."""
        found = [x]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            last = norm is self.norms[-1]
            found.append(norm(conv(found[-1])) if last or not relu else norm(conv(found[-1])).relu())
        return found

    def branch(self, x: Tensor, relu: bool = True) -> Tensor:
        return self.steps(x, relu)[-1]

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + x)


def _second_skip(unit: _Unit, x: Tensor) -> Tensor:
    first = unit.norms[0](unit.convs[0](x)) + x
    for conv, norm in zip(unit.convs[1:], unit.norms[1:], strict=True):
        first = norm(conv(first.relu()))
    return F.relu(first + x)


def _relu_before_norm(unit: _Unit, x: Tensor, last: bool = False) -> Tensor:
    out = x
    for conv, norm in zip(unit.convs, unit.norms, strict=True):
        out = norm(conv(out) if norm is unit.norms[-1] and not last else conv(out).relu())
    return F.relu(out + x)


def _skip_around_each(unit: _Unit, x: Tensor) -> Tensor:
    for conv, norm in zip(unit.convs, unit.norms, strict=True):
        x = F.relu(norm(conv(x)) + x)
    return x


SKIP_SLIPS = [  # what the addition and the last ReLU are often taken for
    (lambda unit, x: F.relu(unit.branch(x)), "There is no shortcut: x is not added."),
    (lambda unit, x: unit.branch(x), "There is neither a shortcut nor a last ReLU: relu(F(x) + x)."),
    (lambda unit, x: F.relu(x), "Only the shortcut comes out: F(x) is not added."),
    (lambda unit, x: x, "The input comes out as it is: relu(F(x) + x)."),
    (lambda unit, x: F.relu(unit.branch(x) - x), "x is subtracted where it should be added."),
    (lambda unit, x: F.relu(x - unit.branch(x)), "F(x) is subtracted where it should be added."),
    (lambda unit, x: F.relu(unit.branch(x) * x), "F(x) and x are multiplied where they should be added."),
    (lambda unit, x: F.relu(torch.maximum(unit.branch(x), x)), "F(x) and x are added; no maximum is taken."),
    (lambda unit, x: F.relu((unit.branch(x) + x) / 2), "It is the sum of F(x) and x, not their mean."),
    (lambda unit, x: unit.branch(x) + x, "The last ReLU is missing: relu(F(x) + x)."),
    (lambda unit, x: F.relu(unit.branch(x)) + x, "The last ReLU stands BEFORE the addition: F could only add."),
    (
        lambda unit, x: F.relu(F.relu(unit.branch(x)) + x),
        "There is one ReLU too many, before the addition: F(x) must be able to be negative.",
    ),
    (
        lambda unit, x: F.relu(2 * unit.branch(x)),
        "F(x) is added to itself: your variable x no longer holds the unit's input.",
    ),
    (
        lambda unit, x: F.relu(unit.branch(x) + unit.steps(x)[-2]),
        "The shortcut goes around the last convolution only: it must start at the unit's INPUT.",
    ),
    (
        lambda unit, x: F.relu(unit.branch(x) + unit.steps(x)[1]),
        "The shortcut starts behind the first convolution: it must start at the unit's INPUT.",
    ),
    (_second_skip, "There is a second shortcut, around the first convolution: there is one, around them all."),
    (_skip_around_each, "There is a shortcut around each convolution: there is one, around them all."),
    (
        lambda unit, x: F.relu(unit.branch(x) + 2 * x),
        "x is added twice: there is one shortcut.",
    ),
    (
        lambda unit, x: unit(F.relu(x)),
        "A ReLU changes x before the branch, or in place: an in-place ReLU writes into its input.",
    ),
    (lambda unit, x: F.relu(unit.branch(F.relu(x)) + x), "The branch starts with the convolution, not with a ReLU."),
    (lambda unit, x: F.relu(unit.branch(x, relu=False) + x), "The ReLU between two convolutions is missing."),
    (_relu_before_norm, "The ReLU comes after the BatchNorm, not before it: convolution, BN, ReLU."),
    (
        lambda unit, x: _relu_before_norm(unit, x, last=True),
        "The ReLU comes after the BatchNorm, not before it, and none stands behind the last convolution.",
    ),
    (
        lambda unit, x: F.relu(unit.norms[-1](unit.convs[-1](unit.steps(x)[-2]) + x)),
        "The last BatchNorm comes before the addition, not after it.",
    ),
]


@exercise("3.2")
def ex_3_2(answer):
    """Check a residual unit with a branch of any length: a class called as ``answer(channels, convs)``."""
    if isinstance(answer, nn.Module):
        raise Wrong("Hand in the class itself, without parentheses: the check makes units of its own.")
    otherwise = "It is relu(F(x) + x), and F is convolution, BN, ReLU, ..., convolution, BN."
    for channels, convs in ((4, 3), (5, 2), (3, 4), (6, 1)):
        what = f"LongUnit({channels}, {convs})"
        unit, reference = answer(channels, convs), _Unit(channels, convs)
        expect_module(what, unit)
        expect_same_parameters(what, unit, reference, _differences(channels, convs))
        x = torch.randn(4, channels, 6, 5)
        expect_same_function(what, unit, reference, x, slips=SKIP_SLIPS, otherwise=otherwise)


def _differences(channels: int, convs: int) -> dict[int, str]:
    """What a surplus (or a lack, below 0) of so many parameters says; the later entry wins where two agree."""
    conv, norm = 9 * channels * channels, 2 * channels
    shared = "Each convolution has weights of its own: make them in a loop; [layer] * n is one layer n times."
    return {
        -(convs - 1) * conv: shared,
        -(convs - 1) * (conv + norm): shared,
        -(convs - 1) * norm: "Each convolution has a BatchNorm of its own.",
        (convs - 2) * -(conv + norm): "The second argument says how many convolutions there are.",
        -convs * conv: "Layers in a Python list are not registered: use nn.ModuleList or nn.Sequential.",
        -convs * (conv + norm): "Layers in a Python list are not registered: use nn.ModuleList or nn.Sequential.",
        -convs * norm: "Each convolution is followed by a BatchNorm.",
        -norm: "The last convolution has a BatchNorm too: it comes before the addition.",
        convs * (5 * 5 - 3 * 3) * channels * channels: "The kernels are 3x3.",
        -convs * (3 * 3 - 1) * channels * channels: "The kernels are 3x3.",
        convs * channels: "The convolutions have no bias: BatchNorm would subtract it.",
        norm: "There is one BatchNorm too many: each convolution has one, and the addition none.",
    }


@exercise("3.3")
def ex_3_3(answer):
    """Check ``unit_backward(x, w1, w2, g)``: the gradient at x of a unit without BatchNorm, relu(w2 relu(w1 x) + x)."""
    for size, inner in ((4, 6), (5, 3), (4, 4), (9, 20), (20, 9), (16, 16)):  # the last ones leave no gate to luck
        x, g, w1, w2 = torch.randn(size), torch.randn(size), torch.randn(inner, size), torch.randn(size, inner)
        given = [tensor.clone() for tensor in (x, w1, w2, g)]
        with torch.inference_mode():  # in which enable_grad() alone does not make autograd record
            met = answer(*given)
        if met is ...:
            raise NotAttempted
        right, slips = _backward(x, w1, w2, g)
        expect_close("The gradient at x", met, right, name_slip(met, slips, "Go backwards, step by step."), 1e-4)
        for name, tensor, before in zip(("x", "w1", "w2", "g"), given, (x, w1, w2, g), strict=True):
            expect_close(f"{name} after the call", tensor, before, "Your function writes into its arguments.", 0)
    x, closed = torch.tensor([1.0, 2.0]), -2 * torch.eye(2)
    with torch.inference_mode():
        met = answer(x, torch.eye(2), closed, torch.ones(2))
    expect_close(
        "Where every gate is closed, the gradient", met, torch.zeros(2), "The outer ReLU lets nothing through."
    )


def _backward(x: Tensor, w1: Tensor, w2: Tensor, g: Tensor) -> tuple[Tensor, list[tuple[Tensor, str]]]:
    """The gradient, and what each plausible mistake gives in its place."""
    inside, total = (w1 @ x > 0).float(), w2 @ (w1 @ x).relu() + x
    outer = g * (total > 0)

    def branch(at_sum: Tensor, gate: Tensor = inside) -> Tensor:
        return w1.T @ (gate * (w2.T @ at_sum))

    unrectified = g * (w2 @ (w1 @ x) + x > 0)
    without_x = g * (w2 @ (w1 @ x).relu() > 0)
    one = (total > 0).float()
    slips = [
        (g + branch(g), "The ReLU after the addition is missing: it gates the sum."),
        (g + branch(outer), "The ReLU after the addition gates BOTH ways back, the shortcut's too."),
        (outer + branch(g), "The ReLU after the addition gates BOTH ways back, the branch's too."),
        (branch(outer), "The shortcut's part is missing: the sum hands its gradient to BOTH of its terms."),
        (branch(g), "The shortcut's part is missing, and the ReLU after the addition."),
        (outer, "The branch's part is missing: the sum hands its gradient to BOTH of its terms."),
        (outer + branch(outer, torch.ones_like(inside)), "The ReLU inside the branch is missing."),
        (g + branch(g, torch.ones_like(inside)), "Both ReLUs are missing."),
        (1 + branch(outer), "The shortcut's part is 1 TIMES the gradient that arrives at the sum, not 1."),
        (g * (x > 0) + branch(g * (x > 0)), "The outer gate asks whether the SUM is above 0, not x."),
        (total.relu(), "That is the unit's output: go backwards from g."),
        (torch.zeros_like(x), "Nothing arrives. (If you used autograd: it is switched off here.)"),
        (unrectified + branch(unrectified), "The sum contains the inner ReLU: W2 relu(W1 x) + x."),
        (without_x + branch(without_x), "The outer gate asks whether the sum is above 0, and x is part of the sum."),
        (one * (g + branch(g)), "The outer gate stands at the SUM, so it comes first on the way back."),
        (one + branch(one), "Start from g, the gradient that has arrived; a gate alone is not a gradient."),
        (
            g * total.relu() + branch(g * total.relu()),
            "The outer gate multiplies by 1 or 0, not by the number that it let through.",
        ),
        (
            outer + branch(outer, (w1 @ x).relu()),
            "The inner gate multiplies by 1 or 0, not by the number that it let through.",
        ),
        (outer + w2 @ (inside * (w1 @ outer)), "Going backwards multiplies by the transposes, last first."),
    ]
    return outer + branch(outer), slips


class _Block(BasicBlock):
    """A BasicBlock that lets a slip get at its parts."""

    def half(self, x: Tensor) -> Tensor:
        return F.relu(self.bn1(self.conv1(x)))

    def branch(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.half(x)))

    def shortcut(self, x: Tensor) -> Tensor:
        return x if self.downsample is None else self.downsample(x)


def _addends(block: _Block, x: Tensor) -> dict[str, Tensor]:
    """What a mended block might add to its branch, and what is wrong with it; nothing is wrong with the first."""
    half, at_change = block.half(x), block.downsample is not None
    mistaken = block.shortcut(x) if at_change else torch.zeros_like(x)
    return {
        "": block.shortcut(x),
        "What is added is not the block's input: x was overwritten by the first half. Keep it.": half,
        "A block without `downsample` has a shortcut too, the identity: add x itself.": mistaken,
        "No shortcut is left in a block with `downsample`: add what that makes of x.": torch.zeros_like(half),
        "The branch is added to itself: x was overwritten twice.": block.branch(x),
    }


# (a ReLU before the addition, one after it), the right one first
ORDERS = ((False, True), (True, True), (True, False), (False, False))
_slip = slip_maker(lambda block, x, middle=F.relu: block.bn2(block.conv2(middle(block.bn1(block.conv1(x))))))
NEW_BUGS = [  # that the broken block does not have, but its repair may bring in
    *slips_at_the_addition(_slip),
    (_slip(middle=same), "The ReLU after the first BatchNorm is missing."),
]


@exercise("3.4")
def ex_3_4(answer):
    """Check the repaired block: a class called as ``answer(inplanes, planes, stride, downsample)``."""
    if isinstance(answer, nn.Module):
        raise Wrong("Hand in the class itself, without parentheses: the check makes blocks of its own.")
    early = "A ReLU stands before the addition: the correction could never be negative."
    late = "The ReLU after the addition is missing."
    slips = []
    for place, (relu_before, relu_after) in itertools.product(range(5), ORDERS):

        def mistake(block, x, place=place, relu_before=relu_before, relu_after=relu_after):
            out = block.branch(x)
            out = (out.relu() if relu_before else out) + list(_addends(block, x).values())[place]
            return out.relu() if relu_after else out

        slips.append((mistake, place, " ".join([early] * relu_before + [late] * (not relu_after))))
    projection = nn.Sequential(nn.Conv2d(4, 6, 1, bias=False), nn.BatchNorm2d(6))
    for planes, stride, downsample in ((4, 1, None), (8, 2, ZeroPadShortcut(4, 8, 2)), (6, 1, projection)):
        what = f"FixedBlock(4, {planes}, stride={stride})"
        block, reference = answer(4, planes, stride, downsample), _Block(4, planes, stride, copy.deepcopy(downsample))
        expect_module(what, block)
        expect_same_parameters(what, block, reference, {})
        x = torch.randn(4, 4, 6, 6)
        with torch.no_grad():
            reasons = list(_addends(reference, x))
        named = [(mistake, " ".join(filter(None, (reasons[place], extra)))) for mistake, place, extra in slips]
        otherwise = "It is relu(F(x) + shortcut), as in the chapter: compare it line by line."
        expect_same_function(what, block, reference, x, slips=[*named, *NEW_BUGS], otherwise=otherwise)


@exercise("3.5")
def ex_3_5(answer):
    """Check ``set_to_swap(conv1, conv2)``: weights that make relu(conv2(relu(conv1(x))) + x) exchange two channels."""
    conv1, conv2 = (nn.Conv2d(2, 2, 3, padding=1, bias=False) for _ in range(2))
    before = [conv.weight.detach().clone() for conv in (conv1, conv2)]
    answer(conv1, conv2)
    if torch.equal(conv1.weight, before[0]) and torch.equal(conv2.weight, before[1]):
        raise Wrong("The weights are what they were: set those of the two convolutions that your function is given.")
    for name, conv in (("conv1", conv1), ("conv2", conv2)):
        if conv.bias is not None:  # without one the unit scales with its input: a swap of small ones is one of all
            raise Wrong(f"{name} has got a bias. The convolutions have no bias: set their weights only.")
        if conv.weight.shape != (2, 2, 3, 3):
            raise Wrong(
                f"The weight of {name} should keep its shape (2, 2, 3, 3), but it has {tuple(conv.weight.shape)}."
            )
    x = torch.rand(3, 2, 4, 5) * 4
    with torch.no_grad():
        inner = F.relu(conv1(x))
        branch = conv2(inner)
        met, swapped = F.relu(branch + x), x.flip(1)
        slips = [
            (F.relu(x), "The branch gives 0: it is still the identity. What is swapped minus x?"),
            (F.relu(swapped + x), "The branch gives the swapped x, and then x is added: F(x) = H(x) - x."),
            (F.relu(x - swapped), "The branch has the wrong sign."),
            (F.relu(2 * x - swapped), "The branch gives x minus the swapped x: turn its sign."),
            (
                x.amax(1, keepdim=True).expand_as(x),
                "It is the larger of the two: the ReLU inside cuts off one of the differences. Let conv2 take them.",
            ),
            (torch.zeros_like(x), "Everything is 0: the branch takes away what it should, but adds nothing back."),
            (2 * x, "The branch gives x: it doubles what is there."),
        ]
        hint = "Print the branch of your unit for x with one pixel; it should be the swapped x minus x."
        if conv2.weight.any() and not inner.any():
            raise Wrong("The ReLU inside the branch lets nothing through: what conv1 gives is negative or 0.")
        if any(
            conv.weight.flatten(2).count_nonzero() > conv.weight[:, :, 1, 1].count_nonzero() for conv in (conv1, conv2)
        ):
            hint = "Pixels are mixed with their neighbours: only the centre of a 3x3 kernel may be other than 0."
        expect_close("For an input that is not negative the output", met, swapped, name_slip(met, slips, hint), 1e-3)
