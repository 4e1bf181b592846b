"""A recorded run: a CSV of raw numbers and, beside it, a JSON that says where they came from (appendix C).

A script opens the :class:`Recording` first, which refuses a taken name and notes the code as it is *before* a long
run; it writes all rows so far, once at the end or, with ``overwrite``, after each epoch. :func:`read` gives the
columns back, after checking that the two files belong together.
"""

import csv
import datetime
import hashlib
import io
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from resnet_edu.train import provenance
from resnet_edu.train.files import replace_file


class Recording:
    """A run that will be recorded. Each ``write`` replaces the one before, which needs ``overwrite``.

    Create it after all imports and before the first computation.

    Args:
        path: of the CSV to write, ending in ``.csv``; the JSON takes its name.
        seeds: every seed of the run.
        data: a name and the :func:`~resnet_edu.train.provenance.checksum` of each data set.
        notes: anything else worth keeping, such as the recipe; must go into JSON.
        overwrite: replace a result that exists.

    Raises:
        ValueError: the path does not end in ``.csv``.
        FileExistsError: the result exists, and ``overwrite`` is not set.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "toy.csv"
        >>> Recording(path, seeds=[0], data={}).write([{"depth": 8, "loss": 0.5}, {"depth": 20, "loss": 0.25}])
        >>> read(path)["loss"].tolist(), read_provenance(path)["seeds"]
        ([0.5, 0.25], [0])
    """

    def __init__(
        self,
        path: str | Path,
        *,
        seeds: Iterable[int],
        data: Mapping[str, str],
        notes: Mapping | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path, self.overwrite = Path(path), overwrite
        if self.path.suffix != ".csv":
            raise ValueError(f"a recorded run is a .csv file, got {self.path.name!r}")
        self._refuse_taken_name()
        self.provenance = {
            "command": provenance.command(),
            "seeds": list(seeds),
            "data": dict(data),
            "notes": dict(notes or {}),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "code": provenance.code(),
            "versions": provenance.versions(),
            "hardware": provenance.hardware(),
        }
        self._start = time.perf_counter()

    def write(self, rows: Iterable[Mapping], **more) -> None:
        """Write the rows, all with the first one's keys, as CSV, and the provenance as JSON beside it.

        Each file appears whole or not at all. Floats are written so that they read back to the last bit.

        Args:
            rows: numbers and strings by column.
            more: further entries of the JSON, known only now, such as a summary; they win over the recording's own.

        Raises:
            ValueError: there is no row, a row whose keys differ from the first one's, or a value that is no plain
                number or string.
            FileExistsError: the result has appeared since the run started, and ``overwrite`` is not set.
        """
        rows = list(rows)
        if not rows:
            raise ValueError("nothing to record: there is no row")
        columns = list(rows[0])
        text = io.StringIO()
        table = csv.DictWriter(text, columns, lineterminator="\n")
        table.writeheader()
        for number, row in enumerate(rows):
            if list(row) != columns:
                raise ValueError(f"row {number} has the columns {list(row)}, the first row has {columns}")
            if strange := [name for name, value in row.items() if not isinstance(value, int | float | str)]:
                raise ValueError(f"row {number}: {strange} must be numbers of Python or strings; use .item()")
            table.writerow(row)
        self._refuse_taken_name()
        raw = text.getvalue().encode()
        finished = {
            "file": self.path.name,
            "sha256": hashlib.sha256(raw).hexdigest(),
            "columns": columns,
            "rows": len(rows),
            "seconds": round(time.perf_counter() - self._start, 1),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.path, raw)
        about = json.dumps(finished | self.provenance | more, indent=2) + "\n"
        replace_file(self.path.with_suffix(".json"), about.encode())

    def _refuse_taken_name(self) -> None:
        for path in (self.path, self.path.with_suffix(".json")):
            if path.exists() and not self.overwrite:
                raise FileExistsError(
                    f"{path} holds a recorded run already: pass overwrite=True (--overwrite) or rename"
                )


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Return the columns of a recorded run as arrays of whole numbers, floats or strings.

    Raises:
        FileNotFoundError: the CSV or the JSON beside it is missing.
        ValueError: the CSV is not the one that the JSON describes, or that one is damaged.
    """
    path = Path(path)
    expected, raw = read_provenance(path)["sha256"], path.read_bytes().replace(b"\r\n", b"\n")
    if hashlib.sha256(raw).hexdigest() != expected:
        raise ValueError(
            f"{path} is not the file that its JSON describes: it was changed, or one of the two is missing"
        )
    names, *rows = csv.reader(io.StringIO(raw.decode()))
    return {name: _array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def read_provenance(path: str | Path) -> dict:
    """Return what the JSON beside a recorded CSV says: command, seeds, versions, commit, hardware and the rest.

    Raises:
        FileNotFoundError: it is missing.
        ValueError: it is damaged.
    """
    path = Path(path).with_suffix(".json")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if "sha256" not in about:
            raise ValueError("no checksum of a CSV is in it")
    except (ValueError, TypeError) as error:  # what is no JSON is a ValueError, too
        raise ValueError(f"{path} is truncated or damaged ({error}): take a sound copy, or delete it") from None
    return about


def _array(column: tuple[str, ...]) -> np.ndarray:
    for kind in (np.int64, np.float64):
        try:
            return np.array(column).astype(kind)
        except ValueError:
            continue
    return np.array(column)
