"""The command: one clear sentence and a status for everything that can go wrong."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from resnet_edu.train import record
from resnet_edu.train.__main__ import device_named, main, parser, plan_from


def test_the_defaults_are_the_papers_recipe():
    args = parser().parse_args(["--model", "cifar_resnet20", "--data", "cifar10", "--out", "x"])
    plan = plan_from(args, torch.device("cpu"))
    recipe = plan.recipe
    assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.schedule) == (164, 128, 0.1, "steps")
    assert (recipe.momentum, recipe.weight_decay, recipe.warmup, recipe.label_smoothing) == (0.9, 1e-4, 0, 0.0)
    assert (plan.shortcut, plan.norm, plan.widths, plan.seed) == ("A", "batch", (16, 32, 64), 0)


def test_110_layers_warm_up():
    args = parser().parse_args(["--model", "cifar_resnet110", "--data", "cifar10", "--out", "x"])
    assert plan_from(args, torch.device("cpu")).recipe.warmup == 400
    args.schedule = "one-cycle"  # which begins low by itself
    assert plan_from(args, torch.device("cpu")).recipe.warmup == 0


def test_a_run_from_the_command(arguments, tmp_path, capsys):
    assert main(arguments("--epochs", 1, "--out", tmp_path / "toy")) == 0
    assert "toy: test error" in capsys.readouterr().out
    assert record.read(tmp_path / "toy" / "toy.csv")["epoch"].tolist() == [1]
    assert main(arguments("--epochs", 1, "--out", tmp_path / "toy", "--resume")) == 0
    assert "is complete already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--model", "cifar_resnet9"], "depth must be 6n+2"),
        (["--model", "vgg16"], "no network is called 'vgg16'"),
        (["--data", "mnist"], "no data set is called 'mnist'; there are: digits, fashion_mnist, cifar10"),
        (["--device", "cuda:99"], "there is no cuda:99"),
        (["--device", "gpu"], "'gpu' is no device"),
        (["--device", "mps"], "training on 'mps' is not supported"),
        (["--size", "3"], "images of 8x8 cannot be averaged to 3x3"),
        (["--epochs", "0"], "epochs should be at least 1"),
        (["--batch-size", "4000"], "1437 images do not fill one batch of 4000"),
        (["--lr", "1e30"], "the loss was nan at iteration"),
        (["--pad", "-1"], "images of 8 pixels a side are padded by 0 to 8, got -1"),
        (["--pad", "20000"], "images of 8 pixels a side are padded by 0 to 8, got 20000"),
        (["--seed", "-1"], "a seed is a whole number from 0 to 2**63 - 1, got -1"),
        (["--seed", "9" * 30], "a seed is a whole number"),
        (["--schedule", "one-cycle", "--warmup", "400"], "'one-cycle' rises by itself: it takes no warmup, got 400"),
    ],
)
def test_what_goes_wrong_is_one_sentence(arguments, tmp_path, capsys, more, words):
    assert main([*arguments("--epochs", 1, "--out", tmp_path / "toy"), *more]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and words in said and said.count("\n") == 1


def test_missing_data_is_one_sentence(arguments, tmp_path, capsys, monkeypatch):
    def unreachable(name, folder=None):
        raise FileNotFoundError("cifar10 is not in the folder")

    monkeypatch.setattr("resnet_edu.data.load", unreachable)
    assert main(arguments("--out", tmp_path / "toy")) == 1
    assert capsys.readouterr().err == "error: cifar10 is not in the folder\n"
    assert not (tmp_path / "toy").exists()


def test_unknown_options_and_contradictions_are_refused(arguments, tmp_path, capsys):
    for more in (["--resume", "--overwrite"], ["--schedule", "cosine"], ["--nonsense"]):
        with pytest.raises(SystemExit) as stopped:
            main([*arguments("--out", tmp_path / "toy"), *more])
        assert stopped.value.code == 2


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_named("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    assert device_named("auto") == torch.device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert device_named("cuda") == torch.device("cuda:1")


def test_a_compiler_that_is_not_there_is_one_sentence(arguments, tmp_path):
    command = [sys.executable, "-m", "resnet_edu.train", *arguments("--compile", "--out", tmp_path / "toy")]
    ended = subprocess.run(
        command, env=os.environ | {"CXX": "/no/compiler"}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "error: torch.compile failed, and --no-compile does without it: " in ended.stderr.splitlines()[-1]


def test_an_interrupt_while_overwriting_says_which_run_stands(arguments, tmp_path, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("resnet_edu.train.__main__.train", interrupted)
    assert main(arguments("--out", tmp_path / "toy", "--overwrite")) == 130
    assert "before that the old run still stands, and --overwrite begins again" in capsys.readouterr().err


def test_the_help_names_no_default_of_none() -> None:
    said = parser().format_help()
    assert "(default: 164)" in said and "None" not in said


def test_an_interrupt_says_how_to_go_on(arguments, tmp_path, capsys):
    out = tmp_path / "toy"
    command = [sys.executable, "-m", "resnet_edu.train", *arguments("--epochs", 1000, "--out", out)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs with & ignores it, and hands
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # that on
    signal.signal(signal.SIGINT, before)
    while not (out / "toy.csv").exists():
        assert process.poll() is None
        time.sleep(0.05)
    assert main(arguments("--epochs", 1000, "--out", out, "--resume")) == 1
    assert "another process is training in" in capsys.readouterr().err
    os.kill(process.pid, signal.SIGINT)
    printed, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "with --resume the same command goes on" in said
    assert printed == ""  # and no progress bar without a terminal
    assert said.count("\n") == 2
