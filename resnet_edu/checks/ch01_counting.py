"""The checks of exercises 1.1 and 1.2: the shapes behind each layer of a stack, and what a convolution costs.

Both name the mistake by its result: the wrong number is looked up among those that plausible mistakes would give.
"""

import torch
from torch import Tensor, nn

from resnet_edu.checks.scalars import whole_numbers
from resnet_edu.checks.verdict import NotAttempted, Wrong, exercise, expect_equal

Slips = list[tuple[int, str]]  # (the number that a mistake gives, the hint that belongs to it)


@exercise("1.1")
def ex_1_1(shapes):
    """Check the shapes predicted after each layer of the stack: a dict of tuples."""
    layers = {
        "conv1": nn.Conv2d(3, 16, 7, stride=2, padding=3),
        "pool": nn.MaxPool2d(3, stride=2, padding=1),
        "conv2": nn.Conv2d(16, 32, 3, padding=2, dilation=2),
        "conv3": nn.Conv2d(32, 32, 3, stride=2),
        "average": nn.AdaptiveAvgPool2d(1),
        "flat": nn.Flatten(),
        "logits": nn.Linear(32, 10),
    }
    if not isinstance(shapes, dict) or set(shapes) != set(layers):
        raise Wrong(f"The answer should be a dict with the keys {', '.join(layers)}. Fill in the stub, key by key.")
    x = torch.zeros(4, 3, 50, 42)
    for name, layer in layers.items():
        before, x = x, layer(x)
        _expect_shape(name, shapes[name], layer, before, x)


def _expect_shape(name: str, met, layer: nn.Module, before: Tensor, after: Tensor) -> None:
    """Say what is wrong with a predicted shape, but not what the right one is: that would end the exercise."""
    met, expected = whole_numbers(f"`{name}`", met), tuple(after.shape)
    if met == expected:
        return
    if len(met) != len(expected):
        hint = {
            nn.AdaptiveAvgPool2d: "Pooling to size 1 keeps height and width, both 1: only Flatten takes them away.",
            nn.Flatten: "Flatten puts all numbers of one image in one row: two dimensions are left.",
            nn.Linear: "A linear layer changes the last number of a shape, and no other.",
        }.get(type(layer), "Images come as a batch of four dimensions, (N, C, H, W).")
    elif met[0] != expected[0]:
        hint = "The first number is the batch size, and no layer changes it."
    elif met[1] != expected[1]:
        hint = {
            nn.Conv2d: "A convolution gives one channel for each of its kernels: its second argument.",
            nn.Linear: "A linear layer gives as many numbers as its second argument says.",
            nn.Flatten: "A row holds channels times height times width of what comes in, the shape of `average`.",
        }.get(type(layer), "Look at the second number: this layer has no kernels, and loses no channel.")
    elif name == "average":
        hint = "The argument of an adaptive pooling is the size that comes OUT, whatever comes in."
    elif met[2:] == (expected[3], expected[2]):
        hint = "Height stands before width: (N, C, H, W)."
    else:
        axis = 2 if met[2] != expected[2] else 3
        otherwise = "Put kernel, stride, padding and dilation of this layer into the formula once more."
        slips = _slips_in_size(layer, before.shape[axis])
        if name == "conv3":
            slips.append(((before.shape[axis] + 2 - 3) // 2 + 1, "This layer has no padding unless it says so."))
        hint = _name(met[axis], slips, otherwise)
        hint = f"Look at the {('height', 'width')[axis - 2]}. {hint}"
    raise Wrong(f"`{name}` is not {met}. {hint}")


def _name(met, slips: Slips, otherwise: str) -> str:
    """The hints of the mistakes that give the number that was met, two at most: they may give the same."""
    hints = list(dict.fromkeys(hint for number, hint in slips if number == met))
    return " Or: ".join(hints[:2]) or otherwise


def _slips_in_size(layer: nn.Module, size: int) -> Slips:
    """What each plausible mistake in the formula makes of a height or a width, always in the same order."""
    settings = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    k, s, p, d = (value[0] if isinstance(value, tuple) else value for value in settings)
    reach = d * (k - 1)
    last = size + 2 * p - reach - 1
    return [
        (-(-last // s) + 1, "The division rounds down, for a last step that does not fit is not taken."),
        (last // s, "The first position counts too: + 1 after the division."),
        ((size + 2 * p - k) // s + 1, "With dilation d the kernel spans d(k - 1) + 1 pixels, not k."),
        ((size - reach - 1) // s + 1, "The padding is missing."),
        ((size + p - reach - 1) // s + 1, "The padding goes on both sides: 2p."),
        (last + 1, "The stride is missing."),
    ]


@exercise("1.2")
def ex_1_2(answer):
    """Check ``conv_cost(height, width, in_channels, out_channels, kernel, stride, padding, dilation, bias)``."""
    settings = [  # each one brings one new difficulty
        ((9, 7, 4, 5, 3), {"bias": False}),
        ((9, 7, 4, 5, 3), {}),
        ((9, 7, 4, 5, 3), {"padding": 1}),
        ((9, 7, 4, 5, 3), {"stride": 2, "padding": 1}),
        ((12, 9, 2, 7, 3), {"stride": 2, "padding": 2, "dilation": 2, "bias": False}),
        ((56, 56, 64, 256, 1), {"bias": False}),
        ((224, 224, 3, 64, 7), {"stride": 2, "padding": 3, "bias": False}),
    ]
    for (height, width, *channels, kernel), options in settings:
        conv = nn.Conv2d(*channels, kernel, **options, device="meta")
        out = conv(torch.empty(1, channels[0], height, width, device="meta"))
        expected = (sum(p.numel() for p in conv.parameters()), kernel**2 * channels[0] * out.numel())
        arguments = [str(number) for number in (height, width, *channels, kernel)]
        call = f"conv_cost({', '.join(arguments + [f'{name}={value}' for name, value in options.items()])})"
        met = answer(height, width, *channels, kernel, **options)
        if met is ...:
            raise NotAttempted
        if not isinstance(met, tuple | list) or len(met) != 2:
            raise Wrong(f"{call} should return two integers, parameters and multiply-adds, but it returns {met!r}.")
        if tuple(met) == expected[::-1]:
            raise Wrong(f"{call} returns the two numbers in the other order: parameters come first.")
        slips = _slips_in_parameters(conv), _slips_in_work(conv, height, width, out)
        for what, number, right, known in zip(("parameters", "multiply-adds"), met, expected, slips, strict=True):
            if isinstance(number, float):
                rounding = "Sizes are whole numbers: the division rounds down, //."
                raise Wrong(f"For {call} the number of {what} should be an integer, but it is {number!r}. {rounding}")
            otherwise = f"Work the {what} of this call out with pencil and paper, factor by factor."
            expect_equal(f"For {call} the number of {what}", number, right, _name(number, known, otherwise))


ALL_PAIRS = "Every output channel has a kernel for every input channel: k * k * in_channels * out_channels."
NO_MORE_WEIGHTS = "Dilation spreads the kernel's k * k weights further apart; it does not add any."


def _slips_in_parameters(conv: nn.Conv2d) -> Slips:
    k, into, onto, bias = conv.kernel_size[0], conv.in_channels, conv.out_channels, conv.bias is not None
    weights, span = k * k * into * onto, conv.dilation[0] * (k - 1) + 1
    return [
        (weights, "With bias=True there is one bias for each output channel."),
        (weights + onto, "bias=False means that there is no bias to count."),
        (weights + into, "There is one bias for each OUTPUT channel."),
        (weights + 1, "There is one bias for each output channel, not one for the layer."),
        (k * into * onto + bias * onto, "A kernel has k * k weights, not k."),
        (k * k * onto + bias * onto, ALL_PAIRS),
        (k * k * into + bias * onto, ALL_PAIRS),
        (k * k + bias * onto, ALL_PAIRS),
        (span * span * into * onto + bias * onto, NO_MORE_WEIGHTS),
    ]


def _slips_in_work(conv: nn.Conv2d, height: int, width: int, out: Tensor) -> Slips:
    k, into, onto = conv.kernel_size[0], conv.in_channels, conv.out_channels
    weights, positions, span = k * k * into * onto, out[0, 0].numel(), conv.dilation[0] * (k - 1) + 1
    each = "Every output number costs k * k * in_channels: multiply by the height and width of the OUTPUT (conv_out)"
    slips = [
        (weights, f"{each}."),
        (weights * height * width, f"{each}, not of the input."),
        (weights * out.shape[2] ** 2, f"{each}; the two may differ."),
        (weights * out.shape[3] ** 2, f"{each}; the two may differ."),
        (span * span * into * onto * positions, NO_MORE_WEIGHTS),
        (2 * weights * positions, "A multiplication and the addition that follows it count as ONE multiply-add."),
        ((weights + onto) * positions, "The bias is not counted in the multiply-adds here."),
        (k * k * onto * positions, ALL_PAIRS),
        (k * k * into * positions, ALL_PAIRS),
    ]
    for (rows, hint), (columns, _) in zip(_slips_in_size(conv, height), _slips_in_size(conv, width), strict=True):
        slips.append((weights * rows * columns, hint))
    return slips
