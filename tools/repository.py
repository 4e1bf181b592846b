"""Write this copy's address into every place that needs it: ``python tools/repository.py URL``.

The places are the setup cell of each notebook, from which Colab installs the package, and CITATION.cff. Outputs stay.
Needs nothing but Python, so that a fork can be published before anything is installed.
"""

import json
import re
import sys
from pathlib import Path

import setup_cell

ROOT = Path(__file__).parent.parent
CITED = re.compile(r"^(?:# )?repository-code:.*$", re.MULTILINE)
_SSH = re.compile(r"(?:ssh://)?git@([\w.-]+)[:/]")
_ADDRESS = re.compile(r"(?:https?://[\w.-]+(?::\d+)?|file://)/[\w./~+-]+")
_GITHUB = re.compile(r"https://github\.com/[\w-]+/[\w.-]+")


def clean(url: str) -> str:
    """The address without trailing slash or .git; ValueError where it is none that anybody can clone from.

    An ssh address becomes the https address of the same repository, for Colab has no key.

    >>> clean("git@github.com:you/your-fork.git")
    'https://github.com/you/your-fork'
    """
    address = re.sub(r"/*(?:\.git)?/*$", "", _SSH.sub(r"https://\1/", url.strip(), count=1))
    on_github = re.match(r"https?://(?:www\.)?github\.com\b", address, re.IGNORECASE)
    if not (_GITHUB if on_github else _ADDRESS).fullmatch(address):
        raise ValueError(
            f"{url!r} is not the address of a repository. "
            "Give its front page as your browser shows it: make repository URL=https://github.com/you/your-fork"
        )
    return address


def write(address: str, root: Path = ROOT) -> list[Path]:
    """Write the address and return the files that changed."""
    texts = {}
    for path in setup_cell.notebooks(root):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if setup_cell.TAG in cell["metadata"].get("tags", []):
                cell["source"] = setup_cell.text(address, setup_cell.folder_of(path)).splitlines(keepends=True)
        texts[path] = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"  # nbformat's form, to the byte
    citation = root / "CITATION.cff"
    texts[citation] = CITED.sub(f'repository-code: "{address}"', citation.read_text(encoding="utf-8"))
    changed = [path for path, text in texts.items() if text != path.read_text(encoding="utf-8")]
    for path in changed:
        path.write_text(texts[path], encoding="utf-8")
    return changed


if __name__ == "__main__":
    try:
        address = clean(sys.argv[1] if len(sys.argv) > 1 else "")
    except ValueError as error:
        sys.exit(str(error))
    changed = write(address)
    print(f"{address}: written into {len(changed)} files", *(path.relative_to(ROOT) for path in changed), sep="\n")
    if changed:
        print("Now commit them.")
