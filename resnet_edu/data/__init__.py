"""Images in, batches out: three small data sets, read, checked and standardised (from chapter 1 on).

``digits`` comes with scikit-learn and needs no download. ``fashion_mnist`` and ``cifar10`` are looked for in one
folder, which the environment variable ``RESNET_EDU_DATA`` names (otherwise the folder ``data`` in the current
directory): first as one ``.npz`` file, then as torchvision keeps them; in the end torchvision downloads them there.
"""

from resnet_edu.data.datasets import Dataset, averaged, load, with_three_channels
from resnet_edu.data.standard import channel_statistics, pixel_mean, standardise, standardised_splits

__all__ = [
    "Dataset",
    "averaged",
    "channel_statistics",
    "load",
    "pixel_mean",
    "standardise",
    "standardised_splits",
    "with_three_channels",
]
