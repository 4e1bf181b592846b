"""A training run in a folder of its own: recorded as it goes, resumable, and never overwritten (chapter 8).

The folder holds ``NAME.csv`` (a row an epoch) and ``NAME.json`` (where it came from), NAME being the folder's own;
``checkpoints/``; and at the end ``weights.pt``, the state dict of the last epoch.
"""

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from resnet_edu.train import checkpoint, record
from resnet_edu.train.plan import Plan
from resnet_edu.train.processes import ALONE, Processes
from resnet_edu.train.run import Run


def train(
    plan: Plan,
    out: str | Path,
    *,
    device: str | torch.device = "cpu",
    resume: bool = False,
    overwrite: bool = False,
    seconds: float = math.inf,
    progress: bool | None = None,
    say: Callable[[str], None] = print,
    processes: Processes = ALONE,
) -> None:
    """Train what the plan says, in the folder ``out``.

    Args:
        plan: what to train.
        out: a new folder, unless ``resume`` or ``overwrite`` is set.
        device: where to train.
        resume: go on from the newest sound checkpoint in ``out``; start where there is none.
        overwrite: delete the run that stands in ``out``.
        seconds: stop before the epoch that would end later than this; at least one is done, and ``resume`` goes on.
        progress: show a progress bar, or none; None shows it where the output is a terminal, which a notebook's is not.
        say: prints a line.
        processes: those that train together.

    Raises:
        FileExistsError: ``out`` holds files, and neither ``resume`` nor ``overwrite`` is set.
        FloatingPointError: a loss was not finite; the checkpoint of the epoch before is kept.
        ValueError, FileNotFoundError: see :class:`Run`; or the run to resume has other settings.
        OSError: a file could not be written; the last complete checkpoint is kept.

    Example:
        >>> import tempfile
        >>> from resnet_edu.train.recipe import Recipe
        >>> plan = Plan("cifar_resnet8", "digits", Recipe(epochs=1), widths=(4, 8, 16))
        >>> out = Path(tempfile.mkdtemp()) / "toy"
        >>> train(plan, out, say=lambda line: None)
        >>> record.read(out / "toy.csv")["iteration"].tolist()
        [11]

    Used in chapters 8 and 9.
    """
    start, out = time.monotonic(), Path(out)
    if out.is_dir() and any(out.iterdir()) and not (resume or overwrite):
        raise FileExistsError(f"{out} holds files already: resume what is there, overwrite it, or name another folder")
    path = out / f"{out.name}.csv"
    if resume and is_complete(out):
        plan.expect(record.read_provenance(path)["notes"]["plan"])
        say(f"{out} is complete already")
        return
    run = Run(plan, torch.device(device), processes)
    recording = record.Recording(
        path, seeds=[plan.seed], data=run.data_checksum, notes={"plan": plan.flat()}, overwrite=True
    )
    recording.provenance["processes"] = processes.count
    recording.provenance["deterministic"] = torch.are_deterministic_algorithms_enabled()
    processes.wait()
    if processes.writes:
        out.mkdir(parents=True, exist_ok=True)
        if overwrite and not resume:
            _clear(out)
    processes.wait()
    if resume:
        _restore(run, recording, out, say)
    took = sum(row["seconds"] for row in run.rows)
    if run.epoch:
        say(f"resuming after epoch {run.epoch} of {plan.recipe.epochs}")
    bar = tqdm(
        total=plan.recipe.epochs * run.iterations_an_epoch,
        initial=run.epoch * run.iterations_an_epoch,
        desc=out.name,
        unit="it",
        disable=None if progress is None and processes.writes else not (progress and processes.writes),
    )

    def watch(batches):
        for batch in batches:
            yield batch
            bar.update()

    with bar:
        while run.epoch < plan.recipe.epochs:
            begun = time.monotonic()
            row = run.advance(watch)
            bar.set_postfix_str(f"test error {row['test_error']:.2f} %")
            took += row["seconds"]
            if processes.writes:
                try:
                    checkpoint.save(out / "checkpoints", run.epoch, {**run.state(), "provenance": recording.provenance})
                    recording.write(run.rows, seconds=round(took, 1))
                except OSError as error:
                    raise OSError(
                        f"epoch {run.epoch} could not be written ({error}); what was complete before is kept: make "
                        f"room in {out}, then resume"
                    ) from error
            now = time.monotonic()
            next_ends = now + (now - begun)  # if it takes as long as this one
            if run.epoch < plan.recipe.epochs and processes.agree(next_ends > start + seconds):
                say(f"stopped after epoch {run.epoch} of {plan.recipe.epochs}, as asked; resume to go on")
                return
    if processes.writes:
        found = run.summary()
        # from the CPU's memory, so that they can be read where there is no GPU
        checkpoint.write(out / "weights.pt", {name: value.cpu() for name, value in run.model.state_dict().items()})
        recording.write(run.rows, seconds=round(took, 1), summary=found)
        last, best = found["last_epoch"], found["best_epoch_by_test_error"]
        say(
            f"{out.name}: test error {last['test_error']:.2f} % at the last epoch, {last['epoch']}; "
            f"{best['test_error']:.2f} % at the best one, {best['epoch']}, which the test set itself chose"
        )
    processes.wait()


def is_complete(out: str | Path) -> bool:
    """Return whether the run in this folder has come to its end."""
    out = Path(out)
    try:
        return "summary" in record.read_provenance(out / f"{out.name}.csv")
    except FileNotFoundError:
        return False


def _restore(run: Run, recording: record.Recording, out: Path, say: Callable[[str], None]) -> None:
    epoch, state, damaged = checkpoint.newest(out / "checkpoints")
    for path in damaged:
        before = f"going on from epoch {epoch}" if state else "and there is none before it"
        say(f"{path.name} is truncated or damaged: passed over, {before}")
    if state is None:
        if damaged:
            raise ValueError(f"{out} holds no sound checkpoint: overwrite it, or name another folder")
        return
    run.restore(state)
    here = {
        key: recording.provenance[key] for key in ("date", "code", "versions", "hardware", "processes", "deterministic")
    }
    recording.provenance = state["provenance"]
    recording.provenance.setdefault("resumed", []).append({"after_epoch": epoch, **here})


def _clear(out: Path) -> None:
    """Delete what a run leaves in its folder, and nothing else."""
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    for name in (f"{out.name}.csv", f"{out.name}.json", "weights.pt"):
        (out / name).unlink(missing_ok=True)
