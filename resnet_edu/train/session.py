"""A training run in a folder of its own: recorded as it goes, resumable, and never overwritten (chapter 8)."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from tqdm import tqdm

from resnet_edu.train import checkpoint, record
from resnet_edu.train.folder import claimed, clear_record, folder_named, has_record, is_complete, sweep, table
from resnet_edu.train.plan import Plan
from resnet_edu.train.processes import ALONE, Processes
from resnet_edu.train.run import Run

UNITS = {  # of the CSV's columns
    "lr": "of the epoch's first iteration",
    "train_loss": "nats, over the augmented batches",
    "train_error": "percent, over the augmented batches",
    "test_loss": "nats",
    "test_error": "percent",
    "seconds": "of training, evaluation not counted",
    "images_per_second": "in training",
}


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
        overwrite: delete the run that stands in ``out``, as soon as the new one has an epoch to put there.
        seconds: stop before the epoch that would end later than this; at least one is done, and ``resume`` goes on.
        progress: show a progress bar, or none; None shows it where the output is a terminal, which a notebook's is not.
        say: prints a line.
        processes: those that train together.

    Raises:
        FileExistsError: ``out`` holds files, and neither ``resume`` nor ``overwrite`` is set; or it is a file, or
            another process is training in it.
        FloatingPointError: a loss or a weight was not finite; the checkpoint of the epoch before is kept.
        ValueError, FileNotFoundError: see :class:`Run`; or the run to resume has other settings, or is not complete and
            was trained on other data or has no sound checkpoint.
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
    start, out = time.monotonic(), folder_named(out)
    with claimed(out) if processes.writes else contextlib.nullcontext():
        if out.is_dir() and any(out.iterdir()) and not (resume or overwrite):
            raise FileExistsError(
                f"{out} holds files already: resume what is there, overwrite it, or name another folder"
            )
        if resume and _is_done(plan, out):
            say(f"{out} is complete already")
            return
        run = Run(plan, torch.device(device), processes)
        notes = {"plan": plan.flat(), "units": UNITS}
        recording = record.Recording(table(out), seeds=[plan.seed], data=run.data_checksum, notes=notes, overwrite=True)
        recording.provenance["processes"] = processes.count
        recording.provenance["deterministic"] = torch.are_deterministic_algorithms_enabled()
        if resume:
            _restore(run, recording, out, say)
        processes.wait()  # all have read what one of them will now write
        if processes.writes:
            out.mkdir(parents=True, exist_ok=True)
            sweep(out)
        if _train_on(run, recording, out, overwrite and not resume, start + seconds, progress, say):
            _finish(run, recording, out, say)


def _is_done(plan: Plan, out: Path) -> bool:
    """Return whether this plan's run is complete there, weights and all; another plan's is refused by `_restore`."""
    if not (is_complete(out) and (out / "weights.pt").exists()):
        return False
    return not plan.differences(record.read_provenance(table(out))["notes"]["plan"])


def _train_on(
    run: Run,
    recording: record.Recording,
    out: Path,
    overwrite: bool,
    end: float,
    progress: bool | None,
    say: Callable[[str], None],
) -> bool:
    """Train epoch by epoch, and return whether the last one was reached before the time was over."""
    epochs, processes = run.plan.recipe.epochs, run.processes
    if run.epoch:
        say(f"resuming after epoch {run.epoch} of {epochs}")
    bar = tqdm(
        total=epochs * run.iterations_an_epoch,
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
        while run.epoch < epochs:
            begun = time.monotonic()
            row = run.advance(watch)
            bar.set_postfix_str(f"test error {row['test_error']:.2f} %")
            if processes.writes:
                with _said_if_it_fails(f"epoch {run.epoch}"):
                    state = run.state() | {"provenance": recording.provenance}
                    checkpoint.save(out / "checkpoints", run.epoch, state, anew=overwrite)
                    if overwrite:  # from here on, the old run is not needed
                        clear_record(out)
                        overwrite = False
                    recording.write(run.rows, seconds=_seconds(run))
            now = time.monotonic()
            next_ends = now + (now - begun)  # if it takes as long as this one
            if run.epoch < epochs and processes.agree(next_ends > end):
                say(f"stopped after epoch {run.epoch} of {epochs}, as asked; resume to go on")
                return False
    return True


def _finish(run: Run, recording: record.Recording, out: Path, say: Callable[[str], None]) -> None:
    """Write the weights, and the summary into the record."""
    if run.processes.writes:
        found = run.summary()
        # from the CPU's memory, so that they can be read where there is no GPU
        weights = {name: value.cpu() for name, value in run.model.state_dict().items()}
        with _said_if_it_fails("the end of the run"):
            checkpoint.write(out / "weights.pt", weights)
            recording.write(run.rows, seconds=_seconds(run), summary=found)
        last, best = found["last_epoch"], found["best_epoch_by_test_error"]
        say(
            f"{out.name}: test error {last['test_error']:.2f} % at the last epoch, {last['epoch']}; "
            f"{best['test_error']:.2f} % at the best one, {best['epoch']}, which the test set itself chose"
        )
    run.processes.wait()


def _restore(run: Run, recording: record.Recording, out: Path, say: Callable[[str], None]) -> None:
    epoch, state, damaged = checkpoint.newest(out / "checkpoints")
    run.processes.wait()  # all have read, before one renames
    for path in damaged:
        before = f"going on from epoch {epoch}" if state else "and there is none before it"
        say(f"{path.name} is truncated or damaged: passed over, {before}")
    if state is None:
        if damaged or has_record(out):
            raise ValueError(f"{out} holds a run, but no sound checkpoint of it: overwrite it, or name another folder")
        return
    run.plan.expect(state["plan"])
    if state["provenance"]["data"] != run.data_checksum:
        raise ValueError(
            f"the run to resume was trained on another {run.plan.data}, by the checksum: bring that back, or name "
            "another folder"
        )
    run.restore(state)
    if run.processes.writes:
        for path in damaged:  # so that it is not counted among the checkpoints to keep
            path.rename(path.with_suffix(".damaged"))
    told = ("command", "date", "code", "versions", "hardware", "processes", "deterministic")
    here = {key: recording.provenance[key] for key in told}
    recording.provenance = state["provenance"]
    recording.provenance.setdefault("resumed", []).append({"after_epoch": epoch, **here})


@contextlib.contextmanager
def _said_if_it_fails(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(
            f"{what} could not be written ({error}); what was complete before is kept: see to that, then resume"
        ) from error


def _seconds(run: Run) -> float:
    return round(sum(row["seconds"] for row in run.rows), 1)
