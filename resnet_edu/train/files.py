"""A file appears whole or not at all (chapter 8)."""

import os
from pathlib import Path


def replace_file(path: Path, raw: bytes) -> None:
    """Write the bytes beside their name, wait until they are on the disk, and then give them the name.

    Whatever interrupts this, the name holds what it held before or all of the new bytes.

    Raises:
        OSError: the disk is full or cannot be written to; the unfinished file is removed.

    Built in chapter 8.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(unfinished, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
