"""Appendix A's museum: every mistake that the book promised to show hangs there, with a test that can fail."""

import ast
import json
import re
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "book" / "appendix" / "a_paper_vs_code.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]

# A word of the name of each mistake that the book promised to show; one that is found later gets a line here.
PROMISED = [
    "overfitting",
    "vanishing gradients",
    "+1 guarantees",
    "N(0, 1)",
    "He initialisation",
    "size under dilation",
    "4x the input's channels",
    "128-256-512-512",
    "the CIFAR ResNet",
    "224x224 only",
    "stride on every block",
    "stride on none",
    "a comment in place of a test",
    "no ReLU after the addition",
    "a projection without BatchNorm",
    "a one-channel identity",
    "without expansion",
    "a conclusion whatever happens",
    "by shape only",
    "accepts zeros",
    "one crop for the batch",
]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def shows() -> list[ast.Call]:
    """Every call of ``show(exhibit, test, mistake, right)``."""
    code = [ast.parse(source(c)) for c in CELLS if c["cell_type"] == "code" and not source(c).startswith("# In Colab")]
    calls = [node for tree in code for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "show"]


def announced() -> list[int]:
    """The numbers of the exhibits in the headings."""
    numbers = []
    for cell in CELLS:
        if cell["cell_type"] == "markdown":
            for heading in re.findall(r"^#### Exhibits? ([\d, ]+) ·", source(cell), re.MULTILINE):
                numbers += [int(number) for number in heading.split(",")]
    return numbers


def catalogue() -> list[str]:
    """The rows of the table that the notebook printed at the end."""
    (printed,) = ["".join(c["outputs"][0]["text"]) for c in CELLS if source(c).startswith("print(f\"{'exhibit'")]
    return printed.splitlines()[1:]


def test_the_exhibits_are_numbered_shown_and_listed() -> None:
    assert announced() == list(range(1, len(announced()) + 1))
    assert len(shows()) == len(catalogue()) == len(announced()) == len(PROMISED)


@pytest.mark.parametrize("mistake", PROMISED)
def test_what_was_promised_hangs_there(mistake: str) -> None:
    (row,) = [row for row in catalogue() if mistake in row]
    assert row.split()[-2:] == ["rejected", "accepted"]


def test_every_test_is_shown_a_mistake_and_another_right_version() -> None:
    for call in shows():
        assert len(call.args) == 4
        assert ast.dump(call.args[2]) != ast.dump(call.args[3]), ast.unparse(call)


def test_the_verdict_is_the_tests(capsys: pytest.CaptureFixture) -> None:
    """`show` itself: a test that rejects everything, or nothing, is not hung as if it had worked."""
    (cell,) = [source(c) for c in CELLS if source(c).startswith("museum = []")]
    scope: dict = {}
    exec(cell, scope)

    def accepts(answer: str) -> bool:
        return answer != "bad"

    scope["show"]("good test", accepts, "bad", "good")
    scope["show"]("blind test", accepts, "worse", "good")
    scope["show"]("harsh test", accepts, "bad", "bad")
    assert [row[2:] for row in scope["museum"]] == [(True, True), (False, True), (True, False)]
    said = capsys.readouterr().out.splitlines()
    assert "NOT NOTICED" in said[1] and "REJECTED" in said[2] and said[0].endswith("accepted")
