"""Fashion-MNIST and CIFAR-10 from files: read, checked against what was published, or downloaded by torchvision."""

import errno
import gzip
import tempfile
import zipfile
import zlib
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets import CIFAR10, FashionMNIST
from torchvision.datasets.utils import check_integrity

from resnet_edu.downloads import download_into

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
ADVICE = "delete it, then put a sound copy in its place or let torchvision download the data"


class Published(NamedTuple):
    """What the authors of a data set published; every class has equally many images.

    The fingerprints are those of the training and the test set, see `fingerprint`.

    Example:
        >>> PUBLISHED["cifar10"].shape, PUBLISHED["cifar10"].train
        ((3, 32, 32), 50000)

    CIFAR-10 is that of chapters 8 and 9; exercise 8.1 counts with Fashion-MNIST.
    """

    source: type
    shape: tuple[int, int, int]
    train: int
    test: int
    classes: tuple[str, ...]
    fingerprints: tuple[int, int]


# The fingerprints were computed from copies in another order than the authors', after their statistics had been
# compared with those known of the originals. CIFAR-10: mean and deviation of each channel in the training set
# (0.49139968, 0.48215841, 0.44653091; 0.24703223, 0.24348513, 0.26158784) and mean in the test set (0.49421428,
# 0.48513139, 0.45040909). Fashion-MNIST: mean and deviation in the training set (0.2860405969887955,
# 0.35302424451492237).
PUBLISHED = {
    "fashion_mnist": Published(
        FashionMNIST, (1, 28, 28), 60_000, 10_000, tuple(FashionMNIST.classes), (1222333646, 3791171963)
    ),
    "cifar10": Published(
        CIFAR10,
        (3, 32, 32),
        50_000,
        10_000,
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        (781218725, 3407794143),
    ),
}


def read(name: str, folder: Path) -> list[Tensor]:
    """Return training images and labels, test images and labels: uint8 (N, C, H, W) and int64 (N,).

    Args:
        name: one of ``PUBLISHED``.
        folder: where they are looked for, as ``NAME.npz`` and then as torchvision keeps them, and downloaded to.

    Raises:
        ValueError: a file is truncated or is not what was published.
        FileNotFoundError: they are not in the folder and could not be downloaded.
        OSError: ``NAME.npz`` is there and cannot be read now, for want of permission, of memory or of a sound disk.

    Example:
        >>> from resnet_edu.downloads import data_folder
        >>> images, labels, *_ = read("cifar10", data_folder())  # doctest: +SKIP
        >>> images.shape, labels.dtype  # doctest: +SKIP
        (torch.Size([50000, 3, 32, 32]), torch.int64)

    Used by `load`, chapters 8 and 9.
    """
    archive = folder / f"{name}.npz"
    if not archive.exists():
        return _checked(name, folder, _read_torchvision(name, folder))
    tensors = _checked(name, archive, _read_npz(archive))
    for split, start, wanted in zip(("training", "test"), (0, 2), PUBLISHED[name].fingerprints, strict=True):
        # torchvision's files are compared with checksums of their own
        met = fingerprint(*tensors[start : start + 2])
        if met != wanted:
            raise ValueError(
                f"{name} in {archive} is not what was published: the {split} images or labels are others (their "
                f"fingerprint is {met}, not {wanted}): {ADVICE}"
            )
    return tensors


def fingerprint(images: Tensor, labels: Tensor) -> int:
    """Return a number for images with their labels, in any order: the CRC-32 of all pairs' sorted CRC-32s.

    Args:
        images: uint8 (N, C, H, W).
        labels: (N,) integers from 0.

    Example:
        >>> images, labels = torch.arange(8, dtype=torch.uint8).reshape(2, 1, 2, 2), torch.tensor([3, 5])
        >>> fingerprint(images, labels) == fingerprint(images.flip(0), labels.flip(0))
        True
        >>> fingerprint(images, labels) == fingerprint(images, labels.flip(0))
        False

    Used by `load`, chapters 8 and 9.
    """
    pairs = zip(images.contiguous().numpy(), labels.tolist(), strict=True)
    return zlib.crc32(np.sort(np.array([zlib.crc32(image, label) for image, label in pairs], dtype="<u4")))


def _read_npz(path: Path) -> list[np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            missing = [key for key in ARRAYS if f"{key}.npy" not in archive.namelist()]
            if not missing:
                # read() compares the checksum before numpy looks at a byte; np.load of the whole file looks first
                return [np.load(BytesIO(archive.read(f"{key}.npy")), allow_pickle=False) for key in ARRAYS]
    except Exception as error:  # a damaged zip file raises almost anything, from BadZipFile to NotImplementedError
        met = f"{type(error).__name__}: {error}"
        # zipfile seeks where a damaged directory points (EINVAL), bz2 meets an invalid stream (no number)
        if isinstance(error, MemoryError) or getattr(error, "errno", None) not in (None, errno.EINVAL):
            raise OSError(
                f"{path} cannot be read now ({met}): see whether it is a file that you may read, whether the disk "
                "answers and whether memory is free, then try again"
            ) from error
        raise ValueError(f"{path} cannot be read; it is truncated or damaged ({met}): {ADVICE}") from error
    raise ValueError(f"{path} lacks the arrays {', '.join(missing)}: {ADVICE}")


def _read_torchvision(name: str, folder: Path) -> list[np.ndarray]:
    """Read an earlier download, or else download; only whole and checked files ever arrive in the folder."""
    try:
        return _arrays(name, folder)
    except Exception:  # absent, or damaged in any of many ways
        pass  # torchvision keeps an unpacked file however damaged, so the download below goes to an empty folder
    try:
        with download_into(folder), tempfile.TemporaryDirectory(prefix="download-", dir=folder) as staging:
            arrays = _arrays(name, Path(staging), download=True)
            for file in [path for path in Path(staging).rglob("*") if path.is_file()]:
                kept = folder / file.relative_to(staging)
                kept.parent.mkdir(parents=True, exist_ok=True)
                file.replace(kept)
        return arrays
    except (OSError, RuntimeError, EOFError, HTTPException) as error:
        raise FileNotFoundError(
            f"{name} is not in {folder}: no {name}.npz, no sound torchvision download, and downloading failed "
            f"({type(error).__name__}: {error}). Either run this once with a network, and torchvision downloads it; or "
            f"put {name}.npz there, or name the folder that holds it in the environment variable RESNET_EDU_DATA."
        ) from error


def _arrays(name: str, root: Path, download: bool = False) -> list[np.ndarray]:
    """The four arrays as torchvision reads them from ``root``; an error when anything there is not as published."""
    source = PUBLISHED[name].source
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


def _checked(name: str, where: Path, arrays: list[np.ndarray]) -> list[Tensor]:
    """The arrays as tensors, labels as int64, if they have the shapes, types and labels that were published."""
    _, shape, train, test, classes, _ = PUBLISHED[name]

    def expect(sound: bool, what: str, wanted: str, met: str) -> None:
        if not sound:
            raise ValueError(f"{name} in {where} is not what was published: {what} should be {wanted}, but {met}")

    tensors = []
    for key, array, count in zip(ARRAYS, arrays, (train, train, test, test), strict=True):
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
    return tensors
