"""The checks of chapter 1: shapes, costs, BatchNorm from scratch, a broken net, a layer with a wide view."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.checks.compare import expect_module, expect_same_function, expect_same_parameters, name_slip
from resnet_edu.checks.verdict import NotAttempted, Wrong, exercise, expect_close, expect_equal

OVER_BATCH = (0, 2, 3)  # N, H and W: everything but the channels


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
        _expect_shape(name, shapes[name], layer, tuple(before.shape), tuple(x.shape))


def _expect_shape(name: str, met, layer: nn.Module, before: tuple, expected: tuple) -> None:
    """Say what is wrong with a predicted shape, but not what the right one is: that would end the exercise."""
    if not isinstance(met, tuple | list) or not all(type(number) is int for number in met):
        raise Wrong(f"`{name}` should be a tuple of integers such as (4, 3, 50, 42), but it is {met!r}.")
    met = tuple(met)
    if met == expected:
        return
    if len(met) != len(expected):
        hint = "Images come as a batch of four dimensions, (N, C, H, W)."
        if name == "average":
            hint = "Pooling to size 1 keeps height and width, both 1: only Flatten takes them away."
        elif len(expected) == 2:
            hint = "Flatten puts all numbers of one image in one row: two dimensions are left."
    elif met[0] != expected[0]:
        hint = "The first number is the batch size, and no layer changes it."
    elif met[1] != expected[1]:
        hint = {
            nn.Conv2d: "A convolution gives one channel for each of its kernels: its second argument.",
            nn.Linear: "A linear layer gives as many numbers as its second argument says.",
        }.get(type(layer), "Look at the second number: this layer has no kernels, and loses no channel.")
    elif name == "average":
        hint = "The argument of an adaptive pooling is the size that comes OUT, whatever comes in."
    elif met[2:] == expected[:1:-1]:
        hint = "Height stands before width: (N, C, H, W)."
    else:
        axis = 2 if met[2] != expected[2] else 3
        hint = f"Look at the {('height', 'width')[axis - 2]}: {_slip_in_size(layer, before[axis], met[axis])}"
    raise Wrong(f"`{name}` is not {met}. {hint}")


def _slip_in_size(layer: nn.Module, size: int, met: int) -> str:
    """Name the mistake that turns ``size`` into ``met``."""
    settings = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    k, s, p, d = (value[0] if isinstance(value, tuple) else value for value in settings)
    last = size + 2 * p - d * (k - 1) - 1
    slips = [
        (math.ceil(last / s) + 1, "the division rounds down, for a last step that does not fit is not taken."),
        (last // s, "the first position counts too: + 1 after the division."),
        ((size + 2 * p - k) // s + 1, "with dilation d the kernel spans d(k - 1) + 1 pixels, not k."),
        ((size - d * (k - 1) - 1) // s + 1, "the padding is missing."),
        ((size + p - d * (k - 1) - 1) // s + 1, "the padding goes on both sides: 2p."),
        ((size + 2 - d * (k - 1) - 1) // s + 1, "this layer has no padding unless it says so."),
        (last + 1, "the stride is missing."),
    ]
    return _name_number(
        met, slips, "put kernel, stride, padding and dilation of this layer into the formula once more."
    )


def _name_number(met, slips: list[tuple[float, str]], otherwise: str) -> str:
    """Return the hint of the first mistake that gives the number that was met."""
    return next((hint for number, hint in slips if number == met), otherwise)


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
            otherwise = f"Work the {what} of this call out with pencil and paper, factor by factor."
            hint = _name_number(number, known, otherwise)
            expect_equal(f"For {call} the number of {what}", number, right, hint)


ALL_PAIRS = "Every output channel has a kernel for every input channel: k * k * in_channels * out_channels."
NO_MORE_WEIGHTS = "Dilation spreads the kernel's k * k weights further apart; it does not add any."


def _slips_in_parameters(conv: nn.Conv2d) -> list[tuple[float, str]]:
    """What each plausible mistake would give, and what to say to it."""
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
        (span * span * into * onto + bias * onto, NO_MORE_WEIGHTS),
    ]


def _slips_in_work(conv: nn.Conv2d, height: int, width: int, out: Tensor) -> list[tuple[float, str]]:
    k, s, into, onto = conv.kernel_size[0], conv.stride[0], conv.in_channels, conv.out_channels
    weights, positions, span = k * k * into * onto, out[0, 0].numel(), conv.dilation[0] * (k - 1) + 1
    last_row, last_column = (size + 2 * conv.padding[0] - span for size in (height, width))
    each = "Every output number costs k * k * in_channels: multiply by the height and width of the OUTPUT (conv_out)"
    return [
        (weights, f"{each}."),
        (weights * height * width, f"{each}, not of the input."),
        (weights * ((height - k) // s + 1) * ((width - k) // s + 1), f"{each}, which depends on the padding."),
        (weights * out.shape[2] ** 2, f"{each}; the two may differ."),
        (weights * out.shape[3] ** 2, f"{each}; the two may differ."),
        (
            weights * (last_row / s + 1) * (last_column / s + 1),
            "Sizes are whole numbers: the division rounds down, //.",
        ),
        (span * span * into * onto * positions, NO_MORE_WEIGHTS),
        (2 * weights * positions, "A multiplication and the addition that follows it count as ONE multiply-add."),
        ((weights + onto) * positions, "The bias is not counted in the multiply-adds here."),
        (k * k * onto * positions, ALL_PAIRS),
        (k * k * into * positions, ALL_PAIRS),
    ]


def _make(what: str, answer, *arguments: int, **options: float) -> nn.Module:
    """Call the learner's class."""
    if isinstance(answer, nn.Module):
        raise Wrong("Hand in the class itself, without parentheses: the check makes modules of its own.")
    module = answer(*arguments, **options)
    expect_module(what, module)
    return module


@exercise("1.3")
def ex_1_3(answer):
    """Check a BatchNorm2d written from scratch: a class called as ``answer(channels, eps=..., momentum=...)``."""
    layer = _make("MyBatchNorm2d(3)", answer, 3)
    used = getattr(getattr(type(layer).forward, "__code__", None), "co_names", ())
    if "batch_norm" in used or any(isinstance(m, nn.modules.batchnorm._NormBase) for m in layer.modules()):
        raise Wrong("This uses PyTorch's own BatchNorm. Write the formula yourself, with mean and var.")
    scale, shift, mean, var = _find_state(layer, 3)

    x = torch.randn(4, 3, 5, 6) * torch.tensor([0.5, 2, 4])[:, None, None] + torch.tensor([1.0, -3, 0])[:, None, None]
    given = x.clone()
    met = layer(given)
    hint = name_slip(met, _slips_in_training(x), "Compare it with the toy numbers of the chapter, channel by channel.")
    expect_close("In training mode the output", met, _normalise(x), hint, 1e-4)
    expect_close("The input after the call", given, x, "Your layer writes into its input: x - mean, not x -= mean.", 0)
    for what, name in (("running mean", mean), ("running variance", var)):
        met, (expected, slips) = _state(layer, name), _running_statistic(what, x)
        hint = name_slip(met, slips, "It is 0.9 old + 0.1 new.", 1e-5)
        expect_close(f"The {what} after one batch", met, expected, hint)

    # a scale of 1 and a shift of 0, the usual eps and the usual momentum would hide mistakes
    reference, layer = nn.BatchNorm2d(3, eps=0.3, momentum=0.4), answer(3, eps=0.3, momentum=0.4)
    for name, own, values in ((scale, "weight", [2.0, -1.0, 0.5]), (shift, "bias", [1.0, 3.0, -2.0])):
        for module, key in ((layer, name), (reference, own)):
            parameter = module.get_parameter(key)
            parameter.data = torch.tensor(values).reshape(parameter.shape)
    met, expected = layer(x), reference(x)
    hint = name_slip(met, _slips_in_parameters_and_eps(x, reference), "It is normalised * scale + shift, by channel.")
    expect_close("With eps=0.3 and a learned scale and shift the output", met, expected, hint, 1e-4)
    met, hint = _state(layer, mean), "Use the momentum that was passed, not 0.1."
    expect_close("With momentum=0.4 the running mean", met, reference.running_mean, hint)
    z = torch.randn(2, 3, 4, 3) + 2
    layer(z), reference(z)
    for what, name in (("mean", mean), ("var", var)):
        met, expected = _state(layer, name), getattr(reference, f"running_{what}")
        hint = "It has forgotten too much or too little of the first: (1 - momentum) * old + momentum * new."
        expect_close(f"The running {what} after a second batch", met, expected, hint)
    _expect_evaluation(layer, reference, z, (mean, var))
    _expect_gradient(layer, reference, x, (mean, var))
    wide = torch.randn(3, 5, 2, 4)
    hint = "Every tensor that the layer keeps has `channels` numbers."
    expect_close("With 5 channels the output", _make("MyBatchNorm2d(5)", answer, 5)(wide), _normalise(wide), hint, 1e-4)


def _find_state(layer: nn.Module, channels: int) -> tuple[str, str, str, str]:
    """Return the names of scale, shift, running mean and running variance, whatever the learner called them."""
    names = []
    for kind, tensors, (ones, zeros) in (
        ("parameters", dict(layer.named_parameters()), ("scale", "shift")),
        ("buffers", dict(layer.named_buffers()), ("running variance", "running mean")),
    ):
        counted = [name for name, tensor in tensors.items() if tensor.numel() == channels]
        if len(counted) != 2:
            hint = "nn.Parameter(...), assigned to an attribute of self, registers a tensor that is learned."
            if kind == "buffers":
                hint = "self.register_buffer(name, tensor) registers a tensor that is saved but not learned."
            elif len(counted) == 4:
                hint = "The running statistics are not learned: they are buffers."
            wanted = f"two {kind} of {channels} numbers, {zeros} and {ones}"
            raise Wrong(f"MyBatchNorm2d({channels}) should register {wanted}, but it has {len(counted)}. {hint}")
        for start, meaning in ((1, ones), (0, zeros)):
            found = [name for name in counted if (tensors[name] == start).all()]
            if len(found) != 1:
                raise Wrong(f"In a new layer the {meaning} should be {start} for each channel, and the other not.")
            names += found
    scale, shift, var, mean = names
    return scale, shift, mean, var


def _state(layer: nn.Module, name: str) -> Tensor:
    return dict(layer.named_buffers())[name].detach().clone().flatten()


def _normalise(x: Tensor, dims: tuple = OVER_BATCH, eps: float = 1e-5, correction: int = 0) -> Tensor:
    return (x - x.mean(dims, keepdim=True)) / (x.var(dims, keepdim=True, correction=correction) + eps).sqrt()


def _slips_in_training(x: Tensor) -> list[tuple[Tensor, str]]:
    dims = "dim=(0, 2, 3)"
    centred, var = x - x.mean(OVER_BATCH, keepdim=True), x.var(OVER_BATCH, keepdim=True, correction=0)
    return [
        (x, "It is the input, or normalised by the running statistics: use the batch's own mean and variance."),
        (_normalise(x, correction=1), "Normalise with the BIASED variance: unbiased=False."),
        (_normalise(x, (0,)), f"Mean and variance are taken over N, H and W, {dims}, not over N only."),
        (_normalise(x, (2, 3)), f"Mean and variance are taken over the batch too: {dims}, not (2, 3)."),
        (_normalise(x, (1, 2, 3)), f"Each channel has its own mean and variance: {dims}, not (1, 2, 3)."),
        (_normalise(x, (0, 1, 2, 3)), f"Each channel has its own mean and variance: {dims}, not all four."),
        (centred, "It has the right mean, but is not divided by the standard deviation."),
        (centred / (var + 1e-5), "Divide by the standard deviation: the square ROOT of variance + eps."),
        (x / (var + 1e-5).sqrt(), "The batch's mean is not subtracted."),
    ]


def _running_statistic(what: str, x: Tensor) -> tuple[Tensor, list[tuple[Tensor, str]]]:
    """The running statistic after the first batch, and what mistakes would make of it."""
    start, batch = (0.0, x.mean(OVER_BATCH)) if what == "running mean" else (1.0, x.var(OVER_BATCH))
    biased = x.var(OVER_BATCH, correction=0)
    return 0.9 * start + 0.1 * batch, [
        (torch.full_like(batch, start), "It has not moved: update it in every call in training mode."),
        (0.9 * batch + 0.1 * start, "The momentum is the share of the NEW batch: 0.9 old + 0.1 new."),
        (0.9 * biased + 0.1 * start, "The momentum is the share of the NEW batch: 0.9 old + 0.1 new."),
        (batch, "It is the batch's own; keep nine tenths of the old value: 0.9 old + 0.1 new."),
        (start + 0.1 * batch, "Take the old value times 0.9 before you add 0.1 times the new one."),
        (0.9 * start + 0.1 * biased, "The running variance takes the UNBIASED estimate, the normalising does not."),
        (0.9 * start + 0.1 * batch.sqrt(), "Keep the variance, not the standard deviation."),
        (0.9 * start + 0.1 * biased.sqrt(), "Keep the variance, not the standard deviation."),
    ]


def _slips_in_parameters_and_eps(x: Tensor, reference: nn.BatchNorm2d) -> list[tuple[Tensor, str]]:
    scale, shift = (value.detach()[:, None, None] for value in (reference.weight, reference.bias))
    right, var = _normalise(x, eps=0.3), x.var(OVER_BATCH, keepdim=True, correction=0)
    outside = (x - x.mean(OVER_BATCH, keepdim=True)) / (var.sqrt() + 0.3)
    return [
        (right, "The learned scale and shift are not used."),
        (right * scale, "The learned shift is not added."),
        (right + shift, "The learned scale is not multiplied."),
        ((right + shift) * scale, "Scale first, then shift: normalised * scale + shift."),
        (_normalise(x) * scale + shift, "Use the eps that was passed, not 1e-5."),
        (_normalise(x, eps=0) * scale + shift, "eps is not added to the variance."),
        (outside * scale + shift, "Add eps to the variance, under the root."),
    ]


def _expect_evaluation(layer: nn.Module, reference: nn.Module, z: Tensor, running: tuple[str, str]) -> None:
    layer.eval(), reference.eval()
    before = [_state(layer, name) for name in running]
    met, expected = layer(z), reference(z)
    scale, shift, mean, var = (
        value.detach()[:, None, None]
        for value in (reference.weight, reference.bias, reference.running_mean, reference.running_var)
    )
    slips = [
        (_normalise(z, eps=0.3) * scale + shift, "It still uses the batch's mean and variance: use the running ones."),
        ((z - mean) / (var + 0.3).sqrt(), "Scale and shift belong to both modes."),
        (z * scale + shift, "It is not normalised: use the running mean and variance."),
        ((z - mean) / var.sqrt() * scale + shift, "eps belongs to both modes."),
    ]
    hint = name_slip(met, slips, "Use the running mean and variance; all the rest is as in training mode.")
    expect_close("In evaluation mode the output", met, expected, hint, 1e-4)
    for what, name, old in zip(("mean", "variance"), running, before, strict=True):
        hint = "Update it only if self.training is true."
        expect_close(f"The running {what} after a call in evaluation mode", _state(layer, name), old, hint, 0)


def _expect_gradient(layer: nn.Module, reference: nn.Module, x: Tensor, running: tuple[str, str]) -> None:
    gradients = []
    for module in (layer.train(), reference.train()):
        inputs = x.clone().requires_grad_()
        (module(inputs) * x.cos()).sum().backward()
        gradients.append(inputs.grad)
    if any(dict(layer.named_buffers())[name].requires_grad for name in running):
        raise Wrong("The running statistics carry a gradient's history. Update them under torch.no_grad().")
    hint = (
        "The batch's mean and variance depend on the input: only the running statistics are updated without gradient."
    )
    expect_close("The output is right, but the gradient at the input", gradients[0], gradients[1], hint, 1e-4)


class _PlainNet(nn.Module):
    """What exercise 1.4 asks for."""

    def __init__(self, width: int, depth: int, classes: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(1 if i == 0 else width, width, 3, padding=1, bias=False) for i in range(depth + 1)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in self.convs)
        self.fc = nn.Linear(width, classes)

    def features(self, x: Tensor, padding: int = 1) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(F.conv2d(x, conv.weight, padding=padding)))
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).mean((2, 3)))


@exercise("1.4")
def ex_1_4(answer):
    """Check the repaired network: a class called as ``answer(width, depth, classes)``."""
    otherwise = "Every layer is a convolution, then a BatchNorm of its own, then ReLU; zip the two lists."
    slips = [
        (
            lambda net, x: net(x).relu(),
            "No logit is below 0: a ReLU on the logits cuts off what speaks against a class.",
        ),
        (lambda net, x: net(x).softmax(1), "cross_entropy takes logits: no softmax at the end."),
        (lambda net, x: net(x).log_softmax(1), "cross_entropy takes logits: no log_softmax at the end."),
        (lambda net, x: net.fc(net.features(x).amax((2, 3))), "The pooling takes the mean, not the largest value."),
        (lambda net, x: net.fc(net.features(x, 0).mean((2, 3))), "Every convolution keeps the size: padding=1."),
    ]
    for width, depth, classes in ((6, 2, 5), (4, 1, 3), (3, 4, 10)):
        what = f"FixedNet({width}, {depth}, {classes})"
        net = _make(what, answer, width, depth, classes)
        expect_same_parameters(what, net, _PlainNet(width, depth, classes), _differences(width, depth))
        x = torch.randn(8, 1, 12, 11)
        expect_same_function(what, net, _PlainNet(width, depth, classes), x, slips=slips, otherwise=otherwise)


def _differences(width: int, depth: int) -> dict[int, str]:
    """What a surplus (or a lack, below 0) of so many parameters says."""
    conv, norm = 9 * width * width, 2 * width
    listed = "Layers in a Python list are not registered, and so are not trained: use nn.ModuleList."
    copies = "[layer] * depth holds one layer `depth` times: make each in a loop."
    return {
        -depth * conv: listed,
        -depth * (conv + norm): listed,
        -(depth + 1) * norm: listed,
        -depth * norm: "All convolutions share one BatchNorm: each needs its own, in an nn.ModuleList.",
        -(depth - 1) * conv: copies,
        -(depth - 1) * norm: copies,
        -(depth - 1) * (conv + norm): copies,
        (depth + 1) * width: "The convolutions have no bias: BatchNorm would subtract it.",
        norm: "There is one BatchNorm too many: one for the stem, and one for each of the others.",
    }


@exercise("1.5")
def ex_1_5(layer, dilations):
    """Check ``conv_bn_relu_dilated(in_channels, out_channels, stride, dilation)`` and three dilations."""
    for options in ({}, {"dilation": 2}, {"dilation": 3}, {"stride": 2}, {"stride": 2, "dilation": 2}):
        _expect_conv_bn_relu(layer, **options)
    if not isinstance(dilations, tuple | list) or not all(type(d) is int and d > 0 for d in dilations):
        raise Wrong(f"`dilations` should be three positive integers, but it is {dilations!r}.")
    expect_equal("The number of dilations", len(dilations), 3, "One for each of the three layers.")
    rows = _rows_read([layer(2 if i else 1, 2, dilation=d) for i, d in enumerate(dilations)])
    hint = "Each 3x3 convolution of stride 1 and dilation d adds 2d to the field."
    expect_equal("The width of the field", max(rows) - min(rows) + 1, 15, hint)
    if len(rows) < 15:
        raise Wrong(
            f"The field should have no holes, but of its 15 rows the stack reads only {len(rows)}. "
            "Write down all sums of one step from each layer, -d, 0 or d: which numbers are missing?"
        )


def _expect_conv_bn_relu(make, stride: int = 1, dilation: int = 1) -> None:
    options = {name: value for name, value in (("stride", stride), ("dilation", dilation)) if value != 1}
    call = f"conv_bn_relu_dilated({', '.join(['3', '5', *(f'{name}={value}' for name, value in options.items())])})"
    met = make(3, 5, **options)
    if met is ...:
        raise NotAttempted
    expect_module(call, met)
    conv = nn.Conv2d(3, 5, 3, stride, padding=dilation, dilation=dilation, bias=False)
    expected = nn.Sequential(conv, nn.BatchNorm2d(5), nn.ReLU())
    hints = {5: "The convolution has bias=False.", -10: "The BatchNorm is missing."}
    expect_same_parameters(call, met, expected, hints)

    def other(**changed):
        return lambda net, x: net[1:](
            F.conv2d(x, net[0].weight, **({"stride": stride, "dilation": dilation} | changed))
        )

    slips = [
        (lambda net, x: net[:2](x), "There is no ReLU at the end."),
        (lambda net, x: net[1](net[0](x).relu()), "BatchNorm comes before the ReLU, not after it."),
        (lambda net, x: net[1](net[0](x).relu()).relu(), "There is one ReLU too many, before the BatchNorm."),
        (lambda net, x: net[0](x).relu(), "The BatchNorm is made, but not called."),
        (other(padding=1, dilation=1), "The dilation does not reach the convolution."),
        (other(padding=dilation, dilation=1), "The dilation does not reach the convolution."),
        (other(padding=dilation, stride=1), "The stride does not reach the convolution."),
        (other(padding=1), "To keep the size, the padding must grow with the dilation."),
        (other(padding=0), "The padding is missing."),
    ]
    otherwise = "It is a 3x3 convolution padded with zeros, then BatchNorm, then ReLU, with the arguments passed on."
    expect_same_function(call, met, expected, torch.randn(4, 3, 11, 9), slips=slips, otherwise=otherwise)


def _rows_read(layers: list[nn.Module]) -> list[int]:
    """The rows of the input that one output pixel depends on: with positive weights nothing can cancel."""
    stack = nn.Sequential(*layers).eval()
    for parameter in stack.parameters():
        if parameter.dim() == 4:
            parameter.data.fill_(0.1)
    x = torch.ones(1, 1, 101, 101, requires_grad=True)
    stack(x)[0, :, 50, 50].sum().backward()
    return x.grad[0, 0].sum(dim=1).nonzero().flatten().tolist()
