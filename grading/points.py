"""Points out of nbgrader's gradebook: a CSV with a column for each exercise, or Canvas' or Moodle's own filled in."""

import csv
import re
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from submissions import plain


def table(database: Path, assignment: str, students: set[str] = frozenset()) -> list[dict]:
    """A row for each student: points of each exercise, their sum, what is possible, and what waits for a human.

    Raises:
        LookupError: if there is no gradebook, or the assignment is not in it.
    """
    if not database.exists():  # nbgrader would make an empty one
        raise LookupError(f"There is no gradebook in {database.parent}: release {assignment}, or give its --course.")
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
    _write([list(rows[0]), *(list(row.values()) for row in rows)], file)


def fill(rows: list[dict], gradebook: Path, key: str, column: str, file: Path) -> list[str]:
    """Fill ``column`` of a gradebook that Canvas or Moodle exported, write it to ``file``, and say what to look at.

    A row belongs to a student if its ``key`` is the student's id, as ``collect`` writes it. Of ``doejane_123``, which
    it made of a download's name, the number will do: the ID 123 of Canvas, the Participant 123 of Moodle; it is said
    where nothing in the row has the name, for a folder ``team_7`` looks the same. No row, more than one, or one that
    another student has too, leaves the student out. Everything else in the gradebook stays as it is.

    Raises:
        LookupError: if the gradebook has no such column.
        ValueError: if it has one twice, or a line with more fields than the header.
    """
    header, *lines = _read(gradebook, key, column)
    who, points = header.index(key), header.index(column)
    sentences, claims = [], {}
    for row in rows:
        student = row["student"]
        found = [n for n, line in enumerate(lines) if plain(line[who]) == student]
        if not found and (made := re.fullmatch(r".+_(\d+)", student)):
            found = [n for n, line in enumerate(lines) if _number(line[who]) == made[1]]
        if len(found) == 1:
            claims.setdefault(found[0], []).append(row)
        else:
            count = f"{len(found)} rows have" if found else "no row has"
            sentences.append(f"{student} was left out: {count} this {key} in {gradebook.name}.")
    for n, claiming in claims.items():
        line, students = lines[n], " and ".join(row["student"] for row in claiming)
        if len(claiming) > 1:
            sentences.append(f"{students} were left out: they share the {key} {line[who]!r} in {gradebook.name}.")
            continue
        if not _names(line, students):
            sentences.append(f"{students} was taken for the {key} {line[who]!r}, by the number alone.")
        line[points] = f"{claiming[0]['points']:g}"
    _write([header, *lines], file)
    return sentences


def label(grade_id: str) -> str:
    """An exercise's number: ``ex_1_2_check`` is 1.2."""
    return grade_id.removeprefix("ex_").removesuffix("_check").upper().replace("_", ".")


def _natural(grade_id: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in label(grade_id).split(".")]


def _number(key: str) -> str | None:
    """123 of ``123`` and of ``Participant 123``, and nothing of a login such as ``doe123``."""
    found = re.search(r"(?:^|\s)(\d+)$", key.strip())
    return found[1] if found else None


def _names(line: list[str], student: str) -> bool:
    """Whether a row holds a student's id, or its name without the number: ``Doe, Jane`` is that of ``doejane_123``."""
    names = {_letters(student), _letters(student.rpartition("_")[0])} - {""}
    return any(_letters(cell) in names for cell in line)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def _read(gradebook: Path, *columns: str) -> list[list[str]]:
    """The header and the lines of a CSV, all as long as the header, in which each of the columns stands once."""
    lines = []
    with gradebook.open(encoding="utf-8-sig", newline="") as opened:
        reader = csv.reader(opened)
        header = next(reader, [])
        for name in columns:
            if name not in header:
                raise LookupError(f"{gradebook.name} has no column {name!r}; it has {', '.join(map(repr, header))}.")
            if header.count(name) > 1:
                times = f"{header.count(name)} times"
                raise ValueError(f"{gradebook.name} has the column {name!r} {times}; rename those that are not meant.")
        for line in filter(None, reader):
            if len(line) > len(header):
                fields = f"{len(line)} fields, but its header has {len(header)}"
                raise ValueError(f"Line {reader.line_num} of {gradebook.name} has {fields}; nothing was written.")
            lines.append(line + [""] * (len(header) - len(line)))
    return [header, *lines]


def _write(lines: list[list], file: Path) -> None:
    """Write lines as CSV: the whole file, or none."""
    unfinished = file.with_name(f"{file.name}.tmp")
    with unfinished.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows(lines)
    unfinished.replace(file)
