"""The parts of `make colab`: what it pins, what it finds, and that it notices what an install must not do."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import colab
import nbformat
import pytest
import setup_cell
from nbformat.v4 import new_code_cell, new_output

ROOT = Path(__file__).parent.parent


def git(*command: str, cwd: Path) -> None:
    subprocess.run(["git", "-c", "user.name=test", "-c", "user.email=", *command], cwd=cwd, check=True)


def test_the_pinned_pair_is_the_one_in_the_requirements() -> None:
    found = colab.pinned((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    assert [line.split("==")[0] for line in found] == ["torch", "torchvision"]


def test_a_python_that_is_not_there_or_of_another_version_is_passed_over(tmp_path: Path) -> None:
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\necho 'no such version is chosen' >&2\nexit 127\n")
    shim.chmod(0o755)
    assert not colab.is_colabs(shim)
    assert not colab.is_colabs(tmp_path / "nothing")
    assert colab.is_colabs(sys.executable) is (sys.version_info[:2] == colab.PYTHON)


def test_a_fresh_environment_sees_what_the_base_has_and_google_colab(tmp_path: Path) -> None:
    fresh = colab.fresh(Path(sys.executable), tmp_path / "fresh")
    asked = "import sys, nbclient; print('google.colab' in sys.modules, sys.prefix)"
    assert colab.run(fresh, "-c", asked).split() == ["True", str(tmp_path / "fresh")]
    assert colab.packages(fresh).items() >= colab.packages(Path(sys.executable)).items()


def test_a_package_that_the_install_replaced_is_named(tmp_path: Path) -> None:
    fresh = colab.fresh(Path(sys.executable), tmp_path / "fresh")
    before = colab.packages(fresh)
    (site,) = (tmp_path / "fresh").glob("lib/python*/site-packages")
    for name, version in {"torch": "9.9", "unheard_of": "1.0"}.items():
        (site / f"{name}-{version}.dist-info").mkdir()
        (site / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    after = colab.packages(fresh)
    assert after["unheard_of"] == "1.0"
    assert colab.replaced(before, after) == [f"torch {before['torch']} became 9.9"]
    assert colab.replaced(before, before) == []


def test_files_that_a_notebook_leaves_are_named(tmp_path: Path) -> None:
    clone = tmp_path / "resnet_book"
    clone.mkdir()
    git("init", "--quiet", cwd=clone)
    (clone / ".gitignore").write_text("build/\ndata/\n*.egg-info/\n__pycache__/\n")
    git("add", ".", cwd=clone)
    git("commit", "--quiet", "-m", "book", cwd=clone)
    for folder in ("build", "resnet_edu.egg-info", "__pycache__"):
        (clone / folder).mkdir(parents=True)
        (clone / folder / "file").touch()
    assert colab.left_behind(tmp_path) == []
    (clone / "data").mkdir()
    for path in (clone / "data" / "x", clone / "figure.png", tmp_path / "model.pt"):
        path.touch()
    assert colab.left_behind(tmp_path) == ["model.pt", "resnet_book/data/", "resnet_book/figure.png"]


def test_a_warning_that_this_torch_prints_is_shown() -> None:
    quiet = new_code_cell("print(1)", outputs=[new_output("stream", name="stdout", text="1\n")])
    loud = new_code_cell("old()", outputs=[new_output("stream", name="stderr", text="DeprecationWarning: old\n")])
    assert colab.warnings(nbformat.v4.new_notebook(cells=[quiet, loud])) == ["on stderr: DeprecationWarning: old"]


def test_a_notebook_that_fails_is_reported_and_its_kernel_ends(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    look = (
        f"import os, sys\nseen = [os.getpid(), 'google.colab' in sys.modules, os.listdir()]\nopen({str(seen)!r}, 'w')"
    )
    cells = [new_code_cell(look + ".write(repr(seen))"), new_code_cell("1 / 0")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "fails.ipynb")
    seconds, wrong = colab.run_in_colab(tmp_path / "fails.ipynb", Path(sys.executable))
    assert seconds > 0
    assert any("ZeroDivisionError" in sentence for sentence in wrong)
    process, in_colab, found = ast.literal_eval(seen.read_text())
    assert (in_colab, found) == (True, [])
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_the_clone_carries_its_own_address(tmp_path: Path) -> None:
    try:
        clone = colab.addressed_clone(tmp_path / "book")
    except subprocess.CalledProcessError:
        pytest.skip("this copy is no git repository")
    for path in setup_cell.notebooks(clone):
        setup = nbformat.read(path, as_version=4).cells
        (source,) = [c.source for c in setup if setup_cell.TAG in c.metadata.get("tags", [])]
        assert source == setup_cell.text(clone.as_uri(), path.parent.relative_to(clone).as_posix())
    assert colab.run("git", "status", "--porcelain", cwd=clone) == ""
