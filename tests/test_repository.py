"""`make repository URL=...` reaches every place, keeps outputs, and refuses what is no address."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import repository
import setup_cell

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://github.com/you/fork", "https://github.com/you/fork"),
        ("https://github.com/you/fork.git", "https://github.com/you/fork"),
        (" https://github.com/you/fork/ ", "https://github.com/you/fork"),
        ("https://github.com/you/fork.git/", "https://github.com/you/fork"),
        ("git@github.com:you/fork.git", "https://github.com/you/fork"),
        ("ssh://git@github.com/you/fork", "https://github.com/you/fork"),
        ("https://gitlab.com/group/part/fork", "https://gitlab.com/group/part/fork"),
        ("file:///srv/clone", "file:///srv/clone"),
    ],
)
def test_addresses_are_cleaned(given: str, address: str) -> None:
    assert repository.clean(given) == address


@pytest.mark.parametrize(
    "given",
    [
        "",
        "you/fork",
        "github.com/you/fork",
        "htps://github.com/you/fork",
        "http://github.com/you/fork",
        'https://x.org/a"b',
        "https://x.org/a b",
        "https://github.com",
        "https://github.com/you",
        "https://www.github.com/you/fork",
        "https://github.com/you/fork/tree/main",
        "https://github.com/you/fork?tab=readme-ov-file",
    ],
)
def test_what_is_no_address_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(ValueError, match="make repository URL=https"):
        repository.clean(given)


def test_the_address_is_written_everywhere_and_nothing_else_changes(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("_build"))
    shutil.copy2(ROOT / "CITATION.cff", tmp_path / "CITATION.cff")
    address = "https://example.org/some/fork"
    repository.write(address, tmp_path)
    paths = setup_cell.notebooks(tmp_path)
    assert paths
    for path in paths:
        written = json.loads(path.read_text(encoding="utf-8"))
        assert path.read_text(encoding="utf-8") == nbformat.writes(nbformat.read(path, as_version=4)) + "\n"
        original = json.loads((ROOT / path.relative_to(tmp_path)).read_text(encoding="utf-8"))
        setup, rest = [], []
        for cell in written["cells"]:
            (setup if "setup" in cell["metadata"].get("tags", []) else rest).append(cell)
        assert [setup_cell.address_in("".join(c["source"])) for c in setup] == [address]
        assert rest == [c for c in original["cells"] if "setup" not in c["metadata"].get("tags", [])]
    assert f'repository-code: "{address}"' in (tmp_path / "CITATION.cff").read_text(encoding="utf-8")
    assert repository.write(address, tmp_path) == []


@pytest.mark.parametrize("length", [40, 78, 139])  # short; just too long for a line; as long as GitHub allows
def test_ruff_is_content_with_any_address(tmp_path: Path, length: int) -> None:
    shutil.copy2(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "book").mkdir()
    shutil.copy2(ROOT / "book" / "ruff.toml", tmp_path / "book")
    address = "https://github.com/you/".ljust(length, "x")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(setup_cell.text(address))])
    nbformat.write(notebook, tmp_path / "book" / "one.ipynb")
    for how in (["check"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *how, "."], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
