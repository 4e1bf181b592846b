"""What a record says of where it came from: the command, the code, the data."""

import subprocess
import sys

import pytest
import torch

from resnet_edu.train import provenance


def test_a_module_run_with_m_is_named_so(monkeypatch):
    class Spec:
        name = "resnet_edu.train.somewhere"

    monkeypatch.setattr(sys.modules["__main__"], "__spec__", Spec, raising=False)
    monkeypatch.setattr(sys, "argv", ["ignored", "--seeds", "10"])
    assert provenance.command() == "python -m resnet_edu.train.somewhere --seeds 10"


def test_checksum_sees_values_shapes_and_order():
    a, b = torch.arange(6.0), torch.arange(6.0).reshape(2, 3)
    assert provenance.checksum(a) == provenance.checksum(a.clone())
    assert (
        len({provenance.checksum(a), provenance.checksum(b), provenance.checksum(a, b), provenance.checksum(b, a)}) == 4
    )
    assert provenance.checksum(b.t()) == provenance.checksum(b.t().contiguous())


def test_the_processes_of_torchrun_are_named(monkeypatch):
    monkeypatch.delattr(sys.modules["__main__"], "__spec__", raising=False)
    monkeypatch.setattr(sys, "argv", ["train.py", "--epochs", "2"])
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert provenance.command() == "torchrun --nproc-per-node=4 train.py --epochs 2"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A throw-away repository with one committed module, taken for this one."""
    (tmp_path / "known_module.py").write_text("x = 1\n")
    for arguments in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "-m", "one"],
    ):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    monkeypatch.setattr(provenance, "_ROOT", tmp_path.resolve())
    return tmp_path.resolve()


def imported(monkeypatch, file):
    module = type(sys)(file.stem)
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, file.stem, module)


def test_only_changes_to_imported_files_are_dirt(repository, monkeypatch):
    imported(monkeypatch, repository / "known_module.py")
    (repository / "somebody_elses.py").write_text("")
    clean = provenance.code()
    assert len(clean["commit"]) == 40 and clean["dirty"] is False and clean["changed_files"] == []
    (repository / "known_module.py").write_text("x = 2\n")
    assert provenance.code()["changed_files"] == ["known_module.py"]


def test_an_imported_file_outside_git_is_dirt(repository, monkeypatch):
    (repository / "new_module.py").write_text("")
    imported(monkeypatch, repository / "new_module.py")
    assert provenance.code() == provenance.code() | {"dirty": True, "changed_files": ["new_module.py"]}


def test_outside_a_repository_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.code() == {"commit": None, "dirty": None, "changed_files": []}
