"""The setup cell, the same in every notebook of a folder, and the repository's address that it carries."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TAG = "setup"
_ADDRESS = re.compile(r'^REPOSITORY = "([^"]*)"', re.MULTILINE)
_CELL = """\
# In Colab this cell fetches the book and installs its package; elsewhere it does nothing.
import sys
from pathlib import Path

# Written by `make repository URL=...`, however long it is:
# fmt: off
REPOSITORY = "ADDRESS"
# fmt: on
FOLDER = "PLACE"
if "google.colab" in sys.modules and not Path.cwd().as_posix().endswith(FOLDER):
    if not REPOSITORY:
        sys.exit("This copy does not know its address: run `make repository URL=...`.")
    !test -d resnet_book || git clone -q --depth 1 {REPOSITORY} resnet_book
    %pip install --quiet ./resnet_book
    %cd -q resnet_book/{FOLDER}"""


def notebooks(root: Path = ROOT) -> list[Path]:
    """Every notebook of the book, in reading order within each folder."""
    return sorted(p for p in (root / "book").rglob("*.ipynb") if not {"_build", ".ipynb_checkpoints"} & set(p.parts))


def folder_of(path: Path) -> str:
    """The notebook's folder as seen from the top: ``book``, ``book/solutions``, ``book/appendix``."""
    parts = path.absolute().parent.parts
    if "book" not in parts:
        return "book"
    return "/".join(parts[len(parts) - 1 - parts[::-1].index("book") :])  # the last one: a clone may be named book too


def text(address: str = "", folder: str = "book") -> str:
    """The setup cell's source, in a folder of a repository at ``address`` (empty: not known yet)."""
    return _CELL.replace("ADDRESS", address).replace("PLACE", folder)


def address_in(source: str) -> str:
    """The address that a setup cell carries; ValueError where the cell has no REPOSITORY line."""
    found = _ADDRESS.search(source)
    if found is None:
        raise ValueError('a setup cell has no line REPOSITORY = "...": run `make notebooks`')
    return found.group(1)
