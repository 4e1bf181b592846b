"""Every exercise has the form: heading, stub, check, hints, solution; numbers, points and minutes agree everywhere."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import setup_cell

from resnet_edu import checks

ROOT = Path(__file__).parents[2]
KINDS = "build|predict|find the bug|investigate"
HEADING = re.compile(r"^### Exercise (?P<label>[\dA-Z]+\.\d+) · .+$", re.MULTILINE)
LINE = re.compile(
    rf"^`(?P<kind>{KINDS})` · (?P<level>★☆☆|★★☆|★★★) · (?P<minutes>\d+) minutes · (?P<points>\d+) points? · \*.+\*$",
    re.MULTILINE,
)


def cells_of(path: Path) -> list[dict]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        cell["source"] = "".join(cell["source"])
    return cells


def exercises_of(path: Path) -> dict[str, dict]:
    """Each exercise's cells and the numbers of its heading, by label."""
    found: dict[str, dict] = {}
    current = None
    for cell in cells_of(path):
        heading = HEADING.search(cell["source"]) if cell["cell_type"] == "markdown" else None
        if heading:
            line = LINE.search(cell["source"])
            assert line, f"{heading.group()}: the second line must read `kind` · level · minutes · points · *objective*"
            current = found.setdefault(heading["label"], {"cells": []} | line.groupdict())
        if current is not None:
            current["cells"].append(cell)
    return found


CHAPTERS = [p for p in setup_cell.notebooks(ROOT) if p.parent.name != "solutions" and exercises_of(p)]
CASES = [
    pytest.param(path, label, exercise, id=f"{path.stem}-{label}")
    for path in CHAPTERS
    for label, exercise in exercises_of(path).items()
]


def graded(exercise: dict) -> list[dict]:
    return [c["metadata"]["nbgrader"] for c in exercise["cells"] if "nbgrader" in c["metadata"]]


def is_checked(exercise: dict) -> bool:
    return any("checks.ex_" in c["source"] for c in exercise["cells"] if c["cell_type"] == "code")


@pytest.mark.parametrize(("path", "label", "exercise"), CASES)
def test_an_exercise_has_the_form(path: Path, label: str, exercise: dict) -> None:
    name = f"ex_{label.lower().replace('.', '_')}"
    text = "\n".join(cell["source"] for cell in exercise["cells"])
    points = [cell["points"] for cell in graded(exercise) if cell["grade"]]
    assert points == [int(exercise["points"])]
    assert f"Solution: [Exercise {label}](" in text
    if is_checked(exercise):
        assert f"checks.{name}(" in text
        assert callable(getattr(checks, name))
        assert [cell["grade_id"] for cell in graded(exercise)] == [name, f"{name}_check"]
        assert text.count("<details>") >= 3, "three graded hints"
        check = next(c for c in exercise["cells"] if f"checks.{name}(" in c["source"])
        shown = "".join("".join(output.get("text", [])) for output in check["outputs"])
        assert shown.strip() == f"Exercise {label}: not attempted yet.", (
            "the stub's verdict is what a reader meets first"
        )
    else:
        assert [cell["grade_id"] for cell in graded(exercise)] == [name]
        rubric = re.findall(r"^\| (\d+) \| .{10,} \|$", text, re.MULTILINE)
        assert sum(map(int, rubric)) == points[0], "a discussed exercise prints its rubric: what earns each point"


@pytest.mark.parametrize(("path", "label", "exercise"), CASES)
def test_an_exercise_has_its_solution(path: Path, label: str, exercise: dict) -> None:
    solutions = cells_of(ROOT / "book" / "solutions" / path.name)
    text = "\n".join(cell["source"] for cell in solutions)
    assert f"Exercise {label}" in text
    if is_checked(exercise):
        name = f"checks.ex_{label.lower().replace('.', '_')}("
        shown = ["".join(o.get("text", [])) for c in solutions if name in c["source"] for o in c.get("outputs", [])]
        assert any(f"Exercise {label}: right." in output for output in shown)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_has_four_to_six_and_says_how_long_they_take(path: Path) -> None:
    exercises = exercises_of(path)
    minutes = sum(int(exercise["minutes"]) for exercise in exercises.values())
    frame = cells_of(path)[0]["source"]
    said = re.search(r"exercises (\d+) minutes", frame)
    assert said and int(said[1]) == minutes, f"the exercises take {minutes} minutes: say so in the frame"
    assert sum(map(is_checked, exercises.values())) * 2 >= len(exercises)
    if path.parent.name == "book":
        assert 4 <= len(exercises) <= 6


def test_grade_ids_are_unique_in_the_book() -> None:
    ids = Counter(cell["grade_id"] for case in CASES for cell in graded(case.values[2]))
    assert ids
    assert not [name for name, count in ids.items() if count > 1]
