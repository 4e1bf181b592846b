"""Compare a reader's module with a reference: shapes, values in both modes, gradients, all with one set of weights.

The weights are the reference's, drawn at random (a new BatchNorm's scale of 1 and shift of 0 would hide half of all
mistakes) and copied into the answer. Names do not matter: tensors are matched by shape, in the order in which layers
are called, and if that does not fit, in the order in which they are registered.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from resnet_edu.checks.verdict import Wrong, expect_close

Slips = Iterable[tuple[Callable[[nn.Module, Tensor], Tensor], str]]


def name_slip(met, slips: Iterable[tuple[Tensor, str]], otherwise: str, tolerance: float = 1e-4) -> str:
    """Return the hint of the first mistake whose result is what was met, or ``otherwise``.

    Args:
        met: the answer's output.
        slips: (what a plausible mistake would have given, the hint that belongs to it).

    Example:
        >>> name_slip(torch.tensor(4.0), [(torch.tensor(4.0), "You added."), (torch.tensor(9.0), "Squared.")], "?")
        'You added.'
    """
    for result, hint in slips:
        if isinstance(met, Tensor) and met.shape == result.shape and (met - result).abs().max() <= tolerance:
            return hint
    return otherwise


def randomise(module: nn.Module) -> None:
    """Draw every parameter and running statistic so that no layer is close to doing nothing."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            if name.endswith("running_var") or (tensor.dim() == 1 and name.endswith("weight")):
                tensor.uniform_(0.5, 1.5)
            elif tensor.dim() == 1:
                tensor.uniform_(-0.5, 0.5)
            else:
                tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5)


def expect_module(what: str, met) -> None:
    """Raise :class:`Wrong` unless ``met`` is an ``nn.Module``."""
    if isinstance(met, type):
        raise Wrong(f"{what} should be a module, but it is the class {met.__name__}. Call it to make one.")
    if not isinstance(met, nn.Module):
        raise Wrong(f"{what} should be an nn.Module, but it is {type(met).__name__}.")


def expect_same_parameters(what: str, met: nn.Module, expected: nn.Module, hints: dict[int, str]) -> None:
    """Raise :class:`Wrong` unless both have parameters of the same shapes, in any order.

    Args:
        what: names the answer, for example ``"BasicBlock(8, 16, stride=2)"``.
        hints: what to say for a difference in the number of parameters (met minus expected).
    """
    shapes, wanted = (sorted(_core(p.shape) for p in m.parameters()) for m in (met, expected))
    if shapes == wanted:
        return
    count, right = (sum(p.numel() for p in m.parameters()) for m in (met, expected))
    missing, surplus = _without(wanted, shapes), _without(shapes, wanted)
    hint = hints.get(count - right) or "Print the names and shapes of its named_parameters()."
    said = f"lacks parameters of shape {missing}" if missing else f"has parameters too many, of shape {surplus}"
    if missing and surplus:
        said = f"has parameters of shape {surplus} where {missing} belong"
    raise Wrong(f"{what} {said} ({count} numbers instead of {right}). {hint}")


def expect_same_function(
    what: str, met: nn.Module, expected: nn.Module, inputs: Tensor, *, slips: Slips = (), otherwise: str
) -> None:
    """Raise :class:`Wrong` unless both compute the same from the same weights, in both modes, and the same gradients.

    Call :func:`expect_same_parameters` first. ``expected`` gets random weights, and ``met`` gets the same.

    Args:
        what: names the answer and its arguments.
        inputs: (N, C, H, W); not changed.
        slips: (a function of the reference and the inputs that makes a plausible mistake, the hint that belongs to it).
        otherwise: the hint where no slip fits.

    Example:
        >>> met, expected = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)
        >>> expect_same_function("The layer", met, expected, torch.randn(1, 1, 4, 4), otherwise="?")
    """
    randomise(expected)
    original = inputs.clone()
    for orders in ((_call_order, _call_order), (_registration_order, _registration_order)):
        _copy_weights(expected, met, inputs, orders)
        if torch.equal(inputs, original) and _agree(met, expected, inputs):
            break
    else:
        _copy_weights(expected, met, inputs, (_call_order, _call_order))
    for mode in ("evaluation", "training"):
        results = [module.train(mode == "training")(inputs.clone()) for module in (met, expected)]
        wrong = [(mistake(expected.train(mode == "training"), inputs), hint) for mistake, hint in slips]
        hint = name_slip(results[0], wrong, otherwise)
        expect_close(f"In {mode} mode the output of {what}", results[0], results[1], hint, 1e-4)
    given = inputs.clone()
    met(given)
    expect_close(
        f"The input after {what} was called", given, original, "It writes into its input: leave x as it is.", 0
    )
    _expect_same_gradients(what, met, expected, inputs)


def _agree(met: nn.Module, expected: nn.Module, inputs: Tensor) -> bool:
    met.eval(), expected.eval()
    with torch.no_grad():
        one, other = met(inputs.clone()), expected(inputs.clone())
    return isinstance(one, Tensor) and one.shape == other.shape and torch.allclose(one, other, atol=1e-4)


def _expect_same_gradients(what: str, met: nn.Module, expected: nn.Module, inputs: Tensor) -> None:
    gradients = []
    for module in (met, expected):
        x = inputs.clone().requires_grad_()
        y = module.train()(x)
        if not y.requires_grad:
            raise Wrong(f"No gradient flows through {what}. Look for detach(), .data or torch.no_grad().")
        (y * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum().backward()
        gradients.append((x.grad, sum((p.grad is not None) for p in module.parameters())))
        module.zero_grad()
    (met_input, met_count), (expected_input, expected_count) = gradients
    if met_input is None:
        raise Wrong(f"No gradient of {what} reaches its input. Look for detach(), .data or torch.no_grad().")
    hint = "The output is right and its gradient is not: look for detach(), .data or torch.no_grad()."
    expect_close(f"The gradient of {what} at its input", met_input, expected_input, hint, 1e-3)
    if met_count != expected_count:
        raise Wrong(f"In {what}, {expected_count} parameters should get a gradient, but {met_count} do. {hint}")


def _core(shape: torch.Size) -> tuple[int, ...]:
    """A shape without ones, so that (C, 1, 1) and (C,) count as the same."""
    return tuple(size for size in shape if size != 1)


def _without(shapes: list, others: list) -> list:
    rest = list(others)
    return [shape for shape in shapes if not (shape in rest and not rest.remove(shape))]


def _registration_order(module: nn.Module, inputs: Tensor) -> list[Tensor]:
    """Parameters first, then buffers, as a module written without layers has them."""
    buffers = [tensor for name, tensor in module.named_buffers() if not name.endswith("num_batches_tracked")]
    return [*module.parameters(), *buffers]


def _call_order(module: nn.Module, inputs: Tensor) -> list[Tensor]:
    """The tensors of the layers in the order in which forward calls them, then those of layers it never calls."""
    called: list[nn.Module] = []
    hooks = [
        m.register_forward_hook(lambda m, _, __: called.append(m)) for m in module.modules() if not list(m.children())
    ]
    was_training = module.training
    try:
        with torch.no_grad():
            module.eval()(inputs.clone())
    finally:
        for hook in hooks:
            hook.remove()
        module.train(was_training)
    tensors = [t for layer in dict.fromkeys(called) for t in _registration_order(layer, inputs)]
    known = {t.data_ptr() for t in tensors}
    return tensors + [t for t in _registration_order(module, inputs) if t.data_ptr() not in known]


def _copy_weights(source: nn.Module, target: nn.Module, inputs: Tensor, orders: tuple[Callable, Callable]) -> None:
    """Copy each parameter of the source to the target's next one of that shape, and so each buffer."""
    free = orders[1](target, inputs)
    with torch.no_grad():
        for tensor in orders[0](source, inputs):
            kind = isinstance(tensor, nn.Parameter), _core(tensor.shape)
            for place, candidate in enumerate(free):
                if (isinstance(candidate, nn.Parameter), _core(candidate.shape)) == kind:
                    candidate.copy_(tensor.reshape(candidate.shape))
                    free.pop(place)
                    break
