"""A run in its folder: recorded as it goes, resumed to the same bits, never overwritten, and clear when it fails."""

import copy
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from resnet_edu.cifar import cifar_resnet
from resnet_edu.data import load
from resnet_edu.train import checkpoint, record
from resnet_edu.train.augment import draw_views
from resnet_edu.train.epoch import train_epoch
from resnet_edu.train.folder import claimed, is_complete
from resnet_edu.train.run import Run
from resnet_edu.train.session import train


def weights(out):
    return torch.load(out / "weights.pt", weights_only=True)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def quiet(*args, **kwargs):
    train(*args, say=lambda line: None, **kwargs)


def test_a_run_is_recorded(plan, tmp_path):
    out = tmp_path / "toy"
    quiet(plan(epochs=4), out)
    rows, about = record.read(out / "toy.csv"), record.read_provenance(out / "toy.csv")
    assert rows["epoch"].tolist() == [1, 2, 3, 4]
    assert rows["iteration"].tolist() == [11, 22, 33, 44]
    assert rows["lr"].tolist() == pytest.approx([0.1, 0.1, 0.01, 0.001])
    assert rows["train_loss"][-1] < rows["train_loss"][0]
    assert np.all((rows["test_error"] > 0) & (rows["test_error"] < 100))
    assert set(about["notes"]["units"]) == set(rows) - {"epoch", "iteration"}
    assert about["seeds"] == [0] and about["notes"]["plan"]["model"] == "cifar_resnet8"
    summary = about["summary"]
    assert summary["last_epoch"]["test_error"] == rows["test_error"][-1]
    assert summary["best_epoch_by_test_error"]["test_error"] == rows["test_error"].min()
    assert summary["parameters"] == sum(
        p.numel() for p in cifar_resnet(8, widths=(4, 8, 16), in_channels=1).parameters()
    )
    assert len(summary["responses"]) == 7
    assert is_complete(out)


def test_the_summary_is_that_of_the_stored_weights(plan, tmp_path):
    quiet(plan(), tmp_path / "toy")
    run = Run(plan(), torch.device("cpu"))
    run.model.load_state_dict(weights(tmp_path / "toy"))
    run.rows = [{"epoch": 1, "test_error": 0.0}]
    stored = record.read_provenance(tmp_path / "toy" / "toy.csv")["summary"]
    found = run.summary()
    for name in ("clean_train_loss", "clean_train_error", "responses"):
        assert found[name] == pytest.approx(stored[name])


def test_resuming_ends_in_the_same_bits(plan, tmp_path):
    quiet(plan(epochs=3), tmp_path / "whole")
    said = []
    for _ in range(3):
        train(plan(epochs=3), tmp_path / "parts", seconds=0, resume=True, say=said.append)
        assert not is_complete(tmp_path / "parts") or "test error" in said[-1]
    assert sum("as asked" in line for line in said) == 2
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    columns = [record.read(tmp_path / name / f"{name}.csv") for name in ("whole", "parts")]
    for name in set(columns[0]) - {"seconds", "images_per_second"}:
        assert columns[0][name].tolist() == columns[1][name].tolist()
    resumed = record.read_provenance(tmp_path / "parts" / "parts.csv")["resumed"]
    assert [session["after_epoch"] for session in resumed] == [1, 2]
    assert [session["deterministic"] for session in resumed] == [False, False]  # it has not been asked for


def test_a_run_stops_before_the_epoch_that_would_end_too_late(plan, tmp_path, monkeypatch):
    """Judged by the last epoch: the first one of a session takes longer, for it may compile."""
    clock, takes = [0.0], iter([100.0, 10.0, 10.0, 10.0, 10.0])
    advance = Run.advance

    def timed(self, watch):
        clock[0] += next(takes)
        return advance(self, watch)

    monkeypatch.setattr("resnet_edu.train.session.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(Run, "advance", timed)
    quiet(plan(epochs=5), tmp_path / "toy", seconds=225)
    assert is_complete(tmp_path / "toy")
    takes = iter([100.0, 10.0, 10.0, 10.0, 10.0])
    clock[0] = 0.0
    quiet(plan(epochs=5), tmp_path / "less", seconds=199)  # the first may be like all: 100 more would be too long
    assert record.read(tmp_path / "less" / "less.csv")["epoch"].tolist() == [1]
    takes = iter([10.0, 10.0, 10.0, 10.0])
    quiet(plan(epochs=5), tmp_path / "less", seconds=35, resume=True)
    assert record.read(tmp_path / "less" / "less.csv")["epoch"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("settings", [{"schedule": "one-cycle"}, {"precision": "bf16"}, {"norm": "group"}])
def test_resuming_other_recipes_ends_in_the_same_bits(plan, tmp_path, settings):
    quiet(plan(**settings), tmp_path / "whole")
    quiet(plan(**settings), tmp_path / "parts", seconds=0)
    quiet(plan(**settings), tmp_path / "parts", resume=True)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_a_state_from_a_gpu_is_resumed_on_a_cpu(plan):
    """With a CPU's own settings: a GPU's optimiser is fused, and its generator is not the CPU's."""
    run = Run(plan(), torch.device("cpu"))
    run.advance()
    state = copy.deepcopy(run.state())  # as if it had been written and read
    state["optimizer"]["param_groups"][0]["fused"] = True
    state["cuda"] = torch.zeros(16, dtype=torch.uint8)
    resumed = Run(plan(), torch.device("cpu"))
    resumed.restore(state)
    assert resumed.optimizer.param_groups[0]["fused"] is None
    for going_on in (run, resumed):
        going_on.advance()
    assert same(run.model.state_dict(), resumed.model.state_dict())


def test_the_seed_decides(plan, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        quiet(plan(epochs=1, seed=seed), tmp_path / name)
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert same(a, b) and not same(a, c)


def test_plain_and_residual_start_from_the_same_weights(plan):
    plain, residual = (Run(plan(model=f"cifar_{kind}8"), torch.device("cpu")) for kind in ("plain", "resnet"))
    assert all(map(torch.equal, plain.model.parameters(), residual.model.parameters()))


def test_a_folder_with_files_is_left_alone(plan, tmp_path):
    (tmp_path / "toy").mkdir()
    note = tmp_path / "toy" / "note.txt"
    note.write_text("mine")
    with pytest.raises(FileExistsError, match="holds files already: resume what is there"):
        quiet(plan(), tmp_path / "toy")
    quiet(plan(epochs=1), tmp_path / "toy", overwrite=True)
    assert note.read_text() == "mine"
    first = weights(tmp_path / "toy")
    quiet(plan(epochs=1, seed=1), tmp_path / "toy", overwrite=True)
    assert not same(first, weights(tmp_path / "toy"))


def test_another_plan_is_not_resumed(plan, tmp_path):
    quiet(plan(), tmp_path / "toy", seconds=0)
    for wrong in (plan(seed=1), plan(lr=0.05)):
        with pytest.raises(ValueError, match=r"started with (seed 0 \(now 1\)|lr 0.1 \(now 0.05\))"):
            quiet(wrong, tmp_path / "toy", resume=True)
    quiet(plan(), tmp_path / "toy", resume=True)
    with pytest.raises(ValueError, match="started with seed 0"):  # a complete one neither
        quiet(plan(seed=1), tmp_path / "toy", resume=True)


def test_what_is_to_be_overwritten_stays_until_there_is_something_new(plan, tmp_path, monkeypatch):
    quiet(plan(epochs=2), tmp_path / "toy")
    before = {path: path.read_bytes() for path in (tmp_path / "toy").rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="do not fill one batch"):
        quiet(plan(batch_size=5000), tmp_path / "toy", overwrite=True)
    assert before == {path: path.read_bytes() for path in (tmp_path / "toy").rglob("*") if path.is_file()}

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="what was complete before is kept"):
            quiet(plan(seed=1), tmp_path / "toy", overwrite=True)
    assert before == {path: path.read_bytes() for path in (tmp_path / "toy").rglob("*") if path.is_file()}
    quiet(plan(epochs=3, seed=1), tmp_path / "toy", overwrite=True, seconds=0)  # one epoch of three
    assert [path.name[:11] for path in (tmp_path / "toy" / "checkpoints").iterdir()] == ["epoch-00001"]
    assert not (tmp_path / "toy" / "weights.pt").exists() and not is_complete(tmp_path / "toy")


def test_killed_between_the_new_checkpoint_and_the_old_record_the_new_run_goes_on(plan, tmp_path, monkeypatch):
    quiet(plan(epochs=2), tmp_path / "toy")

    def killed(folder):
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr("resnet_edu.train.session.clear_record", killed)
        with pytest.raises(OSError, match="could not be written"):
            quiet(plan(epochs=3, seed=1), tmp_path / "toy", overwrite=True)
    quiet(plan(epochs=3, seed=1), tmp_path / "toy", resume=True)
    quiet(plan(epochs=3, seed=1), tmp_path / "straight")
    assert same(weights(tmp_path / "straight"), weights(tmp_path / "toy"))


def test_lost_weights_are_written_again_from_the_checkpoint(plan, tmp_path):
    quiet(plan(), tmp_path / "toy")
    before = weights(tmp_path / "toy")
    (tmp_path / "toy" / "weights.pt").unlink()
    quiet(plan(), tmp_path / "toy", resume=True)
    assert same(before, weights(tmp_path / "toy"))


def test_a_run_older_than_a_setting_is_resumed(plan, tmp_path):
    quiet(plan(), tmp_path / "toy", seconds=0)
    folder = tmp_path / "toy" / "checkpoints"
    epoch, state, _ = checkpoint.newest(folder)
    del state["plan"]["graphs"]
    checkpoint.save(folder, epoch, state, anew=True)
    with pytest.raises(ValueError, match=r"graphs True \(now False\)"):
        quiet(plan(graphs=False), tmp_path / "toy", resume=True)
    quiet(plan(), tmp_path / "toy", resume=True)
    assert is_complete(tmp_path / "toy")


def test_one_process_at_a_time_trains_in_a_folder(plan, tmp_path):
    with claimed(tmp_path / "toy"), pytest.raises(FileExistsError, match="another process is training in"):
        quiet(plan(), tmp_path / "toy")
    quiet(plan(epochs=1), tmp_path / "toy")
    assert is_complete(tmp_path / "toy")


def test_a_run_on_other_data_is_not_resumed(plan, tmp_path, monkeypatch):
    quiet(plan(), tmp_path / "toy", seconds=0)
    monkeypatch.setattr("resnet_edu.train.run.data_checksum", lambda dataset: {"digits": "another"})
    with pytest.raises(ValueError, match="was trained on another digits, by the checksum"):
        quiet(plan(), tmp_path / "toy", resume=True)
    monkeypatch.setattr("resnet_edu.data.load", lambda name: load("digits"))
    with pytest.raises(ValueError, match=r"started with data digits \(now fashion_mnist\)"):
        quiet(replace(plan(), data="fashion_mnist"), tmp_path / "toy", resume=True)


def test_lost_checkpoints_are_said_and_the_rows_kept(plan, tmp_path):
    quiet(plan(epochs=3), tmp_path / "toy", seconds=0)
    shutil.rmtree(tmp_path / "toy" / "checkpoints")
    with pytest.raises(ValueError, match="holds a run, but no sound checkpoint"):
        quiet(plan(epochs=3), tmp_path / "toy", resume=True)
    assert record.read(tmp_path / "toy" / "toy.csv")["epoch"].tolist() == [1]
    (tmp_path / "toy" / "toy.csv").unlink()  # any part of a record will do
    with pytest.raises(ValueError, match="holds a run, but no sound checkpoint"):
        quiet(plan(epochs=3, seed=1), tmp_path / "toy", resume=True)


@pytest.mark.parametrize("damage", [lambda csv, about: csv.unlink(), lambda csv, about: about.write_text('{"file": "')])
def test_a_damaged_record_is_written_again_from_the_checkpoint(plan, tmp_path, damage):
    quiet(plan(), tmp_path / "toy")
    path = tmp_path / "toy" / "toy.csv"
    before, summary = path.read_bytes(), record.read_provenance(path)["summary"]
    damage(path, path.with_suffix(".json"))
    assert not is_complete(tmp_path / "toy")
    quiet(plan(), tmp_path / "toy", resume=True)
    assert path.read_bytes() == before and record.read_provenance(path)["summary"] == summary


def test_what_killed_processes_left_unfinished_is_deleted(plan, tmp_path):
    (tmp_path / "toy").mkdir()
    left = [tmp_path / "toy" / f"{name}.1.tmp" for name in ("toy.csv", "toy.json", "weights.pt")]
    mine = tmp_path / "toy" / "mine.tmp"
    for path in (*left, mine):
        path.write_text("half")
    quiet(plan(epochs=1), tmp_path / "toy", resume=True)
    assert mine.exists() and not any(path.exists() for path in left)


def test_a_run_has_its_folders_name(plan, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    quiet(plan(epochs=1), ".")
    quiet(plan(epochs=1), "~/there")
    assert is_complete(tmp_path / "here") and is_complete("~/there") and (tmp_path / "there" / "there.csv").exists()
    (tmp_path / "file").write_text("mine")
    for again in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(FileExistsError, match="file is a file: name a folder"):
            quiet(plan(), tmp_path / "file", **again)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_truncated_checkpoint_is_passed_over_and_said(plan, tmp_path):
    quiet(plan(epochs=3), tmp_path / "whole")
    for _ in range(2):
        quiet(plan(epochs=3), tmp_path / "parts", seconds=0, resume=True)
    newest = max((tmp_path / "parts" / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    said = []
    train(plan(epochs=3), tmp_path / "parts", resume=True, say=said.append)
    assert said[0] == f"{newest.name} is truncated or damaged: passed over, going on from epoch 1"
    assert newest.with_suffix(".damaged").exists()
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_a_damaged_checkpoint_is_not_the_one_before_the_newest(plan, tmp_path):
    folder = tmp_path / "toy" / "checkpoints"
    for damage in (False, True, True):  # epochs 1 and 2; 2 is damaged and made again; then once more
        if damage:
            newest = max(folder.glob("*.pt"))
            newest.write_bytes(b"half")
        quiet(plan(epochs=4), tmp_path / "toy", seconds=0, resume=True)
        if not damage:
            quiet(plan(epochs=4), tmp_path / "toy", seconds=0, resume=True)
    assert [path.name[:11] for path in sorted(folder.glob("*.pt"))] == ["epoch-00001", "epoch-00002"]


def test_no_sound_checkpoint_is_said_and_nothing_is_deleted(plan, tmp_path):
    quiet(plan(epochs=3), tmp_path / "toy", seconds=0)
    (only,) = (tmp_path / "toy" / "checkpoints").iterdir()
    only.write_bytes(b"")
    with pytest.raises(ValueError, match="holds a run, but no sound checkpoint"):
        quiet(plan(epochs=3), tmp_path / "toy", resume=True)
    assert only.exists()


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_good_state(plan, tmp_path, monkeypatch):
    advance = Run.advance

    def poisoned(self, watch):
        if self.epoch == 1:  # as if the weights blew up at the sixth step of the second epoch

            def watched(batches):
                for number, batch in enumerate(watch(batches)):
                    if number == 5:
                        with torch.no_grad():
                            self.model.fc.weight.mul_(math.inf)
                    yield batch

            return advance(self, watched)
        return advance(self, watch)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "advance", poisoned)
        with pytest.raises(FloatingPointError, match="nan at iteration 16, in epoch 2; the state after epoch 1 "):
            quiet(plan(epochs=3), tmp_path / "toy")
    epoch, state, _ = checkpoint.newest(tmp_path / "toy" / "checkpoints")
    assert epoch == 1 and torch.isfinite(state["model"]["fc.weight"]).all()
    quiet(plan(epochs=3), tmp_path / "toy", resume=True)
    assert is_complete(tmp_path / "toy")


def test_what_the_last_step_of_an_epoch_spoils_is_not_kept(plan, tmp_path, monkeypatch):
    def refused(what, **recipe):
        with pytest.raises(FloatingPointError, match=f"{what} after iteration 0, in epoch 1; no epoch was good"):
            quiet(plan(epochs=2, batch_size=1437, **recipe), tmp_path / "toy", resume=True)
        assert not list((tmp_path / "toy").rglob("*.pt"))

    refused("the test loss was nan", lr=1e30)

    def spoiling(objective, batches, optimizer, *others):
        trained = train_epoch(objective, batches, optimizer, *others)
        optimizer.param_groups[0]["params"][-1].data.mul_(math.inf)
        return trained

    monkeypatch.setattr("resnet_edu.train.run.train_epoch", spoiling)
    refused("weights were infinite or not a number")


def test_a_full_disk_is_said_and_the_last_epoch_kept(plan, tmp_path, monkeypatch):
    quiet(plan(epochs=3), tmp_path / "toy", seconds=0)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match=r"epoch 2 could not be written .*No space left.* then resume"):
            quiet(plan(epochs=3), tmp_path / "toy", resume=True)
    assert checkpoint.newest(tmp_path / "toy" / "checkpoints")[0] == 1
    assert record.read(tmp_path / "toy" / "toy.csv")["epoch"].tolist() == [1]


def test_imagenets_networks_take_grey_images_too(plan):
    run = Run(plan(model="resnet18"), torch.device("cpu"))
    assert run.model(run.train_images.prepare(run.train_images.images[:2])).shape == (2, 10)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_compiling_changes_rounding_only(plan):
    losses = {}
    for compiled in (False, True):
        run = Run(plan(model="cifar_resnet8", widths=(4, 4, 4), compile=compiled), torch.device("cpu"))
        run.model.train()
        pixels, labels = run.train_images.images[:128], run.train_images.labels[:128]
        views = draw_views(128, 1, False, torch.Generator().manual_seed(0))
        losses[compiled] = run.objective(pixels, labels, views)[0].item()
    assert losses[True] == pytest.approx(losses[False], rel=1e-4)
