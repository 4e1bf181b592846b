"""Two processes compute what one computes: gradients, an epoch's numbers, and a resumed run."""

import subprocess
import sys

import pytest
import torch

from resnet_edu.train import record

GRADIENTS = """
import sys
from dataclasses import replace
import torch
from resnet_edu.train.augment import Views
from resnet_edu.train.batches import shuffled
from resnet_edu.train.plan import Plan
from resnet_edu.train.processes import started_by_torchrun
from resnet_edu.train.run import Run

device = torch.device("cpu")
with started_by_torchrun(device) as processes:
    run = Run(Plan("cifar_resnet8", "digits", widths=(4, 8, 16), norm="group"), device, processes)
    batches = shuffled(run.train_images, 128, run.generator, pad=1, mirror=False,
                       rank=processes.rank, processes=processes.count)
    loss, _ = run.objective(*next(batches))
    loss.backward()
    if processes.writes:
        torch.save({name: p.grad for name, p in run.model.named_parameters()}, sys.argv[1])
"""


def torchrun(count, *arguments):
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"] if count > 1 else []
    command = [sys.executable, *launcher, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def command(arguments):
    return lambda count, *more: torchrun(count, "-m", "resnet_edu.train", *arguments(*more))


def weights(out):
    return torch.load(out / "weights.pt", weights_only=True)


def test_the_gradients_of_two_are_those_of_one(tmp_path):
    script = tmp_path / "gradients.py"
    script.write_text(GRADIENTS)
    found = {}
    for count in (1, 2):
        torchrun(count, script, tmp_path / f"{count}.pt")
        found[count] = torch.load(tmp_path / f"{count}.pt", weights_only=True)
    assert found[1].keys() == found[2].keys()
    for name, gradient in found[1].items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(found[2][name], gradient, rtol=1e-3, atol=1e-6, msg=name)


def test_two_train_one_network_and_one_of_them_writes(command, tmp_path):
    for count in (1, 2):
        printed = command(
            count, "--norm", "group", "--precision", "fp32", "--epochs", 1, "--out", tmp_path / f"{count}"
        )
        assert printed.count("at the best one") == 1
    one, two = (record.read(tmp_path / name / f"{name}.csv") for name in "12")
    assert two["iteration"].tolist() == one["iteration"].tolist() == [11]
    assert two["train_loss"][0] == pytest.approx(one["train_loss"][0], rel=1e-3)
    assert two["train_error"][0] == pytest.approx(one["train_error"][0], abs=0.5)
    assert record.read_provenance(tmp_path / "2" / "2.csv")["processes"] == 2
    one, two = weights(tmp_path / "1"), weights(tmp_path / "2")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0.02, atol=1e-3, msg=name)


def test_two_resume_a_net_with_batch_normalisation(command, tmp_path):
    command(2, "--epochs", 2, "--out", tmp_path / "whole")
    assert "as asked" in command(2, "--epochs", 2, "--out", tmp_path / "parts", "--stop-after", 0)
    assert "resuming after epoch 1" in command(2, "--epochs", 2, "--out", tmp_path / "parts", "--resume")
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert any("running_mean" in name for name in whole)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_batch_that_cannot_be_shared_is_refused(arguments, tmp_path):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "resnet_edu.train"]
    more = arguments("--batch-size", 127, "--epochs", 1, "--out", tmp_path / "x")
    done = subprocess.run([sys.executable, *launcher, *more], check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode != 0
    assert "error: a batch of 127 cannot be shared equally by 2 processes" in done.stderr
