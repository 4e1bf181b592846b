"""Make a chapter into an assignment: title, setup, imports, the definitions that the exercises need, the exercises.

The chapter is the only source. Its exercise cells carry nbgrader's metadata already; everything else that stays gets
metadata of its own, read-only, so that grading restores it.
"""

import ast
import copy
import re
import symtable
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import setup_cell  # noqa: E402 - a tool of the book, beside this folder

EXERCISE = re.compile(r"^### Exercise (?P<label>[\dA-Z]+\.\d+) · ", re.MULTILINE)
WORD = re.compile(r"`([A-Za-z_]\w*)[`(]")
TITLE = """\
# Exercises: {title}

These are the exercises of *{title}*, with what they need from the chapter. Write in the cells marked with an exercise's
number and add cells where you like, but leave the other cells as they are: they are restored before grading. Run the
notebook from top to bottom before you hand it in. A check that says "right" here is what earns the points."""


def chapters() -> dict[str, Path]:
    """Every notebook of the book that has exercises, by name, such as ``01_plain_stack``."""
    found = {}
    for path in setup_cell.notebooks(ROOT):
        if path.parent.name != "solutions" and first_exercise(read(path).cells) is not None:
            found[path.stem] = path
    return found


def read(path: Path) -> NotebookNode:
    """Read a notebook in the form that this folder works with."""
    return nbformat.read(path, as_version=4)


def first_exercise(cells: list[NotebookNode]) -> int | None:
    """The index of the first exercise's heading, or None."""
    return next((i for i, c in enumerate(cells) if c.cell_type == "markdown" and EXERCISE.search(c.source)), None)


def make(path: Path) -> NotebookNode:
    """Return the assignment that a chapter holds.

    Raises:
        ValueError: if there are no exercises, or a check cell is not ``checks.NAME(...)``.
    """
    notebook = read(path)
    start = first_exercise(notebook.cells)
    if start is None:
        raise ValueError(f"{path.name} has no exercises: a heading begins with '### Exercise 1.2 · '")
    before, exercises = notebook.cells[:start], notebook.cells[start:]
    kept = [before[i] for i in sorted(_needed(before, exercises))]
    title = before[0].source.splitlines()[0].lstrip("# ")
    cells = [nbformat.v4.new_markdown_cell(TITLE.format(title=title), id="title"), *kept, *copy.deepcopy(exercises)]
    for number, cell in enumerate(cells):
        _finish(cell, f"given_{path.stem}_{number}")
    metadata = {key: notebook.metadata[key] for key in ("kernelspec", "language_info")}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def check_of(source: str) -> tuple[str, str, str]:
    """Take a check cell apart: what stands before the call, the check's name, and the arguments' source.

    >>> check_of("checks.ex_1_5(layer, dilations)")
    ('', 'ex_1_5', 'layer, dilations')
    """
    try:
        *before, last = ast.parse(source).body
        call = last.value
        if not (isinstance(call, ast.Call) and call.func.value.id == "checks"):
            raise ValueError
    except (SyntaxError, ValueError, AttributeError):
        raise ValueError(f"a check cell ends in checks.NAME(...), but this one is {source!r}") from None
    arguments = [ast.unparse(a) for a in call.args] + [ast.unparse(k) for k in call.keywords]
    return ast.unparse(ast.Module(before, [])), call.func.attr, ", ".join(arguments)


def _needed(before: list[NotebookNode], exercises: list[NotebookNode]) -> set[int]:
    """Which of the chapter's cells the exercises need: setup, imports, definitions, and what those need in turn."""
    code = [i for i, cell in enumerate(before) if cell.cell_type == "code"]
    if len(code) < 2 or setup_cell.TAG not in before[code[0]].metadata.get("tags", []):
        raise ValueError("a chapter begins with the setup cell, and a cell with the imports after it")
    names = {i: _names(before[i].source) for i in code[1:]}
    functions = {name for i in names for name in re.findall(r"^(?:def|class) (\w+)", before[i].source, re.MULTILINE)}
    own = [_names(cell.source) for cell in exercises if cell.cell_type == "code"]
    text = {word for cell in exercises if cell.cell_type == "markdown" for word in WORD.findall(cell.source)}
    made_here = set().union(*(made for made, _, _ in own))
    wanted = [(name, len(before)) for _, read, _ in own for name in read - made_here]
    wanted += [(name, len(before)) for name in (text & functions) - made_here]
    kept = set(code[:2])
    while wanted:
        name, end = wanted.pop()
        place = max((i for i, (made, _, _) in names.items() if name in made and i < end), default=None)
        if place is None or place in kept:
            continue
        made = names[place][0]
        after = [i for i, (_, _, changed) in names.items() if place < i and changed & made]
        for i in {place, *after} - kept:
            kept.add(i)
            wanted += [(other, i) for other in names[i][1]]
    return kept


def _names(source: str) -> tuple[set[str], set[str], set[str]]:
    """The names that a cell makes, those that it needs from other cells, and those that it only changes.

    ``net.fc = ...`` and ``losses[8] = ...`` change what they name; ``train(net)`` and ``net.train()`` are called for
    what they change.
    """
    top = symtable.symtable(source, "cell", "exec")
    tables, read = [top], set()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        read |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and (table is top or s.is_global())}
    made = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    changed, statements = set(), list(ast.parse(source).body)
    while statements:
        statement = statements.pop()
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            continue
        statements += [part for part in ast.iter_child_nodes(statement) if isinstance(part, ast.stmt)]
        targets = [t for t in getattr(statement, "targets", []) if isinstance(t, ast.Attribute | ast.Subscript)]
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            targets = [statement.value.func]
        changed |= {re.match(r"\w*", ast.unparse(target))[0] for target in targets}
    return made, read - made, changed - made


def _finish(cell: NotebookNode, grade_id: str) -> None:
    """Outputs go, metadata is nbgrader's, and links lead out of the chapter no longer."""
    kept = {key: cell.metadata[key] for key in ("nbgrader",) if key in cell.metadata}
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None
        read_only = {"grade": False, "grade_id": grade_id, "locked": True, "solution": False}
        kept.setdefault("nbgrader", read_only | {"schema_version": 3, "task": False})
        if kept["nbgrader"]["grade"]:
            check_of(cell.source)
    else:
        cell.source = re.sub(r"\n*^Solution: \[Exercise .+\)$", "", cell.source, flags=re.MULTILINE)
        cell.pop("attachments", None)
    cell.metadata = NotebookNode(kept)
