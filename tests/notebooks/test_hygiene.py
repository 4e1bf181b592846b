"""Notebooks carry outputs that were really produced, in the one form of the book.

nbval passes a cell without execution count unchecked, does not compare cells tagged nbval-ignore-output, and is told to
leave pictures alone: the rules here close these holes.
"""

import ast
import json
import re
from pathlib import Path

import execute
import pytest
import setup_cell

ROOT = Path(__file__).parents[2]
NOTEBOOKS = setup_cell.notebooks(ROOT)
MAX_BYTES = 1_000_000
MAX_LINES = 30
IGNORED = "nbval-ignore-output"
# What only the built book understands: directives, roles (but for `cite`, which reads well as it stands), targets; and
# pictures beside the notebook, which Colab does not have.
ONLY_IN_THE_BOOK = re.compile(
    r"^ *(?:```+|:::+) *\{[^\n]*"
    r"|(?<!`)\{(?!cite\b)[a-z][\w:-]*\}`[^`\n]+`"
    r"|^\([\w-]+\)="
    r"|!\[[^\]]*\]\((?!https?:|attachment:)[^)]*\)",
    re.MULTILINE,
)
ABSOLUTE_PATH = re.compile(  # but for Colab's Drive, which is everybody's
    r"(?:file://|(?<![\w.:/]))/(?!content/drive\b)"
    r"(?:home|root|Users|tmp|work|workspace|content|usr|opt|var|mnt|srv|scratch|private)/"
    r"|\b[A-Z]:\\+\w+\\"
)


def code_cells(notebook: dict) -> list[dict]:
    return [c for c in notebook["cells"] if c["cell_type"] == "code" and source(c).strip()]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def output_text(cell: dict) -> str:
    """Everything textual that a cell stores as output."""
    parts = []
    for output in cell["outputs"]:
        parts += ["".join(output.get("text", [])), "\n".join(output.get("traceback", []))]
        for mime, data in output.get("data", {}).items():
            if mime.startswith("text/"):
                parts.append("".join(data))
    return "\n".join(parts)


def assigned_and_asserted(text: str) -> tuple[set[str], set[str]]:
    """The names that a cell assigns, and the names that stand inside its assert statements."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(("%", "!"))]
    tree = ast.parse("\n".join(lines))
    assigned = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    asserted = {
        n.id
        for statement in ast.walk(tree)
        if isinstance(statement, ast.Assert)
        for n in ast.walk(statement)
        if isinstance(n, ast.Name)
    }
    return assigned, asserted


def problems(notebook: dict, folder: str = "book") -> list[str]:
    """Every breach of the form, as a sentence each; the folder stands in the setup cell."""
    found = []
    cells = code_cells(notebook)
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        found.append("the kernel must be named python3")
    if [c["execution_count"] for c in cells] != list(range(1, len(cells) + 1)):
        found.append("execution counts must be 1..n: run `make notebooks`")
    if notebook["metadata"].get("executed_code") != execute.fingerprint(notebook["cells"]):
        found.append("the code is not what was executed, so a picture may be an old one: run `make notebooks`")
    if not cells or setup_cell.TAG not in tags(cells[0]):
        found.append("the first code cell must be the setup cell")
    elif source(cells[0]) != setup_cell.text(setup_cell.address_in(source(cells[0])), folder):
        found.append("the setup cell differs from tools/setup_cell.py: run `make notebooks`")
    for number, cell in enumerate(cells, start=1):
        found += [f"code cell {number}: {problem}" for problem in cell_problems(cell)]
        if IGNORED in tags(cell):
            assigned, _ = assigned_and_asserted(source(cell))
            later = [assigned_and_asserted(source(c))[1] for c in cells[number:]]
            if not any(assigned & asserted for asserted in later):
                found.append(f"code cell {number}: tagged {IGNORED}, and no later cell asserts anything about it")
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            found += text_problems(source(cell))
    ids = [c.get("id") for c in notebook["cells"]]
    if None in ids or len(set(ids)) != len(ids):
        found.append("every cell needs an id of its own")
    return found


def text_problems(text: str) -> list[str]:
    found = []
    if odd := ONLY_IN_THE_BOOK.search(text):
        found.append(f"Colab cannot show {odd.group()!r}")
    if path := ABSOLUTE_PATH.search(text):
        found.append(f"an absolute path: {text[path.start() : path.start() + 40]!r}")
    if odd := re.search(r"\\text\{[^}]*\\_", text):
        found.append(f"MathJax shows the backslash of {odd.group()!r}")
    return found


def cell_problems(cell: dict) -> list[str]:
    found = []
    if "nbval-skip" in tags(cell):
        found.append("nbval-skip hides a cell from every check")
    errors = any(o["output_type"] == "error" for o in cell["outputs"])
    if errors != ("raises-exception" in tags(cell)):
        found.append("an error must be tagged raises-exception, and that tag needs an error")
    if "execution" in cell["metadata"] or "ExecuteTime" in cell["metadata"]:
        found.append("timing metadata is stored")
    if len(source(cell).splitlines()) > MAX_LINES:
        found.append(f"more than {MAX_LINES} lines")
    text = source(cell) + "\n" + output_text(cell)
    if path := ABSOLUTE_PATH.search(text):
        found.append(f"an absolute path: {text[path.start() : path.start() + 40]!r}")
    if address := re.search(r"\bat 0x[0-9a-f]{6,}", output_text(cell)):
        found.append(f"an object's address is stored: {address.group()}")
    drawn = any(mime.startswith("image/") for o in cell["outputs"] for mime in o.get("data", {}))
    if drawn and not cell["metadata"].get("mystnb", {}).get("image", {}).get("alt"):
        found.append("a figure without alternative text (metadata: mystnb: image: alt)")
    if any(o.get("name") == "stderr" for o in cell["outputs"]):
        found.append("something was written to stderr")
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: str(p.relative_to(ROOT)))
def test_notebook_has_the_form(path: Path) -> None:
    assert path.stat().st_size <= MAX_BYTES, f"{path.stat().st_size} bytes: smaller figures, please"
    found = problems(json.loads(path.read_text(encoding="utf-8")), setup_cell.folder_of(path))
    assert not found, "\n".join(found)


def test_list_what_nbval_does_not_compare(record_property) -> None:
    """List every ignored cell; the setup and check cells of an exercise must never be among them."""
    for path in NOTEBOOKS:
        for number, cell in enumerate(code_cells(json.loads(path.read_text(encoding="utf-8"))), start=1):
            if IGNORED in tags(cell):
                first_line = source(cell).splitlines()[0]
                record_property("not compared", f"{path.relative_to(ROOT)} cell {number}: {first_line}")
                print(f"not compared: {path.relative_to(ROOT)}, code cell {number}: {first_line}")
                assert "checks.ex_" not in source(cell), "a check's verdict must be compared"
                assert setup_cell.TAG not in tags(cell)


@pytest.mark.parametrize("path", sorted((ROOT / "book").rglob("*.md")), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_page_names_no_path_of_one_machine(path: Path) -> None:
    assert not ABSOLUTE_PATH.search(path.read_text(encoding="utf-8"))


# The rules themselves: each must reject its own offence.


def good() -> dict:
    def cell(number: int, text: str, **more) -> dict:
        return {
            "cell_type": "code",
            "execution_count": number,
            "id": f"c{number}",
            "metadata": {},
            "outputs": [],
            "source": text,
        } | more

    cells = [
        cell(1, setup_cell.text(), metadata={"tags": ["setup"]}),
        cell(2, "error = measure()", metadata={"tags": [IGNORED]}),
        cell(3, "assert error < 10"),
    ]
    return {
        "metadata": {"kernelspec": {"name": "python3"}, "executed_code": execute.fingerprint(cells)},
        "cells": cells,
    }


def test_a_good_notebook_passes() -> None:
    assert problems(good()) == []


@pytest.mark.parametrize(
    ("cell", "change", "said"),
    [
        (2, {"execution_count": None}, "execution counts"),
        (2, {"execution_count": 7}, "execution counts"),
        (0, {"metadata": {}}, "first code cell"),
        (0, {"source": setup_cell.text() + "\nimport os"}, "differs from tools"),
        (1, {"metadata": {"tags": ["nbval-skip"]}}, "nbval-skip"),
        (1, {"metadata": {"execution": {"iopub.status.busy": "..."}}}, "timing"),
        (2, {"outputs": [{"output_type": "error", "traceback": ["boom"]}]}, "raises-exception"),
        (2, {"metadata": {"tags": ["raises-exception"]}}, "raises-exception"),
        (2, {"source": "pass\n" * 31}, "more than 30 lines"),
        (2, {"source": "open('/opt/x')"}, "absolute path"),
        (2, {"source": "open('file:///home/x')"}, "absolute path"),
        (2, {"source": "open(r'C:\\data\\x')"}, "absolute path"),
        (0, {"cell_type": "markdown", "source": "see /mnt/x"}, "absolute path"),
        (2, {"outputs": [{"output_type": "display_data", "data": {"image/png": ""}}]}, "without alternative text"),
        (2, {"outputs": [{"output_type": "stream", "name": "stdout", "text": "/var/x"}]}, "absolute path"),
        (2, {"outputs": [{"output_type": "stream", "name": "stderr", "text": "warned"}]}, "stderr"),
        (
            2,
            {"outputs": [{"output_type": "execute_result", "data": {"text/plain": "<Line2D at 0x7f00aa>"}}]},
            "address",
        ),
        (2, {"source": "assert other < 10"}, "no later cell asserts"),
        (2, {"source": "print(error)"}, "no later cell asserts"),
        (2, {"source": "assert error < 11"}, "a picture may be an old one"),
        (2, {"id": "c1"}, "an id of its own"),
    ],
)
def test_each_rule_rejects_its_offence(cell: int, change: dict, said: str) -> None:
    notebook = good()
    notebook["cells"][cell] |= change
    assert any(said in problem for problem in problems(notebook)), problems(notebook)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("```{admonition} Look\nhere\n```", False),
        (":::{note}\nhere\n:::", False),
        ("see {numref}`fig-x`", False),
        ("(a-place)=\n# Title", False),
        ("![A net](../_static/net.svg)", False),
        ("$\\text{fan\\_out}$", False),
        ("$\\text{fan}_\\text{out}$", True),
        ("{cite:p}`he2015deep`, $\\mathcal{F}$ and `{x}`\n```python\n{1: 2}\n```", True),
        ("![A net](https://example.org/net.svg)", True),
    ],
)
def test_what_only_the_book_can_show_is_refused(text: str, shown: bool) -> None:
    notebook = good()
    notebook["cells"].append({"cell_type": "markdown", "id": "m", "metadata": {}, "source": text})
    assert (problems(notebook) == []) is shown, problems(notebook)


def test_what_only_looks_like_a_path_of_one_machine_is_not_refused() -> None:
    notebook = good()
    notebook["cells"][2]["source"] += "\nprint('/content/drive/MyDrive', 1 / home / 2, 'https://x.org/home/', 'C:')"
    notebook["metadata"]["executed_code"] = execute.fingerprint(notebook["cells"])
    assert problems(notebook) == []


def test_the_kernels_name_is_looked_at() -> None:
    notebook = good()
    notebook["metadata"]["kernelspec"]["name"] = "my-env"
    assert problems(notebook) == ["the kernel must be named python3"]


def test_what_was_executed_does_not_depend_on_the_address_or_on_how_the_file_cuts_lines() -> None:
    notebook = good()
    notebook["cells"][0]["source"] = setup_cell.text("https://example.org/reader/their-book")
    notebook["cells"][2]["source"] = ["assert ", "error < 10"]
    assert problems(notebook) == []
