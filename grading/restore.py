"""Bring a submission back to the form in which it was released, before any of its code runs."""

import copy
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor


class RestoreCells(NbGraderPreprocessor):
    """Nothing but the source of the student's own cells is kept: metadata and read-only cells are the released ones.

    A cell that is missing comes back where it was: a stub unanswered, a check to be failed. A sentence says so.
    """

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        about = resources["nbgrader"]
        # nbgrader works in the course's folder
        path = Path("release", about["assignment"], f"{about['notebook']}.ipynb")
        for sentence in restore(nb, nbformat.read(path, as_version=4)):
            self.log.warning("%s: %s", about["student"], sentence)
        return nb, resources


def restore(submitted: NotebookNode, released: NotebookNode) -> list[str]:
    """Restore a submission in place, and return a sentence for each cell that was not as released."""
    sentences = []
    found = {_grade_id(cell): cell for cell in submitted.cells}  # of several with one id the last counts
    submitted.metadata = copy.deepcopy(released.metadata)
    submitted.nbformat, submitted.nbformat_minor = released.nbformat, released.nbformat_minor
    new: dict[int, NotebookNode] = {}
    missing: dict[int, list[NotebookNode]] = {}
    previous = -1  # the id() of the last released cell that is there: a missing one follows it
    for original in (cell for cell in released.cells if "nbgrader" in cell.metadata):
        name, locked = original.metadata.nbgrader.grade_id, not original.metadata.nbgrader.solution
        cell = copy.deepcopy(original)
        met = found.get(name)
        if met is None:
            sentences.append(f"the cell {name} is missing; it was put back as it was released")
            missing.setdefault(previous, []).append(cell)
            continue
        if not locked:
            cell.source = met.source
        elif met.source != original.source:
            sentences.append(f"the cell {name} was changed; it was put back as it was released")
        previous = id(met)
        new[previous] = cell
    cells = missing.get(-1, [])
    for met in submitted.cells:
        cells.append(new.get(id(met)) or _bare(met))
        cells += missing.get(id(met), [])
    submitted.cells = cells
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    return sentences


def _grade_id(cell: NotebookNode) -> str | None:
    about = cell.metadata.get("nbgrader")
    return about.get("grade_id") if isinstance(about, dict) else None


def _bare(cell: NotebookNode) -> NotebookNode:
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    return make.get(cell.cell_type, nbformat.v4.new_raw_cell)(cell.source)
