"""The one style of the book's figures, and how plain and residual networks look in all of them."""

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb

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

    First used in chapter 1.
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

    The kind sets colour and line style. Among several networks of one kind, the deepest has the darkest shade, and each
    has its own marker. With the same ``of`` for both kinds a marker means a depth.

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

    First used in chapter 2.
    """
    if kind not in NETS:
        raise ValueError(f"a network is one of {', '.join(NETS)}, not {kind!r}")
    if not 0 <= rank < of <= len(MARKERS):
        raise ValueError(f"rank should lie from 0 to of - 1 and of be at most {len(MARKERS)}: met {rank} of {of}")
    full = to_rgb(NETS[kind]["color"])
    depth = rank / max(of - 1, 1)
    white, black = (0.15 * (1 - depth), 0.35 * depth) if of > 1 else (0, 0)  # more white would be hard to see on white
    colour = to_hex([(white + (1 - white) * part) * (1 - black) for part in full])
    return {"color": colour, "linestyle": NETS[kind]["linestyle"], "marker": MARKERS[rank]}


def with_legend(ax: Axes) -> Axes:
    """Return the axes, with a legend if they have more than one entry for it."""
    if len(ax.get_legend_handles_labels()[0]) > 1:
        ax.legend(handlelength=3)
    return ax
