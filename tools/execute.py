"""Execute notebooks and store them the same way every time: ``python tools/execute.py [notebook ...]``.

Outputs are the truth that the book is built from, so they are written only if the whole notebook ran. Timing and the
interpreter's version stay out, for they differ between two runs that agree.
"""

import hashlib
import os
import sys
import time
from pathlib import Path

import nbformat
import setup_cell
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"},
}


def fingerprint(cells: list[dict]) -> str:
    """SHA-256 of the code that outputs come from; not of the setup cell, for its address may change."""
    code = [c for c in cells if c["cell_type"] == "code" and setup_cell.TAG not in c["metadata"].get("tags", [])]
    sources = ["".join(cell["source"]) for cell in code]  # a list of lines in the file, one string in nbformat
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()


def normalise(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Bring metadata and the setup cell to the book's one form; the repository's address is kept."""
    for key in set(notebook.metadata) - {"myst", "mystnb"}:
        del notebook.metadata[key]
    notebook.metadata.update(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        for noise in ("execution", "collapsed", "scrolled", "jupyter", "lines_to_next_cell", "trusted"):
            cell.metadata.pop(noise, None)
        if setup_cell.TAG in cell.metadata.get("tags", []):
            known = setup_cell.address_in(cell.source) if "REPOSITORY" in cell.source else ""
            cell.source = setup_cell.text(known, setup_cell.folder_of(path))
            cell.metadata.tags = [setup_cell.TAG, "hide-input"]  # folded in the book, open in Colab
            cell.metadata.mystnb = {"code_prompt_show": "Setup, for Colab", "code_prompt_hide": "Setup, for Colab"}


def execute(path: Path) -> float:
    """Execute one notebook in its own folder, write it, and return the seconds it took."""
    notebook = nbformat.read(path, as_version=4)
    normalise(notebook, path)
    started = time.perf_counter()
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,  # else how a print is cut into pieces depends on the time
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    seconds = time.perf_counter() - started
    normalise(notebook, path)
    notebook.metadata["executed_code"] = fingerprint(notebook.cells)  # tells an old picture, which nobody compares
    nbformat.validate(notebook)
    unfinished = path.with_suffix(".ipynb.tmp")
    nbformat.write(notebook, unfinished)
    os.replace(unfinished, path)
    return seconds


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"  # as the tests run them
    there = setup_cell.notebooks(ROOT)
    asked = [Path(name).resolve() for name in sys.argv[1:]]
    if unknown := [str(path) for path in asked if path not in there]:
        names = " ".join(str(path.relative_to(ROOT)) for path in there)
        sys.exit(f"not a notebook of the book: {', '.join(unknown)}. There are: {names}")
    for path in asked or there:
        print(f"{execute(path):6.1f} s  {path.relative_to(ROOT)}", flush=True)
