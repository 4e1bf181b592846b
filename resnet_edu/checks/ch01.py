"""The checks of chapter 1: shapes, costs, BatchNorm from scratch, a broken net, a stack with a wide view."""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.checks.verdict import NotAttempted, Wrong, exercise, expect_close, expect_equal


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
        raise Wrong(f"`{name}` should be a tuple of integers such as {(4, 3, 50, 42)}, but it is {met!r}.")
    met = tuple(met)
    if met == expected:
        return
    wrong = f"`{name}` is not {met}."
    if len(met) != len(expected):
        if name == "average":
            raise Wrong(f"{wrong} Pooling to size 1 keeps height and width, both 1: only Flatten takes them away.")
        if len(expected) == 2:
            raise Wrong(f"{wrong} Flatten puts all numbers of one image in one row: two dimensions are left.")
        raise Wrong(f"{wrong} Images come as a batch of four dimensions, (N, C, H, W).")
    if met[0] != expected[0]:
        raise Wrong(f"{wrong} The first number is the batch size, and no layer changes it.")
    if met[1] != expected[1]:
        if isinstance(layer, nn.Conv2d):
            raise Wrong(f"{wrong} A convolution gives one channel for each of its kernels: its second argument.")
        if isinstance(layer, nn.Linear):
            raise Wrong(f"{wrong} A linear layer gives as many numbers as its second argument says.")
        raise Wrong(f"{wrong} Look at the second number: this layer treats each channel by itself and drops none.")
    if met[2:] == expected[:1:-1]:
        raise Wrong(f"{wrong} Height stands before width: (N, C, H, W).")
    if name == "average":
        raise Wrong(f"{wrong} The argument of an adaptive pooling is the size that comes OUT, whatever comes in.")
    axis = 2 if met[2] != expected[2] else 3
    raise Wrong(f"{wrong} Look at the {('height', 'width')[axis - 2]}: {_slip_in_size(layer, before[axis], met[axis])}")


def _slip_in_size(layer: nn.Module, size: int, met: int) -> str:
    """Name the mistake that turns ``size`` into ``met``."""
    k, s, p, d = (value[0] if isinstance(value, tuple) else value for value in _window(layer))
    last = size + 2 * p - d * (k - 1) - 1
    slips = {
        math.ceil(last / s) + 1: "the division rounds down, for a last step that does not fit is not taken.",
        last // s: "the first position counts too: + 1 after the division.",
        (size + 2 * p - k) // s + 1: "with dilation d the kernel spans d(k - 1) + 1 pixels, not k.",
        (size - d * (k - 1) - 1) // s + 1: "the padding is missing.",
        (size + p - d * (k - 1) - 1) // s + 1: "the padding goes on both sides: 2p.",
        (size + 2 - d * (k - 1) - 1) // s + 1: "this layer has no padding unless it says so.",
        last + 1: "the stride is missing.",
    }
    return slips.get(met, "put kernel, stride, padding and dilation of this layer into the formula once more.")


def _window(layer: nn.Module) -> tuple:
    return layer.kernel_size, layer.stride, layer.padding, layer.dilation


@exercise("1.2")
def ex_1_2(answer):
    """Check ``conv_cost(height, width, in_channels, out_channels, kernel, stride, padding, dilation, bias)``."""
    settings = [  # each one brings one new difficulty
        ((9, 7, 3, 5, 3), {"bias": False}),
        ((9, 7, 3, 5, 3), {}),
        ((9, 7, 3, 5, 3), {"padding": 1}),
        ((9, 7, 3, 5, 3), {"stride": 2, "padding": 1}),
        ((12, 9, 2, 7, 3), {"stride": 2, "padding": 2, "dilation": 2, "bias": False}),
        ((56, 56, 64, 256, 1), {"bias": False}),
        ((224, 224, 3, 64, 7), {"stride": 2, "padding": 3, "bias": False}),
    ]
    for (height, width, *channels, kernel), options in settings:
        conv = nn.Conv2d(*channels, kernel, **options, device="meta")
        out = conv(torch.empty(1, channels[0], height, width, device="meta"))
        expected = (sum(p.numel() for p in conv.parameters()), kernel**2 * channels[0] * out.numel())
        met = answer(height, width, *channels, kernel, **options)
        call = f"conv_cost({', '.join(map(str, (height, width, *channels, kernel)))}"
        call += "".join(f", {name}={value}" for name, value in options.items()) + ")"
        if met is ...:
            raise NotAttempted
        if not isinstance(met, tuple | list) or len(met) != 2:
            raise Wrong(f"{call} should return two integers, parameters and multiply-adds, but it returns {met!r}.")
        if tuple(met) == expected[::-1]:
            raise Wrong(f"{call} returns the two numbers in the other order: parameters come first.")
        for what, number, right, slips in zip(
            ("parameters", "multiply-adds"), met, expected, _slips_in_cost(conv, height, width, out), strict=True
        ):
            slip = slips.get(number, f"Work the {what} of this call out with pencil and paper, factor by factor.")
            expect_equal(f"For {call} the number of {what}", number, right, slip)


def _slips_in_cost(conv: nn.Conv2d, height: int, width: int, out: Tensor) -> tuple[dict, dict]:
    """Return, for parameters and for multiply-adds, what each plausible mistake would give and what to say to it."""
    k, into, onto = conv.kernel_size[0], conv.in_channels, conv.out_channels
    weights, positions, bias = k * k * into * onto, out[0, 0].numel(), onto if conv.bias is not None else 0
    spans = conv.dilation[0] * (k - 1) + 1
    both_sides = "Every output channel has a kernel for every input channel: k * k * in_channels * out_channels."
    dilated = "Dilation spreads the kernel's k * k weights further apart; it does not add any."
    parameters = {
        spans * spans * into * onto + bias: dilated,
        k * into * onto + bias: "A kernel has k * k weights, not k.",
        k * k * onto + bias: both_sides,
        k * k * into + bias: both_sides,
        weights + into: "There is one bias for each OUTPUT channel.",
        weights + 1: "There is one bias for each output channel, not one for the layer.",
        weights + onto: "bias=False means that there is no bias to count.",
        weights: "With bias=True there is one bias for each output channel.",
    }
    at = "Every output number costs k * k * in_channels: multiply by the height and width of the OUTPUT (conv_out)"
    multiply_adds = {
        weights * height * width: f"{at}, not of the input.",
        weights * out.shape[2] ** 2: f"{at}; they may differ.",
        weights * out.shape[3] ** 2: f"{at}; they may differ.",
        weights: f"{at}.",
        spans * spans * into * onto * positions: dilated,
        2 * weights * positions: "A multiplication and the addition that follows it count as ONE multiply-add.",
        (weights + onto) * positions: "The bias is not counted in the multiply-adds here.",
        k * k * onto * positions: both_sides,
        k * k * into * positions: both_sides,
        weights * ((height - k) // conv.stride[0] + 1) * ((width - k) // conv.stride[0] + 1): f"{at}, with padding.",
    }
    return parameters, multiply_adds


@exercise("1.3")
def ex_1_3(answer):
    """Check a BatchNorm2d written from scratch: a class called as ``answer(channels, eps=..., momentum=...)``."""
    layer = answer(3)
    if not isinstance(layer, nn.Module):
        raise Wrong(f"MyBatchNorm2d(3) should be an nn.Module, but it is {type(layer).__name__}. Hand in the class.")
    if any(isinstance(module, nn.modules.batchnorm._NormBase) for module in layer.modules()):
        raise Wrong("This uses PyTorch's own BatchNorm. Write the formula yourself, with mean and var.")
    scale, shift, mean, var = _find_state(layer, 3)

    x = (
        torch.randn(4, 3, 5, 6) * torch.tensor([0.5, 2.0, 4.0])[:, None, None]
        + torch.tensor([1.0, -3.0, 0.0])[:, None, None]
    )
    original = x.clone()
    layer.train()
    y = layer(x)
    _expect_normalised("In training mode the output", y, x, 1e-5)
    expect_close(
        "The input after the call", x, original, "Your layer writes into its input: use x - mean, not x -= mean.", 0
    )
    _expect_running("running mean", layer, mean, 0.1 * x.mean((0, 2, 3)), x, 0.1)
    _expect_running("running variance", layer, var, 0.9 + 0.1 * x.var((0, 2, 3)), x, 0.1)

    weights = {scale: torch.tensor([2.0, -1.0, 0.5]), shift: torch.tensor([1.0, 3.0, -2.0])}
    _fill(layer, weights)
    reference = nn.BatchNorm2d(3, eps=0.3, momentum=0.4)
    _fill(reference, {"weight": weights[scale], "bias": weights[shift]})
    other = answer(3, eps=0.3, momentum=0.4)
    _fill(other, weights)
    z = torch.randn(2, 3, 4, 3) * 0.7 + 2
    _expect_affine(layer.train()(x), x, weights[scale], weights[shift])
    expect_close("With eps=0.3 the output", other.train()(z), reference(z), _slip_in_eps(other, z, reference))
    other(x), reference(x)
    met, expected = _state(other, mean), reference.running_mean
    expect_close("With momentum=0.4 the running mean after two batches", met, expected, "Use self.momentum, not 0.1.")

    other.eval(), reference.eval()
    before = _state(other, mean), _state(other, var)
    _expect_evaluation(other, reference, z)
    for name, old in zip(("mean", "variance"), before, strict=True):
        met = _state(other, mean if name == "mean" else var)
        expect_close(
            f"The running {name} after a call in evaluation mode", met, old, "Update it only if self.training.", 0
        )
    expect_close("For one image in evaluation mode the output", other(z[:1]), reference(z[:1]), "It needs no batch.")
    _expect_gradient(other.train(), reference.train(), z, (mean, var))


def _find_state(layer: nn.Module, channels: int) -> list[str]:
    """Return the names of scale, shift, running mean and running variance, whatever the learner called them."""
    parameters, buffers = dict(layer.named_parameters()), dict(layer.named_buffers())
    found = []
    for kind, tensors, one, zero, wrong in (
        (
            "parameters",
            parameters,
            "scale",
            "shift",
            "A tensor is registered by nn.Parameter(...) and an attribute of self.",
        ),
        (
            "buffers",
            buffers,
            "running variance",
            "running mean",
            "Register each by self.register_buffer(name, tensor).",
        ),
    ):
        tensors = {name: tensor for name, tensor in tensors.items() if tensor.numel() == channels}
        if kind == "parameters" and len(parameters) == 4:
            wrong = "Only scale and shift are learned; the running statistics are buffers."
        if len(tensors) != 2 or (len(tensors) != len(parameters) and kind == "parameters"):
            wanted = f"two {kind} of {channels} numbers each, {zero} and {one}"
            shapes = [tuple(tensor.shape) for tensor in tensors.values()]
            raise Wrong(f"MyBatchNorm2d({channels}) should register {wanted}, but it has {shapes}. {wrong}")
        ones = [name for name, tensor in tensors.items() if (tensor == 1).all()]
        zeros = [name for name, tensor in tensors.items() if (tensor == 0).all()]
        if len(ones) != 1 or len(zeros) != 1:
            raise Wrong(f"A new layer changes nothing yet: start the {one} at 1 and the {zero} at 0.")
        found += [ones[0], zeros[0]] if kind == "parameters" else [zeros[0], ones[0]]
    return found


def _state(layer: nn.Module, name: str) -> Tensor:
    """A copy of one parameter or buffer, flat."""
    return {**dict(layer.named_parameters()), **dict(layer.named_buffers())}[name].detach().clone().flatten()


def _fill(layer: nn.Module, values: dict[str, Tensor]) -> None:
    tensors = dict(layer.named_parameters())
    with torch.no_grad():
        for name, value in values.items():
            tensors[name].copy_(value.reshape(tensors[name].shape))


def _normalise(x: Tensor, dims: tuple, eps: float, correction: int = 0) -> Tensor:
    return (x - x.mean(dims, keepdim=True)) / (x.var(dims, keepdim=True, correction=correction) + eps).sqrt()


def _expect_normalised(what: str, met, x: Tensor, eps: float) -> None:
    slips = [
        (x, "It is the input, unchanged: in training, use the batch's own mean and variance."),
        (x / math.sqrt(1 + eps), "It uses the running statistics: in training, use the batch's own."),
        (_normalise(x, (0, 2, 3), eps, 1), "Normalise with the BIASED variance: var(..., unbiased=False)."),
        (_normalise(x, (0,), eps), "Mean and variance are taken over N, H and W, dims (0, 2, 3), not over N only."),
        (_normalise(x, (2, 3), eps), "Mean and variance are taken over the batch too: dims (0, 2, 3), not (2, 3)."),
        (_normalise(x, (1, 2, 3), eps), "Each channel has its own mean and variance: dims (0, 2, 3), not (1, 2, 3)."),
        (_normalise(x, (0, 1, 2, 3), eps), "Each channel has its own mean and variance: dims (0, 2, 3), not all."),
        (x - x.mean((0, 2, 3), keepdim=True), "It has the right mean, but is not divided by the standard deviation."),
        (
            (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), keepdim=True, correction=0) + eps),
            "Divide by the standard deviation: the square ROOT of variance + eps.",
        ),
    ]
    expect_close(
        what, met, _normalise(x, (0, 2, 3), eps), _name_slip(met, slips, "Compare with section 4 on one channel.")
    )


def _expect_affine(met, x: Tensor, scale: Tensor, shift: Tensor) -> None:
    normal, (scale, shift) = _normalise(x, (0, 2, 3), 1e-5), (value[:, None, None] for value in (scale, shift))
    slips = [
        (normal, "The learned scale and shift are not used in training mode."),
        (normal * scale, "The learned shift is not added."),
        (normal + shift, "The learned scale is not multiplied."),
        ((normal + shift) * scale, "Scale first, then shift: y * scale + shift."),
    ]
    hint = _name_slip(
        met, slips, "Each channel has its own scale and shift: (C,) must meet dimension 1 of (N, C, H, W)."
    )
    expect_close("With a learned scale and shift the output", met, normal * scale + shift, hint)


def _expect_running(what: str, layer: nn.Module, name: str, expected: Tensor, x: Tensor, momentum: float) -> None:
    start, batch = (0.0, x.mean((0, 2, 3))) if what == "running mean" else (1.0, x.var((0, 2, 3)))
    biased = x.var((0, 2, 3), correction=0)
    slips = [
        (torch.full_like(batch, start), "It has not moved: update it in every call in training mode."),
        ((1 - momentum) * batch + momentum * start, "The momentum is the share of the NEW batch: 0.9 old + 0.1 new."),
        (batch, "It is the batch's own; keep nine tenths of the old value: 0.9 old + 0.1 new."),
        (start + momentum * batch, "Take the old value times 0.9 before you add 0.1 times the new one."),
        (0.9 * start + 0.1 * biased, "The running estimate takes the UNBIASED variance, divided by one less."),
        (0.9 * start + 0.1 * batch.sqrt(), "Keep the variance, not the standard deviation."),
    ]
    met = _state(layer, name)
    expect_close(f"The {what} after one batch", met, expected, _name_slip(met, slips, "It is 0.9 old + 0.1 new."))


def _slip_in_eps(layer: nn.Module, z: Tensor, reference: nn.Module) -> str:
    scale, shift = (value.detach()[:, None, None] for value in (reference.weight, reference.bias))
    mean, var = z.mean((0, 2, 3), keepdim=True), z.var((0, 2, 3), keepdim=True, correction=0)
    slips = [
        (_normalise(z, (0, 2, 3), 1e-5) * scale + shift, "Use the eps that was passed, not 1e-5."),
        (_normalise(z, (0, 2, 3), 0) * scale + shift, "eps is not added to the variance."),
        ((z - mean) / (var.sqrt() + 0.3) * scale + shift, "Add eps to the variance, under the root."),
    ]
    return _name_slip(copy.deepcopy(layer)(z), slips, "Add the eps that was passed to the variance, under the root.")


def _expect_evaluation(layer: nn.Module, reference: nn.Module, z: Tensor) -> None:
    expected, met = reference(z), layer(z)
    scale, shift, mean, var = (
        value.detach()[:, None, None]
        for value in (reference.weight, reference.bias, reference.running_mean, reference.running_var)
    )
    slips = [
        (
            _normalise(z, (0, 2, 3), 0.3) * scale + shift,
            "It still uses the batch's own mean and variance: use the running ones.",
        ),
        ((z - mean) / (var + 0.3).sqrt(), "Scale and shift are learned for evaluation too: apply them in both modes."),
        (z * scale + shift, "Evaluation normalises too, with the running statistics."),
    ]
    expect_close(
        "In evaluation mode the output", met, expected, _name_slip(met, slips, "Use the running mean and variance.")
    )


def _expect_gradient(layer: nn.Module, reference: nn.Module, z: Tensor, running: tuple) -> None:
    gradients = []
    for net in (layer, reference):
        inputs = z.clone().requires_grad_()
        (net(inputs) * z.cos()).sum().backward()
        gradients.append(inputs.grad)
    if any(dict(layer.named_buffers())[name].requires_grad for name in running):
        raise Wrong("The running statistics carry a gradient history. Update them under torch.no_grad(), or detach.")
    hint = "The batch's mean and variance depend on the input: detach them only for the running statistics."
    expect_close("The gradient at the input", gradients[0], gradients[1], hint, 1e-4)


def _name_slip(met, slips: list[tuple[Tensor, str]], otherwise: str) -> str:
    """Return the hint of the first mistake whose result was met."""
    for result, hint in slips:
        if isinstance(met, Tensor) and met.shape == result.shape and torch.allclose(met, result, atol=1e-5):
            return hint
    return otherwise


@exercise("1.4")
def ex_1_4(answer):
    """Check the repaired network: a class called as ``answer(width, depth, classes)``."""
    for width, depth, classes in ((6, 2, 5), (4, 1, 3), (3, 4, 10)):
        net = answer(width, depth, classes)
        _expect_registered(f"FixedNet({width}, {depth}, {classes})", net, width, depth, classes)
        for mode in ("training", "evaluation"):
            net.train(mode == "training")
            _expect_plain_net(f"FixedNet({width}, {depth}, {classes}) in {mode} mode", net, width, depth, classes)


def _expect_registered(name: str, net: nn.Module, width: int, depth: int, classes: int) -> None:
    weight, norm = 9 * width * width, 2 * width
    expected = 9 * width + norm + depth * (weight + norm) + width * classes + classes
    unregistered = "Layers in a Python list are not registered: the optimiser never meets them. Use nn.ModuleList."
    slips = {
        depth * weight: unregistered,
        depth * (weight + norm): unregistered,
        depth
        * norm: "Every convolution needs a BatchNorm of its own, and they must be registered too (nn.ModuleList).",
        (depth + 1) * norm: "The BatchNorms are not registered, or they are gone. Use nn.ModuleList for them too.",
        (depth - 1) * (weight + norm): "Several layers are one and the same object: [layer] * depth does not copy.",
        (depth - 1) * weight: "Several convolutions are one and the same object: [conv] * depth does not copy.",
        (depth - 1) * norm: "Several convolutions share one BatchNorm: [norm] * depth does not copy.",
        -(depth + 1) * width: "The convolutions have no bias: the BatchNorm would subtract it.",
        -norm: "There is one BatchNorm too many: one for the stem, one for each convolution.",
    }
    met = sum(parameter.numel() for parameter in net.parameters())
    hint = slips.get(expected - met, "Print the names and shapes of net.named_parameters().")
    expect_equal(f"The number of parameters of {name}", met, expected, hint)


def _expect_plain_net(name: str, net: nn.Module, width: int, depth: int, classes: int) -> None:
    """Compare with the network's own layers, composed the right way in the order in which it called them."""
    x = torch.randn(8, 1, 7, 6)
    for module in net.modules():  # a bias of 0 and a scale of 1 would hide what is left out or put in another order
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight), nn.init.normal_(module.bias), nn.init.normal_(module.running_mean)
    layers = copy.deepcopy(net)
    calls = []
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            module.register_forward_hook(lambda module, inputs, output: calls.append(module))
    names = {module: key for key, module in net.named_modules()}
    logits = net(x)
    expect_equal(
        f"The shape of the logits of {name}", tuple(logits.shape), (8, classes), "Look at the last lines of forward."
    )
    called = [layers.get_submodule(names[module]) for module in calls]
    convs, norms = ([m for m in called if isinstance(m, kind)] for kind in (nn.Conv2d, nn.BatchNorm2d))
    expect_equal(f"The number of convolutions that {name} calls", len(convs), depth + 1, "One stem and `depth` more.")
    hint = "Every convolution is followed by a BatchNorm of its own: zip the two lists."
    expect_equal(f"The number of different BatchNorms that {name} calls", len(set(norms)), depth + 1, hint)
    for conv, norm in zip(convs, norms, strict=True):
        x = norm(conv(x)).relu()
    expected = called[-1](F.adaptive_avg_pool2d(x, 1).flatten(1))
    slips = [
        (expected.relu(), "No logit is below zero: a ReLU after the last layer cuts off what speaks against a class."),
        (expected.softmax(dim=1), "cross_entropy takes logits: no softmax at the end."),
        (expected.log_softmax(dim=1), "cross_entropy takes logits: no log_softmax at the end."),
    ]
    hint = _name_slip(
        logits, slips, "Each layer is convolution, then its own BatchNorm, then ReLU; the head has no ReLU."
    )
    expect_close(f"The output of {name}", logits, expected, hint, 1e-4)


@exercise("1.5")
def ex_1_5(layer, dilations):
    """Check ``conv_bn_relu(in_channels, out_channels, stride, dilation)`` and three dilations that see 15 x 15 pixels."""
    for stride, dilation in ((1, 1), (1, 2), (1, 3), (2, 1), (2, 2)):
        _expect_conv_bn_relu(layer, stride, dilation)
    if not isinstance(dilations, tuple | list) or not all(type(d) is int and d > 0 for d in dilations):
        raise Wrong(f"`dilations` should be three positive integers, but it is {dilations!r}.")
    expect_equal("The number of dilations", len(dilations), 3, "One for each of the three layers.")
    read = _read_rows([layer(1 if i == 0 else 2, 2, dilation=d) for i, d in enumerate(dilations)], sum(dilations))
    first, last = min(read), max(read)
    hint = "Each 3x3 convolution of stride 1 and dilation d adds 2d to the field."
    expect_equal("The field of the three layers", last - first + 1, 15, hint)
    if len(read) < 15:
        raise Wrong(
            f"The field of the three layers spans 15 pixels, but only {len(read)} of the 15 rows are read: there are "
            "holes. One of the layers must look at direct neighbours, and no step may jump over what is not yet seen."
        )


def _expect_conv_bn_relu(make: Callable, stride: int, dilation: int) -> None:
    options = {name: value for name, value in (("stride", stride), ("dilation", dilation)) if value != 1}
    call = f"conv_bn_relu({', '.join(['3', '5', *(f'{name}={value}' for name, value in options.items())])})"
    net = make(3, 5, **options)
    if net is ...:
        raise NotAttempted
    if not isinstance(net, nn.Module):
        raise Wrong(
            f"{call} should return an nn.Module, but it returns {type(net).__name__}. Build it with nn.Sequential."
        )
    parameters = dict(net.named_parameters())
    kernels = [name for name, value in parameters.items() if tuple(value.shape) == (5, 3, 3, 3)]
    per_channel = [name for name, value in parameters.items() if value.numel() == 5]
    hint = "It is one convolution, 3x3, from 3 to 5 channels."
    expect_equal(f"The number of (5, 3, 3, 3) weights in {call}", len(kernels), 1, hint)
    hint = "The convolution has bias=False, and the BatchNorm has a scale and a shift."
    expect_equal(f"The number of parameters with one value for each channel in {call}", len(per_channel), 2, hint)
    weight = parameters[kernels[0]]
    norm = nn.BatchNorm2d(5)
    with torch.no_grad():  # start values hide a wrong order; a name that holds ones is the scale
        for name in per_channel:
            is_scale = (parameters[name] == 1).all()
            parameters[name].copy_(torch.rand(5).reshape(parameters[name].shape) + (0.5 if is_scale else -0.5))
            (norm.weight if is_scale else norm.bias).copy_(parameters[name].flatten())

    def convolve(x: Tensor, padding: int, stride: int = stride, dilation: int = dilation) -> Tensor:
        return F.conv2d(x, weight, stride=stride, padding=padding, dilation=dilation)

    x = torch.randn(4, 3, 11, 9)
    for mode in ("training", "evaluation"):
        net.train(mode == "training"), norm.train(mode == "training")
        met, expected = net(x), norm(convolve(x, dilation)).relu()
        probe = copy.deepcopy(norm)
        slips = [
            (probe(convolve(x, dilation)), "There is no ReLU at the end."),
            (convolve(x, dilation).relu(), "There is no BatchNorm in between."),
            (probe(convolve(x, dilation).relu()), "BatchNorm comes before the ReLU, not after it."),
            (probe(convolve(x, dilation).relu()).relu(), "There is a ReLU too many, before the BatchNorm."),
            (probe(convolve(x, 1, dilation=1)).relu(), "The dilation does not reach the convolution."),
            (probe(convolve(x, dilation, stride=1)).relu(), "The stride does not reach the convolution."),
            (probe(convolve(x, 1)).relu(), "To keep the size, the padding must grow with the dilation."),
            (probe(convolve(x, 0)).relu(), "The padding is missing."),
        ]
        otherwise = "It is a convolution, padded with zeros, then BatchNorm, then ReLU, each with its own arguments."
        expect_close(f"In {mode} mode the output of {call}", met, expected, _name_slip(met, slips, otherwise), 1e-4)


def _read_rows(layers: list[nn.Module], reach: int) -> list[int]:
    """The rows of the input that one output pixel depends on: with positive weights nothing can cancel."""
    stack = nn.Sequential(*layers).eval()
    with torch.no_grad():
        for parameter in stack.parameters():
            if parameter.dim() == 4:
                parameter.fill_(0.1)
    size = 2 * reach + 9
    x = torch.ones(1, 1, size, size, requires_grad=True)
    stack(x)[0, :, size // 2, size // 2].sum().backward()
    return x.grad[0, 0].sum(dim=1).nonzero().flatten().tolist()
