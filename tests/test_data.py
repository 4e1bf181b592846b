"""The data sets: what is read is what was published, or an error says what is wrong; nothing here needs a network."""

import gzip
import hashlib
import io
import os
import pickle
import socket
import struct
import tarfile
import urllib.request
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchvision.datasets import CIFAR10, FashionMNIST

from resnet_edu import data
from resnet_edu.data import published as files
from resnet_edu.data.published import ARRAYS, PUBLISHED, fingerprint


def arrays_like(name: str, blank: bool = False) -> dict[str, np.ndarray]:
    """Arrays of the published counts and types, with noise or nothing on the images."""
    _, shape, train, test, *_ = PUBLISHED[name]
    random = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", train), ("test", test)):
        size = (count, *shape)
        arrays[f"{part}_images"] = np.zeros(size, np.uint8) if blank else random.integers(0, 256, size, dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 10).astype(np.uint8)
    return arrays


@pytest.fixture
def any_content(monkeypatch):
    """Let any images count as published: these tests make theirs up."""
    monkeypatch.setattr(files, "fingerprint", lambda images, labels: 0)
    for name, published in PUBLISHED.items():
        monkeypatch.setitem(PUBLISHED, name, published._replace(fingerprints=(0, 0)))


@pytest.fixture
def tiny(monkeypatch, any_content):
    """Shrink what counts as published to 40 and 20 images, so that a test can damage it in many ways."""
    for name, published in PUBLISHED.items():
        monkeypatch.setitem(PUBLISHED, name, published._replace(train=40, test=20))


@pytest.fixture
def network(monkeypatch):
    """A network that serves the given files by the last part of their address; at first there is none."""
    served = {}

    def urlopen(request, *_, **__):
        url = request.full_url if isinstance(request, urllib.request.Request) else request
        answer = served.get(url.rsplit("/", 1)[-1])
        if answer is None:
            raise URLError("no network in this test")
        response = answer() if callable(answer) else io.BytesIO(answer)
        response.url, response.length = url, None
        return response

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return served


class Broken(io.BytesIO):
    """A connection that dies after the first 100 bytes."""

    def read(self, *_):
        if self.tell():
            raise TimeoutError("the read operation timed out")
        return super().read(100)


# --- digits ---------------------------------------------------------------------------------------------------------


def test_digits_hold_every_image_once_in_a_stratified_split():
    digits = data.load("digits")
    assert digits.train_images.shape == (1437, 1, 8, 8) and digits.test_images.shape == (360, 1, 8, 8)
    assert digits.train_images.dtype == torch.uint8 and digits.train_labels.dtype == torch.int64
    assert digits.classes == tuple("0123456789")

    published = load_digits()
    images = torch.cat([digits.train_images, digits.test_images]).flatten(1)
    labels = torch.cat([digits.train_labels, digits.test_labels])
    ours = sorted((label, *pixels) for label, pixels in zip(labels.tolist(), images.tolist(), strict=True))
    scaled = np.floor(published.data / 16 * 255 + 0.5).astype(int)
    theirs = sorted((label, *pixels) for label, pixels in zip(published.target.tolist(), scaled.tolist(), strict=True))
    assert ours == theirs
    assert images.max() == 255 and images.min() == 0

    share = torch.bincount(digits.test_labels) / torch.bincount(labels)
    assert ((share - 360 / 1797).abs() < 0.005).all()


def test_digits_split_never_changes():
    # The stored outputs of the notebooks rest on this split; it may not move with scikit-learn's version.
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 -- the old global generator is what must not matter
    first, second = data.load("digits"), data.load("digits")
    assert torch.equal(first.train_images, second.train_images)
    assert zlib.crc32(first.train_labels.numpy().tobytes() + first.test_images.numpy().tobytes()) == 2970869263


def test_dataset_cannot_be_changed_and_prints_briefly():
    digits = data.load("digits")
    with pytest.raises(AttributeError):
        digits.name = "letters"
    assert repr(digits) == "Dataset('digits': 1437 training and 360 test images of (1, 8, 8), 10 classes)"


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="'CIFAR-10'; there are: digits, fashion_mnist, cifar10"):
        data.load("CIFAR-10")


# --- .npz -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "train", "shape"), [("fashion_mnist", 60_000, (1, 28, 28)), ("cifar10", 50_000, (3, 32, 32))]
)
def test_npz_of_the_published_size_is_read(name, train, shape, tmp_path, any_content):
    arrays = arrays_like(name, blank=True)
    arrays["train_images"][7] = 3
    np.savez_compressed(tmp_path / f"{name}.npz", **arrays)
    dataset = data.load(name, tmp_path)
    assert dataset.train_images.shape == (train, *shape) and dataset.test_images.shape == (10_000, *shape)
    assert dataset.train_images[7].unique().tolist() == [3] and dataset.train_images[8].unique().tolist() == [0]
    assert dataset.test_labels[:11].tolist() == [*range(10), 0] and dataset.test_labels.dtype == torch.int64
    assert len(dataset.classes) == 10


def test_folder_comes_from_the_argument_then_the_setting_then_the_current_directory(
    tiny, tmp_path, monkeypatch, network
):
    monkeypatch.chdir(tmp_path)
    arrays = arrays_like("cifar10")
    for value, folder in enumerate(("data", "setting", "argument")):
        (tmp_path / folder).mkdir()
        arrays["test_images"][:] = value
        np.savez(tmp_path / folder / "cifar10.npz", **arrays)

    monkeypatch.delenv("RESNET_EDU_DATA", raising=False)
    assert data.load("cifar10").test_images.max() == 0
    monkeypatch.setenv("RESNET_EDU_DATA", str(tmp_path / "setting"))
    assert data.load("cifar10").test_images.max() == 1
    assert data.load("cifar10", tmp_path / "argument").test_images.max() == 2
    monkeypatch.setenv("RESNET_EDU_DATA", "elsewhere")
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "elsewhere")):
        data.load("cifar10")


BROKEN = {
    "an array is missing": (lambda a: a.pop("test_labels"), "lacks the arrays test_labels"),
    "another name": (lambda a: a.update(x=a.pop("train_images")), "lacks the arrays train_images"),
    "float images": (lambda a: a.update(train_images=a["train_images"] / 255), "train_images should be uint8"),
    "signed images": (lambda a: a.update(test_images=a["test_images"].astype(np.int8)), "test_images should be uint8"),
    "channels last": (
        lambda a: a.update(train_images=a["train_images"].transpose(0, 2, 3, 1)),
        r"of \(40, 1, 28, 28\), but it is uint8 of \(40, 28, 28, 1\)",
    ),
    "images missing": (lambda a: a.update(train_images=a["train_images"][:-1]), r"of \(39, 1, 28, 28\)"),
    "labels missing": (lambda a: a.update(test_labels=a["test_labels"][:10]), r"integers of \(20,\), .* of \(10,\)"),
    "both missing": (
        lambda a: a.update(train_images=a["train_images"][:30], train_labels=a["train_labels"][:30]),
        r"but it is uint8 of \(30, 1, 28, 28\)",
    ),
    "one-hot labels": (lambda a: a.update(test_labels=np.eye(10, dtype=int)[a["test_labels"]]), "of .20, 10."),
    "float labels": (lambda a: a.update(test_labels=a["test_labels"].astype(float)), "integers .* it is float64"),
    "labels from 1": (lambda a: a.update(train_labels=a["train_labels"] + 1), "0 to 9, but they reach from 1 to 10"),
    "negative label": (
        lambda a: a.update(train_labels=a["train_labels"].astype(int) - 1),
        "0 to 9, but they reach from -1 to 8",
    ),
    "a label altered": (
        lambda a: a["train_labels"].__setitem__(0, 1),
        r"train_labels should be 4 of each class, but they are \[3, 5, 4",
    ),
    "objects": (lambda a: a.update(test_labels=a["test_labels"].astype(object)), "truncated or damaged .*pickle"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_npz_of_another_form_is_an_error(how, tiny, tmp_path, network):
    spoil, message = BROKEN[how]
    arrays = arrays_like("fashion_mnist")
    spoil(arrays)
    np.savez(tmp_path / "fashion_mnist.npz", **arrays)
    with pytest.raises(ValueError, match=message) as error:
        data.load("fashion_mnist", tmp_path)
    assert str(tmp_path / "fashion_mnist.npz") in str(error.value)


def test_published_counts_are_expected(tmp_path):
    np.savez(tmp_path / "cifar10.npz", train_images=0, train_labels=0, test_images=0, test_labels=0)
    with pytest.raises(ValueError, match=r"uint8 of \(50000, 3, 32, 32\), but it is int64 of \(\)"):
        data.load("cifar10", tmp_path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_no_flipped_byte_of_an_npz_passes_silently(save, tiny, tmp_path):
    path = tmp_path / "fashion_mnist.npz"
    save(path, **arrays_like("fashion_mnist"))
    sound, whole = data.load("fashion_mnist", tmp_path), path.read_bytes()
    refused = 0
    ends = [*range(200), *range(len(whole) - 500, len(whole))]  # headers, the zip directory
    for place in [*ends, *range(200, len(whole), 499)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x21]) + whole[place + 1 :])
        try:
            read = data.load("fashion_mnist", tmp_path)
        except ValueError:
            refused += 1
            continue
        for key in ARRAYS:  # a date or an attribute in the zip directory carries no data
            assert torch.equal(getattr(read, key), getattr(sound, key)), f"byte {place} changed {key}"
    assert refused > 300


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99, -1])
def test_truncated_npz_is_an_error(kept, tiny, tmp_path):
    path = tmp_path / "cifar10.npz"
    np.savez_compressed(path, **arrays_like("cifar10"))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(ValueError, match=r"cifar10\.npz cannot be read; it is truncated or damaged"):
        data.load("cifar10", tmp_path)


@pytest.mark.parametrize("content", [b"<html>Sign in to the network</html>", pickle.dumps([1, 2])])
def test_another_file_called_npz_is_an_error(content, tmp_path):
    (tmp_path / "cifar10.npz").write_bytes(content)
    with pytest.raises(ValueError, match="truncated or damaged"):
        data.load("cifar10", tmp_path)


def cannot(error):
    def open_archive(path):
        raise error

    return open_archive


@pytest.mark.parametrize(
    "error",
    [PermissionError(13, "Permission denied"), OSError(5, "Input/output error"), MemoryError(), None],
    ids=["permission", "disk", "memory", "folder"],
)
def test_a_file_that_cannot_be_read_now_is_not_called_damaged(error, tmp_path, monkeypatch):
    (tmp_path / "cifar10.npz").mkdir()
    if error is not None:
        monkeypatch.setattr(zipfile, "ZipFile", cannot(error))
    with pytest.raises(OSError, match=r"cifar10\.npz cannot be read now .*try again") as said:
        data.load("cifar10", tmp_path)
    assert "damaged" not in str(said.value) and "delete" not in str(said.value)


@pytest.mark.parametrize("error", [OSError(22, "Invalid argument"), OSError("Invalid data stream")])
def test_what_zipfile_raises_over_damage_is_called_damage(error, tmp_path, monkeypatch):
    (tmp_path / "cifar10.npz").write_bytes(b"")
    monkeypatch.setattr(zipfile, "ZipFile", cannot(error))
    with pytest.raises(ValueError, match="truncated or damaged"):
        data.load("cifar10", tmp_path)


def invert(array):
    array[3] = 255 - array[3]


def exchange(one, other):
    one[0], other[1] = other[1].copy(), one[0].copy()


ALTERED = {
    "an image inverted": (lambda a: invert(a["train_images"]), "training"),
    "a pixel changed": (lambda a: a["test_images"].__setitem__((0, 0, 0, 0), a["test_images"][0, 0, 0, 0] ^ 1), "test"),
    "blank images": (lambda a: a["train_images"].fill(0), "training"),
    "two labels exchanged": (lambda a: exchange(a["test_labels"], a["test_labels"]), "test"),
    "an image from the other split": (lambda a: exchange(a["train_images"], a["test_images"]), "training"),
}


@pytest.mark.parametrize("how", ALTERED)
def test_altered_npz_of_the_right_form_is_an_error(how, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fingerprint", fingerprint)
    arrays = arrays_like("cifar10")
    tensors = [torch.from_numpy(arrays[key]) for key in ARRAYS]
    prints = fingerprint(*tensors[:2]), fingerprint(*tensors[2:])
    monkeypatch.setitem(PUBLISHED, "cifar10", PUBLISHED["cifar10"]._replace(fingerprints=prints))
    order = np.random.default_rng(1).permutation(40)
    shuffled = {key: array[order] if key.startswith("train") else array[::-1] for key, array in arrays.items()}
    np.savez(tmp_path / "cifar10.npz", **shuffled)
    assert_same(data.load("cifar10", tmp_path), shuffled)  # the order is free
    spoil, split = ALTERED[how]
    spoil(arrays)
    np.savez(tmp_path / "cifar10.npz", **arrays)
    with pytest.raises(
        ValueError, match=f"not what was published: the {split} images or labels .*: delete it"
    ) as error:
        data.load("cifar10", tmp_path)
    assert str(tmp_path / "cifar10.npz") in str(error.value)


def test_fingerprint_by_hand():
    images = torch.tensor([[[[1, 2]]], [[[3, 4]]]], dtype=torch.uint8)
    sums = sorted([zlib.crc32(bytes([1, 2]), 7), zlib.crc32(bytes([3, 4]), 5)])
    expected = zlib.crc32(struct.pack("<2I", *sums))
    assert fingerprint(images, torch.tensor([7, 5])) == expected
    assert fingerprint(images.flip(0), torch.tensor([5, 7])) == expected
    assert fingerprint(images, torch.tensor([5, 7])) != expected


# --- torchvision's form ----------------------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    """Fashion-MNIST's file format: the type, the sizes, the bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def publish_fashion_mnist(monkeypatch) -> tuple[dict, dict]:
    arrays = arrays_like("fashion_mnist")
    files = {}
    for part, start in (("train", "train"), ("test", "t10k")):
        files[f"{start}-images-idx3-ubyte.gz"] = gzip.compress(idx(arrays[f"{part}_images"][:, 0]))
        files[f"{start}-labels-idx1-ubyte.gz"] = gzip.compress(idx(arrays[f"{part}_labels"]))
    sums = [(name, hashlib.md5(content).hexdigest()) for name, content in files.items()]
    monkeypatch.setattr(FashionMNIST, "resources", sums)
    return arrays, files


def publish_cifar10(monkeypatch) -> tuple[dict, dict]:
    arrays = arrays_like("cifar10")
    packed, sums, folder = io.BytesIO(), {}, CIFAR10.base_folder
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, part in (("data_batch_1", "train"), ("test_batch", "test"), ("batches.meta", None)):
            batch = {"label_names": list("0123456789")}
            if part:
                rows = arrays[f"{part}_images"].reshape(-1, 3072)
                batch = {"data": rows, "labels": arrays[f"{part}_labels"].tolist()}
            content = pickle.dumps(batch)
            sums[name] = hashlib.md5(content).hexdigest()
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", sums["data_batch_1"]]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(packed.getvalue()).hexdigest())
    return arrays, {CIFAR10.filename: packed.getvalue()}


@pytest.fixture(params=["fashion_mnist", "cifar10"])
def published(request, tiny, monkeypatch):
    """A data set's name, its arrays and the files that its authors serve, tiny."""
    publish = {"fashion_mnist": publish_fashion_mnist, "cifar10": publish_cifar10}[request.param]
    return request.param, *publish(monkeypatch)


def assert_same(dataset, arrays):
    for key, array in arrays.items():
        assert np.array_equal(getattr(dataset, key).numpy(), array)


def test_download_is_made_once_and_then_found_without_a_network(published, network, tmp_path):
    name, arrays, files = published
    folder = tmp_path / "new" / "data"
    network.update(files)
    assert_same(data.load(name, folder), arrays)
    network.clear()
    assert_same(data.load(name, folder), arrays)
    assert not list(folder.glob("download-*"))


def test_without_network_the_error_names_the_data_the_folder_and_both_ways(published, network, tmp_path):
    name, *_ = published
    folder = tmp_path / "new" / "data"
    with pytest.raises(FileNotFoundError) as error:
        data.load(name, folder)
    for words in (
        name,
        str(folder),
        f"{name}.npz",
        "RESNET_EDU_DATA",
        "torchvision downloads it",
        "no network in this",
    ):
        assert words in str(error.value)
    assert not folder.parent.exists()


def test_interrupted_download_leaves_nothing_and_the_next_try_works(published, network, tmp_path):
    name, arrays, files = published
    last = list(files)[-1]
    before = socket.getdefaulttimeout()
    patience = []

    def die():
        patience.append(socket.getdefaulttimeout())
        return Broken(files[last])

    network.update(files | {last: die})
    with pytest.raises(FileNotFoundError, match="timed out"):
        data.load(name, tmp_path)
    assert not list(tmp_path.iterdir())
    assert set(patience) == {15} and socket.getdefaulttimeout() == before
    network.update(files)
    assert_same(data.load(name, tmp_path), arrays)


def test_download_with_another_checksum_is_refused(published, network, tmp_path):
    name, _, files = published
    network.update(dict.fromkeys(files, b"<html>Sign in to the network</html>"))
    with pytest.raises(FileNotFoundError, match="corrupted"):
        data.load(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["truncated", "altered", "deleted"])
def test_damaged_download_is_an_error_and_a_network_mends_it(published, damage, network, tmp_path):
    name, arrays, files = published
    network.update(files)
    data.load(name, tmp_path)
    network.clear()
    read = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in (".gz", ".meta")]
    assert read
    for path in read:
        whole = path.read_bytes()
        if damage == "deleted":
            path.unlink()
        else:
            path.write_bytes(whole[:-9] if damage == "truncated" else whole[:-9] + b"\0" + whole[-8:])
        with pytest.raises(FileNotFoundError, match="no sound torchvision download"):
            data.load(name, tmp_path)
        path.write_bytes(whole)
    read[0].write_bytes(b"")
    network.update(files)
    assert_same(data.load(name, tmp_path), arrays)
    network.clear()
    assert_same(data.load(name, tmp_path), arrays)


def test_folder_that_cannot_be_written_is_the_same_error(tiny, network, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(FileNotFoundError, match="RESNET_EDU_DATA"):
        data.load("cifar10", tmp_path / "file")


# --- averaged, three channels ----------------------------------------------------------------------------------------


def dataset_of(train: list, test: list) -> data.Dataset:
    """A data set of these images, each a list of channels."""
    images = [torch.tensor(part, dtype=torch.uint8) for part in (train, test)]
    labels = [torch.arange(len(part)) for part in images]
    return data.Dataset("tiny", images[0], labels[0], images[1], labels[1], ("a", "b"))


def test_averaged_by_hand():
    first = [[0, 1, 10, 20], [0, 1, 30, 41], [255, 255, 7, 7], [255, 254, 7, 8]]
    # means 0.5, 25.25, 254.75, 7.25; a half goes to the even neighbour
    second = [[1, 2, 0, 0], [1, 2, 0, 3], [2, 3, 1, 1], [2, 3, 1, 0]]  # 1.5, 0.75, 2.5, 0.75
    dataset = dataset_of([[first], [second]], [[second]])
    small = data.averaged(dataset, 2)
    assert small.train_images.tolist() == [[[[0, 25], [255, 7]]], [[[2, 1], [2, 1]]]]
    assert small.test_images.tolist() == [[[[2, 1], [2, 1]]]]
    assert small.train_images.dtype == torch.uint8 and small.train_labels.tolist() == [0, 1]
    assert dataset.train_images.shape == (2, 1, 4, 4)
    assert data.averaged(dataset, 1).train_images.flatten().tolist() == [72, 1]  # 1151 / 16 and 22 / 16
    same = data.averaged(dataset, 4)
    assert torch.equal(same.train_images, dataset.train_images) and same.name == "tiny"


def test_averaged_keeps_the_order_of_more_images_than_one_part_holds():
    images = torch.arange(5003).remainder(251).to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    dataset = replace(dataset_of([[[[0]]]], [[[[0]]]]), train_images=images, test_images=images[:1])
    assert torch.equal(data.averaged(dataset, 1).train_images, images[:, :, :1, :1])


def test_three_channels_are_copies_of_the_grey_one():
    dataset = dataset_of([[[[1, 2], [3, 4]]], [[[5, 6], [7, 8]]]], [[[[9, 10], [11, 12]]]])
    wide = data.with_three_channels(dataset)
    assert wide.train_images.tolist() == [[[[1, 2], [3, 4]]] * 3, [[[5, 6], [7, 8]]] * 3]
    assert wide.test_images.tolist() == [[[[9, 10], [11, 12]]] * 3]
    assert wide.train_labels.tolist() == [0, 1] and wide.classes == dataset.classes
    assert data.with_three_channels(wide) is wide
    two = replace(dataset, train_images=wide.train_images[:, :2], test_images=wide.test_images[:, :2])
    with pytest.raises(ValueError, match="these have 2"):
        data.with_three_channels(two)


# --- statistics ------------------------------------------------------------------------------------------------------


@pytest.fixture
def images():
    return torch.randint(0, 256, (5003, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_statistics_agree_with_numpy_in_double_precision(images):
    reference = images.numpy() / 255
    mean, std = data.channel_statistics(images)
    assert mean.shape == std.shape == (3,)
    np.testing.assert_allclose(mean, reference.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, reference.std(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(data.pixel_mean(images), reference.mean(axis=0), rtol=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_images_on_a_gpu_stay_there(images):
    there, here = images.cuda(), data.channel_statistics(images)
    torch.testing.assert_close([part.cpu() for part in data.channel_statistics(there)], list(here))
    torch.testing.assert_close(data.pixel_mean(there).cpu(), data.pixel_mean(images))
    result = data.standardise(there, *here)
    assert result.is_cuda
    torch.testing.assert_close(result.cpu(), data.standardise(images, *here))


@pytest.mark.parametrize("per_pixel", [False, True])
def test_standardise_agrees_with_numpy_and_leaves_the_images(images, per_pixel):
    mean, std = data.channel_statistics(images)
    mean = data.pixel_mean(images) if per_pixel else mean
    copy = images.clone()
    result = data.standardise(images, mean, std)
    reference = (images.numpy() / 255 - mean.reshape(3, *mean.shape[1:] or (1, 1)).numpy()) / std.numpy()[:, None, None]
    assert result.dtype == torch.float32 and torch.equal(images, copy)
    np.testing.assert_allclose(result, reference, atol=1e-6)


def test_channels_are_not_mixed_up():
    # With as many channels as rows and columns, a mean of each channel could be broadcast along the wrong axis.
    images = torch.zeros(2, 3, 3, 3, dtype=torch.uint8)
    images[:, 1], images[:, 2] = 51, 102
    result = data.standardise(images, torch.tensor([0.0, 0.2, 0.4]), torch.ones(3))
    assert result.abs().max() < 1e-6


def test_test_images_get_the_training_statistics():
    digits = data.load("digits")
    darker = data.Dataset(
        "digits", digits.train_images, digits.train_labels, digits.test_images // 2, digits.test_labels, digits.classes
    )
    train_x, train_y, test_x, test_y = data.standardised_splits(darker)
    mean, std = data.channel_statistics(digits.train_images)
    torch.testing.assert_close(test_x, ((digits.test_images // 2 / 255 - mean.view(1, 1, 1, 1)) / std).float())
    assert test_x.mean() < -0.3 and abs(train_x.mean()) < 1e-5
    assert torch.equal(train_y, digits.train_labels) and torch.equal(test_y, digits.test_labels)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: data.channel_statistics(x.float()), r"uint8 of shape .* torch.float32 of \(2, 3, 4, 4\)"),
        (lambda x: data.channel_statistics(x[0]), r"torch.uint8 of \(3, 4, 4\)"),
        (lambda x: data.pixel_mean(x[:0]), "N at least 1"),
        (lambda x: data.standardise(x.float(), torch.zeros(3), torch.ones(3)), "torch.float32"),
        (lambda x: data.standardise(x, torch.zeros(1), torch.ones(3)), r"mean should have shape \(3,\) or \(3, 4, 4\)"),
        (lambda x: data.standardise(x, torch.zeros(4, 4), torch.ones(3)), r"but it has \(4, 4\)"),
        (lambda x: data.standardise(x, torch.zeros(3), torch.ones(3, 1, 1)), "std should have shape"),
        (lambda x: data.standardise(x, torch.zeros(3), torch.tensor([1.0, 0.0, 1.0])), "std should be positive"),
        (lambda x: data.standardise(x, torch.zeros(3), torch.full((3,), torch.nan)), "std should be positive"),
    ],
)
def test_wrong_inputs_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))


# --- the real data, where a folder with it is named ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("fashion_mnist", [0.2860], [0.3530]),
        ("cifar10", [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
    ],
)
def test_real_data_has_the_known_statistics(name, mean, std):
    folder = Path(os.environ.get("RESNET_EDU_DATA", "data"))
    if not (folder / f"{name}.npz").exists():
        pytest.skip(f"no {name}.npz in {folder}")
    dataset = data.load(name)  # which compares the fingerprints
    met = data.channel_statistics(dataset.train_images)
    np.testing.assert_allclose(met[0], mean, atol=5e-5)
    np.testing.assert_allclose(met[1], std, atol=5e-5)
    np.testing.assert_allclose(data.pixel_mean(dataset.train_images).mean(dim=(1, 2)), met[0], rtol=1e-9)
    assert data.standardise(dataset.test_images, *met).shape == dataset.test_images.shape
