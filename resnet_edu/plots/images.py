"""Grids of pictures: images as they are, and the feature maps of one image."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_edu.plots.arrays import numbers, plain


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
        ValueError: another shape, another number of titles, no column, empty limits, or floats outside 0..1 without
            limits.

    Example:
        >>> figure = show_images(np.zeros((3, 1, 8, 8), dtype=np.uint8), titles=["a", "b", "c"])
        >>> len(figure.axes)
        3
        >>> plt.close(figure)

    First used in chapter 1.
    """
    pixels = plain(images)
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
        ValueError: another shape, no column, or no value is finite. Among others, what is not finite stays white.

    Example:
        >>> figure = feature_maps(np.zeros((16, 4, 4)))
        >>> len(figure.axes)  # 16 maps and the colour bar
        17
        >>> plt.close(figure)

    For figures of your own; no chapter calls it yet.
    """
    values = numbers(maps)
    values = values[0] if values.ndim == 4 and len(values) == 1 else values
    if values.ndim != 3 or not values.size:
        raise ValueError(
            f"maps should be one image's, (C, H, W) or (1, C, H, W), but have shape {tuple(np.shape(maps))}"
        )
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("none of the maps' values is finite: there is no scale to draw them on")
    values = np.ma.masked_invalid(values)  # an infinity would be drawn as if it were the highest value
    figure, places = _grid(len(values), columns, values.shape[1] / values.shape[2], titled=True, beside=0.8)
    for channel, place in enumerate(places):
        drawn = place.imshow(values[channel], vmin=finite.min(), vmax=finite.max(), interpolation="nearest")
        place.set_title(channel, fontsize=8, fontweight="normal", pad=3)
    figure.colorbar(drawn, ax=places, label=label, fraction=0.03, aspect=30)
    return figure


def _grid(count: int, columns: int, aspect: float, *, titled: bool, beside: float = 0.0) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` bare places of the given height over width, and ``beside`` inches to their right."""
    if columns < 1:
        raise ValueError(f"columns should be at least 1, but is {columns}")
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
