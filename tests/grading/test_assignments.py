"""Every chapter's assignment runs from its stubs, which earn nothing, and its solutions earn everything."""

from pathlib import Path

import pytest

pytest.importorskip("nbgrader", reason="nbgrader is not installed: `make grading` installs it and runs these tests")

import assignments
import nbformat
from execution import ExecuteApart
from nbgrader.utils import determine_grade, is_grade

CHAPTERS = [pytest.param(path, id=name) for name, path in assignments.chapters().items()]


def grade(notebook: nbformat.NotebookNode) -> dict[str, tuple[float, str]]:
    """Points and verdict of each check cell."""
    notebook, _ = ExecuteApart(timeout=300).preprocess(notebook, {"nbgrader": {"student": "a test"}})
    broken = [
        output.evalue
        for cell in notebook.cells
        if cell.cell_type == "code" and not is_grade(cell)
        for output in cell.outputs
        if output.output_type == "error"
    ]
    assert not broken, "the assignment itself runs"
    checks = [cell for cell in notebook.cells if cell.cell_type == "code" and is_grade(cell)]
    said = [cell.outputs[0].get("text") or cell.outputs[0].evalue for cell in checks]
    names = [cell.metadata.nbgrader.grade_id for cell in checks]
    return {name: (determine_grade(cell)[0], line) for name, cell, line in zip(names, checks, said, strict=True)}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_an_assignment_holds_the_exercises_and_little_else(chapter: Path) -> None:
    notebook, whole = assignments.make(chapter), assignments.read(chapter)
    nbformat.validate(notebook)
    start = assignments.first_exercise(whole.cells)
    assert assignments.first_exercise(notebook.cells) < start / 2, "far fewer cells than the chapter"
    assert not any(cell.get("outputs") for cell in notebook.cells)
    for ours, theirs in zip(notebook.cells[::-1], whole.cells[::-1], strict=False):
        if "nbgrader" in theirs.metadata:
            assert ours.metadata.nbgrader == theirs.metadata.nbgrader and ours.source == theirs.source
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "Solution:" not in text and "<details>" in text


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_stubs_earn_nothing(chapter: Path) -> None:
    graded = grade(assignments.make(chapter))
    assert graded
    assert {points for points, _ in graded.values()} == {0}
    assert all(verdict.endswith("not attempted yet.") for _, verdict in graded.values())


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_solutions_earn_everything(chapter: Path, solutions, answer) -> None:
    if not (assignments.ROOT / "book" / "solutions" / chapter.name).exists():
        pytest.skip("this copy of the book withholds its solutions")
    notebook = assignments.make(chapter)
    most = {c.metadata.nbgrader.grade_id: c.metadata.nbgrader.points for c in notebook.cells if is_grade(c)}
    checked = {name.removesuffix("_check") for name in most if name.endswith("_check")}
    written = {name: source for name, source in solutions(chapter).items() if name in checked}
    assert set(written) == checked
    graded = grade(answer(notebook, written))
    assert {name: points for name, (points, _) in graded.items()} == {name: most[name] for name in graded}, graded
