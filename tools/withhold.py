"""Take the solutions out of this copy: ``python tools/withhold.py``, in a clone of your own, then commit.

What shows an answer goes: the solutions' notebooks, their part of the book, and the tests that hold right answers.
Links to a solution become plain text. ``git revert`` brings all of it back. The history still holds it: appendix B says
how to publish without.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import setup_cell

ROOT = Path(__file__).parent.parent
ANSWERS = ("book/solutions", "tests/checks", "tests/grading/test_submissions.py")
LINE = re.compile(r"\n*^Solution: \[[^\]]*\]\([^)]*\)$", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\((?:\.\./)*solutions/[^)]+\)")
PART = re.compile(r"^  - caption: Solutions\n(?:    .*(?:\n|\Z))+", re.MULTILINE)
FOLD = re.compile(r"(<summary>Where are the solutions\?</summary>\n\n).*?(?=\n</details>)", re.DOTALL)
INSTEAD = (
    "With your instructor: this copy holds them back. Most exercises have a check that says what is not right yet."
)


def solutions_of(root: Path) -> Path:
    """The folder of the solutions, whether or not it is there."""
    return root / ANSWERS[0]


def withheld(root: Path) -> bool:
    """Whether this copy holds no solutions."""
    return not any(solutions_of(root).glob("*.ipynb"))


def pages(root: Path) -> list[Path]:
    """Every page of the book that may link to a solution."""
    notebooks = [path for path in setup_cell.notebooks(root) if path.parent != solutions_of(root)]
    return [*notebooks, *sorted((root / "book").rglob("*.md"))]


def plain(text: str) -> str:
    """The text without the lines that lead to a solution, and with other links to one as plain text.

    >>> plain("Hint.\\n\\nSolution: [Exercise 1.2](solutions/01_plain_stack.ipynb)")
    'Hint.'
    >>> plain("See [the notebook](../solutions/a.ipynb).")
    'See the notebook.'
    """
    return FOLD.sub(rf"\g<1>{INSTEAD}", LINK.sub(r"\1", LINE.sub("", text)))


def withhold(root: Path = ROOT) -> None:
    """Take every answer out of the copy at ``root``."""
    for place in (root / name for name in ANSWERS):
        if place.is_file():
            place.unlink()
        shutil.rmtree(place, ignore_errors=True)
    contents = root / "_toc.yml"
    contents.write_text(PART.sub("", contents.read_text(encoding="utf-8")), encoding="utf-8")
    for path in pages(root):
        if path.suffix == ".md":
            path.write_text(plain(path.read_text(encoding="utf-8")), encoding="utf-8")
            continue
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = plain(cell.source)
        nbformat.write(notebook, path)
    for tool in ("reproduce.py", "instructors.py"):  # their pages list the notebooks that there are
        subprocess.run([sys.executable, root / "tools" / tool], check=True)


def unsaved(root: Path) -> str:
    """What could not be brought back: the changes that git has not stored; OSError where there is no git."""
    asked = ["git", "-C", str(root), "status", "--porcelain", "--", "book", "_toc.yml", *ANSWERS]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise OSError(f"git has no history of this folder, so nothing could be brought back: {answer.stderr.strip()}")
    return answer.stdout


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()  # --help withholds nothing
    try:
        if changes := unsaved(ROOT):
            sys.exit(f"Commit these changes first, so that git can bring them back:\n{changes}")
    except OSError as error:
        sys.exit(str(error))
    withhold()
    print('The solutions are out of this copy. Look at `git status`; then `git add -A`, `git commit -m "Withhold"`.')
