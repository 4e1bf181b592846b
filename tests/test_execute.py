"""`make notebooks` stores outputs in one form, and writes nothing where a notebook fails."""

import shutil
import subprocess
import sys
from pathlib import Path

import execute
import nbformat
import pytest
import setup_cell
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

ADDRESS = "https://example.org/reader/their-book"


def stored(path: Path, *sources: str) -> Path:
    setup = new_code_cell(setup_cell.text(ADDRESS) + "\n# an old version", metadata={"tags": ["setup"]})
    cells = [setup, *(new_code_cell(source, metadata={"scrolled": True}) for source in sources)]
    nbformat.write(
        new_notebook(cells=cells, metadata={"kernelspec": {"name": "my-env", "display_name": "Mine"}, "widgets": {}}),
        path,
    )
    return path


def test_outputs_are_stored_in_the_one_form(tmp_path: Path) -> None:
    path = stored(tmp_path / "one.ipynb", "6 * 7", "import os\nprint(os.environ['OMP_NUM_THREADS'])")
    execute.execute(path)
    notebook = nbformat.read(path, as_version=4)
    setup, product, threads = notebook.cells
    assert notebook.metadata == execute.METADATA | {"executed_code": execute.fingerprint(notebook.cells)}
    assert setup.source == setup_cell.text(ADDRESS)
    assert [cell.execution_count for cell in notebook.cells] == [1, 2, 3]
    assert product.outputs[0].data["text/plain"] == "42"
    assert threads.outputs[0].text == "1\n"
    assert product.metadata == {}


def test_a_failing_notebook_is_left_as_it_was(tmp_path: Path) -> None:
    path = stored(tmp_path / "two.ipynb", "1 / 0")
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute.execute(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("place", "script", "name"),
    [
        ("checkout/book", "../tools/execute.py", "one.ipynb"),
        ("linked/book", "../tools/execute.py", "../book/one.ipynb"),
        (".", "linked/tools/execute.py", "checkout/book/one.ipynb"),
    ],
)
def test_a_notebook_is_found_from_everywhere(tmp_path: Path, place: str, script: str, name: str) -> None:
    for folder in ("tools", "book"):
        (tmp_path / "checkout" / folder).mkdir(parents=True)
    for source in (execute.__file__, setup_cell.__file__):
        shutil.copy(source, tmp_path / "checkout" / "tools")
    (tmp_path / "linked").symlink_to(tmp_path / "checkout")
    stored(tmp_path / "checkout" / "book" / "one.ipynb", "6 * 7")
    command = [sys.executable, script, name]
    done = subprocess.run(command, cwd=tmp_path / place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == str(Path("book", "one.ipynb"))
