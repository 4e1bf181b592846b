"""Published weights as a state dict: from a folder where there is one, else downloaded (chapter 7).

A weights file from the internet is somebody else's file: it is compared with its published checksum, and read with
``weights_only=True``, so that it can hold tensors and nothing that runs.
"""

import hashlib
import os
import re
import socket
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor

_PATIENCE = 15  # seconds without an answer before a download is given up


def load_weights(url: str, folder: str | Path | None = None) -> dict[str, Tensor]:
    """Return the state dict that is published at an address such as torchvision's ``weights.url``.

    The file is looked for by its name, in the folder and in torch's own cache; in the end it is downloaded.

    Args:
        url: ends in ``NAME-HASH.pth``, HASH being the first hexadecimal digits of the file's SHA-256.
        folder: in place of the one that ``RESNET_EDU_DATA`` names (otherwise ``data`` in the current directory).

    Raises:
        FileNotFoundError: the file is in neither place and could not be downloaded.
        ValueError: the address does not end in such a name, or the file is not the one that was published.

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
    folder = Path(folder or os.environ.get("RESNET_EDU_DATA") or "data").expanduser()
    places = [folder / name, Path(torch.hub.get_dir()) / "checkpoints" / name]
    path = next((place for place in places if place.is_file()), None) or _download(url, places[0], published[1])
    with path.open("rb") as file:
        met = hashlib.file_digest(file, "sha256").hexdigest()
    if not met.startswith(published[1]):
        raise ValueError(f"{name} is damaged: its SHA-256 begins with {met[:8]}, not {published[1]}. Delete it.")
    return torch.load(path, map_location="cpu", weights_only=True)


def _download(url: str, path: Path, checksum: str) -> Path:
    """Fetch a file; only a whole one with the right checksum arrives at ``path``."""
    before, is_new = socket.getdefaulttimeout(), not path.parent.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        socket.setdefaulttimeout(_PATIENCE)  # torch passes none, and a silent firewall would hang the notebook
        torch.hub.download_url_to_file(url, str(path), hash_prefix=checksum, progress=False)
    except (OSError, RuntimeError, HTTPException) as error:
        if is_new and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
        raise FileNotFoundError(
            f"{path.name} is not at hand and could not be downloaded ({type(error).__name__}). Run this once with a "
            "network, or put the file into the folder that the environment variable RESNET_EDU_DATA names."
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return path
