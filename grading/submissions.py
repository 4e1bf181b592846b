"""Whose file is it? Put downloaded notebooks where nbgrader looks for them: ``submitted/STUDENT/ASSIGNMENT/``.

Three forms are known: ``STUDENT/any name.ipynb``; Moodle's ``Jane Doe_123_assignsubmission_file_/any name.ipynb``;
Canvas' ``doejane_123_4567_any name.ipynb``, with or without LATE. The last two become ``jane-doe_123`` and
``doejane_123``.
"""

import csv
import re
import shutil
import zipfile
from pathlib import Path

import nbformat
from assignments import read

MOODLE = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_file")
CANVAS = re.compile(r"(?P<name>[^_]+)_(?:LATE_)?(?P<number>\d+)_\d+_.+\.ipynb$", re.IGNORECASE)
NOTE = """\
**What was handed in could not be read as a notebook.** ({reason}) It was graded as if nothing had been answered. The
file as it was handed in is kept beside this one, as `{kept}`."""


def unpack(archive: Path, folder: Path) -> Path:
    """Extract a downloaded zip file into a folder, which is returned; zipfile keeps names inside it."""
    try:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"{archive.name} cannot be read as a zip file ({error}): download it again.") from None
    except RuntimeError as error:  # it wants a password
        raise ValueError(f"{archive.name} cannot be extracted ({error}): extract it, and give the folder.") from None
    return folder


def collect(downloads: Path, course: Path, assignment: str, force: bool = False) -> list[str]:
    """Copy each student's notebook of an assignment into ``submitted``, and say what is not as it should be.

    Raises:
        FileNotFoundError: if there is no released assignment of that name, or no notebook in the folder.
    """
    released = course / "release" / assignment / f"{assignment}.ipynb"
    if not released.exists():
        raise FileNotFoundError(f"{assignment} has not been released here: grade.py release {assignment}")
    ours, known = grade_ids(read(released)), roster(course)
    found, sentences = _sort(downloads, known)
    for student, paths in found.items():
        mine = [path for path in paths if _is_of(path, ours)]
        to = course / "submitted" / student / assignment / released.name
        if not mine:
            sentences.append(f"{student}: {paths[-1].name} holds no exercise of {assignment}; it was left out.")
            continue
        if to.exists() and not force:
            sentences.append(f"{student} was collected before, and nothing was replaced: --force replaces it.")
            continue
        if len(mine) > 1:
            sentences.append(f"{student} handed in {len(mine)} notebooks; {mine[-1].name}, the last, was taken.")
        if not mine[-1].name.endswith(released.name):
            sentences.append(f"{student}: {mine[-1].name} was taken for {released.name}, by its exercises.")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(mine[-1], to)
    if not found:
        raise FileNotFoundError("\n".join([*sentences, f"No notebook was found in {downloads}."]))
    return sentences


def _sort(downloads: Path, known: set[str]) -> tuple[dict[str, list[Path]], list[str]]:
    """Each student's notebooks, and a sentence for everything that is not one."""
    found, without, sentences = {}, set(), []
    for path in sorted(p for p in downloads.rglob("*") if not {".ipynb_checkpoints", "__MACOSX"} & set(p.parts)):
        student = owner(path, downloads)
        if path.is_dir():
            without |= {student} if path.parent == downloads else set()
        elif path.suffix != ".ipynb":
            sentences.append(f"{path.relative_to(downloads)} is not a notebook; it was left out.")
        elif student is None:
            sentences.append(f"{path.name} does not say whose it is: put it into a folder with the student's name.")
        elif known and not known & {student, student.rpartition("_")[2]}:
            sentences.append(f"{student} is not in students.csv; {path.name} was left out.")
            without.discard(student)
        else:
            found.setdefault(student, []).append(path)
    sentences += [f"{student}: the folder holds no notebook." for student in sorted(without - set(found))]
    return found, sentences


def owner(path: Path, downloads: Path) -> str | None:
    """The student that a path speaks of, or None.

    >>> owner(Path("d/Jane Doe_12_assignsubmission_file_/a.ipynb"), Path("d"))
    'jane-doe_12'
    >>> owner(Path("d/doejane_LATE_12_345_a-1.ipynb"), Path("d"))
    'doejane_12'
    >>> owner(Path("d/ada/a.ipynb"), Path("d"))
    'ada'
    """
    parts = path.relative_to(downloads).parts
    for part in parts:
        named = MOODLE.match(part) or CANVAS.match(part)
        if named:
            return f"{plain(named['name'])}_{named['number']}"
    folder = path.name if path.is_dir() else path.parent.name
    return plain(folder) if path.is_dir() or len(parts) > 1 else None


def make_readable(course: Path, assignment: str) -> list[str]:
    """Put an empty assignment, with a note, in the place of every submission that is no notebook; say which."""
    sentences = []
    released = read(course / "release" / assignment / f"{assignment}.ipynb")
    for folder in sorted((course / "submitted").glob(f"*/{assignment}")):
        student, path = folder.parent.name, folder / f"{assignment}.ipynb"
        if not path.exists():
            sentences.append(f"{student}: there is no {path.name} in {folder}, so nothing to grade.")
            continue
        reason = why_unreadable(path)
        if reason:
            kept = path.with_suffix(".unreadable")
            path.replace(kept)
            note = nbformat.v4.new_markdown_cell(NOTE.format(reason=reason, kept=kept.name))
            nbformat.write(nbformat.from_dict({**released, "cells": [note, *released.cells]}), path)
            sentences.append(f"{student}: the file is not a readable notebook ({reason}); graded as not answered.")
    return sentences


def why_unreadable(path: Path) -> str | None:
    """What keeps a file from being a notebook with cells, or None."""
    try:
        notebook = read(path)
        for cell in notebook.cells:
            if not isinstance(cell.source, str) or not isinstance(cell.metadata, dict) or not cell.cell_type:
                return "a cell has no text"
    except Exception as error:  # nbformat raises a good dozen kinds
        return " ".join(f"{type(error).__name__}: {error}".split())[:120]
    return None


def grade_ids(notebook: nbformat.NotebookNode) -> set[str]:
    """The names of the exercises' cells."""
    about = (cell.metadata.get("nbgrader") for cell in notebook.cells)
    return {a["grade_id"] for a in about if isinstance(a, dict) and str(a.get("grade_id", "")).startswith("ex_")}


def roster(course: Path) -> set[str]:
    """The ids in students.csv, in its column ``id``, as folders are named; without that file everybody is known."""
    file = course / "students.csv"
    if not file.exists():
        return set()
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    if not rows or "id" not in rows[0]:
        raise ValueError(f"{file} needs a header with a column `id`, and a row for each student.")
    return {plain(row["id"]) for row in rows}


def _is_of(path: Path, ours: set[str]) -> bool:
    """Whether a notebook holds one of these exercises; one that cannot be read is given the benefit of the doubt."""
    if why_unreadable(path):
        return True
    return bool(ours & grade_ids(read(path)))


def plain(name: str) -> str:
    """A student's id as folders are named: small letters, and no spaces.

    >>> plain(" Ada Lovelace")
    'ada-lovelace'
    """
    return re.sub(r"[^\w.-]+", "-", name.strip()).strip("-.").lower()
