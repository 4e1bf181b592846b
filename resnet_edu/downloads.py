"""Where downloads are kept, and how one is made: it does not hang, and where it fails it leaves no folder behind."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE = 15  # seconds without an answer before a download is given up


def data_folder(folder: str | Path | None = None) -> Path:
    """Return the folder for data and weights: this one, else RESNET_EDU_DATA's, else ``data`` in the current directory.

    Args:
        folder: the one to use; None or "" leaves the choice to the environment variable.

    Example:
        >>> data_folder("somewhere").name
        'somewhere'

    Used wherever a chapter reads images or weights from a file (chapters 7 to 9).
    """
    return Path(folder or os.environ.get("RESNET_EDU_DATA") or "data").expanduser().absolute()


@contextmanager
def download_into(folder: Path) -> Iterator[None]:
    """Make a folder for the download in this context; where nothing has arrived, what was made for it goes again.

    Args:
        folder: where the download is to arrive; the parents that it lacks are made too.

    Raises:
        OSError: the folder cannot be made.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     with download_into(Path(home) / "new" / "data"):
        ...         pass  # nothing arrives
        ...     list(Path(home).iterdir())
        []

    Used for the data of chapters 8 and 9 and for the weights of chapter 7.
    """
    before, absent = socket.getdefaulttimeout(), [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        socket.setdefaulttimeout(PATIENCE)  # torch passes none, and a silent firewall would hang the notebook
        yield
    finally:
        socket.setdefaulttimeout(before)
        for path in absent:  # the deepest first
            with suppress(OSError):  # it holds something, or was never made
                path.rmdir()
