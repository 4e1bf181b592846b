"""A checkpoint is whole or not there; a damaged one is passed over."""

import errno
import os

import pytest
import torch

from resnet_edu.train import checkpoint


def state(number):
    return {"weights": torch.full((100,), float(number)), "rows": [{"epoch": number, "loss": 0.5}]}


def test_the_newest_comes_back_and_two_are_kept(tmp_path):
    for epoch in range(1, 12):
        checkpoint.save(tmp_path, epoch, state(epoch))
    epoch, found, damaged = checkpoint.newest(tmp_path)
    assert (epoch, damaged) == (11, [])
    assert torch.equal(found["weights"], torch.full((100,), 11.0))
    assert found["rows"] == [{"epoch": 11, "loss": 0.5}]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("harm", ["truncate", "flip", "empty"])
def test_a_damaged_one_is_passed_over(tmp_path, harm):
    checkpoint.save(tmp_path, 1, state(1))
    path = checkpoint.save(tmp_path, 2, state(2))
    raw = bytearray(path.read_bytes())
    if harm == "flip":
        raw[len(raw) // 2] ^= 1
    path.write_bytes({"truncate": raw[:-1], "flip": raw, "empty": b""}[harm])
    epoch, found, damaged = checkpoint.newest(tmp_path)
    assert (epoch, damaged) == (1, [path])
    assert found["weights"][0] == 1


def test_what_somebody_else_put_there_is_left_alone(tmp_path):
    path = checkpoint.save(tmp_path, 1, state(1))
    copies = [tmp_path / f"{path.stem}-Copy1.pt", tmp_path / "epoch-00005-.pt"]
    for copy in copies:
        copy.write_bytes(path.read_bytes())
    assert checkpoint.newest(tmp_path)[0] == 1
    checkpoint.save(tmp_path, 2, state(2), anew=True)
    assert all(copy.exists() for copy in copies) and not path.exists()


def test_nothing_is_epoch_zero(tmp_path):
    assert checkpoint.newest(tmp_path / "none") == (0, None, [])


def test_an_unfinished_file_is_no_checkpoint_and_is_cleared_away(tmp_path):
    checkpoint.save(tmp_path, 1, state(1))
    (tmp_path / "epoch-00002-0123456789abcdef.pt.77.tmp").write_bytes(b"half")
    assert checkpoint.newest(tmp_path)[0] == 1
    checkpoint.save(tmp_path, 2, state(2))
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, step):
    checkpoint.save(tmp_path, 1, state(1))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path, 2, state(2))
    assert checkpoint.newest(tmp_path)[0] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_no_code_is_unpickled(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "pwned"),)

    checkpoint.save(tmp_path, 1, {"weights": Evil()})
    with pytest.raises(ValueError, match="holds more than tensors, numbers and strings"):
        checkpoint.newest(tmp_path)
    assert not (tmp_path / "pwned").exists()
