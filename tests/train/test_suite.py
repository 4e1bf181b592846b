"""Recorded runs come back as the command wrote them, and only the complete ones."""

import numpy as np
import pytest

from resnet_edu.train import record
from resnet_edu.train.recipe import Recipe
from resnet_edu.train.session import train
from resnet_edu.train.suite import load_runs


def quiet(line):
    """Print nothing."""


@pytest.fixture
def folder(plan, tmp_path):
    """Return a folder with the recorded files of three complete runs and of one that is under way."""
    for name, settings in {
        "resnet-s1": {"seed": 1},
        "resnet-s0": {"seed": 0},
        "plain-s0": {"model": "cifar_plain8"},
        "begun-s2": {"seed": 2},
    }.items():
        out = tmp_path / "runs" / name
        train(plan(**settings), out, say=quiet, seconds=0 if name == "begun-s2" else float("inf"))
        for suffix in (".csv", ".json"):
            (tmp_path / f"{name}{suffix}").write_bytes((out / f"{name}{suffix}").read_bytes())
    return tmp_path


def test_complete_runs_in_order(folder):
    runs = load_runs(folder)
    known = [("plain", 8, 0), ("residual", 8, 0), ("residual", 8, 1)]
    assert [(run.kind, run.depth, run.seed) for run in runs] == known
    run = runs[1]
    columns, about = record.read(folder / "resnet-s0.csv"), record.read_provenance(folder / "resnet-s0.csv")
    assert run.about == about and run.plan["model"] == "cifar_resnet8"
    assert all(np.array_equal(run.curve[name], columns[name]) for name in columns)
    assert run.last == columns["test_error"][-1] and run.best == columns["test_error"].min()
    assert run.augmented == columns["train_error"][-1]
    assert run.clean == about["summary"]["clean_train_error"]
    assert run.responses.shape == (7,)  # all layers but the linear one
    assert run.responses.mean() == run.response > 0
    assert run.drops == Recipe(epochs=2).drops(22) == [11, 16]


def test_a_file_of_another_kind_is_refused(tmp_path):
    recording = record.Recording(tmp_path / "x.csv", seeds=[0], data={}, notes={"plan": {"model": "resnet50"}})
    recording.write([{"epoch": 1}], summary={})
    with pytest.raises(ValueError, match="a run of 'resnet50'"):
        load_runs(tmp_path)


def test_a_changed_file_is_refused(folder):
    path = folder / "plain-s0.csv"
    path.write_text(path.read_text().replace("1,", "7,", 1))
    with pytest.raises(ValueError, match="not the file that its JSON describes"):
        load_runs(folder)
