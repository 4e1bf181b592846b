"""Every exercise has the form: heading, stub, check, hints, solution; numbers, points and minutes agree everywhere.

A fork may withhold the solutions (tools/withhold.py): all of them, and then nothing may point to them.
"""

import re
from collections import Counter
from pathlib import Path

import exercises
import pytest
import setup_cell
import withhold
from exercises import Chapter, Exercise

from resnet_edu import checks

ROOT = Path(__file__).parents[2]
CHAPTERS = exercises.chapters()
CASES = [
    pytest.param(chapter, exercise, id=f"{chapter.path.stem}-{exercise.label}")
    for chapter in CHAPTERS
    for exercise in chapter.exercises
]


@pytest.mark.parametrize(("chapter", "exercise"), CASES)
def test_an_exercise_has_the_form(chapter: Chapter, exercise: Exercise) -> None:
    name, text = exercise.name, exercise.text
    points = [cell["points"] for cell in exercise.graded if cell["grade"]]
    assert points == [exercise.points], f"its line says {exercise.points} points, and its cells' metadata {points}"
    assert (f"Solution: [Exercise {exercise.label}](" in text) is not withhold.withheld(ROOT)
    if exercise.checked:
        assert f"checks.{name}(" in text
        assert callable(getattr(checks, name))
        assert [cell["grade_id"] for cell in exercise.graded] == [name, f"{name}_check"]
        assert text.count("<details>") >= 3, "three graded hints"
        check = next(c for c in exercise.cells if f"checks.{name}(" in c["source"])
        shown = "".join("".join(output.get("text", [])) for output in check["outputs"])
        assert shown.strip() == f"Exercise {exercise.label}: not attempted yet.", (
            "the stub's verdict is what a reader meets first"
        )
    else:
        assert [cell["grade_id"] for cell in exercise.graded] == [name]
        assert sum(points for points, _ in exercise.rubric) == exercise.points, (
            "a discussed exercise prints its rubric: what earns each point"
        )


@pytest.mark.skipif(withhold.withheld(ROOT), reason="this fork withholds the solutions")
@pytest.mark.parametrize(("chapter", "exercise"), CASES)
def test_an_exercise_has_its_solution(chapter: Chapter, exercise: Exercise) -> None:
    solutions = exercises.cells_of(withhold.solutions_of(ROOT) / chapter.path.name)
    text = "\n".join(cell["source"] for cell in solutions)
    assert f"Exercise {exercise.label}" in text, f"solutions/{chapter.path.name} has no solution of it"
    if exercise.checked:
        name = f"checks.{exercise.name}("
        shown = ["".join(o.get("text", [])) for c in solutions if name in c["source"] for o in c.get("outputs", [])]
        assert any(f"Exercise {exercise.label}: right." in output for output in shown)


def test_solutions_are_there_and_linked_or_withheld_and_nowhere_mentioned() -> None:
    """Without this a deleted folder would pass: the tests of solutions are skipped where there are none."""
    linked = [path.name for path in withhold.pages(ROOT) if withhold.LINK.search(path.read_text(encoding="utf-8"))]
    listed = withhold.PART.search((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    if withhold.withheld(ROOT):
        assert not linked and not listed
    else:
        assert set(linked) >= {chapter.path.name for chapter in CHAPTERS}
        assert listed


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.path.stem)
def test_a_chapter_has_four_to_six_and_says_how_long_they_take(chapter: Chapter) -> None:
    minutes = sum(exercise.minutes for exercise in chapter.exercises)
    assert chapter.working == minutes, f"the exercises take {minutes} minutes: say so in the frame"
    assert sum(exercise.checked for exercise in chapter.exercises) * 2 >= len(chapter.exercises)
    if chapter.path.parent.name == "book":
        assert 4 <= len(chapter.exercises) <= 6


def test_grade_ids_are_unique_in_the_book() -> None:
    ids = Counter(
        cell["grade_id"] for chapter in CHAPTERS for exercise in chapter.exercises for cell in exercise.graded
    )
    assert ids
    assert not [name for name, count in ids.items() if count > 1]


# The first lines of every notebook: how long it takes, and whether it wants a GPU.


def frame_problems(frame: dict[str, str], code: str) -> list[str]:
    """What the rows *Time* and *Hardware* do not say, as a sentence each."""
    found = []
    time, hardware = frame.get("Time", ""), frame.get("Hardware", "")
    if not re.search(r"reading \d+ minutes", time):
        found.append("*Time* must say 'reading N minutes'")
    if not re.search(r"running about \d+ (seconds|minutes) on one CPU thread", time):
        found.append("*Time* must say 'running about N seconds on one CPU thread', or minutes")
    unused = "a GPU is not used, so it takes as long with one" in hardware
    timed = re.search(r"about \d+ (seconds|minutes) on (a|an|one) [\w ]*GPU", time) is not None
    if unused == timed:
        found.append(
            "say either in *Hardware* 'a GPU is not used, so it takes as long with one', "
            "or in *Time* 'about N minutes on a ... GPU'"
        )
    if unused and re.search(r"cuda|\.to\(|best_device|get_device", code):
        found.append("*Hardware* says that no GPU is used, but the code moves something")
    return found


@pytest.mark.parametrize("path", setup_cell.notebooks(ROOT), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_first_lines_say_how_long_and_whether_a_gpu_helps(path: Path) -> None:
    code = "\n".join(cell["source"] for cell in exercises.cells_of(path) if cell["cell_type"] == "code")
    found = frame_problems(exercises.read(path).frame, code)
    assert not found, "\n".join(found)


UNUSED = {"Hardware": "any CPU; a GPU is not used, so it takes as long with one"}


@pytest.mark.parametrize(
    ("frame", "code", "said"),
    [
        (UNUSED | {"Time": "reading 20 minutes, running about 5 seconds on one CPU thread"}, "", ""),
        (
            {
                "Time": "reading 9 minutes, running about 2 minutes on one CPU thread, about 20 seconds on one T4 GPU",
                "Hardware": "a GPU makes it faster",
            },
            "net.to('cuda')",
            "",
        ),
        (UNUSED, "", "reading N minutes"),
        (UNUSED | {"Time": "reading 20 minutes, running about 5 seconds"}, "", "on one CPU thread"),
        ({"Time": "reading 9 minutes, running about 2 minutes on one CPU thread", "Hardware": "any"}, "", "either"),
        (UNUSED | {"Time": "reading 9 minutes, running about 5 seconds on one CPU thread"}, "x.cuda()", "moves"),
    ],
)
def test_the_rule_sees_what_is_missing(frame: dict[str, str], code: str, said: str) -> None:
    found = frame_problems(frame, code)
    assert [said in problem for problem in found].count(True) == bool(said) and (said or not found)
