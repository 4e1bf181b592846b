"""Weights from a file: the right one is read, a damaged or dangerous one is refused, a missing one is said."""

import hashlib
import pickle
import shutil
import socket

import pytest
import torch
from torch import nn
from torchvision.models import ResNet50_Weights

from resnet_edu.downloads import PATIENCE
from resnet_edu.pretrained import load_weights


@pytest.fixture(autouse=True)
def no_cache_and_no_network(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    monkeypatch.delenv("RESNET_EDU_DATA", raising=False)

    def refuse(url, dst, hash_prefix=None, progress=True):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


def saved(folder, what):
    """Save as ``net-HASH.pth`` and return an address that ends in this name."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(what, folder / "new")
    name = f"net-{hashlib.sha256((folder / 'new').read_bytes()).hexdigest()[:8]}.pth"
    (folder / "new").rename(folder / name)
    return f"https://example.org/models/{name}"


def test_from_a_folder_the_environment_and_the_cache(tmp_path, monkeypatch) -> None:
    state = nn.Linear(3, 2).state_dict()
    here = tmp_path / "here"
    url = saved(here, state)
    assert torch.equal(load_weights(url, here)["weight"], state["weight"])
    monkeypatch.setenv("RESNET_EDU_DATA", str(here))
    assert list(load_weights(url)) == ["weight", "bias"]
    url = saved(tmp_path / "cache" / "checkpoints", state)
    monkeypatch.setenv("RESNET_EDU_DATA", str(tmp_path / "empty"))
    assert list(load_weights(url)) == ["weight", "bias"]
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize("where", ["folder", "cache"])
def test_a_damaged_file_is_refused_by_its_path_until_a_sound_one_is_found(where, tmp_path) -> None:
    places = {"folder": tmp_path / "folder", "cache": tmp_path / "cache" / "checkpoints"}
    url = saved(places[where], nn.Linear(3, 2).state_dict())
    name = url.rsplit("/", maxsplit=1)[-1]
    spoilt = places.pop(where) / name
    sound = spoilt.read_bytes()
    spoilt.write_bytes(sound + b"!")
    with pytest.raises(ValueError, match=r"is damaged: .* Delete it") as error:
        load_weights(url, tmp_path / "folder")
    assert str(error.value).startswith(str(spoilt))
    (other,) = places.values()
    other.mkdir(parents=True, exist_ok=True)
    (other / name).write_bytes(b"!")
    with pytest.raises(ValueError, match="is damaged") as error:
        load_weights(url, tmp_path / "folder")
    assert str(spoilt) in str(error.value) and str(other / name) in str(error.value)
    (other / name).write_bytes(sound)
    assert list(load_weights(url, tmp_path / "folder")) == ["weight", "bias"]


class Runs:
    """What a hostile file could hold: something that is called when the file is read."""

    def __reduce__(self):
        return print, ("this must not run",)


def test_a_file_that_would_run_something_is_refused(tmp_path, capsys) -> None:
    url = saved(tmp_path, {"weight": Runs()})
    with pytest.raises(pickle.UnpicklingError):
        load_weights(url, tmp_path)
    assert "must not run" not in capsys.readouterr().out


def test_a_missing_file_is_said_and_leaves_nothing_behind(tmp_path) -> None:
    before = socket.getdefaulttimeout()
    with pytest.raises(FileNotFoundError, match=r"resnet50-11ad3fa6\.pth is not at hand .* RESNET_EDU_DATA") as error:
        load_weights(ResNet50_Weights.IMAGENET1K_V2.url, tmp_path / "new" / "data")
    assert not (tmp_path / "new").exists()
    assert str(tmp_path) not in str(error.value)  # chapter 7 prints the message
    (note,) = error.value.__notes__
    assert all(str(tmp_path / place / "resnet50-11ad3fa6.pth") in note for place in ("new/data", "cache/checkpoints"))
    assert socket.getdefaulttimeout() == before


def test_a_download_arrives_in_the_folder(tmp_path, monkeypatch) -> None:
    url = saved(tmp_path / "elsewhere", nn.Linear(3, 2).state_dict())
    asked = []

    def fetch(address, dst, hash_prefix=None, progress=True):
        asked.append((address, hash_prefix, socket.getdefaulttimeout()))
        shutil.copy(tmp_path / "elsewhere" / address.rsplit("/", maxsplit=1)[-1], dst)

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    for _ in range(2):
        assert list(load_weights(url, tmp_path / "data")) == ["weight", "bias"]
    assert asked == [(url, url[-12:-4], PATIENCE)]


def test_an_address_without_a_checksum_is_refused() -> None:
    with pytest.raises(ValueError, match=r"NAME-HASH\.pth"):
        load_weights("https://example.org/net.pth")
