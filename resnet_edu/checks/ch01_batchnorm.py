"""The check of exercise 1.3: BatchNorm from scratch, in both modes, with its running statistics and its gradients.

It runs the layer beside ``nn.BatchNorm2d``, and names a mistake by its result, as in :mod:`resnet_edu.checks.compare`.
"""

import torch
from torch import Tensor, nn

from resnet_edu.checks.compare import expect_module, name_slip
from resnet_edu.checks.verdict import Wrong, exercise, expect_close

OVER_BATCH = (0, 2, 3)  # N, H and W: everything but the channels
PYTORCHS_OWN = "This uses PyTorch's own BatchNorm. Write the formula yourself, with mean and var."


def make_module(what: str, answer, *arguments: int, **options: float) -> nn.Module:
    """Call the learner's class, and say so if it is not one."""
    if isinstance(answer, nn.Module):
        raise Wrong("Hand in the class itself, without parentheses: the check makes modules of its own.")
    module = answer(*arguments, **options)
    expect_module(what, module)
    return module


@exercise("1.3")
def ex_1_3(answer):
    """Check a BatchNorm2d written from scratch: a class called as ``answer(channels, eps=..., momentum=...)``."""
    layer = make_module("MyBatchNorm2d(3)", answer, 3)
    if any(isinstance(m, nn.modules.batchnorm._NormBase) for m in layer.modules()):
        raise Wrong(PYTORCHS_OWN)
    scale, shift, mean, var = _find_state(layer, 3)

    x = torch.randn(4, 3, 5, 6) * torch.tensor([0.5, 2, 4])[:, None, None] + torch.tensor([1.0, -3, 0])[:, None, None]
    given = x.clone()
    met = layer(given)
    hint = name_slip(met, _slips_in_training(x), "Compare it with the toy numbers of the chapter, channel by channel.")
    expect_close("In training mode the output", met, _normalise(x), hint, 1e-4)
    _expect_own(answer(3), x)
    expect_close("The input after the call", given, x, "Your layer writes into its input: x - mean, not x -= mean.", 0)
    for what, name in (("running mean", mean), ("running variance", var)):
        met, (expected, slips) = _state(layer, name), _running_statistic(what, x)
        otherwise = "The mean starts at 0 and the variance at 1; then it is 0.9 old + 0.1 new."
        hint = name_slip(met, slips, otherwise, 1e-5)
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
    _expect_gradient(layer, reference, x, {"scale": scale, "shift": shift}, (mean, var))
    wide = torch.randn(3, 5, 2, 4)
    met, hint = make_module("MyBatchNorm2d(5)", answer, 5)(wide), "Every tensor that it keeps has `channels` numbers."
    expect_close("With 5 channels the output", met, _normalise(wide), hint, 1e-4)
    faint, hint = wide / 300, "If eps is not passed it is 1e-5."  # a variance of about eps
    expect_close("For an input close to 0 the output", answer(5)(faint), _normalise(faint), hint, 1e-3)


def _find_state(layer: nn.Module, channels: int) -> tuple[str, str, str, str]:
    """Return the names of scale, shift, running mean and running variance, whatever the learner called them."""
    names, saved = [], layer.state_dict()
    for kind, tensors, (ones, zeros) in (
        ("parameters", dict(layer.named_parameters()), ("scale", "shift")),
        ("buffers", {k: v for k, v in layer.named_buffers() if k in saved}, ("running variance", "running mean")),
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
        for start in (1, 0):
            found = [name for name in counted if (tensors[name] == start).all()]
            if len(found) != 1:
                raise Wrong(f"In a new layer the {ones} should be 1 for each channel, and the {zeros} 0.")
            names += found
    scale, shift, var, mean = names
    return scale, shift, mean, var


def _state(layer: nn.Module, name: str) -> Tensor:
    return dict(layer.named_buffers())[name].detach().clone().flatten()


def _normalise(x: Tensor, dims: tuple = OVER_BATCH, eps: float = 1e-5, correction: int = 0) -> Tensor:
    return (x - x.mean(dims, keepdim=True)) / (x.var(dims, keepdim=True, correction=correction) + eps).sqrt()


def _slips_in_training(x: Tensor) -> list[tuple[Tensor, str]]:
    dims = "dim=(0, 2, 3)"
    mean, unbiased = x.mean(OVER_BATCH, keepdim=True), x.var(OVER_BATCH, keepdim=True)
    centred, var = x - mean, x.var(OVER_BATCH, keepdim=True, correction=0)
    moved = (x - 0.1 * mean) / (0.9 + 0.1 * unbiased + 1e-5).sqrt()  # by the running statistics, after the update
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
        (moved, "It is normalised by the running statistics: use the batch's own mean and variance."),
    ]


def _running_statistic(what: str, x: Tensor) -> tuple[Tensor, list[tuple[Tensor, str]]]:
    """The running statistic after the first batch, and what mistakes would make of it."""
    start, batch = (0.0, x.mean(OVER_BATCH)) if what == "running mean" else (1.0, x.var(OVER_BATCH))
    biased, images = x.var(OVER_BATCH, correction=0), len(x)
    return 0.9 * start + 0.1 * batch, [
        (torch.full_like(batch, start), "It has not moved: update it in every call in training mode."),
        (0.9 * batch + 0.1 * start, "The momentum is the share of the NEW batch: 0.9 old + 0.1 new."),
        (0.9 * biased + 0.1 * start, "The momentum is the share of the NEW batch: 0.9 old + 0.1 new."),
        (batch, "It is the batch's own; keep nine tenths of the old value: 0.9 old + 0.1 new."),
        (start + 0.1 * batch, "Take the old value times 0.9 before you add 0.1 times the new one."),
        (0.9 * start + 0.1 * biased, "The running variance takes the UNBIASED estimate, the normalising does not."),
        (
            0.9 * start + 0.1 * biased * images / (images - 1),
            "The unbiased estimate divides by n - 1, and n counts all values of the channel, not the images.",
        ),
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
    share, batch = reference.momentum, {"dim": OVER_BATCH, "keepdim": True}
    moved = (1 - share) * mean + share * z.mean(**batch), (1 - share) * var + share * z.var(**batch)
    slips = [
        (
            (z - moved[0]) / (moved[1] + 0.3).sqrt() * scale + shift,
            "The running statistics move in evaluation mode too: update them only if self.training is true.",
        ),
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


def _expect_gradient(
    layer: nn.Module, reference: nn.Module, x: Tensor, learned: dict[str, str], running: tuple[str, str]
) -> None:
    gradients = []
    for module, names in ((layer.train(), learned.values()), (reference.train(), ("weight", "bias"))):
        inputs = x.clone().requires_grad_()
        output = module(inputs)
        if not output.requires_grad:
            raise Wrong(
                "The output carries no gradient. Only the update of the running statistics is without gradient."
            )
        (output * x.cos()).sum().backward()
        gradients.append([inputs.grad, *(module.get_parameter(name).grad for name in names)])
    if any(dict(layer.named_buffers())[name].requires_grad for name in running):
        raise Wrong("The running statistics carry a gradient's history. Update them under torch.no_grad().")
    hint = "The output is right, but mean and variance depend on the input: only the update is without gradient."
    for what, met, expected in zip(("input", *learned), *gradients, strict=True):
        if met is None:
            raise Wrong(f"No gradient reaches the {what}. Look for .data, detach() or requires_grad=False.")
        expect_close(f"The gradient at the {what}", met.reshape(expected.shape), expected, hint, 1e-3)


def _expect_own(layer: nn.Module, x: Tensor) -> None:
    """Look for PyTorch's BatchNorm in the history of the outputs, wherever it is called."""
    for mode in (True, False):
        output = layer.train(mode)(x.clone().requires_grad_() * 1)
        steps = [output.grad_fn] if getattr(output, "grad_fn", None) else []
        for step in steps:  # grows on the way
            steps += [before for before, _ in step.next_functions if before is not None and before not in steps]
        if any(step.name().endswith("BatchNormBackward0") for step in steps):
            raise Wrong(PYTORCHS_OWN)
