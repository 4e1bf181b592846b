"""The setup cell, the same in every notebook, and the repository's address that it carries."""

import re
from pathlib import Path

TAG = "setup"
_ADDRESS = re.compile(r'^REPOSITORY = "([^"]*)"', re.MULTILINE)
_CELL = '''\
# In Colab this cell installs the book's package. On your own machine it does nothing.
import sys

REPOSITORY = "ADDRESS"  # written by `make repository URL=...`
if "google.colab" in sys.modules:
    if not REPOSITORY:
        sys.exit("This copy does not know its address: run `make repository URL=...`.")
    %pip install --quiet git+{REPOSITORY}'''


def notebooks(root: Path = Path(__file__).parent.parent) -> list[Path]:
    """Every notebook of the book, in reading order within each folder."""
    return sorted(p for p in (root / "book").rglob("*.ipynb") if not {"_build", ".ipynb_checkpoints"} & set(p.parts))


def text(address: str = "") -> str:
    """The setup cell's source for a repository at ``address`` (empty: not known yet)."""
    return _CELL.replace("ADDRESS", address)


def address_in(source: str) -> str:
    """The address that a setup cell carries; ValueError where the cell has no REPOSITORY line."""
    found = _ADDRESS.search(source)
    if found is None:
        raise ValueError('a setup cell has no line REPOSITORY = "...": run `make notebooks`')
    return found.group(1)
