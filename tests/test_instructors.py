"""Appendix B says what the notebooks say, and its plans add up."""

import re

import exercises
import instructors
import pytest

CHAPTERS = exercises.chapters()
PAGE = instructors.PAGE.read_text(encoding="utf-8")


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def numbers(row: str) -> list[int]:
    """The last number of each cell but the first: a plan's cell holds labels, and then minutes."""
    return [int((re.findall(r"\d+", cell) or ["0"])[-1]) for cell in cells(row)[1:]]


def test_the_page_is_up_to_date() -> None:
    assert instructors.filled(PAGE) == PAGE, "run `python tools/instructors.py`"


def test_the_page_holds_every_part() -> None:
    begun = re.findall(r"^% begin (.+)$", PAGE, re.MULTILINE)
    assert sorted(begun) == sorted(
        ["overview", "exercises", "rubrics", *(f"plan {name}" for name in instructors.PLANS)]
    )
    assert PAGE.count("\n% end\n") == len(begun)


def test_every_exercise_stands_in_the_table() -> None:
    text = instructors.every_exercise(CHAPTERS)
    by_label = {cells(row)[0]: cells(row)[1:] for row in text.splitlines() if row.startswith("|")}
    for chapter in CHAPTERS:
        assert f"### {instructors.link(chapter)}\n" in text
        for e in chapter.exercises:
            about, takes = by_label[e.label]
            assert e.title in about and e.objective in about
            kind, cost, judged = takes.split("<br>")
            assert kind == f"{e.kind} {e.level}"
            assert [int(number) for number in re.findall(r"\d+", cost)] == [e.minutes, e.points]
            assert judged == ("checked" if e.checked else "discussed")


def test_the_overview_adds_up() -> None:
    *parts, total = [numbers(row) for row in instructors.overview(CHAPTERS).splitlines()[2:]]
    assert len(parts) == len(CHAPTERS)
    assert [sum(column) for column in zip(*parts, strict=True)] == total
    assert total[-1] == sum(len(chapter.exercises) for chapter in CHAPTERS)


@pytest.mark.parametrize("name", instructors.PLANS)
def test_a_plan_adds_up(name: str) -> None:
    *sessions, total = [numbers(row) for row in instructors.plan(name, CHAPTERS).splitlines()[2:]]
    assert [sum(column) for column in zip(*sessions, strict=True)] == total
    by_label = {e.label: e for chapter in CHAPTERS for e in chapter.exercises}
    named = {label for s in instructors.PLANS[name] for label in s.in_class + s.at_home if "*" not in label}
    assert total[2] >= sum(by_label[label].points for label in named) > 0


def test_the_lecture_and_the_sessions_fit_into_90_minutes() -> None:
    assert numbers(instructors.plan("lecture", CHAPTERS).splitlines()[-1])[0] == 90
    for row in instructors.plan("weeks", CHAPTERS).splitlines()[2:-1]:
        assert 60 <= numbers(row)[0] <= 80, "90 minutes, with time for questions"


def test_what_a_plan_names_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = (instructors.Session("1", at_home=("1.1", "1.77")),)
    monkeypatch.setitem(instructors.PLANS, "lecture", wrong)
    with pytest.raises(ValueError, match=r"'lecture', '1': no chapter has an exercise 1\.77"):
        instructors.filled(PAGE)


def test_a_part_that_nobody_writes_is_refused() -> None:
    with pytest.raises(ValueError, match="one of overview"):
        instructors.filled("% begin weather\n% end\n")


def test_every_rubric_is_printed() -> None:
    text = instructors.rubrics(CHAPTERS)
    discussed = [e for chapter in CHAPTERS for e in chapter.exercises if not e.checked]
    assert discussed
    for e in discussed:
        assert f"### {e.label} · {e.title}\n" in text
        assert all(reason in text for _, reason in e.rubric)


def test_an_exercise_in_another_form_is_refused(tmp_path) -> None:
    path = tmp_path / "09_new.ipynb"
    cell = '{"cell_type": "markdown", "metadata": {}, "source": "### Exercise 9.1 · New\\n`guess` · ★ · 5 minutes"}'
    path.write_text(f'{{"cells": [{cell}]}}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"09_new.ipynb, '### Exercise 9.1 · New'.*kind of build"):
        exercises.read(path)
