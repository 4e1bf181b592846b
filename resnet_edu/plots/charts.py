"""Groups of bars, and matrices as colours."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from resnet_edu.plots.arrays import numbers
from resnet_edu.plots.looks import COLOURS, NETS, with_legend


def bars(ax: Axes, groups: Sequence[str], series: Mapping, *, ylabel: str, written: str = "{:.3g}") -> Axes:
    """Draw groups of bars that start at zero; where an entry has several seeds, their median and a whisker over them.

    Args:
        ax: the axes to draw on.
        groups: the names under the bars, for example depths.
        series: label -> (groups,) or (seeds, groups); the labels ``plain`` and ``residual`` keep their colours.
        ylabel: what the height is, with its unit.
        written: the format of the number above each bar.

    Raises:
        ValueError: an entry does not have one value for each group.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> ax = bars(plt.figure().add_subplot(), ["8", "20"], {"plain": [1, 2], "residual": [1, 1]}, ylabel="loss")
        >>> [bar.get_height().item() for bar in ax.patches]
        [1.0, 2.0, 1.0, 1.0]
        >>> plt.close(ax.figure)

    First used in the solutions of chapter 1.
    """
    width = 0.8 / max(len(series), 1)
    for number, (label, values) in enumerate(series.items()):
        seeds = np.atleast_2d(numbers(values))
        if seeds.ndim != 2 or not len(seeds) or seeds.shape[1] != len(groups):
            raise ValueError(
                f"{label!r} should have one value for each of {len(groups)} groups, but is {tuple(np.shape(values))}"
            )
        middle = np.median(seeds, axis=0)
        colour = list(COLOURS.values())[number % len(COLOURS)]
        look = NETS.get(label, {"color": colour, "hatch": ("", "...", "xxx", "+++")[number % 4]})
        drawn = ax.bar(
            np.arange(len(groups)) + (number - (len(series) - 1) / 2) * width,
            middle,
            width * 0.92,
            label=label,
            color=look["color"],
            hatch=look["hatch"],
            edgecolor="white",
            linewidth=0,
            yerr=[middle - seeds.min(axis=0), seeds.max(axis=0) - middle] if len(seeds) > 1 else None,
            capsize=3,
        )
        ax.bar_label(drawn, [written.format(value) for value in middle], padding=2, fontsize=8)
    ax.grid(visible=False, axis="x")
    ax.set_xticks(range(len(groups)), groups)
    ax.set(ylabel=ylabel)
    return with_legend(ax)


def heatmap(ax: Axes, matrix, *, label: str, written: str | None = None) -> Axes:
    """Draw a matrix as colours with a colour bar, row 0 on top: a receptive field, a confusion matrix.

    Args:
        ax: the axes to draw on.
        matrix: (rows, columns).
        label: what the colour means, with its unit.
        written: a format such as ``"{:.0f}"`` to write every value into its square.

    Raises:
        ValueError: not a matrix, or an empty one.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> ax = heatmap(plt.figure().add_subplot(), [[1, 2], [2, 4]], label="paths", written="{:.0f}")
        >>> [text.get_text() for text in ax.texts]
        ['1', '2', '2', '4']
        >>> plt.close(ax.figure)

    For figures of your own; no chapter calls it yet.
    """
    values = numbers(matrix)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"a heat map needs a matrix (rows, columns), but the shape is {values.shape}")
    drawn = ax.imshow(values, interpolation="nearest")
    ax.grid(visible=False)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    ax.figure.colorbar(drawn, ax=ax, label=label)
    if written is not None:
        size = min(9.0, 72 * 0.25 * ax.figure.get_figheight() / values.shape[0])
        for (row, column), value in np.ndenumerate(values):
            dark = drawn.norm(value) < 0.5
            text = written.format(value)
            ax.text(column, row, text, ha="center", va="center", fontsize=size, color="white" if dark else "black")
    return ax
