"""The folder of a run: what lies in it, whether that is complete, and that one process at a time writes there.

The folder holds ``NAME.csv`` (a row an epoch) and ``NAME.json`` (where it came from), NAME being the folder's own;
``checkpoints/``; and at the end ``weights.pt``, the state dict of the last epoch (chapter 8).
"""

import contextlib
import glob
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from resnet_edu.train import record


def folder_named(out: str | Path) -> Path:
    """Return the folder, which need not exist, with ``~`` resolved.

    Raises:
        FileExistsError: it is a file.
    """
    folder = Path(os.path.expanduser(out))  # a name that is no user's stays as it is
    folder = folder if folder.name not in ("", "..") else folder.resolve()  # a run has its folder's name
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file: name a folder for the run")
    return folder


def table(folder: Path) -> Path:
    """Return the path of the run's CSV."""
    return folder / f"{folder.name}.csv"


def is_complete(out: str | Path) -> bool:
    """Return whether the run in this folder has come to its end, and its record is whole."""
    path = table(folder_named(out))
    try:
        return "summary" in record.read_provenance(path) and bool(record.read(path))
    except (FileNotFoundError, ValueError):
        return False


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep the folder to this process, among those of this machine with the same temporary folder.

    A process that is killed keeps nothing.

    Raises:
        FileExistsError: another process has claimed it.

    Example:
        >>> with claimed(Path("some/run")), claimed(Path("some/other")):
        ...     pass
        >>> with claimed(Path("some/run")), claimed(Path("some/run")):
        ...     pass
        Traceback (most recent call last):
        FileExistsError: another process is training in some/run: wait until it ends, or name another folder
    """
    place = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    lock = FileLock(Path(tempfile.gettempdir()) / f"resnet_edu-{place}.lock", mode=0o666)  # for other users too
    try:
        lock.acquire(timeout=0)
    except Timeout:
        message = f"another process is training in {folder}: wait until it ends, or name another folder"
        raise FileExistsError(message) from None
    try:
        yield
    finally:
        lock.release()


def sweep(folder: Path) -> None:
    """Delete what killed processes left unfinished."""
    for path in _files(folder):
        for unfinished in folder.glob(f"{glob.escape(path.name)}.*.tmp"):
            unfinished.unlink(missing_ok=True)


def has_record(folder: Path) -> bool:
    """Return whether anything is left of a run but its checkpoints."""
    return any(path.exists() for path in _files(folder))


def clear_record(folder: Path) -> None:
    """Delete what a run leaves in its folder but its checkpoints, and nothing else."""
    for path in _files(folder):
        path.unlink(missing_ok=True)


def _files(folder: Path) -> tuple[Path, Path, Path]:
    return table(folder), table(folder).with_suffix(".json"), folder / "weights.pt"
