"""A download's folder is made, kept where something arrived, and gone with its parents where nothing did."""

import socket

import pytest

from resnet_edu.downloads import PATIENCE, data_folder, download_into


def test_the_folder_is_the_given_one_then_the_environments_then_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESNET_EDU_DATA", raising=False)
    assert data_folder() == tmp_path / "data"
    monkeypatch.setenv("RESNET_EDU_DATA", "~/set")
    assert data_folder() == data_folder("") != tmp_path / "~" / "set"
    assert data_folder().name == "set" and data_folder().is_absolute()
    assert data_folder("given") == tmp_path / "given"


def test_what_arrived_stays_with_its_folder(tmp_path):
    folder = tmp_path / "new" / "data"
    with download_into(folder):
        (folder / "file").write_text("here")
    with pytest.raises(RuntimeError, match="later"), download_into(folder):
        raise RuntimeError("later")
    assert (folder / "file").read_text() == "here"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_takes_away_what_was_made_and_nothing_else(tmp_path, error):
    (tmp_path / "old").mkdir()
    before = socket.getdefaulttimeout()
    with pytest.raises(error), download_into(tmp_path / "old" / "new" / "data"):
        assert socket.getdefaulttimeout() == PATIENCE
        raise error
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]
    assert socket.getdefaulttimeout() == before


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError), download_into(tmp_path / "file" / "data"):
        pytest.fail("there is no folder to download into")
