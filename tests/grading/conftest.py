"""What the tests of the grading share: this folder's modules, and submissions made of the book's own solutions."""

import itertools
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "grading"))

import assignments  # noqa: E402 - found through the line above


@pytest.fixture(scope="session")
def solutions() -> Callable[[Path], dict[str, str]]:
    """The code of each solution of a chapter, by grade_id."""
    if not (ROOT / "book" / "solutions").is_dir():
        pytest.skip("this fork withholds the solutions")
    return _solutions


@pytest.fixture(scope="session")
def answer() -> Callable[[NotebookNode, dict[str, str]], NotebookNode]:
    """Write answers into the cells of their grade_ids."""
    return _answer


def _solutions(chapter: Path) -> dict[str, str]:
    """All cells up to the check that accepts the solution, and the imports of the solutions' notebook."""
    cells = assignments.read(ROOT / "book" / "solutions" / chapter.name).cells
    _, imports = itertools.islice((c.source for c in cells if c.cell_type == "code"), 2)  # the first is the setup cell
    found, name = {}, None
    for cell in cells:
        heading = re.search(r"^## Exercise ([\dA-Z]+\.\d+) ", cell.source, re.MULTILINE)
        if cell.cell_type == "markdown" and heading:
            name = f"ex_{heading[1].lower().replace('.', '_')}"
            found[name] = imports
        elif cell.cell_type == "code" and name:
            before, check, _ = cell.source.partition(f"checks.{name}(")
            found[name] += "\n\n" + before
            name = None if check else name
    return found


def _answer(notebook: NotebookNode, answers: dict[str, str]) -> NotebookNode:
    cells = {c.metadata.get("nbgrader", {}).get("grade_id"): c for c in notebook.cells}
    for name, source in answers.items():
        cells[name].source = source
    return notebook
