"""Lines: training curves, smoothed or not, and statistics of a network's layers."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resnet_edu.plots.arrays import numbers
from resnet_edu.plots.looks import MARKERS, with_legend


def smooth(losses, window: int) -> np.ndarray:
    """Return the moving average over the last ``window`` steps (fewer at the start), of the shape that came in.

    Args:
        losses: (..., steps).
        window: how many steps; 1 changes nothing.

    Raises:
        ValueError: the window is shorter than 1, or the losses have no steps.

    Example:
        >>> smooth([4, 2, 0, 3], window=2)
        array([4. , 3. , 1. , 1.5])

    First used in chapter 1.
    """
    if window < 1:
        raise ValueError(f"the window should be at least 1 step, but it is {window}")
    losses = numbers(losses)
    if not losses.size or not losses.ndim:
        raise ValueError(f"losses should be (..., steps) with at least one step, but are {losses.shape}")
    before = np.zeros((*losses.shape[:-1], window - 1))
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([before, losses], axis=-1), window, axis=-1)
    return windows.sum(axis=-1) / np.minimum(np.arange(1, losses.shape[-1] + 1), window)


def curves(
    ax: Axes,
    x: Sequence | None,
    series: Mapping,
    *,
    looks: Mapping | None = None,
    xlabel: str = "",
    ylabel: str = "",
    log: bool = False,
    direct: bool = False,
) -> Axes:
    """Draw one line for each entry; where an entry has several seeds, their median and a band from lowest to highest.

    Args:
        ax: the axes to draw on.
        x: (steps,), the same for all, or None for 1, 2, 3 ...; with None the entries may differ in length.
        series: label -> (steps,) or (seeds, steps).
        looks: label -> properties of the line, for example from :func:`look`; other lines follow the style's order.
        xlabel: what x is, with its unit.
        ylabel: what the values are, with their unit.
        log: a logarithmic y axis; every value must then be positive.
        direct: write each label at its line's end instead of in a legend; set the axis limits before.

    Raises:
        ValueError: lengths do not match, an entry is empty or has the wrong shape, or a logarithm does not exist.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> ax = curves(plt.figure().add_subplot(), [1, 2, 3], {"net": [[3, 2, 1], [5, 4, 3]]})
        >>> ax.lines[0].get_ydata()
        array([4., 3., 2.])
        >>> plt.close(ax.figure)

    First used in chapter 2.
    """
    drawn = []
    if log:
        ax.set_yscale("log")
    for number, (label, values) in enumerate(series.items(), start=len(ax.lines)):
        seeds = np.atleast_2d(numbers(values))
        steps = numbers(x) if x is not None else np.arange(1, seeds.shape[-1] + 1)
        if seeds.ndim != 2 or not seeds.size or steps.shape != seeds.shape[1:]:
            met = f"x has shape {steps.shape} and {label!r} {tuple(np.shape(values))}"
            raise ValueError(f"x should be (steps,) and each entry (steps,) or (seeds, steps), but {met}")
        if log and (seeds <= 0).any():
            raise ValueError(f"{label!r} holds {np.nanmin(seeds):g}, which has no place on a logarithmic axis")
        # a marker at most every sixteenth of a long line, shifted from line to line so that they do not hide each other
        every = max(1, len(steps) // 8)
        marks = {"marker": MARKERS[number % len(MARKERS)], "markevery": (number * every // 3 % every, every)}
        (line,) = ax.plot(steps, np.median(seeds, axis=0), label=label, **marks | dict((looks or {}).get(label, {})))
        drawn.append(line)
        if len(seeds) > 1:
            ax.fill_between(steps, seeds.min(axis=0), seeds.max(axis=0), color=line.get_color(), alpha=0.2, linewidth=0)
        if (steps == steps.round()).all() and isinstance(ax.xaxis.get_major_locator(), MaxNLocator):
            ax.xaxis.get_major_locator().set_params(integer=True)  # there is no iteration 2.5
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return _label_ends(ax, drawn) if direct else with_legend(ax)


def layers(ax: Axes, series: Mapping, *, ylabel: str, looks: Mapping | None = None, log: bool = True) -> Axes:
    """Draw a statistic of each layer, from the input (layer 1) to the output; networks may differ in depth.

    Args:
        ax: the axes to draw on.
        series: label -> (layers,) or (seeds, layers).
        ylabel: what the statistic is, with its unit.
        looks: as in :func:`curves`.
        log: a logarithmic y axis, the default, because gradients differ by powers of ten.

    Raises:
        ValueError: as in :func:`curves`.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> ax = layers(plt.figure().add_subplot(), {"net": [1e-3, 1e-2, 1]}, ylabel="gradient norm")
        >>> ax.get_yscale(), ax.lines[0].get_xdata()
        ('log', array([1, 2, 3]))
        >>> plt.close(ax.figure)

    First used in chapter 2.
    """
    return curves(ax, None, series, looks=looks, xlabel="layer", ylabel=ylabel, log=log)


def _label_ends(ax: Axes, lines: Sequence[Line2D]) -> Axes:
    """Write each of the lines' labels beside its last point, pushed up where two would overlap."""
    ax.autoscale_view()
    known = [(line, line.get_xydata()[np.isfinite(line.get_xydata()).all(axis=1)]) for line in lines]
    below = -np.inf
    for line, points in sorted((pair for pair in known if len(pair[1])), key=lambda pair: pair[1][-1, 1]):
        end = points[-1]
        height = ax.transData.transform(end)[1] * 72 / ax.figure.dpi
        below = max(height, below + 11)  # in points, a line of text apart
        ax.annotate(
            line.get_label(),
            end,
            xytext=(7, below - height),
            textcoords="offset points",
            va="center",
            color=[0.6 * part for part in to_rgb(line.get_color())],  # pale lines are seen, pale letters are not read
            annotation_clip=False,
        )
    return ax
