"""One style and the book's kinds of picture. Nothing here knows what a network is: arrays come in, drawings come out.

No function shows its figure: a notebook's plot cell ends in ``plt.show()``.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

# Okabe and Ito's colours for every kind of colour vision. Residual's blue and plain's vermillion come late, so that
# other lines do not meet them by chance; yellow, faint on white, is the last.
COLOURS = {
    "black": "#000000",
    "orange": "#E69F00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "yellow": "#F0E442",
}
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
NETS = {
    "plain": {"color": COLOURS["vermillion"], "linestyle": "--", "hatch": "///"},
    "residual": {"color": COLOURS["blue"], "linestyle": "-", "hatch": ""},
}


def style() -> None:
    """Set the book's figure style in matplotlib's ``rcParams``; call it once, where the notebook imports.

    White, 7 inches wide (one column of text), Okabe and Ito's colours with a line style for each. The site's dark mode
    inverts figures, so a figure needs no second version.

    Example:
        >>> style()
        >>> plt.rcParams["figure.figsize"]
        [7.0, 3.2]
    """
    plt.rcParams.update(
        {
            "axes.prop_cycle": cycler(color=list(COLOURS.values())) + cycler(linestyle=LINES),
            "axes.axisbelow": True,
            "axes.edgecolor": "#444444",
            "axes.grid": True,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": 10,
            "axes.titleweight": "bold",
            "figure.constrained_layout.use": True,
            "figure.dpi": 150,
            "figure.facecolor": "white",
            "figure.figsize": (7.0, 3.2),
            "font.size": 9.5,
            "grid.color": "#DDDDDD",
            "grid.linewidth": 0.6,
            "image.cmap": "viridis",
            "image.interpolation": "nearest",
            "legend.fontsize": 9,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "lines.markersize": 4.5,
            "savefig.dpi": 150,
            "xtick.color": "#444444",
            "ytick.color": "#444444",
            "xtick.labelcolor": "black",
            "ytick.labelcolor": "black",
        }
    )


def look(kind: str, rank: int = 0, of: int = 1) -> dict:
    """Return how a plain or a residual network's line is drawn throughout the book.

    The kind sets colour and line style. Among several networks of one kind, the deepest has the full colour, shallower
    ones are paler, and each has its own marker. With the same ``of`` for both kinds a marker means a depth.

    Args:
        kind: ``"plain"`` or ``"residual"``.
        rank: 0 for the shallowest network in the figure.
        of: how many networks of this kind the figure has.

    Raises:
        ValueError: another kind, or a rank that is not below ``of``.

    Example:
        >>> look("plain")
        {'color': '#d55e00', 'linestyle': '--', 'marker': 'o'}
        >>> look("residual", 0, of=3)["marker"], look("residual", 2, of=3)["marker"]
        ('o', '^')
    """
    if kind not in NETS:
        raise ValueError(f"a network is one of {', '.join(NETS)}, not {kind!r}")
    if not 0 <= rank < of <= len(MARKERS):
        raise ValueError(f"rank should lie from 0 to of - 1 and of be at most {len(MARKERS)}: met {rank} of {of}")
    pale = 0.55 * (of - 1 - rank) / max(of - 1, 1)
    colour = to_hex([pale + (1 - pale) * part for part in to_rgb(NETS[kind]["color"])])
    return {"color": colour, "linestyle": NETS[kind]["linestyle"], "marker": MARKERS[rank]}


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
    """
    if window < 1:
        raise ValueError(f"the window should be at least 1 step, but it is {window}")
    losses = _numbers(losses)
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
        x: (steps,), the same for all, or None for 1, 2, 3 ...; with None the entries may differ in length.
        series: label -> (steps,) or (seeds, steps).
        looks: label -> properties of the line, for example from :func:`look`; other lines follow the style's order.
        log: a logarithmic y axis; every value must then be positive.
        direct: write each label at its line's end instead of in a legend; set the axis limits before.

    Raises:
        ValueError: lengths do not match, an entry is empty or has the wrong shape, or a logarithm does not exist.

    Example:
        >>> ax = curves(plt.figure().add_subplot(), [1, 2, 3], {"net": [[3, 2, 1], [5, 4, 3]]})
        >>> ax.lines[0].get_ydata()
        array([4., 3., 2.])
        >>> plt.close(ax.figure)
    """
    if log:
        ax.set_yscale("log")
    for number, (label, values) in enumerate(series.items(), start=len(ax.lines)):
        seeds = np.atleast_2d(_numbers(values))
        steps = _numbers(x) if x is not None else np.arange(1, seeds.shape[-1] + 1)
        if seeds.ndim != 2 or not seeds.size or steps.shape != seeds.shape[1:]:
            met = f"x has shape {steps.shape} and {label!r} {tuple(np.shape(values))}"
            raise ValueError(f"x should be (steps,) and each entry (steps,) or (seeds, steps), but {met}")
        if log and (seeds <= 0).any():
            raise ValueError(f"{label!r} holds {np.nanmin(seeds):g}, which has no place on a logarithmic axis")
        # a marker at most every sixteenth of a long line, shifted from line to line so that they do not hide each other
        every = max(1, len(steps) // 8)
        marks = {"marker": MARKERS[number % len(MARKERS)], "markevery": (number * every // 3 % every, every)}
        (line,) = ax.plot(steps, np.median(seeds, axis=0), label=label, **marks | dict((looks or {}).get(label, {})))
        if len(seeds) > 1:
            ax.fill_between(steps, seeds.min(axis=0), seeds.max(axis=0), color=line.get_color(), alpha=0.2, linewidth=0)
        if (steps == steps.round()).all() and isinstance(ax.xaxis.get_major_locator(), MaxNLocator):
            ax.xaxis.get_major_locator().set_params(integer=True)  # there is no iteration 2.5
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return _label_ends(ax) if direct else _with_legend(ax)


def layers(ax: Axes, series: Mapping, *, ylabel: str, looks: Mapping | None = None, log: bool = True) -> Axes:
    """Draw a statistic of each layer, from the input (layer 1) to the output; networks may differ in depth.

    Args:
        series: label -> (layers,) or (seeds, layers).
        ylabel: what the statistic is, with its unit.
        looks: as in :func:`curves`.
        log: a logarithmic y axis, the default, because gradients differ by powers of ten.

    Raises:
        ValueError: as in :func:`curves`.

    Example:
        >>> ax = layers(plt.figure().add_subplot(), {"net": [1e-3, 1e-2, 1]}, ylabel="gradient norm")
        >>> ax.get_yscale(), ax.lines[0].get_xdata()
        ('log', array([1, 2, 3]))
        >>> plt.close(ax.figure)
    """
    return curves(ax, None, series, looks=looks, xlabel="layer", ylabel=ylabel, log=log)


def bars(ax: Axes, groups: Sequence[str], series: Mapping, *, ylabel: str, written: str = "{:.3g}") -> Axes:
    """Draw groups of bars that start at zero; where an entry has several seeds, their median and a whisker over them.

    Args:
        groups: the names under the bars, for example depths.
        series: label -> (groups,) or (seeds, groups); the labels ``plain`` and ``residual`` keep their colours.
        ylabel: what the height is, with its unit.
        written: the format of the number above each bar.

    Raises:
        ValueError: an entry does not have one value for each group.

    Example:
        >>> ax = bars(plt.figure().add_subplot(), ["8", "20"], {"plain": [1, 2], "residual": [1, 1]}, ylabel="loss")
        >>> [bar.get_height().item() for bar in ax.patches]
        [1.0, 2.0, 1.0, 1.0]
        >>> plt.close(ax.figure)
    """
    width = 0.8 / max(len(series), 1)
    for number, (label, values) in enumerate(series.items()):
        seeds = np.atleast_2d(_numbers(values))
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
    return _with_legend(ax)


def show_images(
    images,
    titles: Sequence | None = None,
    *,
    columns: int = 8,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Show images in a grid, every pixel a sharp square, all on one scale.

    Args:
        images: (N, C, H, W) or (C, H, W), C being 1 (grey) or 3 (red, green, blue); uint8, or floats from 0 to 1.
        titles: (N,), one above each image.
        columns: how many images stand side by side.
        limits: the values drawn black and white, for other floats; what lies beyond them is cut off.

    Raises:
        ValueError: another shape, another number of titles, empty limits, or floats outside 0..1 without limits.

    Example:
        >>> figure = show_images(np.zeros((3, 1, 8, 8), dtype=np.uint8), titles=["a", "b", "c"])
        >>> len(figure.axes)
        3
        >>> plt.close(figure)
    """
    pixels = _plain(images)
    pixels = pixels[None] if pixels.ndim == 3 else pixels
    if pixels.ndim != 4 or not pixels.size or pixels.shape[1] not in (1, 3):
        raise ValueError(
            f"images should be (N, C, H, W) or (C, H, W) with 1 or 3 channels, but are {tuple(np.shape(images))}"
        )
    if titles is not None and len(titles) != len(pixels):
        raise ValueError(f"there are {len(pixels)} images, but {len(titles)} titles")
    low, high = map(float, limits or ((0, 255) if pixels.dtype == np.uint8 else (0, 1)))
    if not low < high:
        raise ValueError(f"limits should be (low, high) with low below high, but are ({low:g}, {high:g})")
    if limits is None and not ((pixels >= low) & (pixels <= high)).all():
        reach = f"from {pixels.min():.3g} to {pixels.max():.3g}"
        raise ValueError(f"floats should lie from 0 to 1, but reach {reach}: pass limits=(low, high) to choose a scale")
    shades = ((pixels.astype(float) - low) / (high - low)).clip(0, 1)
    figure, places = _grid(len(pixels), columns, pixels.shape[2] / pixels.shape[3], titled=titles is not None)
    for number, place in enumerate(places):
        place.imshow(shades[number].transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        if titles is not None:
            place.set_title(str(titles[number]), fontsize=8, fontweight="normal", pad=3)
    return figure


def feature_maps(maps, *, columns: int = 8, label: str = "activation") -> Figure:
    """Show each channel of one image's feature maps, all on one colour scale.

    Args:
        maps: (C, H, W) or (1, C, H, W).
        columns: how many maps stand side by side.
        label: what the colour means, with its unit.

    Raises:
        ValueError: another shape.

    Example:
        >>> figure = feature_maps(np.zeros((16, 4, 4)))
        >>> len(figure.axes)  # 16 maps and the colour bar
        17
        >>> plt.close(figure)
    """
    values = _numbers(maps)
    values = values[0] if values.ndim == 4 and len(values) == 1 else values
    if values.ndim != 3 or not values.size:
        raise ValueError(
            f"maps should be one image's, (C, H, W) or (1, C, H, W), but have shape {tuple(np.shape(maps))}"
        )
    figure, places = _grid(len(values), columns, values.shape[1] / values.shape[2], titled=True, beside=0.8)
    for channel, place in enumerate(places):
        drawn = place.imshow(values[channel], vmin=values.min(), vmax=values.max(), interpolation="nearest")
        place.set_title(channel, fontsize=8, fontweight="normal", pad=3)
    figure.colorbar(drawn, ax=places, label=label, fraction=0.03, aspect=30)
    return figure


def heatmap(ax: Axes, matrix, *, label: str, written: str | None = None) -> Axes:
    """Draw a matrix as colours with a colour bar, row 0 on top: a receptive field, a confusion matrix.

    Args:
        matrix: (rows, columns).
        label: what the colour means, with its unit.
        written: a format such as ``"{:.0f}"`` to write every value into its square.

    Raises:
        ValueError: not a matrix, or an empty one.

    Example:
        >>> ax = heatmap(plt.figure().add_subplot(), [[1, 2], [2, 4]], label="paths", written="{:.0f}")
        >>> [text.get_text() for text in ax.texts]
        ['1', '2', '2', '4']
        >>> plt.close(ax.figure)
    """
    values = _numbers(matrix)
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


def _plain(values) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _numbers(values) -> np.ndarray:
    return (values.detach().cpu().double().numpy() if isinstance(values, Tensor) else np.asarray(values)).astype(float)


def _with_legend(ax: Axes) -> Axes:
    if len(ax.get_legend_handles_labels()[0]) > 1:
        ax.legend(handlelength=3)
    return ax


def _label_ends(ax: Axes) -> Axes:
    """Write each line's label beside its last point, pushed up where two would overlap."""
    ax.autoscale_view()
    known = [(line, line.get_xydata()[np.isfinite(line.get_xydata()).all(axis=1)]) for line in ax.lines]
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


def _grid(count: int, columns: int, aspect: float, *, titled: bool, beside: float = 0.0) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` bare places of the given height over width, and ``beside`` inches to their right."""
    columns = min(columns, count)
    rows = -(-count // columns)
    side = min((7.0 - beside) / columns, 1.4)
    size = (side * columns + beside, rows * (side * aspect + 0.16 * titled))
    figure, places = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    for place in places.flat:
        place.axis("off")
    for unused in places.flat[count:]:
        unused.remove()
    return figure, list(places.flat[:count])
