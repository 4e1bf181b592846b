"""One style and the book's kinds of picture. Nothing here knows what a network is: arrays come in, drawings come out.

No function shows its figure: a notebook's plot cell ends in ``plt.show()``.
"""

from resnet_edu.plots.charts import bars, heatmap
from resnet_edu.plots.images import feature_maps, show_images
from resnet_edu.plots.lines import curves, layers, smooth
from resnet_edu.plots.looks import COLOURS, LINES, MARKERS, NETS, look, style

__all__ = [
    "COLOURS",
    "LINES",
    "MARKERS",
    "NETS",
    "bars",
    "curves",
    "feature_maps",
    "heatmap",
    "layers",
    "look",
    "show_images",
    "smooth",
    "style",
]
