"""A recorded run reads back to the last bit, says where it came from, and is never lost or mixed up."""

import getpass
import math
import os
import platform
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from resnet_edu.train import provenance, record

ROWS = [
    {"net": "plain", "depth": 8, "loss": 0.1 + 0.2},
    {"net": "residual", "depth": 20, "loss": math.pi},
]


def write(path, rows=ROWS, **kwargs):
    record.Recording(path, seeds=[0, 1], data={"digits": "abc"}, **kwargs).write(rows)


def test_columns_come_back_to_the_last_bit(tmp_path):
    write(tmp_path / "run.csv")
    columns = record.read(tmp_path / "run.csv")
    assert list(columns) == ["net", "depth", "loss"]
    assert columns["net"].tolist() == ["plain", "residual"]
    assert columns["depth"].dtype == np.int64
    assert columns["loss"].tolist() == [0.1 + 0.2, math.pi]


def test_whole_floats_and_missing_values_stay_floats(tmp_path):
    write(tmp_path / "run.csv", [{"a": 1.0, "b": float("nan")}, {"a": 2.5, "b": 1e-300}])
    columns = record.read(tmp_path / "run.csv")
    assert columns["a"].tolist() == [1.0, 2.5]
    assert np.isnan(columns["b"][0]) and columns["b"][1] == 1e-300


def test_provenance_says_what_made_it(tmp_path):
    write(tmp_path / "run.csv", notes={"recipe": {"lr": 0.02}})
    told = record.read_provenance(tmp_path / "run.csv")
    assert told["seeds"] == [0, 1] and told["data"] == {"digits": "abc"} and told["notes"]["recipe"]["lr"] == 0.02
    assert told["versions"]["torch"] == torch.__version__ and told["versions"]["python"] == platform.python_version()
    assert told["hardware"]["threads"] == torch.get_num_threads() and told["hardware"]["cpu"]
    assert told["rows"] == 2 and told["columns"] == ["net", "depth", "loss"] and told["seconds"] >= 0
    assert set(told["code"]) == {"commit", "dirty", "changed_files"} and told["date"].endswith("+00:00")


def test_no_machine_user_or_path_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys, "argv", [str(provenance._ROOT / "experiments" / "run.py"), "--out", str(tmp_path / "run.csv")]
    )
    monkeypatch.delattr(sys.modules["__main__"], "__spec__", raising=False)
    write(tmp_path / "run.csv")
    told = record.read_provenance(tmp_path / "run.csv")
    assert told["command"] == "python experiments/run.py --out run.csv"
    text = (tmp_path / "run.json").read_text()
    assert str(provenance._ROOT) not in text and str(tmp_path) not in text and str(Path.home()) + "/" not in text
    assert not {platform.node(), getpass.getuser()} & set(text.replace('"', " ").split())


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        ("--out=/elsewhere/alice/run", "--out=run"),
        ("../../elsewhere/alice/run", "run"),
        (f"--runs={provenance._ROOT}/runs", "--runs=runs"),
        ("runs/toy", "runs/toy"),
        ("--lr=0.1", "--lr=0.1"),
    ],
)
def test_a_path_outside_is_its_name(given, recorded, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run.py", given])
    monkeypatch.delattr(sys.modules["__main__"], "__spec__", raising=False)
    assert provenance.command() == f"python run.py {recorded}"


def test_a_result_is_never_overwritten_unasked(tmp_path):
    path = tmp_path / "run.csv"
    write(path)
    with pytest.raises(FileExistsError, match="--overwrite"):
        write(path, [{"a": 1}])
    assert list(record.read(path)) == ["net", "depth", "loss"]
    write(path, [{"a": 1}], overwrite=True)
    assert list(record.read(path)) == ["a"]


def test_a_lone_json_counts_as_a_result(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(FileExistsError, match=r"run\.json"):
        write(tmp_path / "run.csv")


def test_a_result_that_appeared_during_the_run_is_kept(tmp_path):
    path = tmp_path / "run.csv"
    late = record.Recording(path, seeds=[0], data={})
    write(path)
    with pytest.raises(FileExistsError):
        late.write([{"a": 1}])
    assert list(record.read(path)) == ["net", "depth", "loss"]


def test_a_changed_csv_is_refused(tmp_path):
    path = tmp_path / "run.csv"
    write(path)
    path.write_text(path.read_text().replace("20", "56"))
    with pytest.raises(ValueError, match="not the file"):
        record.read(path)


def test_line_ends_of_another_system_are_not_a_change(tmp_path):
    path = tmp_path / "run.csv"
    write(path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert record.read(path)["depth"].tolist() == [8, 20]


@pytest.mark.parametrize("text", ["{}", "[]", "7", '{"file": "', "\xff"])
def test_a_json_that_is_none_of_ours_is_damaged(tmp_path, text):
    path = tmp_path / "run.csv"
    write(path)
    path.with_suffix(".json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"run\.json is truncated or damaged"):
        record.read(path)


def test_a_missing_json_is_an_error(tmp_path):
    path = tmp_path / "run.csv"
    write(path)
    (tmp_path / "run.json").unlink()
    with pytest.raises(FileNotFoundError):
        record.read(path)


def test_bad_rows_are_refused_and_leave_nothing_behind(tmp_path):
    with pytest.raises(ValueError, match="no row"):
        write(tmp_path / "run.csv", [])
    with pytest.raises(ValueError, match="row 1"):
        write(tmp_path / "run.csv", [{"a": 1}, {"b": 1}])
    with pytest.raises(ValueError, match="loss"):
        write(tmp_path / "run.csv", [{"loss": torch.tensor(1.0)}])
    with pytest.raises(ValueError, match=r"\.csv"):
        write(tmp_path / "run.txt")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_the_old_result(tmp_path, monkeypatch):
    path = tmp_path / "run.csv"
    write(path)
    old = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write(path, [{"a": 1}], overwrite=True)
    assert path.read_bytes() == old and sorted(file.name for file in tmp_path.iterdir()) == ["run.csv", "run.json"]
