"""Fill the generated parts of appendix B from the notebooks: ``python tools/instructors.py``.

The page's text is written by hand; what stands between ``% begin NAME`` and ``% end`` is written here, so that no
minute, point or title is typed twice. A course plan is data below: what is read and which exercises are worked on. Its
minutes and points are sums over the notebooks.
"""

import fnmatch
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import exercises
from exercises import Chapter, Exercise

PAGE = exercises.setup_cell.ROOT / "book" / "appendix" / "b_instructors.md"
SPACE = "\N{NO-BREAK SPACE}"
GENERATED = re.compile(r"^(% begin (.+?)\n).*?(?=^% end$)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Session:
    """One meeting or one milestone; exercises by label, or by a pattern such as ``8.*``, chapters by file number."""

    about: str
    talk: int = 0  # minutes of showing and talking
    read: tuple[str, ...] = ()  # before the session
    in_class: tuple[str, ...] = ()
    at_home: tuple[str, ...] = ()
    own: int = 0  # minutes of own work outside of any exercise


PLANS = {
    "lecture": (
        Session("What a stack computes", talk=7, in_class=("1.1",)),
        Session("Deeper is worse", talk=15, in_class=("2.2",)),
        Session("The correction", talk=15, in_class=("3.1",)),
        Session("When the shape changes", talk=10, in_class=("4.1",)),
        Session("The whole network", talk=5),
        Session("Afterwards, for those who want", at_home=("3.2", "3.4", "4.2")),
    ),
    "weeks": (
        Session("1 · A plain stack", talk=35, read=("01",), in_class=("1.1", "1.4"), at_home=("1.2", "1.3")),
        Session("2 · Degradation", talk=35, read=("02",), in_class=("2.2", "2.5"), at_home=("2.1", "2.4")),
        Session("3 · The residual unit", talk=35, read=("03",), in_class=("3.1", "3.4"), at_home=("3.2", "3.3")),
        Session("4 · The basic block", talk=35, read=("04",), in_class=("4.1", "4.4"), at_home=("4.2", "1.6")),
        Session("5 · Bottleneck and stages", talk=35, read=("05", "06"), in_class=("5.1", "6.3"), at_home=("6.2",)),
        Session("6 · The whole network", talk=35, read=("07",), in_class=("7.1", "7.4"), at_home=("7.2", "4.5")),
    ),
    "project": (
        Session("1 · Groundwork", talk=45, read=("01", "02", "03"), at_home=("2.1", "3.1", "3.2")),
        Session("2 · A rehearsal: one small investigation", talk=45, at_home=("3.6",)),
        Session("3 · The network", talk=45, read=("04", "05", "06", "07"), at_home=("4.2", "7.2")),
        Session("4 · Training at full scale", talk=45, read=("08", "09"), at_home=("8.*", "9.*")),
        Session("5 · A question of your own: plan, runs, report", talk=90, own=1200),
    ),
}


def link(chapter: Chapter) -> str:
    """A chapter as a link from the appendix's folder."""
    return f"[{chapter.title}]({Path(os.path.relpath(chapter.path, PAGE.parent)).as_posix()})"


def table(head: str, align: str, rows: Iterable[Iterable]) -> str:
    """A Markdown table; ``align`` has an l, r or c for each column."""
    marks = {"l": ":--", "r": "--:", "c": ":-:"}
    lines = [
        head.split("|"),
        [marks[a] for a in align],
        *([str(cell).replace("|", "\\|") for cell in row] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def totals(found: list[Exercise]) -> tuple[int, int, int, int]:
    """How many, how many of them checked, their minutes and their points."""
    return len(found), sum(e.checked for e in found), sum(e.minutes for e in found), sum(e.points for e in found)


def overview(chapters: list[Chapter]) -> str:
    """A row for each chapter, and the sum."""
    rows = [(link(chapter), chapter.reading, *_sums(chapter.exercises)) for chapter in chapters]
    every = [e for chapter in chapters for e in chapter.exercises]
    rows.append(("all", sum(chapter.reading for chapter in chapters), *_sums(every)))
    return table("chapter|to read, min|to do, min|pts|checked", "lrrrr", rows)


def _sums(found: list[Exercise]) -> tuple[int, int, str]:
    count, checked, minutes, points = totals(found)
    return minutes, points, f"{checked} of {count}"


def every_exercise(chapters: list[Chapter]) -> str:
    """A table of its exercises for each chapter."""
    parts = []
    for chapter in chapters:
        rows = []
        for e in chapter.exercises:
            judged = "checked" if e.checked else "discussed"
            rows.append(
                (
                    e.label,
                    f"{e.title}<br>*{e.objective}*",
                    f"{e.kind} {e.level}<br>{_cost(e.minutes, e.points)}<br>{judged}",
                )
            )
        count, checked, minutes, points = totals(chapter.exercises)
        rows.append(("**all**", f"**{count} exercises, {checked} checked**", f"**{_cost(minutes, points)}**"))
        parts.append(f"### {link(chapter)}\n\n{table('no.|exercise and objective|what it takes', 'lll', rows)}")
    return "\n\n".join(parts)


def _cost(minutes: int, points: int) -> str:
    return f"{minutes}{SPACE}min, {points}{SPACE}points"


def plan(name: str, chapters: list[Chapter]) -> str:
    """A course plan with its minutes and points; ValueError where it names an exercise that there is not."""
    by_label = {e.label: e for chapter in chapters for e in chapter.exercises}
    by_number = {chapter.path.name.split("_")[0]: chapter for chapter in chapters}

    def chosen(session: Session, wanted: tuple[str, ...]) -> list[Exercise]:
        found = []
        for pattern in wanted:
            labels = fnmatch.filter(by_label, pattern)
            if not labels and "*" not in pattern:
                raise ValueError(f"plan {name!r}, {session.about!r}: no chapter has an exercise {pattern}")
            found += [by_label[label] for label in labels]
        return found

    rows, sums = [], [0, 0, 0]
    for session in PLANS[name]:
        in_class, at_home = chosen(session, session.in_class), chosen(session, session.at_home)
        reading = [by_number[number] for number in session.read if number in by_number]
        absent = [f"chapter {int(number)} (not in this copy)" for number in session.read if number not in by_number]
        to_read = ", ".join([*map(link, reading), *absent])
        here = session.talk + totals(in_class)[2]
        outside = sum(chapter.reading for chapter in reading) + totals(at_home)[2] + session.own
        points = totals(in_class + at_home)[3]
        sums = [total + number for total, number in zip(sums, (here, outside, points), strict=True)]
        about = session.about + (f"<br>read {to_read}" if to_read else "")
        rows.append((about, _work(in_class, here), _work(at_home, outside), points))
    rows.append(("**sum**", f"**{sums[0]}{SPACE}min**", f"**{sums[1]}{SPACE}min**", f"**{sums[2]}**"))
    return table("session|in class|at home|points", "lllr", rows)


def _work(found: list[Exercise], minutes: int) -> str:
    return "<br>".join(filter(None, [", ".join(e.label for e in found), f"{minutes}{SPACE}min" if minutes else ""]))


def rubrics(chapters: list[Chapter]) -> str:
    """The rubric of each discussed exercise, as its chapter prints it."""
    parts = []
    for chapter in chapters:
        for e in chapter.exercises:
            if not e.checked:
                heading = f"### {e.label} · {e.title}\n\n{link(chapter)}, {e.minutes} minutes, {e.points} points\n\n"
                parts.append(heading + table("points|for", "rl", e.rubric))
    return "\n\n".join(parts)


def filled(text: str) -> str:
    """The page with each generated part written anew; ValueError for a part that nobody writes."""
    chapters = exercises.chapters()
    parts = {"overview": overview, "exercises": every_exercise, "rubrics": rubrics}

    def written(found: re.Match) -> str:
        kind, _, name = found[2].partition(" ")
        if kind == "plan" and name in PLANS:
            return f"{found[1]}\n{plan(name, chapters)}\n\n"
        if kind not in parts:
            raise ValueError(
                f"{PAGE.name}: % begin {found[2]}: one of {', '.join(parts)}, plan {', plan '.join(PLANS)}"
            )
        return f"{found[1]}\n{parts[kind](chapters)}\n\n"

    return GENERATED.sub(written, text)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
