"""Diagrams drawn from the modules they show: what a block computes, with the shape on every edge (chapters 3 to 7).

Nothing is drawn by hand, so a diagram cannot disagree with its block: torch.fx records what ``forward`` does, a forward
pass gives the shapes, and the picture follows.
"""

import operator
from copy import deepcopy

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from resnet_edu import plots
from resnet_edu.blocks import add_shortcut

ADDITIONS = (add_shortcut, operator.add, operator.iadd, torch.add, "add", "add_")
FILLS = {"conv": "#D6E9F5", "norm": "#FFFFFF", "relu": "#FFF3D6", "other": "#F0F0F0"}
ARROW = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0}
INK, BLUE = "#444444", plots.COLOURS["blue"]
# In units of the drawing: a box, an addition's circle, from one row to the next, the shortcut's column, the margins
WIDTH, HEIGHT, RADIUS, STEP, ASIDE, LEFT, RIGHT = 1.9, 0.4, 0.19, 0.8, 2.2, -1.05, 3.25


class Layers(fx.Tracer):
    """Record each layer as one step; look inside containers only."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not isinstance(m, nn.Sequential)


def record(block: nn.Module, shape: tuple[int, ...], tracer: type[fx.Tracer] = Layers) -> fx.GraphModule:
    """Return what a block does to an input of a shape, one node a step, each with the shape of its output.

    The block stays as it was, of whatever type and on whatever device: a copy in evaluation mode computes the shapes.

    Args:
        block: maps one tensor to one tensor.
        shape: of the input, (N, C, H, W).
        tracer: decides what one step is.

    Example:
        >>> from resnet_edu.blocks import PlainBlock
        >>> [node.name for node in record(PlainBlock(8, 8), (1, 8, 4, 4)).graph.nodes]
        ['x', 'conv1', 'bn1', 'relu', 'conv2', 'bn2', 'relu_1', 'output']

    Behind `side_by_side` of chapters 3 to 5 and `network_diagram` of chapter 7.
    """
    # on the meta device a deep network costs no memory and no time
    copy = deepcopy(block).to("meta", torch.float32).eval()
    recorded = fx.GraphModule(copy, tracer(autowrap_functions=(add_shortcut,)).trace(copy))
    with torch.no_grad():
        ShapeProp(recorded).propagate(torch.zeros(shape, device="meta"))
    return recorded


def sources(node: fx.Node) -> list[fx.Node]:
    """Return the steps whose tensors a step takes: one, or the two of an addition.

    Args:
        node: a step of what `record` returns. Parameters and sizes that it takes do not count.

    Raises:
        ValueError: it joins tensors in another way, which no diagram here can show.

    Example:
        >>> from resnet_edu.blocks import BasicBlock
        >>> nodes = {node.name: node for node in record(BasicBlock(8, 8), (1, 8, 4, 4)).graph.nodes}
        >>> sources(nodes["conv1"]), sources(nodes["add_shortcut"])
        ([x], [bn2, x])

    Behind the diagrams of chapters 3 to 7.
    """
    found = [each for each in node.all_input_nodes if "tensor_meta" in each.meta and each.op != "get_attr"]
    if len(found) > 1 and node.target not in ADDITIONS:
        raise ValueError(
            f"the step {node.name} joins {', '.join(each.name for each in found)}, and is no addition: a diagram shows "
            "layers in a chain and shortcuts that are added"
        )
    return found


def block_diagram(block: nn.Module, shape: tuple[int, ...], *, title: str = "") -> Figure:
    """Draw one block from top to bottom, the shortcut beside the branch, the shape (C x H x W) on every edge.

    Args:
        block: a block of :mod:`resnet_edu.blocks`, or any module of that form: a chain, or two chains and one addition.
        shape: of the input, (N, C, H, W).
        title: stands above it.

    Raises:
        ValueError: the block adds more than once, or joins tensors in another way.

    Example:
        >>> from resnet_edu.blocks import BasicBlock
        >>> figure = block_diagram(BasicBlock(8, 8), (1, 8, 4, 4))
        >>> [text.get_text() for text in figure.axes[0].texts][:2]
        ['x', '3×3 conv, 8']

    One block of the figures that `side_by_side` draws in chapters 3 to 5.
    """
    return side_by_side({title: block}, shape)


def side_by_side(blocks: dict[str, nn.Module], shape: tuple[int, ...]) -> Figure:
    """Draw several blocks for the same input beside each other.

    Args:
        blocks: title -> block, see `block_diagram`.
        shape: of the input, (N, C, H, W), the same for all.

    Raises:
        ValueError: see `block_diagram`.

    Example:
        >>> from resnet_edu.blocks import BasicBlock, PlainBlock
        >>> len(side_by_side({"plain": PlainBlock(8, 8), "residual": BasicBlock(8, 8)}, (1, 8, 4, 4)).axes)
        2

    First used in chapter 3.
    """
    graphs = [record(block, shape) for block in blocks.values()]
    rows = max(len(main) for main, _ in map(_columns, graphs)) + 1
    unit = min(0.8, 7.0 / len(blocks) / (RIGHT - LEFT))  # inches
    figure, axes = plt.subplots(
        1, len(blocks), figsize=(unit * len(blocks) * (RIGHT - LEFT), unit * STEP * rows + 0.3), squeeze=False
    )
    for ax, title, graph in zip(axes[0], blocks, graphs, strict=True):
        _draw(ax, graph, 11.5 * unit)
        ax.set(xlim=(LEFT, RIGHT), ylim=(-STEP * (rows - 1), 0.35), aspect="equal")
        ax.set_title(title, x=-LEFT / (RIGHT - LEFT))  # above the branch
        ax.axis("off")
    return figure


def _columns(graph: fx.GraphModule) -> tuple[list[fx.Node], list[fx.Node]]:
    """The nodes of the branch from x to the result, and those of the shortcut beside it, each from top to bottom."""
    start, *steps, output = graph.graph.nodes
    additions = [node for node in steps if _adds(node)]
    (result,) = sources(output)
    if not additions:
        return [start, *_chain(result, start)], []
    if len(additions) > 1:
        raise ValueError(f"a block diagram shows one addition, and this block adds {len(additions)} times")
    branch, shortcut = sorted((_chain(node, start) for node in additions[0].args[:2]), key=len, reverse=True)
    return [start, *branch, additions[0], *_chain(result, additions[0])], shortcut


def _chain(node: fx.Node, start: fx.Node) -> list[fx.Node]:
    """The steps after ``start`` that lead to ``node``, which is the last of them."""
    chain: list[fx.Node] = []
    while node is not start:
        chain.insert(0, node)
        node = sources(node)[0]
    return chain


def _adds(node: fx.Node) -> bool:
    """Whether a step adds two tensors that were computed, and not a number or a parameter."""
    summands = node.args[:2]
    return node.target in ADDITIONS and all(isinstance(each, fx.Node) and each.op != "get_attr" for each in summands)


def _draw(ax: Axes, graph: fx.GraphModule, size: float) -> None:
    """Place and draw every step; ``size`` is the font's, in points."""
    main, shortcut = _columns(graph)
    modules = dict(graph.named_modules())
    place = {node: (0.0, -STEP * row) for row, node in enumerate(main)}
    for node in main:
        _draw_node(ax, node, place[node], modules, size)
    for upper, lower in zip(main, [*main[1:], None], strict=True):
        bottom = place[upper][1] - _half(upper)
        end = -STEP * len(main) + 0.1 if lower is None else place[lower][1] + _half(lower)
        ax.annotate("", (0, end), (0, bottom), arrowprops=ARROW | {"color": INK})
        ax.text(0.09, (bottom + end) / 2, _shape(upper), ha="left", va="center", fontsize=0.85 * size, color=INK)
    additions = [node for node in main if _adds(node)]
    if not additions:
        return
    top, bottom = 0.0, place[additions[0]][1]
    ax.plot([0.2, ASIDE, ASIDE], [top, top, bottom], color=BLUE, linestyle="-", linewidth=1.8, zorder=0)
    ax.annotate("", (RADIUS, bottom), (ASIDE, bottom), arrowprops=ARROW | {"color": BLUE, "linewidth": 1.8})
    added = _shape(shortcut[-1] if shortcut else main[0])
    ax.text(ASIDE + 0.02, bottom - 0.1, added, ha="right", va="top", fontsize=0.85 * size, color=BLUE)
    for index, node in enumerate(shortcut, start=1):
        _draw_node(ax, node, (ASIDE, bottom * index / (len(shortcut) + 1)), modules, size)


def _draw_node(ax: Axes, node: fx.Node, at: tuple[float, float], modules: dict[str, nn.Module], size: float) -> None:
    if node.op == "placeholder":
        words, style = "x", {"fontsize": 1.4 * size, "style": "italic"}
    elif _adds(node):
        ax.add_patch(Circle(at, RADIUS, facecolor="white", edgecolor=BLUE, linewidth=1.6))
        words, style = "+", {"fontsize": 1.5 * size, "color": BLUE}
    else:
        words, kind = _words(node, modules)
        corner, rounding = (at[0] - WIDTH / 2, at[1] - HEIGHT / 2), "round,pad=0,rounding_size=0.08"
        ax.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, boxstyle=rounding, facecolor=FILLS[kind], edgecolor=INK))
        style = {"fontsize": size * min(1.0, 17 / len(words))}
    ax.text(*at, words, ha="center", va="center_baseline" if words == "+" else "center", **style)


def _half(node: fx.Node) -> float:
    return RADIUS if node.op == "placeholder" or _adds(node) else HEIGHT / 2


def _shape(node: fx.Node) -> str:
    return "×".join(str(size) for size in node.meta["tensor_meta"].shape[1:])


def _words(node: fx.Node, modules: dict[str, nn.Module]) -> tuple[str, str]:
    """What a box says, and the kind that colours it."""
    layer = modules.get(node.target) if node.op == "call_module" else None
    if isinstance(layer, nn.Conv2d):
        return conv_words(layer), "conv"
    if isinstance(layer, nn.BatchNorm2d):
        return "BN", "norm"
    name = type(layer).__name__ if layer is not None else getattr(node.target, "__name__", str(node.target))
    return ("ReLU", "relu") if name.lower() in ("relu", "relu_") else (name, "other")


def conv_words(conv: nn.Conv2d) -> str:
    """Return what a convolution's box says: kernel, channels, and its stride, groups and dilation where they are not 1.

    Args:
        conv: the layer.

    Example:
        >>> conv_words(nn.Conv2d(8, 16, 3, stride=2, groups=4)), conv_words(nn.Conv2d(3, 4, (1, 7), stride=(1, 2)))
        ('3×3 conv, 16, /2, 4 groups', '1×7 conv, 4, /1×2')

    In the figures of chapters 3 to 7.
    """
    words = f"{conv.kernel_size[0]}×{conv.kernel_size[1]} conv, {conv.out_channels}{stride_words(conv.stride)}"
    words += f", {conv.groups} groups" if conv.groups > 1 else ""
    return words + (f", dilation {_once(conv.dilation)}" if max(conv.dilation) > 1 else "")


def stride_words(stride: tuple[int, int]) -> str:
    """Return how a box ends that tells a stride: with nothing where it is 1.

    Args:
        stride: down and across.

    Example:
        >>> stride_words((1, 1)), stride_words((2, 2)), stride_words((1, 2))
        ('', ', /2', ', /1×2')

    In the figures of chapters 3 to 7.
    """
    return f", /{_once(stride)}" if max(stride) > 1 else ""


def _once(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}×{pair[1]}"
