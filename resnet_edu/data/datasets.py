"""A data set whole in memory: loaded by its name, averaged down, or given three channels."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn import functional as F

from resnet_edu.data.published import PUBLISHED, read
from resnet_edu.downloads import data_folder


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images and labels of a training and a test set, whole in memory.

    Images are uint8 of shape (N, C, H, W) with values 0 to 255; labels are int64 of shape (N,) and index ``classes``.

    Args:
        name: as a title has it.
        train_images, train_labels: the images to learn from.
        test_images, test_labels: the images to be judged by.
        classes: their names, by label.

    Example:
        >>> images, labels = torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, 1])
        >>> Dataset("shirts", images, labels, images[:1], labels[:1], ("shirt", "no shirt"))
        Dataset('shirts': 2 training and 1 test images of (1, 4, 4), 2 classes)

    First met in chapter 1, as what `load` returns.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]

    def __repr__(self) -> str:
        train, *shape = self.train_images.shape
        counts = f"{train} training and {len(self.test_images)} test images of {tuple(shape)}"
        return f"Dataset({self.name!r}: {counts}, {len(self.classes)} classes)"


def load(name: str, folder: str | Path | None = None) -> Dataset:
    """Read a data set by its name: ``"digits"``, ``"fashion_mnist"`` or ``"cifar10"``.

    The digits are scikit-learn's 1797, their values 0..16 scaled to 0..255, in one fixed split with the same share of
    every class on both sides. The other two keep the split of their authors.

    Args:
        name: which data set.
        folder: where ``fashion_mnist`` and ``cifar10`` are looked for and kept, in place of ``RESNET_EDU_DATA``.

    Raises:
        ValueError: no data set has this name, or a file is truncated or is not what was published.
        FileNotFoundError: the data set is not in the folder and could not be downloaded.
        OSError: its file cannot be read now, for want of permission, of memory or of a sound disk.

    Example:
        >>> digits = load("digits")
        >>> digits
        Dataset('digits': 1437 training and 360 test images of (1, 8, 8), 10 classes)
        >>> digits.train_images.dtype, digits.train_labels.dtype
        (torch.uint8, torch.int64)

    CIFAR-10 is the data of He et al. 2015, section 4.2. First used in chapter 1.
    """
    if name == "digits":
        return _digits()
    if name not in PUBLISHED:
        raise ValueError(f"no data set is called {name!r}; there are: digits, {', '.join(PUBLISHED)}")
    return Dataset(name, *read(name, data_folder(folder)), PUBLISHED[name].classes)


def averaged(dataset: Dataset, size: int) -> Dataset:
    """Return the data set with its images averaged down to ``size`` x ``size`` pixels, rounded to whole values.

    Args:
        dataset: of square images; it stays as it was.
        size: side of the new images; it divides the side of the old ones.

    Raises:
        ValueError: the size is not a part of the images' side.

    Example:
        >>> averaged(load("digits"), 4)
        Dataset('digits averaged to 4x4': 1437 training and 360 test images of (1, 4, 4), 10 classes)

    Used in chapters 2 and 9, where the full size takes too long.
    """
    side = dataset.train_images.shape[-1]
    if size < 1 or side % size:
        raise ValueError(f"images of {side}x{side} cannot be averaged to {size}x{size}: {size} should divide {side}")
    train, test = (
        torch.cat([F.avg_pool2d(part.float(), side // size).round().byte() for part in images.split(2000)])
        for images in (dataset.train_images, dataset.test_images)
    )
    name = dataset.name if size == side else f"{dataset.name} averaged to {size}x{size}"
    return replace(dataset, name=name, train_images=train, test_images=test)


def with_three_channels(dataset: Dataset) -> Dataset:
    """Return the data set with grey images repeated over three channels, for networks that take colour.

    Args:
        dataset: of images with one channel, or with three, which come back as they are.

    Raises:
        ValueError: the images have another number of channels.

    Example:
        >>> with_three_channels(load("digits")).train_images.shape
        torch.Size([1437, 3, 8, 8])

    Used by ``python -m resnet_edu.train`` where it trains a network of the ImageNet kind; no chapter does.
    """
    channels = dataset.train_images.shape[1]
    if channels == 3:
        return dataset
    if channels != 1:
        raise ValueError(f"only grey images, of 1 channel, can be repeated over three: these have {channels}")
    train, test = (images.repeat(1, 3, 1, 1) for images in (dataset.train_images, dataset.test_images))
    return replace(dataset, train_images=train, test_images=test)


def _digits() -> Dataset:
    digits = load_digits()
    images = torch.from_numpy((digits.images * 255 / 16 + 0.5).astype(np.uint8)[:, None])
    labels = torch.from_numpy(digits.target.astype(np.int64))
    split = train_test_split(np.arange(len(labels)), test_size=360, stratify=digits.target, random_state=0)
    train, test = (torch.from_numpy(part) for part in split)
    return Dataset("digits", images[train], labels[train], images[test], labels[test], tuple("0123456789"))
