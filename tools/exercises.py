"""Read chapters and exercises from the notebooks, in the form that CONTRIBUTING.md fixes.

The notebooks are the only place where minutes, points and objectives stand; pages and tests read them here.
``python tools/exercises.py > exercises.csv`` writes them for a spreadsheet.
"""

import csv
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import setup_cell

KINDS = ("build", "predict", "find the bug", "investigate")
HEADING = re.compile(r"^### Exercise (?P<label>[\dA-Z]+\.\d+) · (?P<title>.+)$", re.MULTILINE)
LINE = re.compile(
    rf"^`(?P<kind>{'|'.join(KINDS)})` · (?P<level>★☆☆|★★☆|★★★) · (?P<minutes>\d+) minutes · (?P<points>\d+) points? "
    r"· \*(?P<objective>.+)\*$",
    re.MULTILINE,
)
RUBRIC = re.compile(r"^\| (\d+) \| (.{10,}) \|$", re.MULTILINE)
ROW = re.compile(r"^\| \*(.+?)\* \| (.+) \|$", re.MULTILINE)


@dataclass
class Exercise:
    """What the heading of an exercise says, and its cells, from the heading to the next one."""

    label: str
    title: str
    kind: str
    level: str
    minutes: int
    points: int
    objective: str
    cells: list[dict]

    @property
    def name(self) -> str:
        """The name of its check and its ``grade_id``: ``ex_1_2``."""
        return f"ex_{self.label.lower().replace('.', '_')}"

    @property
    def text(self) -> str:
        """The sources of all its cells."""
        return "\n".join(cell["source"] for cell in self.cells)

    @property
    def checked(self) -> bool:
        """Whether a check judges the answer; otherwise the exercise is discussed, with a rubric."""
        return any("checks.ex_" in cell["source"] for cell in self.cells if cell["cell_type"] == "code")

    @property
    def rubric(self) -> list[tuple[int, str]]:
        """What earns each point, as the chapter prints it; a checked exercise has none."""
        return [] if self.checked else [(int(points), text) for points, text in RUBRIC.findall(self.text)]

    @property
    def graded(self) -> list[dict]:
        """nbgrader's metadata of its cells."""
        return [cell["metadata"]["nbgrader"] for cell in self.cells if "nbgrader" in cell["metadata"]]


@dataclass
class Chapter:
    """A notebook's title, the rows of the table below it (*Time*, *Hardware*, ...), and its exercises."""

    path: Path
    title: str
    frame: dict[str, str]
    exercises: list[Exercise]

    @property
    def reading(self) -> int:
        """Minutes of reading, from the row *Time*."""
        return _minutes("reading", self)

    @property
    def working(self) -> int:
        """Minutes that the row *Time* gives for the exercises; a test compares them with their sum."""
        return _minutes("exercises", self)


def cells_of(path: Path) -> list[dict]:
    """The cells of a notebook, each source in one string."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        cell["source"] = "".join(cell["source"])
    return cells


def read(path: Path) -> Chapter:
    """Read one notebook.

    Raises:
        ValueError: if the line below the heading of an exercise has another form.
    """
    cells = cells_of(path)
    exercises: list[Exercise] = []
    for cell in cells:
        heading = HEADING.search(cell["source"]) if cell["cell_type"] == "markdown" else None
        if heading:
            line = LINE.search(cell["source"])
            if line is None:
                raise ValueError(
                    f"{path.name}, {heading.group()!r}: the line below must read "
                    f"`kind` · level · minutes · points · *objective*, with a kind of {', '.join(KINDS)}"
                )
            said = heading.groupdict() | line.groupdict()
            said |= {"minutes": int(said["minutes"]), "points": int(said["points"])}
            exercises.append(Exercise(cells=[], **said))
        if exercises:
            exercises[-1].cells.append(cell)
    return Chapter(
        path, cells[0]["source"].splitlines()[0].lstrip("# "), dict(ROW.findall(cells[0]["source"])), exercises
    )


def chapters(root: Path = setup_cell.ROOT) -> list[Chapter]:
    """Every notebook with exercises, in reading order; solutions are none."""
    found = [read(path) for path in setup_cell.notebooks(root) if path.parent.name != "solutions"]
    return [chapter for chapter in found if chapter.exercises]


def _minutes(what: str, chapter: Chapter) -> int:
    said = re.search(rf"{what} (\d+) minutes", chapter.frame.get("Time", ""))
    if said is None:
        raise ValueError(f"{chapter.path.name}: the row *Time* must say '{what} N minutes'")
    return int(said[1])


if __name__ == "__main__":
    write = csv.writer(sys.stdout, lineterminator="\n").writerow
    write(["label", "chapter", "title", "kind", "level", "minutes", "points", "checked", "objective"])
    for chapter in chapters():
        for e in chapter.exercises:
            write([e.label, chapter.path.stem, e.title, e.kind, e.level, e.minutes, e.points, e.checked, e.objective])
