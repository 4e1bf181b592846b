"""Release, collect, autograde, feedback, export: ``python grading/grade.py --help``. The engine is nbgrader."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import nbgrader  # noqa: F401 - is it there?
except ImportError:
    sys.exit("Grading needs nbgrader, in the book's environment: .venv/bin/pip install -r grading/requirements.txt")

import assignments
import nbformat
import points
import submissions

HERE = Path(__file__).resolve().parent


class Trouble(Exception):
    """Something that the instructor can mend; the message says how."""


def release(course: Path, names: list[str], force: bool) -> None:
    """Generate assignments from chapters and release their student versions."""
    known = assignments.chapters()
    for name in names or known:
        if name not in known:
            raise Trouble(f"There is no chapter {name!r} with exercises. There are: {', '.join(known)}.")
        released = course / "release" / name / f"{name}.ipynb"
        if released.exists() and not force:
            print(f"{name} was released before, and nothing was replaced: --force replaces it.")
            continue
        source = course / "source" / name / f"{name}.ipynb"
        source.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(assignments.make(known[name]), source)
        engine(course, "generate_assignment", name, *["--force"] * force)
        print(f"Give your students {released}")
        if list((course / "autograded").glob(f"*/{name}")):
            print(f"{name} was graded before, by the old points: python grading/grade.py autograde {name} --force")


def collect(course: Path, name: str, downloads: Path, force: bool) -> None:
    """Put downloaded submissions, a folder or a zip file, where autograde looks for them."""
    with tempfile.TemporaryDirectory() as folder:
        if not downloads.exists():
            raise Trouble(f"There is no {downloads}: give the folder or the zip file that you downloaded.")
        if downloads.is_file():
            downloads = submissions.unpack(downloads, Path(folder))
        for sentence in submissions.collect(downloads, course, name, force):
            print(sentence)
    print(f"{len(list((course / 'submitted').glob(f'*/{name}')))} submissions of {name} are collected.")


def autograde(course: Path, name: str, student: str, force: bool, options: list[str]) -> None:
    """Grade what was collected: every check judged in a process apart, with time limits."""
    if not (course / "release" / name).exists():
        raise Trouble(f"{name} has not been released here: python grading/grade.py release {name}")
    if not list((course / "submitted").glob(f"{student}/{name}")):
        who = "Nobody's submission" if student == "*" else f"No submission of {student}"
        raise Trouble(f"{who} of {name} is collected: python grading/grade.py collect {name} FOLDER")
    for sentence in submissions.make_readable(course, name):
        print(sentence)
    before = {path.parent.name for path in (course / "autograded").glob(f"{student}/{name}")}
    if before and not force:
        print(f"Graded before, and not again ({', '.join(sorted(before))}): --force grades again.")
    engine(course, "autograde", name, f"--student={student}", *["--force"] * force, *options)
    for row in points.table(course / "gradebook.db", name):
        by_hand = f"; to grade by hand: {row['to grade by hand']}" if row["to grade by hand"] else ""
        print(f"{row['student']:24} {row['points']:g} of {row['possible']:g}{by_hand}")


def feedback(course: Path, name: str, force: bool) -> None:
    """Write an HTML page for each graded submission."""
    if not list((course / "autograded").glob(f"*/{name}")):
        raise Trouble(f"Nothing of {name} is graded yet: python grading/grade.py autograde {name}")
    engine(course, "generate_feedback", name, *["--force"] * force)
    pages = list((course / "feedback").glob(f"*/{name}/*.html"))
    print(f"{len(pages)} pages: {course / 'feedback'}/STUDENT/{name}/{name}.html")


def export(course: Path, name: str, to: Path | None, into: Path | None, key: str, column: str, force: bool) -> None:
    """Write the points of each student and exercise to a CSV, or the sums into Canvas' or Moodle's gradebook."""
    rows = points.table(course / "gradebook.db", name, submissions.roster(course))
    if not rows:
        raise Trouble(f"Nobody has points in {name} yet: python grading/grade.py autograde {name}")
    to = to or (into.with_name(f"{into.stem}_filled.csv") if into else course / f"points_{name}.csv")
    if to.exists() and not force:
        raise Trouble(f"{to} exists, and nothing was replaced: --force replaces it.")
    missing = []
    if into:
        missing = points.fill(rows, into, key, column, to)
    else:
        points.write(rows, to)
    print(*missing, f"Written: {to}", sep="\n")


def engine(course: Path, command: str, *arguments: str) -> None:
    """Run one of nbgrader's commands on the course, and pass on its warnings without their frame."""
    course.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # nbgrader calls alembic
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "nbgrader", command, *arguments, "--log-level=WARN"],
        cwd=HERE,  # where nbgrader_config.py stands
        env=os.environ | {"GRADING_COURSE": str(course), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    for warning in re.findall(r"^\[\w+ \| WARNING\] ([^:\s]+: .+)$", done.stdout, re.MULTILINE):
        print(warning)
    if done.returncode:
        log = course / f"{command}.log"
        log.write_text(done.stdout, encoding="utf-8")
        reasons = re.findall(r"^ *(\w*(?:Error|Exception): .+)$|ERROR\] (There was .+)$", done.stdout, re.MULTILINE)
        said = dict.fromkeys(error or student for error, student in reasons)
        raise Trouble("\n".join([*said, f"nbgrader {command} did not succeed: read {log}"]))


def main() -> None:
    """Read the command line and do as it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--course", type=Path, default=HERE / "course", help="where everything lands (grading/course)")
    commands = parser.add_subparsers(required=True)
    steps = (release, collect, autograde, feedback, export)
    made = {step.__name__: commands.add_parser(step.__name__, help=step.__doc__) for step in steps}
    made["release"].add_argument("names", nargs="*", metavar="CHAPTER", help="such as 01_plain_stack; all without it")
    for command in ("collect", "autograde", "feedback", "export"):
        made[command].add_argument("name", metavar="CHAPTER")
    made["collect"].add_argument("downloads", type=Path, metavar="FOLDER", help="or a zip file")
    made["autograde"].add_argument("--student", default="*", help="one student only")
    made["export"].add_argument("--to", type=Path, help="the CSV to write")
    made["export"].add_argument("--into", type=Path, help="a gradebook that Canvas or Moodle exported")
    made["export"].add_argument("--key", default="ID", help="its column that says who a row is (Canvas: ID)")
    made["export"].add_argument("--column", default="Grade", help="its column for the points (Moodle: Grade)")
    for step in steps:
        made[step.__name__].add_argument("--force", action="store_true", help="replace what is there")
        made[step.__name__].set_defaults(step=step)
    said, options = parser.parse_known_args()
    if options and said.step is not autograde:  # autograde passes on, for example, --ExecuteApart.timeout=30
        parser.error(f"unknown: {' '.join(options)}")
    arguments = vars(said) | {"course": said.course.resolve()}
    step = arguments.pop("step")
    if step is autograde:
        arguments["options"] = options
    step(**arguments)


if __name__ == "__main__":
    try:
        main()
    except (Trouble, LookupError, FileNotFoundError, ValueError) as trouble:
        sys.exit(str(trouble))
