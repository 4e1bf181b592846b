"""Checkpoints that are whole or not there: written beside their name, renamed when they are complete (chapter 8).

The name of a file holds the epoch and the beginning of the SHA-256 of its bytes, so a truncated or damaged file is
recognised without trusting its contents; it is read without unpickling code.
"""

import hashlib
import io
import pickle
import re
from pathlib import Path

import torch

from resnet_edu.train.files import replace_file

_NAME = re.compile(r"epoch-(\d+)-([0-9a-f]{16})\.pt")
_KEPT = 2  # the newest, and the one before it in case the newest is damaged


def save(folder: str | Path, epoch: int, state: dict, *, anew: bool = False) -> Path:
    """Write ``state`` as the checkpoint of ``epoch``, then delete all but the two newest checkpoints.

    Killed at any instant, the folder holds the earlier checkpoints or this one as well, never half a one under a
    checkpoint's name.

    Args:
        folder: made if it is not there.
        epoch: how many epochs are done.
        state: tensors, numbers, strings, and lists and dictionaries of them.
        anew: another run begins here: delete all other checkpoints, whatever their epochs.

    Raises:
        OSError: the disk is full or cannot be written to; what was there before is untouched.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> _ = save(folder, 1, {"weights": torch.ones(2)})
        >>> epoch, state, damaged = newest(folder)
        >>> epoch, state["weights"].tolist(), damaged
        (1, [1.0, 1.0], [])

    Used in chapter 8.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    raw = _bytes(state)
    path = folder / f"epoch-{epoch:05d}-{hashlib.sha256(raw).hexdigest()[:16]}.pt"
    replace_file(path, raw)
    old = [*folder.glob("epoch-*-*.damaged"), *_newest_first(folder)] if anew else _newest_first(folder)[_KEPT:]
    for other in [*old, *folder.glob("*.tmp")]:
        if other != path:
            other.unlink(missing_ok=True)
    return path


def write(path: str | Path, state: dict) -> None:
    """Write ``state`` to one file, whole or not at all; read it with ``torch.load(path, weights_only=True)``."""
    replace_file(Path(path), _bytes(state))


def newest(folder: str | Path, map_location: str | torch.device = "cpu") -> tuple[int, dict | None, list[Path]]:
    """Return the newest sound checkpoint's epoch and state, and the damaged ones that were passed over.

    Args:
        folder: the one that :func:`save` wrote to.
        map_location: where the tensors go.

    Returns:
        The epoch, the state, and a list of damaged files; epoch 0 and None where there is no sound checkpoint.

    Raises:
        ValueError: the newest one is whole, and holds what is not loaded without unpickling code.

    Used in chapter 8.
    """
    damaged = []
    for path in _newest_first(Path(folder)):
        epoch, digest = _NAME.fullmatch(path.name).groups()
        raw = path.read_bytes()
        if hashlib.sha256(raw).hexdigest().startswith(digest):
            try:
                state = torch.load(io.BytesIO(raw), map_location=map_location, weights_only=True)
            except pickle.UnpicklingError:
                raise ValueError(f"{path} holds more than tensors, numbers and strings: it is not loaded") from None
            return int(epoch), state, damaged
        damaged.append(path)
    return 0, None, damaged


def _newest_first(folder: Path) -> list[Path]:
    """The checkpoints, and nothing else that somebody has put beside them."""

    def epoch_and_age(path: Path) -> tuple[int, int]:
        return int(_NAME.fullmatch(path.name)[1]), path.stat().st_mtime_ns

    there = [path for path in folder.glob("epoch-*-*.pt") if _NAME.fullmatch(path.name)]
    return sorted(there, key=epoch_and_age, reverse=True)


def _bytes(state: dict) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
