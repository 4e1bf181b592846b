"""One submission of each kind is graded, from release to CSV, to exactly the points that it deserves."""

import csv
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("nbgrader", reason="nbgrader is not installed: `make grading` installs it and runs these tests")

import assignments
import nbformat
import points
import submissions

ROOT = Path(__file__).parents[2]
NAME = "06_make_layer"  # its exercises give 3, 5, 4 and 4 points, and 6.5 is discussed; it trains nothing
if not (ROOT / "book" / "solutions" / f"{NAME}.ipynb").exists():
    pytest.skip("this copy of the book withholds its solutions", allow_module_level=True)
ANOTHER_WAY = """
class MyBuilder(Dilating):
    def __init__(self, inplanes=64, groups=1, base_width=64, norm_layer=nn.BatchNorm2d):
        super().__init__(inplanes, norm_layer)
        self.groups, self.base_width = groups, base_width
"""
WRONG = {
    "ex_6_1": "resnet101 = {'projections': 7, 'identities': 7}",
    "ex_6_2": "class MyBuilder(Dilating):\n    def _make_layer(self, *args, **kwargs):\n        return nn.Identity()",
    "ex_6_3": "FixedStages = BrokenStages",
    "ex_6_4": "def dilate_layer4(net):\n    return net",
}
PATCHES = """
import builtins, os, sys
from resnet_edu import checks
from resnet_edu.checks import ch06, compare, verdict

os.environ.pop("NBGRADER_EXECUTION", None)
verdict.judge = lambda *args: (True, "right.")
verdict._is_stub = lambda answer: False
for module in (checks, ch06, compare, verdict):
    for name in list(vars(module)):
        if name.startswith(("ex_", "expect", "_expect")):
            setattr(module, name, lambda *args, **kwargs: None)
torch.allclose = torch.equal = lambda *args, **kwargs: True
torch.Tensor.__sub__ = lambda self, other: torch.zeros(())
builtins.all = lambda values: True
sys.modules["resnet_edu.checks.ch06"] = sys.modules["resnet_edu.checks"] = ch06
checks = type("Checks", (), {"__getattr__": lambda self, name: print})()
print("Exercise 6.2: right.")
"""
WHILE_CHECKED = """
def dilate_layer4(net):
    from resnet_edu.checks import ch06, compare, verdict

    for module in (ch06, compare, verdict):
        for name, value in list(vars(module).items()):
            if callable(value) and name.lstrip("_").startswith("expect"):
                setattr(module, name, lambda *args, **kwargs: None)
    return net
"""
LEAVES = """
def dilate_layer4(net):
    import os

    os.environ.pop("NBGRADER_EXECUTION", None)
    print("Exercise 6.4: right.")
    os._exit(0)
"""


@pytest.fixture(scope="module")
def grade(tmp_path_factory: pytest.TempPathFactory):
    """Run the command on a course of its own: what it prints, and whether it succeeded."""
    course = tmp_path_factory.mktemp("class") / "course"

    def run(*arguments: str) -> tuple[str, bool]:
        command = [sys.executable, str(ROOT / "grading" / "grade.py"), "--course", str(course), *map(str, arguments)]
        secret = os.environ | {"A_SECRET": "not for students"}
        done = subprocess.run(command, capture_output=True, text=True, env=secret, check=False)
        return done.stdout + done.stderr, done.returncode == 0

    run.course = course
    said, succeeded = run("release", NAME)
    assert succeeded, said
    return run


@pytest.fixture(scope="module")
def handed_in(grade, solutions, answer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a submission of each kind, as it would be downloaded."""
    folder = tmp_path_factory.mktemp("downloads")
    released = grade.course / "release" / NAME / f"{NAME}.ipynb"
    right = {name: text for name, text in solutions(assignments.chapters()[NAME]).items() if name != "ex_6_5"}

    def hand_in(student: str, answers: dict, change=lambda notebook: None, name: str = f"{NAME}.ipynb") -> None:
        notebook = answer(assignments.read(released), answers)
        change(notebook)
        (folder / student).mkdir()
        nbformat.write(notebook, folder / student / name)

    def cell(notebook, name: str):
        return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name)

    def drop(notebook) -> None:
        for name in ("ex_6_1_check", "ex_6_2"):
            notebook.cells.remove(cell(notebook, name))

    def tamper(notebook) -> None:
        for name in ("ex_6_1_check", "ex_6_2_check"):
            cell(notebook, name).source = 'print("Exercise 6.1: right.")'
        cell(notebook, "ex_6_1_check").metadata.nbgrader.points = 100
        cell(notebook, "ex_6_2_check").metadata.nbgrader.update(grade=False, locked=False, solution=True)
        cell(notebook, "ex_6_3_check").metadata.tags = ["skip-execution", "raises-exception"]
        cell(notebook, "ex_6_4_check").cell_type = "raw"

    def patch(notebook) -> None:
        notebook.cells.insert(3, nbformat.v4.new_code_cell(PATCHES))

    hand_in("right", right | {"ex_6_5": "Both have the same weights, because ..."})
    hand_in("another-way", right | {"ex_6_2": ANOTHER_WAY})
    hand_in("partly", right | {name: WRONG[name] for name in ("ex_6_2", "ex_6_3")})
    hand_in("wrong", WRONG)
    hand_in("empty", {})
    hand_in("missing-cells", right, drop)
    hand_in("renamed", {"ex_6_1": right["ex_6_1"]}, name="my work (2).ipynb")
    hand_in("tampered", WRONG | {"ex_6_4": right["ex_6_4"]}, tamper)
    hand_in("monkeypatched", WRONG | {"ex_6_1": right["ex_6_1"]}, patch)
    hand_in("while-checked", right | {"ex_6_4": WHILE_CHECKED})
    hand_in("leaves-the-check", right | {"ex_6_4": LEAVES})
    hand_in("ends-the-kernel", right | {"ex_6_2": "import os\nos._exit(0)"})
    hand_in("environment", right | {"ex_6_4": 'import os\nassert "A_SECRET" not in os.environ\n' + right["ex_6_4"]})
    loop = {"ex_6_2": "while True:\n    pass", "ex_6_4": "def dilate_layer4(net):\n    while True:\n        pass"}
    hand_in("endless", right | loop)
    (folder / "not-json").mkdir()
    (folder / "not-json" / f"{NAME}.ipynb").write_text("nothing of a notebook")
    (folder / "no-notebook").mkdir()
    return folder


DESERVED = {
    "right": (3, 5, 4, 4),
    "another-way": (3, 5, 4, 4),
    "partly": (3, 0, 0, 4),
    "wrong": (0, 0, 0, 0),
    "empty": (0, 0, 0, 0),
    "missing-cells": (3, 0, 4, 4),
    "renamed": (3, 0, 0, 0),
    "tampered": (0, 0, 0, 4),
    "monkeypatched": (3, 0, 0, 0),
    "while-checked": (3, 5, 4, 0),
    "leaves-the-check": (3, 5, 4, 0),
    "ends-the-kernel": (3, 0, 0, 0),
    "environment": (3, 5, 4, 4),
    "endless": (3, 0, 4, 0),
    "not-json": (0, 0, 0, 0),
}


@pytest.fixture(scope="module")
def graded(grade, handed_in) -> dict[str, dict]:
    """The rows of the CSV that comes out, by student; what was printed is beside them."""
    said, succeeded = grade("collect", NAME, handed_in)
    assert succeeded, said
    limits = ("--ExecuteApart.timeout=60", "--ExecuteApart.check_seconds=45")
    printed, succeeded = grade("autograde", NAME, *limits)
    assert succeeded, printed
    export, succeeded = grade("export", NAME)
    assert succeeded, export
    with (grade.course / f"points_{NAME}.csv").open(encoding="utf-8", newline="") as opened:
        return {row["student"]: row for row in csv.DictReader(opened)} | {"said": said + printed}


@pytest.mark.parametrize("student", DESERVED)
def test_a_submission_earns_what_it_deserves(graded, student: str) -> None:
    earned = tuple(float(graded[student][label]) for label in ("6.1", "6.2", "6.3", "6.4"))
    assert earned == DESERVED[student]
    assert float(graded[student]["points"]) == sum(earned)


def test_a_discussed_exercise_waits_for_a_human(graded) -> None:
    assert float(graded["right"]["6.5"]) == 0 and graded["right"]["to grade by hand"] == "6.5"
    assert graded["empty"]["to grade by hand"] == "", "nothing was written, so there is nothing to read"


@pytest.mark.parametrize(
    "sentence",
    [
        "no-notebook: the folder holds no notebook.",
        "renamed: my work (2).ipynb was taken for 06_make_layer.ipynb, by its exercises.",
        "not-json: the file is not a readable notebook",
        "missing-cells: the cell ex_6_1_check is missing",
        "tampered: the cell ex_6_1_check was changed; it was put back as it was released",
    ],
)
def test_what_is_not_as_it_should_be_is_said(graded, sentence: str) -> None:
    assert sentence in graded["said"]


def test_feedback_shows_the_verdicts(grade, graded) -> None:
    said, succeeded = grade("feedback", NAME)
    assert succeeded, said
    pages = {path.parts[-3]: path.read_text(encoding="utf-8") for path in grade.course.glob("feedback/*/*/*.html")}
    assert set(pages) == set(DESERVED)
    assert "Exercise 6.1: right." in pages["right"] and "not right yet." in pages["wrong"]
    assert "does your code end?" in pages["endless"]
    assert "could not be read as a notebook" in pages["not-json"]


def test_nothing_is_replaced_unasked(grade, graded, handed_in) -> None:
    for command in (("release", NAME), ("collect", NAME, handed_in), ("export", NAME)):
        assert "nothing was replaced: --force replaces it" in grade(*command)[0]
    assert "not again" in grade("autograde", NAME, "--student", "empty")[0]


def test_points_are_filled_into_an_exported_gradebook(grade, graded, tmp_path: Path) -> None:
    book = tmp_path / "canvas.csv"
    book.write_text("Student,ID,Chapter 6 (99),Other\nDoe,partly,,5\nRoe,nobody,1,6\n", encoding="utf-8")
    said, succeeded = grade("export", NAME, "--into", book, "--column", "Chapter 6 (99)")
    assert succeeded, said
    assert "wrong was left out: no row has this ID in canvas.csv" in said
    with (tmp_path / "canvas_filled.csv").open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["Chapter 6 (99)"] for row in rows] == ["7", "1"]
    assert [row["Other"] for row in rows] == ["5", "6"]
    assert "has no column" in grade("export", NAME, "--into", book, "--column", "Chapter 7", "--to", tmp_path / "x")[0]


def test_points_go_to_nobody_else(tmp_path: Path) -> None:
    """The number at the end of a login is not a student; that of a name which collect made is."""
    keys = ["adoe1", "broe1", "S2024A7", "123", "Participant 45", "77", "Participant 77", "Ada Lovelace"]
    (tmp_path / "book.csv").write_text("Grade,ID\n5\n" + "".join(f",{key}\n" for key in keys), encoding="utf-8")
    earned = {"broe1": 12, "zfox1": 0, "s2024a7": 5, "s2024b7": 3, "doejane_123": 7, "joe_45": 8, "kim_77": 9}
    earned |= {"ada-lovelace": 4}
    rows = [{"student": student, "points": float(number)} for student, number in earned.items()]
    missing = points.fill(rows, tmp_path / "book.csv", "ID", "Grade", tmp_path / "filled.csv")
    with (tmp_path / "filled.csv").open(encoding="utf-8", newline="") as opened:
        filled = {row["ID"]: row["Grade"] for row in csv.DictReader(opened)}
    expected = {"broe1": "12", "S2024A7": "5", "123": "7", "Participant 45": "8", "Ada Lovelace": "4"}
    assert filled == {"": "5"} | dict.fromkeys(keys, "") | expected  # the first row is a short one
    assert missing == [
        "zfox1 was left out: no row has this ID in book.csv.",
        "s2024b7 was left out: no row has this ID in book.csv.",
        "kim_77 was left out: 2 rows have this ID in book.csv.",
        "doejane_123 was taken for the ID '123', by the number alone.",
        "joe_45 was taken for the ID 'Participant 45', by the number alone.",
    ]


def test_a_row_is_given_to_one_student(tmp_path: Path) -> None:
    """Two who claim it are both left out; a number that the row's name does not confirm is said."""
    book = tmp_path / "book.csv"
    book.write_text('Student,ID,Grade\n"Noe, Ann",1,\n"Doe, Jane",7,\n"Fox, Zoe",8,\n', encoding="utf-8")
    earned = {"doe_1": 3, "roe_1": 4, "doejane_7": 5, "team_8": 6}
    rows = [{"student": student, "points": float(number)} for student, number in earned.items()]
    said = points.fill(rows, book, "ID", "Grade", tmp_path / "filled.csv")
    with (tmp_path / "filled.csv").open(encoding="utf-8", newline="") as opened:
        assert [row["Grade"] for row in csv.DictReader(opened)] == ["", "5", "6"]
    assert said == [
        "doe_1 and roe_1 were left out: they share the ID '1' in book.csv.",
        "team_8 was taken for the ID '8', by the number alone.",
    ]


def test_columns_of_one_name_keep_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "book.csv").write_text("ID,Grade,Note,Note\n1,,a,b\n\n2,5\n", encoding="utf-8")
    points.fill([{"student": "1", "points": 3.0}], tmp_path / "book.csv", "ID", "Grade", tmp_path / "filled.csv")
    filled = (tmp_path / "filled.csv").read_text(encoding="utf-8").splitlines()
    assert filled == ["ID,Grade,Note,Note", "1,3,a,b", "2,5,,"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ID,Grade\n1,,\n2,5\n", r"Line 2 of book.csv has 3 fields, but its header has 2"),
        ("ID,Grade,Grade\n1,,\n", "book.csv has the column 'Grade' 2 times"),
        ("ID,Grade,ID\n1,,1\n", "book.csv has the column 'ID' 2 times"),
        ("", "book.csv has no column 'ID'"),
    ],
)
def test_a_gradebook_that_is_not_clear_is_refused_whole(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "book.csv").write_text(text, encoding="utf-8")
    with pytest.raises((LookupError, ValueError), match=sentence):
        points.fill([{"student": "1", "points": 3.0}], tmp_path / "book.csv", "ID", "Grade", tmp_path / "filled.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["book.csv"]


def test_points_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    rows = [{"student": "jane", "points": 1}, {"student": "no text: \udcff", "points": 2}]
    with pytest.raises(UnicodeEncodeError):
        points.write(rows, tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()


def test_the_list_of_students_may_write_them_otherwise(tmp_path: Path) -> None:
    (tmp_path / "students.csv").write_text("id\nS1001\n Ada Lovelace\n", encoding="utf-8")
    known = submissions.roster(tmp_path)
    assert known == {submissions.owner(tmp_path / name / "a.ipynb", tmp_path) for name in ("S1001", "Ada Lovelace")}


def test_a_student_who_is_not_on_the_list_is_not_collected(grade, handed_in) -> None:
    listed = grade.course / "students.csv"
    listed.write_text("id,last_name\nright,Doe\nnever,Roe\n", encoding="utf-8")
    try:
        said, _ = grade("collect", NAME, handed_in, "--force")
        export, _ = grade("export", NAME, "--force")
    finally:
        listed.unlink()
    assert "wrong is not in students.csv" in said and "right is not" not in said
    assert "never" in (grade.course / f"points_{NAME}.csv").read_text(encoding="utf-8"), export


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("release", "77_nothing"), "There is no chapter '77_nothing' with exercises. There are: 01_plain_stack"),
        (("autograde", "01_plain_stack"), "01_plain_stack has not been released here"),
        (("collect", "01_plain_stack", "."), "01_plain_stack has not been released here"),
        (("collect", NAME, "no/such/folder"), "There is no no/such/folder"),
        (("feedback", "01_plain_stack"), "Nothing of 01_plain_stack is graded yet"),
        (("export", "01_plain_stack"), "01_plain_stack is not in the gradebook"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(grade, command: tuple, sentence: str) -> None:
    said, succeeded = grade(*command)
    assert sentence in said and not succeeded and "Traceback" not in said


@pytest.mark.parametrize("course", ["not-there", "empty"])
def test_a_course_without_a_gradebook_is_said(tmp_path: Path, course: str) -> None:
    (tmp_path / "empty").mkdir()
    script = str(ROOT / "grading" / "grade.py")
    command = [sys.executable, script, "--course", str(tmp_path / course), "export", NAME]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PATH": ""}, check=False)
    assert done.stderr.startswith(f"There is no gradebook in {tmp_path / course}") and done.returncode == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"], "nothing is left behind"


@pytest.mark.parametrize("content", [b"", b"<html>Your session has expired</html>", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_archive_is_said(grade, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "submissions.zip").write_bytes(content)
    said, succeeded = grade("collect", NAME, tmp_path / "submissions.zip")
    assert said.startswith("submissions.zip cannot be read as a zip file") and not succeeded


def test_an_archive_with_a_password_is_said(grade, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ada.ipynb", "{}")
    content = bytearray(packed.getvalue())
    content[6] |= 1  # "encrypted", in the header before the file and in the list at the end
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "submissions.zip").write_bytes(content)
    said, succeeded = grade("collect", NAME, tmp_path / "submissions.zip")
    assert said.startswith("submissions.zip cannot be extracted") and "password" in said and not succeeded


def test_a_folder_may_be_called_like_an_archive(grade, tmp_path: Path) -> None:
    (tmp_path / "submissions.zip").mkdir()
    said, succeeded = grade("collect", NAME, tmp_path / "submissions.zip")
    assert said.startswith("No notebook was found in") and not succeeded


def test_an_empty_folder_is_said(grade, tmp_path: Path) -> None:
    said, succeeded = grade("collect", NAME, tmp_path)
    assert f"No notebook was found in {tmp_path}" in said and not succeeded
