"""Each benchmark runs, tiny, says what it left out and rejected, and records what it measured."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from resnet_edu import data
from resnet_edu.train import record
from resnet_edu.train.epoch import fastest_precision

FOLDER = Path(__file__).parents[2] / "benchmarks"
ANYTHING = ["--tolerance", "1e9"]  # nothing is rejected, however busy the machine
TINY = ["--device", "cpu", "--threads", "1", "--rounds", "2"]
ROUNDS = 2


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a benchmark with batches of four images, and return its status and what it printed."""

    def run(name, *options):
        module = importlib.import_module(name)
        for each in (module, importlib.import_module("loops")):
            if hasattr(each, "BATCH"):
                monkeypatch.setattr(each, "BATCH", 4)
        status = module.main([*map(str, options)])
        return status, capsys.readouterr().out

    return run


def test_training_speed(command, tmp_path):
    out = tmp_path / "training_speed.csv"
    status, said = command("training_speed", *TINY, *ANYTHING, "--steps", 2, "--no-compile", "--out", out)
    assert status == 0, said
    rows, provenance = record.read(out), record.read_provenance(out)
    lacking = fastest_precision(torch.device("cpu")) == "fp32"
    names = ["usual loop", "batched augmentation", "two waits", "channels_last", *["bf16"] * (not lacking)]
    assert rows["ingredient"].tolist() == names * ROUNDS
    assert rows["round"].tolist() == [number for number in range(ROUNDS) for _ in names]
    assert (rows["seconds_per_step"] > 0).all() and (rows["kept"] == 1).all()
    assert ("bf16" in provenance["notes"]["skipped"]) == lacking == ("left out: bf16: no bf16 matrix" in said)
    assert provenance["notes"]["skipped"]["compile"] == "switched off"
    assert f"rejected 0 of {len(names) * ROUNDS * 2} blocks" in said
    assert "threads: 1" in said and f"torch {torch.__version__}" in said
    # the printed median is that of the file
    slow, fast = (rows["seconds_per_step"][rows["ingredient"] == name] for name in ("usual loop", "channels_last"))
    (printed,) = re.findall(r"\+ channels_last +(\S+) \(", said)
    assert float(printed) == pytest.approx(float((slow / fast).mean()), rel=0.01)  # of two, the median is the mean
    (printed,) = re.findall(r"usual loop +([\d,]+)\n", said)
    assert float(printed.replace(",", "")) == pytest.approx(4 / slow.mean(), abs=0.5)


def test_a_disturbed_machine_gives_no_ratio_and_status_1(command, tmp_path):
    out = tmp_path / "disturbed.csv"
    status, said = command("training_speed", *TINY, "--tolerance", 0, "--steps", 1, "--no-compile", "--out", out)
    assert status == 1
    blocks = 2 * len(record.read(out)["round"])
    assert f"rejected {blocks} of {blocks} blocks" in said and "no undisturbed round" in said
    assert (record.read(out)["kept"] == 0).all()
    assert command("data_preparation", *TINY, "--tolerance", 0, "--batches", 1)[0] == 1


@pytest.mark.parametrize(("target", "word"), [(0, "reached"), (1e9, "missed")])
def test_data_preparation(command, target, word):
    options = ["--rounds", 1, "--batches", 2, "--target", target]
    status, said = command("data_preparation", *options, *ANYTHING)
    assert status == 0 and f"is {word}" in said and "rejected 0 of 4 blocks" in said


def test_the_usual_loop_sees_the_same_images(monkeypatch):
    loops = importlib.import_module("loops")
    monkeypatch.setattr(loops, "PAD", 0)
    images, labels = loops.images_for(1, "synthetic")
    one, label = loops.PILImages(images, labels)[3]
    mean, std = (values.float()[:, None, None] for values in data.channel_statistics(images))
    seen, there = one * std + mean, images[3] / 255
    assert label == labels[3]
    assert any(torch.allclose(seen, image, atol=1e-5) for image in (there, there.flip(2)))


def test_peak(command):
    status, said = command("peak", *TINY, *ANYTHING, "--steps", 1, "--size", 64, "--no-compile")
    assert status == 0 and "training : peak in fp32: " in said
    lacking = fastest_precision(torch.device("cpu")) == "fp32"
    assert ("left out: bf16" in said) == lacking == ("training : peak in bf16" not in said)


def test_operations_are_three_forward_passes_but_for_the_gradient_of_the_images():
    shapes = [(16, 16, 32 * 32)] * 6 + [(16, 32, 16 * 16)] + [(32, 32, 16 * 16)] * 5
    shapes += [(32, 64, 8 * 8)] + [(64, 64, 8 * 8)] * 5
    first = 2 * 3 * 16 * 9 * 32 * 32
    rest = sum(2 * before * after * 9 * pixels for before, after, pixels in shapes) + 2 * 64 * 10
    assert importlib.import_module("peak").operations(batch=2) == 2 * (2 * first + 3 * rest)


def test_synthetic_images_fill_the_steps_and_real_ones_are_not_stretched():
    loops = importlib.import_module("loops")
    images, labels = loops.images_for(2, "synthetic")
    assert images.shape == (256, 3, 32, 32) and images.dtype == torch.uint8 and labels.shape == (256,)
    assert torch.equal(images, loops.images_for(2, "synthetic")[0])
    with pytest.raises(ValueError, match=r"images for 1 to 11 steps .* and 12 were asked for"):
        loops.images_for(12, "digits")


def test_sizes_that_measure_nothing_are_refused(command):
    for options, said in ((["--steps", 0], "at least one step"), (["--steps", 1, "--size", 0], "1x1 at least")):
        with pytest.raises(ValueError, match=said):
            command("peak", *TINY, *options)
    with pytest.raises(ValueError, match="at least one step"):
        command("data_preparation", *TINY, "--batches", -1)


def test_cuda_graphs_are_an_ingredient_of_their_own(monkeypatch):
    ingredients = importlib.import_module("training_speed").ingredients
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    found, skipped = ingredients(torch.device("cuda"), compiled=True)
    assert list(found)[-3:] == ["bf16", "compile", "CUDA graphs"] and not skipped
    assert found["CUDA graphs"] | {"graphs": False} == found["compile"]
    found, skipped = ingredients(torch.device("cpu"), compiled=True)
    assert list(found)[-1] == "compile" and skipped["CUDA graphs"] == "no GPU"


def test_more_threads_than_cores_are_refused(command):
    with pytest.raises(ValueError, match="100000 threads were asked for"):
        command("peak", "--device", "cpu", "--threads", 100000)


def test_time_cannot_be_subtracted_from_several_threads(command, monkeypatch):
    monkeypatch.setattr(importlib.import_module("command"), "CORES", 2)
    with pytest.raises(ValueError, match="--shared needs --threads 1"):
        command("peak", "--device", "cpu", "--threads", 2, "--shared")


def test_time_to_accuracy_on_digits(command, tmp_path):
    out = tmp_path / "time.csv"
    options = ["--device", "cpu", "--data", "digits", "--epochs", 1, "--runs", tmp_path / "runs"]
    status, said = command("time_to_accuracy", *options, "--target", 1, "--out", out)
    assert status == 0, said
    rows = record.read(out)
    assert rows["recipe"].tolist() == ["paper", "one-cycle"] and rows["reached"].tolist() == [1, 1]
    run = record.read(tmp_path / "runs" / "digits-paper-s0" / "digits-paper-s0.csv")
    assert rows["last_accuracy"][0] == 100 - run["test_error"][-1]
    with pytest.raises(FileExistsError, match="holds a recorded run already"):  # said before anything is trained
        command("time_to_accuracy", *options, "--seed", 1, "--out", out)
    assert not (tmp_path / "runs" / "digits-paper-s1").exists()
    status, said = command("time_to_accuracy", *options, "--target", 100.1)  # from the runs that are there
    assert status == 1 and said.count("is complete already") == 2 and said.count("100.1 % missed") == 2

    # who reads is not who trained
    about = record.read_provenance(tmp_path / "runs" / "digits-paper-s0" / "digits-paper-s0.csv")
    assert record.read_provenance(out)["seconds"] == pytest.approx(rows["seconds"].sum(), abs=0.1)
    told = tmp_path / "runs" / "digits-paper-s0" / "digits-paper-s0.json"
    told.write_text(json.dumps(about | {"hardware": about["hardware"] | {"gpu": "another"}}))
    with pytest.raises(ValueError, match=r"was trained with hardware .* unlike the other"):
        command("time_to_accuracy", *options, "--target", 1)


def test_time_to_accuracy_refuses_in_one_sentence_without_a_gpu(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    command = [sys.executable, FOLDER / "time_to_accuracy.py", "--runs", tmp_path / "runs"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and not (tmp_path / "runs").exists()
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and "this machine has 0 GPUs" in line


def test_time_to_accuracy_refuses_without_the_data(command, tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EDU_DATA", str(tmp_path / "none"))
    for proxy in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(FileNotFoundError, match="cifar10 is not in"):
        command("time_to_accuracy", "--device", "cpu", "--runs", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
