"""Images in, batches out: three small data sets, read, checked and standardised (from chapter 1 on).

``digits`` comes with scikit-learn and needs no download. ``fashion_mnist`` and ``cifar10`` are looked for in one
folder, which the environment variable ``RESNET_EDU_DATA`` names (otherwise the folder ``data`` in the current
directory): first as one ``.npz`` file, then as torchvision keeps them; in the end torchvision downloads them there.
"""

import gzip
import os
import socket
import tempfile
import zipfile
from dataclasses import dataclass, replace
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn import functional as F
from torchvision.datasets import CIFAR10, FashionMNIST
from torchvision.datasets.utils import check_integrity

_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
_PATIENCE = 15  # seconds without an answer before a download is given up


class _Published(NamedTuple):
    """What the authors of a data set published; every class has equally many images."""

    source: type
    shape: tuple[int, int, int]
    train: int
    test: int
    classes: tuple[str, ...]


_PUBLISHED = {
    "fashion_mnist": _Published(FashionMNIST, (1, 28, 28), 60_000, 10_000, tuple(FashionMNIST.classes)),
    "cifar10": _Published(
        CIFAR10,
        (3, 32, 32),
        50_000,
        10_000,
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
}


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images and labels of a training and a test set, whole in memory.

    Images are uint8 of shape (N, C, H, W) with values 0 to 255; labels are int64 of shape (N,) and index ``classes``.
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
    if name not in _PUBLISHED:
        raise ValueError(f"no data set is called {name!r}; there are: digits, {', '.join(_PUBLISHED)}")
    folder = Path(folder or os.environ.get("RESNET_EDU_DATA") or "data").expanduser().absolute()
    archive = folder / f"{name}.npz"
    if archive.exists():
        return _checked(name, archive, _read_npz(archive))
    return _checked(name, folder, _read_torchvision(name, folder))


def standardised_splits(dataset: Dataset) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return training images and labels, test images and labels, the images standardised channel by channel.

    Both sets are standardised with the TRAINING set's statistics: the test images must not influence anything that
    is fitted, and a network must see both through the same lens.

    Returns:
        float32 (N, C, H, W), int64 (N,), float32 (M, C, H, W), int64 (M,).

    Example:
        >>> train_x, train_y, test_x, test_y = standardised_splits(load("digits"))
        >>> train_x.shape, test_y.shape
        (torch.Size([1437, 1, 8, 8]), torch.Size([360]))
        >>> abs(train_x.mean().item()) < 1e-5, abs(train_x.std().item() - 1) < 1e-4
        (True, True)

    First used in chapter 1.
    """
    mean, std = channel_statistics(dataset.train_images)
    train_x = standardise(dataset.train_images, mean, std)
    return train_x, dataset.train_labels, standardise(dataset.test_images, mean, std), dataset.test_labels


def averaged(dataset: Dataset, size: int) -> Dataset:
    """Return the data set with its images averaged down to ``size`` x ``size`` pixels.

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

    Example:
        >>> with_three_channels(load("digits")).train_images.shape
        torch.Size([1437, 3, 8, 8])
    """
    if dataset.train_images.shape[1] == 3:
        return dataset
    train, test = (images.repeat(1, 3, 1, 1) for images in (dataset.train_images, dataset.test_images))
    return replace(dataset, train_images=train, test_images=test)


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel over all images and pixels, on the scale where 255 is 1.

    The deviation is that of the whole population (divided by the number of values, not by one less).

    Args:
        images: uint8 (N, C, H, W), N at least 1.

    Returns:
        float64 (C,) and float64 (C,).

    Raises:
        ValueError: the images are not uint8 of four dimensions.

    Example:
        >>> images = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2)
        >>> channel_statistics(images)
        (tensor([0.5000], dtype=torch.float64), tensor([0.5000], dtype=torch.float64))

    First used in chapter 1.
    """
    _expect_images(images)
    # 256 counts a channel say it all: exact, and no float copy of 150 million pixels
    counts = torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in images.unbind(dim=1)])
    share = counts.double() / counts.sum(dim=1, keepdim=True)
    values = torch.arange(256, dtype=torch.float64, device=images.device) / 255
    mean = share @ values
    return mean, (share * (values - mean[:, None]) ** 2).sum(dim=1).sqrt()


def pixel_mean(images: Tensor) -> Tensor:
    """Return the mean image, on the scale where 255 is 1: what the paper subtracts on CIFAR-10.

    Args:
        images: uint8 (N, C, H, W), N at least 1.

    Returns:
        float64 (C, H, W).

    Raises:
        ValueError: the images are not uint8 of four dimensions.

    Example:
        >>> images = torch.tensor([[0, 255], [255, 255]], dtype=torch.uint8).reshape(2, 1, 1, 2)
        >>> pixel_mean(images)
        tensor([[[0.5000, 1.0000]]], dtype=torch.float64)

    He et al. 2015, section 4.2. Used in chapters 8 and 9.
    """
    _expect_images(images)
    # part by part, because torch widens its whole input to int64 before it adds
    return sum(part.sum(dim=0) for part in images.split(2000)).double() / len(images) / 255


def standardise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return ``(images / 255 - mean) / std`` as float32, on the images' device; the images stay as they are.

    Args:
        images: uint8 (N, C, H, W).
        mean: (C,) for a mean of each channel, or (C, H, W) for one of each pixel, on the scale where 255 is 1.
        std: (C,) or (C, H, W), on the same scale, positive; ``torch.ones(C)`` to subtract the mean only.

    Returns:
        float32 (N, C, H, W).

    Raises:
        ValueError: the images are not uint8 of four dimensions, the shapes do not belong together, or std holds a zero.

    Example:
        >>> images = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2)
        >>> standardise(images, *channel_statistics(images))
        tensor([[[[-1.,  1.]]]])

    First used in chapter 1.
    """
    _expect_images(images)
    shape = tuple(images.shape[1:])
    for what, values in (("mean", mean), ("std", std)):
        if tuple(values.shape) not in (shape[:1], shape):
            raise ValueError(f"{what} should have shape {shape[:1]} or {shape}, but it has {tuple(values.shape)}")
    if not (std > 0).all():
        raise ValueError("std should be positive everywhere: a value that never varies cannot be scaled to 1")
    mean, std = (
        (values * 255).to(images.device, torch.float32).reshape(*values.shape, *[1] * (3 - values.dim()))
        for values in (mean, std)
    )
    return images.float().sub_(mean).div_(std)  # in place: one float copy of the images, not three


def _expect_images(images: Tensor) -> None:
    if images.dtype != torch.uint8 or images.dim() != 4 or not len(images):
        met = f"{images.dtype} of {tuple(images.shape)}"
        raise ValueError(f"images should be torch.uint8 of shape (N, C, H, W), N at least 1, but they are {met}")


def _digits() -> Dataset:
    digits = load_digits()
    images = torch.from_numpy((digits.images * 255 / 16 + 0.5).astype(np.uint8)[:, None])
    labels = torch.from_numpy(digits.target.astype(np.int64))
    split = train_test_split(np.arange(len(labels)), test_size=360, stratify=digits.target, random_state=0)
    train, test = (torch.from_numpy(part) for part in split)
    return Dataset("digits", images[train], labels[train], images[test], labels[test], tuple("0123456789"))


def _read_npz(path: Path) -> list[np.ndarray]:
    advice = "delete it, then put a sound copy in its place or let torchvision download the data"
    try:
        with zipfile.ZipFile(path) as archive:
            missing = [key for key in _ARRAYS if f"{key}.npy" not in archive.namelist()]
            if not missing:
                # read() compares the checksum before numpy looks at a byte; np.load of the whole file looks first
                return [np.load(BytesIO(archive.read(f"{key}.npy")), allow_pickle=False) for key in _ARRAYS]
    except Exception as error:  # a damaged zip file raises almost anything, from BadZipFile to NotImplementedError
        met = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path} cannot be read; it is truncated or damaged ({met}): {advice}") from error
    raise ValueError(f"{path} lacks the arrays {', '.join(missing)}: {advice}")


def _read_torchvision(name: str, folder: Path) -> list[np.ndarray]:
    """Read an earlier download, or else download; only whole and checked files ever arrive in the folder."""
    try:
        return _arrays(name, folder)
    except Exception:  # absent, or damaged in any of many ways
        pass  # torchvision keeps an unpacked file however damaged, so the download below goes to an empty folder
    before, is_new = socket.getdefaulttimeout(), not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        socket.setdefaulttimeout(_PATIENCE)  # torchvision passes none, and a silent firewall would hang the notebook
        with tempfile.TemporaryDirectory(prefix="download-", dir=folder) as staging:
            arrays = _arrays(name, Path(staging), download=True)
            for file in [path for path in Path(staging).rglob("*") if path.is_file()]:
                kept = folder / file.relative_to(staging)
                kept.parent.mkdir(parents=True, exist_ok=True)
                file.replace(kept)
        return arrays
    except (OSError, RuntimeError, EOFError, HTTPException) as error:
        if is_new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise FileNotFoundError(
            f"{name} is not in {folder}: no {name}.npz, no sound torchvision download, and downloading failed "
            f"({type(error).__name__}: {error}). Either run this once with a network, and torchvision downloads it; or "
            f"put {name}.npz there, or name the folder that holds it in the environment variable RESNET_EDU_DATA."
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _arrays(name: str, root: Path, download: bool = False) -> list[np.ndarray]:
    """The four arrays as torchvision reads them from ``root``; an error when anything there is not as published."""
    source = _PUBLISHED[name].source
    found = []
    for split in (True, False):
        part = source(root, train=split, download=download)
        images = np.asarray(part.data)
        images = images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        found += [images, np.asarray(part.targets)]
    for packed, md5 in getattr(source, "resources", ()):
        # torchvision checks these when it downloads, but reads the unpacked file beside them unchecked
        file = root / source.__name__ / "raw" / packed
        if not check_integrity(file, md5) or gzip.decompress(file.read_bytes()) != file.with_suffix("").read_bytes():
            raise RuntimeError(f"{file} or its unpacked copy is damaged")
    return found


def _checked(name: str, where: Path, arrays: list[np.ndarray]) -> Dataset:
    """The data set, if the arrays have the shapes, types and labels that were published."""
    _, shape, train, test, classes = _PUBLISHED[name]

    def expect(sound: bool, what: str, wanted: str, met: str) -> None:
        if not sound:
            raise ValueError(f"{name} in {where} is not what was published: {what} should be {wanted}, but {met}")

    tensors = []
    for key, array, count in zip(_ARRAYS, arrays, (train, train, test, test), strict=True):
        met = f"it is {array.dtype} of {array.shape}"
        if key.endswith("images"):
            expect(array.dtype == np.uint8 and array.shape == (count, *shape), key, f"uint8 of {(count, *shape)}", met)
            tensors.append(torch.from_numpy(np.ascontiguousarray(array)))
            continue
        expect(array.dtype.kind in "iu" and array.shape == (count,), key, f"integers of {(count,)}", met)
        low, high = array.min(), array.max()
        expect(low >= 0 and high < len(classes), key, f"0 to {len(classes) - 1}", f"they reach from {low} to {high}")
        labels = array.astype(np.int64)
        counts = np.bincount(labels, minlength=len(classes)).tolist()
        expect(len(set(counts)) == 1, key, f"{count // len(classes)} of each class", f"they are {counts}")
        tensors.append(torch.from_numpy(labels))
    return Dataset(name, *tensors, classes)
