"""Fashion-MNIST and CIFAR-10 from files: read, checked against what was published, or downloaded by torchvision."""

import gzip
import socket
import tempfile
import zipfile
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets import CIFAR10, FashionMNIST
from torchvision.datasets.utils import check_integrity

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
PATIENCE = 15  # seconds without an answer before a download is given up


class Published(NamedTuple):
    """What the authors of a data set published; every class has equally many images."""

    source: type
    shape: tuple[int, int, int]
    train: int
    test: int
    classes: tuple[str, ...]


PUBLISHED = {
    "fashion_mnist": Published(FashionMNIST, (1, 28, 28), 60_000, 10_000, tuple(FashionMNIST.classes)),
    "cifar10": Published(
        CIFAR10,
        (3, 32, 32),
        50_000,
        10_000,
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
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
    """
    archive = folder / f"{name}.npz"
    if archive.exists():
        return _checked(name, archive, _read_npz(archive))
    return _checked(name, folder, _read_torchvision(name, folder))


def _read_npz(path: Path) -> list[np.ndarray]:
    advice = "delete it, then put a sound copy in its place or let torchvision download the data"
    try:
        with zipfile.ZipFile(path) as archive:
            missing = [key for key in ARRAYS if f"{key}.npy" not in archive.namelist()]
            if not missing:
                # read() compares the checksum before numpy looks at a byte; np.load of the whole file looks first
                return [np.load(BytesIO(archive.read(f"{key}.npy")), allow_pickle=False) for key in ARRAYS]
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
    before, absent = socket.getdefaulttimeout(), [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        socket.setdefaulttimeout(PATIENCE)  # torchvision passes none, and a silent firewall would hang the notebook
        with tempfile.TemporaryDirectory(prefix="download-", dir=folder) as staging:
            arrays = _arrays(name, Path(staging), download=True)
            for file in [path for path in Path(staging).rglob("*") if path.is_file()]:
                kept = folder / file.relative_to(staging)
                kept.parent.mkdir(parents=True, exist_ok=True)
                file.replace(kept)
        return arrays
    except (OSError, RuntimeError, EOFError, HTTPException) as error:
        for path in absent:  # the deepest first
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        raise FileNotFoundError(
            f"{name} is not in {folder}: no {name}.npz, no sound torchvision download, and downloading failed "
            f"({type(error).__name__}: {error}). Either run this once with a network, and torchvision downloads it; or "
            f"put {name}.npz there, or name the folder that holds it in the environment variable RESNET_EDU_DATA."
        ) from error
    finally:
        socket.setdefaulttimeout(before)


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
    _, shape, train, test, classes = PUBLISHED[name]

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
