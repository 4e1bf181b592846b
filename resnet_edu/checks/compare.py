"""Compare a reader's module with a reference: shapes, values in both modes, gradients, all with one set of weights.

The weights are the reference's, drawn at random (a new BatchNorm's scale of 1 and shift of 0 would hide half of all
mistakes) and copied into the answer. Names do not matter: layers are matched by shape, in the order in which they are
called or in any other that makes both compute the same.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from itertools import chain, islice, permutations, product

import torch
from torch import Tensor, nn

from resnet_edu.checks.verdict import Wrong, expect_close

MOST_ORDERS = 50  # of layers with the same shapes, tried before an answer is called wrong
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
    known = hints.get(count - right) if count != right else None  # a key may be inplanes - planes, and that 0
    hint = known or "Print the names and shapes of its named_parameters()."
    said = f"lacks parameters of shape {missing}" if missing else f"has parameters too many, of shape {surplus}"
    if missing and surplus:
        said = f"has parameters of shape {surplus} where {missing} belong"
    numbers = f" ({count} numbers instead of {right})" if count != right else ""
    raise Wrong(f"{what} {said}{numbers}. {hint}")


def expect_same_function(
    what: str, met: nn.Module, expected: nn.Module, inputs: Tensor, *, slips: Slips = (), otherwise: str
) -> None:
    """Raise :class:`Wrong` unless both compute the same from the same weights, in both modes, and the same gradients.

    Call :func:`expect_same_parameters` first. ``expected`` gets random weights, and ``met`` gets the same. In
    evaluation mode the outputs are compared for ten times the inputs too: they reach a limit such as ReLU6's.

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
    drawn = deepcopy(expected.state_dict())
    original = inputs.clone()
    for copy_weights in _ways_to_copy(expected, met, inputs):
        copy_weights()
        if torch.equal(inputs, original) and _agree(met, expected, inputs):
            break
    else:
        copy_weights = _telling_way_to_copy(expected, met, inputs, slips)
        copy_weights()
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
    expected.load_state_dict(drawn)  # each slip has moved the running statistics nearer to this batch's
    copy_weights()
    for module in (met, expected):
        module.train()(inputs.clone())
    results = [module.eval()(inputs.clone()) for module in (met, expected)]
    hint = "Leave eps, momentum and the running statistics of each BatchNorm2d as PyTorch has them."
    expect_close(f"In evaluation mode, after a batch in training mode, the output of {what}", *results, hint, 1e-4)
    results = [module(10 * inputs) for module in (met, expected)]
    hint = "Something caps the values: a ReLU has no upper limit, unlike ReLU6 or clamp(max=...)."
    tolerance = 1e-4 * max(1.0, results[1].abs().max().item())
    expect_close(
        f"In evaluation mode, for an input ten times as large, the output of {what}", *results, hint, tolerance
    )


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
    """A shape in which (C,), (C, 1, 1) and (1, C, 1, 1) are one, and a kernel of (C, 1, 1, 1) is another."""
    per_channel = len(shape) < 4 or shape[0] == 1
    return tuple(size for size in shape if size != 1) if per_channel else tuple(shape)


def _without(shapes: list, others: list) -> list:
    rest = list(others)
    return [shape for shape in shapes if not (shape in rest and not rest.remove(shape))]


def _ways_to_copy(source: nn.Module, target: nn.Module, inputs: Tensor) -> Iterator[Callable[[], None]]:
    """Ways to give the target the source's weights: as called, with like layers swapped, and as listed.

    Layers of the same shapes may stand for each other: an answer may call its shortcut before its branch.
    """
    ours, theirs = _layers(source, inputs), _layers(target, inputs)
    kinds = [tuple(_kind(tensor) for tensor in layer) for layer in ours]
    like = {kind: [layer for layer in theirs if tuple(map(_kind, layer)) == kind] for kind in kinds}
    if all(len(like[kind]) == kinds.count(kind) for kind in like):
        # `product` lists all that it is given: without a limit of their own, twelve like layers would fill the memory
        few = [islice(permutations(layers), MOST_ORDERS) for layers in like.values()]
        for orders in islice(product(*few), MOST_ORDERS):
            queues = {kind: iter(order) for kind, order in zip(like, orders, strict=True)}
            chosen = [next(queues[kind]) for kind in kinds]
            yield lambda chosen=chosen: _fill(zip(chain(*ours), chain(*chosen), strict=True))
    yield lambda: _fill(_matched(_listed(source), _listed(target)))


def _telling_way_to_copy(expected: nn.Module, met: nn.Module, inputs: Tensor, slips: Slips) -> Callable[[], None]:
    """The way to copy weights under which a wrong answer makes a known mistake; the first one if none does."""
    wrong = [(mistake(expected.eval(), inputs), "known") for mistake, _ in slips]
    for copy_weights in _ways_to_copy(expected, met, inputs):
        copy_weights()
        with torch.no_grad():
            if name_slip(met.eval()(inputs.clone()), wrong, otherwise=""):
                return copy_weights
    return next(_ways_to_copy(expected, met, inputs))


def _listed(module: nn.Module) -> list[Tensor]:
    """Parameters first, then buffers, as a module written without layers has them."""
    buffers = [tensor for name, tensor in module.named_buffers() if not name.endswith("num_batches_tracked")]
    return [*module.parameters(), *buffers]


def _layers(module: nn.Module, inputs: Tensor) -> list[list[Tensor]]:
    """The tensors of each layer that has some, in the order in which forward calls them."""
    called: list[nn.Module] = []
    leaves = [m for m in module.modules() if not list(m.children())]
    hooks = [leaf.register_forward_hook(lambda m, _, __: called.append(m)) for leaf in leaves]
    was_training = module.training
    try:
        with torch.no_grad():
            module.eval()(inputs.clone())
    finally:
        for hook in hooks:
            hook.remove()
        module.train(was_training)
    return [tensors for layer in dict.fromkeys([*called, *leaves]) if (tensors := _listed(layer))]


def _kind(tensor: Tensor) -> tuple:
    return isinstance(tensor, nn.Parameter), _core(tensor.shape)


def _matched(ours: list[Tensor], theirs: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Pair each tensor with the next one of its kind."""
    pairs, free = [], list(theirs)
    for tensor in ours:
        for place, candidate in enumerate(free):
            if _kind(candidate) == _kind(tensor):
                pairs.append((tensor, free.pop(place)))
                break
    return pairs


def _fill(pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    with torch.no_grad():
        for tensor, place in pairs:
            place.copy_(tensor.reshape(place.shape))
