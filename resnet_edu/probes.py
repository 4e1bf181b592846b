"""Measure a network, never change it (chapters 2, 3, 7 and 9).

Every probe sends one batch through the network and leaves everything exactly as it was: the images, parameters and
their ``.grad``, buffers (in training mode BN counts and averages even when nobody trains), each module's mode, hooks,
the random state. A loss that still waits for its ``backward()`` can have it afterwards.
A probe returns a dictionary from layer names to floats in the order in which the layers ran, ready to plot:
``plt.semilogy(list(probe.values()))``. A layer that runs twice, such as a shared ReLU, is ``"relu"`` and ``"relu:2"``.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import UnionType
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Layers = type | UnionType | tuple[type, ...]


def activation_std(
    model: nn.Module, images: Tensor, layers: Layers = nn.Conv2d, *, training: bool = True
) -> dict[str, float]:
    """Return the standard deviation of each layer's output, over images, channels and pixels together.

    Args:
        model: maps images to logits.
        images: (N, C, H, W) floats.
        layers: the class, or classes, of the modules to look at: ``nn.Conv2d``, ``nn.BatchNorm2d``, ``BasicBlock``.
        training: run in training mode, so that BN uses the batch's statistics; otherwise in evaluation mode.

    Raises:
        ValueError: no such layer ran.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(2, 2))
        >>> _ = nn.init.constant_(model[0].weight, 3)
        >>> activation_std(model, torch.tensor([[[[-1.0, 1.0]]]]))
        {'0': 3.0}

    He et al. 2015, section 4.1 (forward signals). Used in chapters 2, 3 and 7.
    """
    found = {}

    def see(name: str, module: nn.Module, inputs: tuple, output: Tensor) -> None:
        found[name] = output.std(correction=0).item()

    with _undisturbed(model, training), _seen(model, layers, see), torch.no_grad():
        model(images.clone())
    return _not_empty(found, layers)


def activation_gradient_norm(
    model: nn.Module, images: Tensor, labels: Tensor, layers: Layers = nn.Conv2d, *, training: bool = True
) -> dict[str, float]:
    """Return the Euclidean norm of the loss's gradient with respect to each layer's output, over the whole batch.

    The loss is the mean cross-entropy (nats) of the batch. A layer that the loss does not depend on has norm 0.

    Args:
        model: maps (N, C, H, W) images to (N, classes) logits.
        images: (N, C, H, W) floats.
        labels: (N,) integers.
        layers: the class, or classes, of the modules to look at.
        training: run in training mode, so that BN uses the batch's statistics; otherwise in evaluation mode.

    Raises:
        ValueError: no such layer ran.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten())
        >>> _ = [nn.init.zeros_(parameter) for parameter in model.parameters()]
        >>> norms = activation_gradient_norm(model, torch.ones(1, 1, 1, 1), torch.tensor([0]))
        >>> {name: round(norm, 4) for name, norm in norms.items()}  # softmax - one-hot = (-1/2, 1/2)
        {'0': 0.7071}

    He et al. 2015, section 4.1 (backward signals). Used in chapters 2 and 3.
    """
    outputs = {}

    def see(name: str, module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        outputs[name] = output
        return output.clone()  # a ReLU that works in place then changes the copy

    with _undisturbed(model, training), _seen(model, layers, see):
        leaf = images.detach().clone().requires_grad_()  # so that there is a graph even where all weights are frozen
        loss = F.cross_entropy(model(leaf.clone()), labels)
        gradients = torch.autograd.grad(loss, list(_not_empty(outputs, layers).values()), allow_unused=True)
    return {name: 0.0 if g is None else g.norm().item() for name, g in zip(outputs, gradients, strict=True)}


def weight_gradient_norm(
    model: nn.Module, images: Tensor, labels: Tensor, layers: Layers = (nn.Conv2d, nn.Linear), *, training: bool = True
) -> dict[str, float]:
    """Return the Euclidean norm of the loss's gradient with respect to each layer's ``weight``.

    The gradients are computed aside: no ``.grad`` is written, and what is stored there stays.

    Args:
        model: maps (N, C, H, W) images to (N, classes) logits.
        images: (N, C, H, W) floats.
        labels: (N,) integers.
        layers: the class, or classes, of the modules whose ``weight`` counts.
        training: run in training mode, so that BN uses the batch's statistics; otherwise in evaluation mode.

    Raises:
        ValueError: no such layer ran, or one has no weight, or a weight is frozen (``requires_grad`` is False).

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
        >>> _ = [nn.init.zeros_(parameter) for parameter in model.parameters()]
        >>> norms = weight_gradient_norm(model, torch.full((1, 1, 1, 1), 2.0), torch.tensor([0]))
        >>> {name: round(norm, 4) for name, norm in norms.items()}  # (softmax - one-hot) times the input 2
        {'1': 1.4142}

    Used in chapters 2 and 3.
    """
    weights = {}

    def see(name: str, module: nn.Module, inputs: tuple, output: Tensor) -> None:
        if getattr(module, "weight", None) is None:
            raise ValueError(f"{name} ({type(module).__name__}) has no weight: choose layers that have one")
        if not module.weight.requires_grad:
            raise ValueError(f"the weight of {name} is frozen and gets no gradient: set requires_grad_(True) first")
        weights.setdefault(name.partition(":")[0], module.weight)

    with _undisturbed(model, training), _seen(model, layers, see):
        loss = F.cross_entropy(model(images.clone()), labels)
        gradients = torch.autograd.grad(loss, list(_not_empty(weights, layers).values()), allow_unused=True)
    return {name: 0.0 if g is None else g.norm().item() for name, g in zip(weights, gradients, strict=True)}


def layer_responses(model: nn.Module, images: Tensor, *, training: bool = False) -> dict[str, float]:
    """Return the standard deviation of each 3x3 layer's response: after its BN, before ReLU or addition.

    A BN counts when what it receives is the output of a 3x3 convolution, so a projection's BN does not.

    Args:
        model: maps images to logits, with a BN after each 3x3 convolution.
        images: (N, C, H, W) floats.
        training: use the batch's statistics in BN, in place of the running ones.

    Raises:
        ValueError: no BN receives the output of a 3x3 convolution.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1), nn.ReLU())
        >>> _ = nn.init.constant_(model[1].weight, 0.5)  # BN gives 1, then scales by 1/2
        >>> responses = layer_responses(model, torch.randn(8, 1, 4, 4), training=True)
        >>> {name: round(std, 3) for name, std in responses.items()}
        {'1': 0.5}

    He et al. 2015, Figure 7. Used in chapters 3 and 9.
    """
    found, convolved = {}, None

    def see(name: str, module: nn.Module, inputs: tuple, output: Tensor) -> None:
        nonlocal convolved
        if isinstance(module, nn.Conv2d):
            convolved = output if module.kernel_size == (3, 3) else None
        elif inputs[0] is convolved:
            found[name] = output.std(correction=0).item()

    with _undisturbed(model, training), _seen(model, (nn.Conv2d, nn.BatchNorm2d), see), torch.no_grad():
        model(images.clone())
    return _not_empty(found, "BatchNorm2d right behind a 3x3 convolution")


def distance_from_identity(
    model: nn.Module, images: Tensor, *, training: bool = False
) -> tuple[dict[str, float], dict[str, float]]:
    """Return how far each residual unit moves its input: ``||F(x)|| / ||x||`` and ``||y - x|| / ||x||``.

    Both ratios are means over the images. They differ because a ReLU may follow the addition: y = ReLU(x + F(x)) cannot
    go below 0. Counted are the units whose shortcut is the identity: a module with ``downsample`` None whose output is
    x + F(x) or its ReLU, where F(x) is what the last of its own layers before the addition gave.

    Args:
        model: maps images to logits.
        images: (N, C, H, W) floats.
        training: use the batch's statistics in BN, in place of the running ones.

    Returns:
        The corrections and the changes, each from the units' names to floats; 0 is the identity. A ratio is ``nan`` or
        ``inf`` where an image's x is zero throughout, and ``nan`` where the network computes it.

    Raises:
        ValueError: no such unit ran.

    Example:
        >>> class Unit(nn.Module):
        ...     downsample = None
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.conv = nn.Conv2d(1, 1, 1, bias=False)
        ...     def forward(self, x):
        ...         return torch.relu(x + self.conv(x))
        >>> model = nn.Sequential(Unit())
        >>> _ = nn.init.constant_(model[0].conv.weight, -4)
        >>> distance_from_identity(model, torch.ones(2, 1, 3, 3))  # F(x) = -4x, and y = ReLU(-3x) = 0
        ({'0': 4.0}, {'0': 1.0})

    He et al. 2015, sections 3.1 and 4.2 (Figure 7). Used in chapter 3.
    """
    corrections, changes, branch = {}, {}, {}
    owner = {
        layer: unit
        for unit in model.modules()
        if getattr(unit, "downsample", 0) is None
        for layer in unit.children()
        if not isinstance(layer, nn.ReLU)
    }

    def see(name: str, module: nn.Module, inputs: tuple, output: Tensor) -> None:
        if module in owner:
            branch[owner[module]] = output.clone()  # the last one that runs is F(x); a ReLU might work in place
        elif module in branch:
            x, correction = inputs[0], branch.pop(module)
            total = x + correction if x.shape == correction.shape == output.shape else None
            sums = () if total is None else (total, total.relu())
            if any(torch.allclose(output, each, equal_nan=True) for each in sums):  # a NaN is seen, not skipped
                length = _norms(x)
                corrections[name] = (_norms(correction) / length).mean().item()
                changes[name] = (_norms(output - x) / length).mean().item()

    kinds = tuple({type(module) for pair in owner.items() for module in pair})
    with _undisturbed(model, training), _seen(model, kinds, see), torch.no_grad():
        model(images.clone())
    return _not_empty(corrections, "unit with an identity shortcut"), changes


def circular_padding(model: nn.Module) -> nn.Module:
    """Return a copy of a network whose convolutions pad with the opposite border in place of zeros.

    A control for small maps: at every padded convolution zeros replace part of the signal, at 2x2 pixels more than
    half of it. The weights are the same; padding in pooling layers stays as it is.

    Args:
        model: a network with ``nn.Conv2d`` in it; it stays as it was.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False))
        >>> _ = nn.init.ones_(model[0].weight)
        >>> ones = torch.ones(1, 1, 2, 2)
        >>> model(ones).mean().item(), circular_padding(model)(ones).mean().item()
        (4.0, 9.0)

    Used in chapters 2 and 7.
    """
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.padding_mode = "circular"
    return model


def _norms(x: Tensor) -> Tensor:
    """(N, ...) -> (N,): the Euclidean norm of each image's part."""
    return x.flatten(1).norm(dim=1)


def _not_empty(found: dict, layers: Layers | str) -> dict:
    if not found:
        kinds = layers if isinstance(layers, tuple) else get_args(layers) or (layers,)  # A | B has two
        names = " or ".join(kind if isinstance(kind, str) else kind.__name__ for kind in kinds)
        raise ValueError(f"nothing to measure: no {names} ran in this network")
    return found


@contextmanager
def _seen(model: nn.Module, layers: Layers, see: Callable) -> Iterator[None]:
    """Call ``see(name, module, inputs, output)`` whenever one of the layers has run; a tensor it returns replaces the
    output."""
    runs: dict[str, int] = {}
    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if isinstance(module, layers):

                def hook(module: nn.Module, inputs: tuple, output: Tensor, name: str = name) -> Tensor | None:
                    runs[name] = runs.get(name, 0) + 1
                    return see(name if runs[name] == 1 else f"{name}:{runs[name]}", module, inputs, output)

                hooks.callback(module.register_forward_hook(hook).remove)
        yield


@contextmanager
def _undisturbed(model: nn.Module, training: bool) -> Iterator[None]:
    """Put every module into one mode, and at the end put back modes, buffers and the random state."""
    modes = [(module, module.training) for module in model.modules()]
    homes = [(module._buffers, dict(module._buffers)) for module in model.modules()]
    copies = {id(buffer): buffer.clone() for _, own in homes for buffer in own.values() if buffer is not None}
    gpus = {parameter.device for parameter in model.parameters() if parameter.is_cuda}
    with torch.random.fork_rng(gpus), torch.enable_grad():
        try:
            # the run writes into copies: writing into a buffer, be it the old value, would spoil a graph that holds it
            for home, own in homes:
                home.update({name: copies[id(buffer)] for name, buffer in own.items() if buffer is not None})
            model.train(training)
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            for home, own in homes:
                home.clear()
                home.update(own)
