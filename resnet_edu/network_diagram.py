"""Whole networks drawn from their modules: a column of layers for each, and an arc for every shortcut (chapter 7).

torch.fx records what ``forward`` does, so a layer that never runs is not drawn and a shortcut that is not added has no
arc. He et al. 2015, Figure 3, is the model.
"""

from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from torch import fx, nn

from resnet_edu.diagrams import conv_words, record, sources, stride_words

DRAWN = (nn.Conv2d, nn.Linear, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
# One colour for each stage, in the order in which they come; layers outside a stage are white
STAGE_FILLS = ("#CFE3F3", "#FCE3B6", "#CDEBDD", "#F3D9E8", "#E3E3E3")
INK, ARC = "#444444", "#0072B2"
# In units of the drawing: a box, from one row to the next, how far an arc reaches a layer, the margins
WIDTH, HEIGHT, STEP, REACH, LEFT, RIGHT = 2.6, 0.64, 1.0, 0.75, 2.35, 2.85


class Layer(NamedTuple):
    """One box: what it says, the child of the network that holds it, and the shape that leaves it, without N.

    Example:
        >>> outline(nn.Sequential(nn.Conv2d(3, 8, 3)), (1, 3, 6, 6))[0]
        [Layer(words='3×3 conv, 8', part='0', shape=(8, 4, 4))]

    In chapter 7's picture.
    """

    words: str
    part: str
    shape: tuple[int, ...]


class Shortcut(NamedTuple):
    """One arc: from behind layer ``start`` to behind layer ``end``, and whether it is more than the identity.

    Example:
        >>> from resnet_edu.blocks import BasicBlock
        >>> outline(BasicBlock(8, 8), (1, 8, 6, 6))[1]
        [Shortcut(start=-1, end=1, changes_shape=False)]

    In chapter 7's picture.
    """

    start: int
    end: int
    changes_shape: bool


class _SmallestModules(fx.Tracer):
    """Record every module that holds no other as one step."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not list(m.children())


def outline(net: nn.Module, shape: tuple[int, ...]) -> tuple[list[Layer], list[Shortcut]]:
    """Return the layers on a network's main path, from input to output, and the shortcuts around them.

    Of the two ways to an addition, the main path is the one with more layers. The other is the shortcut, and layers on
    it (a projection, zero padding) are not listed: they make ``changes_shape`` true.

    Args:
        net: maps one tensor to one tensor; it stays as it was.
        shape: of the input, (N, C, H, W).

    Returns:
        The layers that are convolutions, pooling or linear; the shortcuts, their ends being places in that list (-1 is
        the network's input).

    Raises:
        ValueError: two ways are joined by something else than an addition.

    Example:
        >>> from resnet_edu.blocks import BasicBlock, PlainBlock
        >>> layers, shortcuts = outline(nn.Sequential(PlainBlock(8, 8), BasicBlock(8, 8)), (1, 8, 4, 4))
        >>> [layer.words for layer in layers], shortcuts
        (['3×3 conv, 8', '3×3 conv, 8', '3×3 conv, 8', '3×3 conv, 8'], [Shortcut(start=1, end=3, changes_shape=False)])

    Behind `network_diagram` of chapter 7.
    """
    graph = record(net, shape, _SmallestModules)
    modules = dict(graph.named_modules())
    *_, output = graph.graph.nodes
    path, additions = _main_path(output.all_input_nodes[0])
    layers, place = [], {}
    for node in path:
        module = modules.get(node.target) if node.op == "call_module" else None
        if isinstance(module, DRAWN):
            words = _words(module, _shape(sources(node)[0]), _shape(node))
            layers.append(Layer(words, node.target.split(".")[0], _shape(node)))
        place[node] = len(layers) - 1
    return layers, [Shortcut(place[fork], place[end], bool(way)) for fork, end, way in additions]


def _main_path(node: fx.Node) -> tuple[list[fx.Node], list[tuple]]:
    """The steps from the input to ``node`` along the longer way at each addition, and (fork, addition, shorter way)."""
    path, additions = [], []
    while True:
        path.insert(0, node)
        if node.op == "placeholder":
            return path, additions
        inputs = sources(node)
        if len(inputs) > 1:
            longer, shorter, fork = _two_ways(*inputs[:2])
            path[0:0] = longer
            additions.insert(0, (fork, node, shorter))
            node = fork
        else:
            node = inputs[0]


def _two_ways(one: fx.Node, other: fx.Node) -> tuple[list[fx.Node], list[fx.Node], fx.Node]:
    """The steps of two ways back to where they part, the longer way first, and the step where they part."""
    chains = []
    for node in (one, other):
        chain = [node]
        while before := sources(chain[0]):
            chain.insert(0, before[0])
        chains.append(chain)
    fork = next(node for node in reversed(chains[0]) if node in chains[1])
    ways = [chain[chain.index(fork) + 1 :] for chain in chains]
    return max(ways, key=len), min(ways, key=len), fork


def _words(module: nn.Module, before: tuple[int, ...], after: tuple[int, ...]) -> str:
    if isinstance(module, nn.Linear):
        return f"fc, {module.out_features}"
    if isinstance(module, nn.AdaptiveAvgPool2d):
        height, width = after[-2:]
        return f"avg pool to {height}×{width}" if height * width > 1 else f"avg pool, {before[-2]}×{before[-1]}"
    if isinstance(module, nn.Conv2d):
        return conv_words(module)
    size, stride = (both if isinstance(both, tuple) else (both, both) for both in (module.kernel_size, module.stride))
    kind = "max pool" if isinstance(module, nn.MaxPool2d) else "avg pool"
    return f"{size[0]}×{size[1]} {kind}{stride_words(stride)}"


def _shape(node: fx.Node) -> tuple[int, ...]:
    return tuple(node.meta["tensor_meta"].shape[1:])


def network_diagram(nets: dict[str, nn.Module], shape: tuple[int, ...]) -> Figure:
    """Draw networks beside each other from top to bottom, one box a layer, an arc for each shortcut.

    A solid arc is the identity, a dashed one changes the shape on its way (a projection or zero padding). The colours
    are the stages; where the size of the maps changes, it is written to the left.

    Args:
        nets: title -> network.
        shape: of the input, (N, C, H, W).

    Example:
        >>> from resnet_edu.resnet import resnet18
        >>> figure = network_diagram({"ResNet-18": resnet18()}, (1, 3, 224, 224))
        >>> len(figure.axes[0].patches)  # 20 boxes and 8 arcs
        28
        >>> plt.close(figure)

    He et al. 2015, Figure 3. Used in chapter 7.
    """
    outlines = {title: outline(net, shape) for title, net in nets.items()}
    rows = max(len(layers) for layers, _ in outlines.values())
    unit = 7.0 / max(len(nets), 2) / (LEFT + RIGHT)  # inches; the width of two networks is the page's
    size = (unit * len(nets) * (LEFT + RIGHT), unit * 0.33 * rows + 0.3)
    figure, axes = plt.subplots(1, len(nets), figsize=size, squeeze=False)
    for ax, (title, (layers, shortcuts)) in zip(axes[0], outlines.items(), strict=True):
        _draw_layers(ax, layers, f"{shape[-2]}×{shape[-1]}")
        _draw_shortcuts(ax, shortcuts)
        ax.set(xlim=(-LEFT, RIGHT), ylim=(rows * STEP - 0.4, -0.9))
        ax.set_title(title, x=LEFT / (LEFT + RIGHT))  # above the boxes
        ax.axis("off")
    return figure


def _draw_layers(ax: Axes, layers: list[Layer], before: str) -> None:
    stages = [part for part in dict.fromkeys(layer.part for layer in layers) if _count(layers, part) > 1]
    fills = dict(zip(stages, STAGE_FILLS * len(stages), strict=False))
    for row, layer in enumerate(layers):
        top = row * STEP
        box = FancyBboxPatch(
            (-WIDTH / 2, top - HEIGHT / 2),
            WIDTH,
            HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.15",
            facecolor=fills.get(layer.part, "white"),
            edgecolor=INK,
            linewidth=0.7,
        )
        ax.add_patch(box)
        ax.text(0, top, layer.words, ha="center", va="center", fontsize=7.5 * min(1.0, 17 / len(layer.words)))
        ax.plot([0, 0], [top - STEP + HEIGHT / 2, top - HEIGHT / 2], color=INK, linestyle="-", linewidth=0.9, zorder=0)
        size = "×".join(str(length) for length in layer.shape[1:]) or str(layer.shape[0])
        if size != before:
            ax.text(-WIDTH / 2 - 0.15, top, size, ha="right", va="center", fontsize=7.5, color=INK)
        before = size


def _draw_shortcuts(ax: Axes, shortcuts: list[Shortcut]) -> None:
    for start, end, changes_shape in shortcuts:
        # one arc may end where the next begins: between the same two boxes, one above the other
        top, bottom = (start + 0.5) * STEP + 0.08, (end + 0.5) * STEP - 0.08
        side, far = WIDTH / 2, WIDTH / 2 + REACH * (end - start)
        points = [(0, top), (side, top), (far, top), (far, bottom), (side, bottom), (0.04, bottom)]
        codes = [Path.MOVETO, Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO]
        arc = FancyArrowPatch(
            path=Path(points, codes),
            arrowstyle="-|>,head_length=2.5,head_width=1.2",
            linestyle=(0, (2.5, 1.8)) if changes_shape else "-",
            color=ARC,
            linewidth=1.2,
        )
        ax.add_patch(arc)


def _count(layers: list[Layer], part: str) -> int:
    return sum(layer.part == part for layer in layers)
