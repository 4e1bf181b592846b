"""Compare a reader's stage with the package's: block by block, then as a whole (chapter 6)."""

import torch
from torch import nn

from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.checks.compare import expect_module, expect_same_parameters, randomise
from resnet_edu.checks.verdict import Wrong, expect_close, expect_equal

ONLY_FIRST = "Only the first block of a stage changes the shape: from the second on stride is 1 and channels stay."
FIRST_READS_AS_EVER = "The first block reads the map that comes in, so it takes the dilation from BEFORE this stage."
OTHERS_SPREAD = "The blocks behind the first take self.dilation as it is AFTER `dilate` was looked at."


def blocks_of(stage: nn.Module) -> list[nn.Module]:
    """The blocks of a stage in order, one that stands in several places as often as it stands there."""
    found = []
    for child in stage._modules.values():
        found += [child] if isinstance(child, BasicBlock | Bottleneck) else blocks_of(child)
    return found


def expect_stage(what: str, met: nn.Module, expected: nn.Module) -> None:
    """Compare two stages block by block, in the order in which one would look."""
    expect_module(f"What {what} returns", met)
    blocks, wanted = blocks_of(met), blocks_of(expected)
    hint = "One block stands in front of the loop: range(1, blocks)." if abs(len(blocks) - len(wanted)) == 1 else ""
    expect_equal(f"The number of blocks of {what}", len(blocks), len(wanted), hint)
    if len(set(map(id, blocks))) < len(blocks):
        raise Wrong(f"{what}: one block stands in several places, as [block] * n makes it. Make each one in the loop.")
    for index, (block, right) in enumerate(zip(blocks, wanted, strict=True)):
        place = f"Block {index} of {what}"
        if not isinstance(block, type(right)):
            raise Wrong(f"{place} should be a {type(right).__name__}, but it is a {type(block).__name__}.")
        for name, hint in _hints(index, block, right, wanted[0]).items():
            expect_equal(f"{place}: its {name}", _facts(block)[name], _facts(right)[name], hint)
        _expect_projection(place, index, block.downsample, right)
        for one, other in zip(_leaves(block), _leaves(right), strict=True):
            if type(one) is not type(other):
                hint = "Pass self._norm_layer on, to the blocks and to the projection."
                raise Wrong(f"{place}: {type(one).__name__} stands where {type(other).__name__} belongs. {hint}")


def _facts(block: nn.Module) -> dict[str, int]:
    convs = [getattr(block, name) for name in ("conv1", "conv2", "conv3") if hasattr(block, name)]
    return {
        "number of channels that come in": convs[0].in_channels,
        "number of channels that go out": convs[-1].out_channels,
        "middle's number of channels": convs[1].in_channels,
        "number of groups": convs[1].groups,
        "stride": max(conv.stride[0] for conv in convs),
        "dilation": max(conv.dilation[0] for conv in convs),
    }


def _hints(index: int, block: nn.Module, right: nn.Module, first: nn.Module) -> dict[str, str]:
    """What to say if a fact of this block is wrong."""
    into, wanted, before = (_facts(b)["number of channels that come in"] for b in (block, right, first))
    comes_in = "It is self.inplanes, as the block before left it."
    if not index:
        comes_in = "The first block meets self.inplanes: move it on behind the first block, not before."
    elif into == before:
        comes_in = "That is what the FIRST block met: move self.inplanes on behind it."
    elif into * right.expansion == wanted:
        comes_in = "That is planes: what the block before puts out is planes * block.expansion."
    bigger = _facts(block)["stride"] > _facts(right)["stride"]
    keeps = "This stage keeps its size: its first block has stride 1, as in layer1 and in every stage with dilate."
    of_first = keeps if bigger else "Pass it to the first block."
    lost_groups = _facts(block)["number of groups"] < _facts(right)["number of groups"]
    return {
        "number of channels that come in": comes_in,
        "number of channels that go out": "Pass `planes` as it is: the block itself multiplies by its expansion.",
        "middle's number of channels": f"Pass self.{'groups' if lost_groups else 'base_width'} on to every block.",
        "number of groups": "Pass self.groups on to every block.",
        "stride": ONLY_FIRST if index else of_first,
        "dilation": OTHERS_SPREAD if index else FIRST_READS_AS_EVER,
    }


def _expect_projection(place: str, index: int, met: nn.Module | None, right: nn.Module) -> None:
    if isinstance(met, nn.Module) and all(type(m) in (nn.Identity, nn.Sequential) for m in met.modules()):
        met = None  # an identity that is written as a module
    into, onto, stride = right.conv1.in_channels, _facts(right)["number of channels that go out"], right.stride
    if right.downsample is None:
        if met is not None:
            why = f"{into} channels come in, {onto} (planes * expansion) go out, the stride is 1: x fits as it is."
            raise Wrong(f"{place} has a projection where the identity belongs. {ONLY_FIRST if index else why}")
        return
    if met is None:
        why = f"the stride is {stride}" if stride > 1 else f"{into} channels come in and {onto} go out"
        hint = "The condition has two parts, joined by `or`; channels that go out are planes * block.expansion."
        raise Wrong(f"{place} has no projection, and needs one: {why}. {hint}")
    expect_module(f"{place}: its downsample", met)
    leaves = _leaves(met)
    relu = any(isinstance(m, nn.ReLU) for m in met.modules())
    if relu or len(leaves) != 2 or not isinstance(leaves[0], nn.Conv2d) or isinstance(leaves[1], nn.Conv2d):
        kinds = ", ".join([type(m).__name__ for m in leaves] + ["ReLU"] * relu) or "nothing"
        raise Wrong(f"{place}: its projection should be a 1x1 convolution and a norm, but it holds {kinds}.")
    for name, hint in {
        "in_channels": "It takes x as it is: self.inplanes, before that moves on.",
        "out_channels": "It must make what the block puts out: planes * block.expansion.",
        "kernel_size": "Option B is a 1x1 convolution.",
        "stride": "It has the stride of its block.",
    }.items():
        met_value, value = getattr(leaves[0], name), getattr(right.downsample[0], name)
        expect_equal(f"{place}: {name} of its projection", met_value, value, hint)
    if leaves[0].bias is not None:
        raise Wrong(f"{place}: its projection has a bias, which the norm behind it takes away: bias=False.")


def _leaves(module: nn.Module) -> list[nn.Module]:
    """The layers of a block or a projection, convolutions first: the order of registration does not matter."""
    empty = (nn.ReLU, nn.Identity, nn.Sequential)  # a Sequential without children is an identity too
    leaves = [m for m in module.modules() if not list(m.children()) and not isinstance(m, empty)]
    return sorted(leaves, key=lambda m: not isinstance(m, nn.Conv2d))


def settings_of(conv: nn.Conv2d) -> dict[str, tuple[int, int]]:
    """What a convolution does to the size, in numbers: padding may be "same" or "valid", and a pair one integer.

    Example:
        >>> settings_of(nn.Conv2d(4, 4, 3, padding="same", dilation=2))
        {'kernel_size': (3, 3), 'stride': (1, 1), 'padding': (2, 2), 'dilation': (2, 2)}
    """
    names = ("kernel_size", "stride", "padding", "dilation")
    settings = {name: getattr(conv, name) for name in names}
    pairs = {name: (value, value) if isinstance(value, int) else tuple(value) for name, value in settings.items()}
    kernel = pairs["kernel_size"]
    if conv.padding in ("same", "valid"):
        steps = pairs["dilation"] if conv.padding == "same" else (0, 0)
        pairs["padding"] = tuple(step * (size - 1) // 2 for step, size in zip(steps, kernel, strict=True))
    if kernel == (1, 1):
        pairs["dilation"] = (1, 1)  # a single tap has no distance to another
    return pairs


def expect_same(
    what: str, met: nn.Module, expected: nn.Module, x: torch.Tensor, blocks: list[nn.Module] | None = None
) -> None:
    """Compare what two networks compute whose blocks are equal, one by one: only how they are called can be wrong.

    Args:
        blocks: those of ``met`` in the order of the expected ones; without it, as they are registered.
    """
    expect_same_parameters(what, met, expected, {})
    randomise(expected)
    for block, right in zip(blocks or blocks_of(met), blocks_of(expected), strict=True):
        for one, other in zip(_leaves(block), _leaves(right), strict=True):
            one.load_state_dict(other.state_dict())
    hint = "Every block is right by itself: look at the order in which they are called, and what is done in between."
    for training in (False, True):
        y = met.train(training)(x.clone())
        mode = "training" if training else "evaluation"
        expect_close(f"In {mode} mode the output of {what}", y, expected.train(training)(x), hint, 1e-3)
    y.sum().backward()
    if any(p.grad is None for p in met.parameters()):
        raise Wrong(f"Some parameters of {what} get no gradient. Look for detach(), .data or torch.no_grad().")
