"""Write this copy's address into every place that needs it: ``python tools/repository.py URL``.

The places are the setup cell of each notebook, from which Colab installs the package, and CITATION.cff. Outputs stay.
"""

import re
import sys
from pathlib import Path

import nbformat
import setup_cell

ROOT = Path(__file__).parent.parent
CITED = re.compile(r"^(?:# )?repository-code:.*$", re.MULTILINE)


def clean(url: str) -> str:
    """The address without trailing slash or .git; ValueError where it is none that git can clone from."""
    address = re.sub(r"(?:\.git)?/*$", "", url.strip())
    if not re.fullmatch(r"(?:https?://[\w.-]+(?::\d+)?|file://)/[\w./~+-]+", address):
        raise ValueError(
            f"{url!r} is not the address of a repository. "
            "Give it as your browser shows it: make repository URL=https://github.com/you/your-fork"
        )
    return address


def write(address: str, root: Path = ROOT) -> list[Path]:
    """Write the address and return the files that changed."""
    changed = []
    for path in setup_cell.notebooks(root):
        notebook = nbformat.read(path, as_version=4)
        before = nbformat.writes(notebook)
        for cell in notebook.cells:
            if setup_cell.TAG in cell.metadata.get("tags", []):
                cell.source = setup_cell.text(address, setup_cell.folder_of(path))
        if nbformat.writes(notebook) != before:
            nbformat.write(notebook, path)
            changed.append(path)
    citation = root / "CITATION.cff"
    text = citation.read_text(encoding="utf-8")
    cited = CITED.sub(f'repository-code: "{address}"', text)
    if cited != text:
        citation.write_text(cited, encoding="utf-8")
        changed.append(citation)
    return changed


if __name__ == "__main__":
    try:
        for path in write(clean(sys.argv[1] if len(sys.argv) > 1 else "")):
            print(path.relative_to(ROOT))
    except ValueError as error:
        sys.exit(str(error))
