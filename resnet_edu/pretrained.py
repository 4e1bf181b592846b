"""Published weights as a state dict: from a folder where there is one, else downloaded (chapter 7).

A weights file from the internet is somebody else's file: it is compared with its published checksum, and read with
``weights_only=True``, so that it can hold tensors and nothing that runs.
"""

import hashlib
import re
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor

from resnet_edu.downloads import data_folder, download_into


def load_weights(url: str, folder: str | Path | None = None) -> dict[str, Tensor]:
    """Return the state dict that is published at an address such as torchvision's ``weights.url``.

    The file is looked for by its name, in the folder and in torch's own cache, and the first sound one is read. Where
    there is none at all it is downloaded into the folder.

    Args:
        url: ends in ``NAME-HASH.pth``, HASH being the first hexadecimal digits of the file's SHA-256.
        folder: in place of the one that ``RESNET_EDU_DATA`` names (otherwise ``data`` in the current directory).

    Raises:
        FileNotFoundError: the file is in neither place and could not be downloaded.
        ValueError: the address does not end in such a name, or no file that is there is the one that was published.

    Example:
        >>> load_weights("https://example.org/weights.bin")
        Traceback (most recent call last):
        ValueError: the address should end in NAME-HASH.pth, got https://example.org/weights.bin

    Used in chapter 7.
    """
    name = url.rsplit("/", maxsplit=1)[-1]
    published = re.fullmatch(r".+-([0-9a-f]{8,})\.pth", name)
    if published is None:
        raise ValueError(f"the address should end in NAME-HASH.pth, got {url}")
    places = [data_folder(folder) / name, Path(torch.hub.get_dir()) / "checkpoints" / name]
    damaged = []
    for path in places:
        if path.is_file():
            met = _sha256(path)
            if met.startswith(published[1]):
                return _read(path)
            damaged.append(f"{path} is damaged: its SHA-256 begins with {met[:8]}, not {published[1]}. Delete it.")
    if damaged:
        raise ValueError(" ".join(damaged))
    try:
        with download_into(places[0].parent):
            torch.hub.download_url_to_file(url, str(places[0]), hash_prefix=published[1], progress=False)
    except (OSError, RuntimeError, HTTPException) as error:
        absent = FileNotFoundError(
            f"{name} is not at hand and could not be downloaded ({type(error).__name__}). Run this once with a "
            "network, or put the file into the folder that the environment variable RESNET_EDU_DATA names."
        )
        # a note, which a traceback shows: printed, the message stands in chapter 7, and paths are a machine's own
        absent.add_note(f"It was looked for at {places[0]} and at {places[1]}.")
        raise absent from error
    return _read(places[0])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> dict[str, Tensor]:
    return torch.load(path, map_location="cpu", weights_only=True)
