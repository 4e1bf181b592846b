"""Points out of nbgrader's gradebook: a CSV with a column for each exercise, or Canvas' or Moodle's own filled in."""

import csv
import re
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from submissions import plain


def table(database: Path, assignment: str, students: set[str] = frozenset()) -> list[dict]:
    """A row for each student: points of each exercise, their sum, what is possible, and what waits for a human.

    Raises:
        LookupError: if the assignment is not in the gradebook.
    """
    rows = []
    with Gradebook(f"sqlite:///{database}") as gradebook:
        try:
            notebooks = gradebook.find_assignment(assignment).notebooks
        except MissingEntry:
            raise LookupError(f"{assignment} is not in the gradebook: release it first.") from None
        cells = sorted((cell for n in notebooks for cell in n.grade_cells), key=lambda cell: _natural(cell.name))
        graded = {submission.student.id: submission for submission in gradebook.assignment_submissions(assignment)}
        absent = {s for s in students if not any(s in (g, g.rpartition("_")[2]) for g in graded)}
        for student in sorted({*graded, *absent}):
            submission = graded.get(student)
            grades = {g.name: g for n in submission.notebooks for g in n.grades} if submission else {}
            points = {label(cell.name): grades[cell.name].score if cell.name in grades else 0 for cell in cells}
            waiting = [label(c.name) for c in cells if c.name in grades and grades[c.name].needs_manual_grade]
            possible = sum(cell.max_score for cell in cells)
            rows.append(
                {"student": student, **points, "points": sum(points.values()), "possible": possible}
                | {"to grade by hand": " ".join(waiting) if submission else "nothing was handed in"}
            )
    return rows


def write(rows: list[dict], file: Path) -> None:
    """Write a table as CSV."""
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def fill(rows: list[dict], gradebook: Path, key: str, column: str, file: Path) -> list[str]:
    """Fill ``column`` of a gradebook that Canvas or Moodle exported, write it to ``file``, and say who was not found.

    A row belongs to a student if its ``key`` is the student's id, as ``collect`` writes it. Of ``doejane_123``, which
    it made of a download's name, the number will do: the ID 123 of Canvas, the Participant 123 of Moodle. No row, or
    more than one, leaves the student out. Everything else in the gradebook stays as it is.
    """
    with gradebook.open(encoding="utf-8-sig", newline="") as opened:
        reader = csv.DictReader(opened)
        lines, header = list(reader), reader.fieldnames or []
    for name in (key, column):
        if name not in header:
            raise LookupError(f"{gradebook.name} has no column {name!r}; it has {', '.join(map(repr, header))}.")
    missing = []
    for row in rows:
        student = row["student"]
        same = [line for line in lines if plain(line[key] or "") == student]
        if not same and (made := re.fullmatch(r".+_(\d+)", student)):
            same = [line for line in lines if _number(line[key] or "") == made[1]]
        if len(same) == 1:
            same[0][column] = f"{row['points']:g}"
        else:
            found = "no row has" if not same else f"{len(same)} rows have"
            missing.append(f"{student} was left out: {found} this {key} in {gradebook.name}.")
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, header)
        writer.writeheader()
        writer.writerows(lines)
    return missing


def label(grade_id: str) -> str:
    """An exercise's number: ``ex_1_2_check`` is 1.2."""
    return grade_id.removeprefix("ex_").removesuffix("_check").upper().replace("_", ".")


def _natural(grade_id: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in label(grade_id).split(".")]


def _number(key: str) -> str | None:
    """123 of ``123`` and of ``Participant 123``, and nothing of a login such as ``doe123``."""
    found = re.search(r"(?:^|\s)(\d+)$", key.strip())
    return found[1] if found else None
