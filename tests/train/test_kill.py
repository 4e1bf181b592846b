"""Killed twenty times, some of them while a checkpoint is written, a run has the weights of an undisturbed one."""

import multiprocessing
import os
import random
import signal
import time

import pytest
import torch

from resnet_edu.train import checkpoint, record
from resnet_edu.train.folder import is_complete
from resnet_edu.train.run import Run
from resnet_edu.train.session import train

KILLS = 20
COLUMNS = ("train_loss", "train_error", "test_loss", "test_error", "lr", "iteration")


def work(plan, out, began, slow):
    """Train in a process of its own; ``slow`` keeps a written file a while before it gets its name."""
    torch.set_num_threads(1)
    if slow:
        fsync = os.fsync
        os.fsync = lambda file: (fsync(file), time.sleep(0.2))
    began.set()
    train(plan, out, resume=True, progress=False, say=lambda line: None)


@pytest.fixture(scope="module")
def processes():
    """Processes that start from one in which everything is imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["resnet_edu.train.session"])
    return context


def test_twenty_kills_change_nothing(plan, tmp_path, processes):
    plan, chance = plan(epochs=1000), random.Random(0)
    out = tmp_path / "killed"
    checkpoints = out / "checkpoints"

    def wait_for(process, there):
        while not there():
            assert process.is_alive()
            time.sleep(0.001)

    in_writing, reached = 0, [0]
    for kill in range(KILLS):
        began, while_writing = processes.Event(), kill % 4 == 3
        process = processes.Process(target=work, args=(plan, out, began, while_writing))
        process.start()
        began.wait()
        unfinished = f"*.{process.pid}.tmp"
        if while_writing:
            wait_for(process, lambda name=unfinished: list(checkpoints.glob(name)))
        else:
            if kill % 4 == 1:  # far enough to have written a checkpoint, however slow the machine
                wait_for(process, lambda: checkpoint.newest(checkpoints)[0] > reached[-1])
            time.sleep(chance.uniform(0, 1.5))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        in_writing += bool(list(checkpoints.glob(unfinished)))
        epoch, _, damaged = checkpoint.newest(checkpoints)
        assert epoch >= reached[-1] and not damaged  # nothing that was complete is lost
        reached.append(epoch)
    assert in_writing >= KILLS // 4
    assert len(set(reached)) > KILLS // 4

    undisturbed = Run(plan, torch.device("cpu"))
    while undisturbed.epoch < reached[-1]:
        undisturbed.advance()
    ours, theirs = checkpoint.newest(checkpoints)[1], undisturbed.state()
    assert all(torch.equal(ours["model"][name], value) for name, value in theirs["model"].items())
    assert torch.equal(ours["generator"], theirs["generator"])
    for name in COLUMNS:
        assert [row[name] for row in ours["rows"]] == [row[name] for row in theirs["rows"]]


def test_killed_while_the_last_files_are_written(plan, tmp_path, processes):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    began = processes.Event()
    train(plan(), killed, seconds=0, say=lambda line: None)
    for name in ("weights.pt", "killed.csv", "killed.json"):  # in the order in which a run writes them at its end
        process = processes.Process(target=work, args=(plan(), killed, began, True))
        process.start()
        unfinished = f"{name}.{process.pid}.tmp"
        while not ((killed / unfinished).exists() and checkpoint.newest(killed / "checkpoints")[0] == 2):
            assert process.is_alive()
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert (killed / unfinished).exists() and not is_complete(killed)
    for out in (killed, whole):
        train(plan(), out, resume=True, say=lambda line: None)
    ours, theirs = (torch.load(out / "weights.pt", weights_only=True) for out in (killed, whole))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    ours, theirs = (record.read(out / f"{out.name}.csv") for out in (killed, whole))
    assert all(ours[name].tolist() == theirs[name].tolist() for name in COLUMNS)
    assert not list(killed.rglob("*.tmp"))
