"""A whole training run in a folder of its own: resumable, recorded as it goes, and never overwritten (chapter 8).

The folder holds ``NAME.csv`` (a row an epoch) and ``NAME.json`` (where it came from), NAME being the folder's own;
``checkpoints/``; and at the end ``weights.pt``, the state dict of the last epoch.
"""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from resnet_edu import data, probes
from resnet_edu.train import checkpoint, networks, record
from resnet_edu.train.batches import Images, shuffled
from resnet_edu.train.epoch import evaluate_images, make_objective, train_epoch
from resnet_edu.train.processes import ALONE, Processes
from resnet_edu.train.recipe import Recipe, make_optimizer, make_schedule


@dataclass(frozen=True)
class Plan:
    """What determines the result of a run, but for the machine.

    Args:
        model: a name that :func:`resnet_edu.train.networks.make` knows.
        data: a name that :func:`resnet_edu.data.load` knows.
        recipe: the numbers of the training.
        seed: of the initial weights, the order and the views.
        size: pixels of the images' side after averaging; None leaves them.
        widths, shortcut, norm: see :func:`resnet_edu.train.networks.make`.
        pad: pixels of padding before a crop; None is an eighth of the side, 4 for CIFAR-10 as in the paper.
        mirror: flip half of the images; None is for every data set but digits.
        precision: "fp32", "bf16" or "fp16".
        channels_last, compile: how the same is computed faster; results differ in rounding.
    """

    model: str
    data: str
    recipe: Recipe = field(default_factory=Recipe)
    seed: int = 0
    size: int | None = None
    widths: tuple[int, int, int] = (16, 32, 64)
    shortcut: str = "A"
    norm: str = "batch"
    pad: int | None = None
    mirror: bool | None = None
    precision: str = "fp32"
    channels_last: bool = True
    compile: bool = False


class Run:
    """A run between two epochs: network, optimiser, schedule, random generators, and the rows so far.

    Args:
        plan: what to train.
        device: where.
        processes: whom with.

    Raises:
        ValueError: the plan names what is not there or does not fit together.
        FileNotFoundError: the data is missing.
    """

    def __init__(self, plan: Plan, device: torch.device, processes: Processes = ALONE) -> None:
        self.plan, self.device, self.processes = plan, device, processes
        dataset = data.load(plan.data)
        raw = (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels)
        self.data_checksum = {plan.data: record.checksum(*raw)}
        if plan.size is not None:
            dataset = data.averaged(dataset, plan.size)
        if plan.model in networks.IMAGENET:
            dataset = data.with_three_channels(dataset)
        mean = data.pixel_mean(dataset.train_images)
        self.train_images, self.test_images = (
            Images(images, labels, mean, device, channels_last=plan.channels_last)
            for images, labels in (
                (dataset.train_images, dataset.train_labels),
                (dataset.test_images, dataset.test_labels),
            )
        )
        torch.manual_seed(plan.seed)
        self.model = networks.make(
            plan.model,
            in_channels=dataset.train_images.shape[1],
            num_classes=len(dataset.classes),
            widths=plan.widths,
            shortcut=plan.shortcut,
            norm=plan.norm,
        ).to(device, memory_format=self.train_images.format)
        self.generator = torch.Generator().manual_seed(plan.seed)
        self.iterations_an_epoch = len(dataset.train_images) // plan.recipe.batch_size
        total = plan.recipe.epochs * self.iterations_an_epoch
        self.optimizer = make_optimizer(self.model, plan.recipe)
        self.schedule = make_schedule(self.optimizer, plan.recipe, max(total, 1))
        self.scaler = torch.amp.GradScaler(device.type, enabled=plan.precision == "fp16")
        self.pad = dataset.train_images.shape[-1] // 8 if plan.pad is None else plan.pad
        self.mirror = plan.data != "digits" if plan.mirror is None else plan.mirror
        self.rows: list[dict] = []
        self.objective = make_objective(
            processes.wrap(self.model),
            self.train_images,
            pad=self.pad,
            precision=plan.precision,
            label_smoothing=plan.recipe.label_smoothing,
        )
        if plan.compile:
            # CUDA graphs on a GPU: a small network's kernels are shorter than the time to launch them
            mode = "reduce-overhead" if device.type == "cuda" else "default"
            self.objective = torch.compile(self.objective, mode=mode, dynamic=False)

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.rows)

    def advance(self, watch: Callable = lambda batches: batches) -> dict:
        """Train for one epoch, evaluate, and return the new row; ``watch`` wraps the batches, in a progress bar say.

        Raises:
            FloatingPointError: a loss was infinite or not a number; the message says at which iteration.
        """
        start, lr = time.perf_counter(), self.schedule.get_last_lr()[0]
        batch_size, processes = self.plan.recipe.batch_size, self.processes
        batches = shuffled(
            self.train_images,
            batch_size,
            self.generator,
            pad=self.pad,
            mirror=self.mirror,
            rank=processes.rank,
            processes=processes.count,
        )
        self.model.train()
        losses, wrong = train_epoch(self.objective, watch(batches), self.optimizer, self.schedule, self.scaler)
        sums = processes.add(torch.cat([losses.double(), wrong.double()[None]]))
        *losses, wrong = sums.tolist()  # the first of two waits for the device
        seconds = time.perf_counter() - start
        iteration, seen = self.epoch * len(losses), len(losses) * batch_size
        for number, loss in enumerate(losses):
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss was {loss / processes.count} at iteration {iteration + number}, in epoch "
                    f"{self.epoch + 1}: try a smaller learning rate than {self.plan.recipe.lr}, or a warm-up"
                )
        test_loss, test_error = evaluate_images(self.model, self.test_images, precision=self.plan.precision)
        row = {
            "epoch": self.epoch + 1,
            "iteration": iteration + len(losses),
            "lr": lr,
            "train_loss": sum(losses) / len(losses) / processes.count,
            "train_error": 100 * wrong / seen,
            "test_loss": test_loss,
            "test_error": test_error,
            "seconds": seconds,
            "images_per_second": seen / seconds,
        }
        self.rows.append(row)
        return row

    def summary(self) -> dict:
        """Return last and best epoch, the clean training loss and error, and Figure 7's layer responses."""
        images = self.train_images
        loss, error = evaluate_images(self.model, images, precision=self.plan.precision)
        found = {
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "last_epoch": self.rows[-1],
            "best_epoch_by_test_error": min(self.rows, key=lambda row: row["test_error"]),
            "clean_train_loss": loss,
            "clean_train_error": error,
        }
        if any(isinstance(module, nn.BatchNorm2d) for module in self.model.modules()):
            found["responses"] = probes.layer_responses(self.model, images.prepare(images.images[:1000]))
        return found

    def state(self) -> dict:
        """Return all that the rest of the run depends on."""
        return {
            "plan": _flat(self.plan),
            "rows": self.rows,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "generator": self.generator.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
        }

    def restore(self, state: dict) -> None:
        """Go on from a state of the same plan.

        Raises:
            ValueError: the state belongs to another plan; the message names the differences.
        """
        _expect_same(self.plan, state["plan"])
        self.rows = list(state["rows"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        self.generator.set_state(state["generator"].cpu())
        torch.set_rng_state(state["torch"].cpu())
        if state["cuda"]:
            torch.cuda.set_rng_state_all([rng.cpu() for rng in state["cuda"]])


def train(
    plan: Plan,
    out: str | Path,
    *,
    device: str | torch.device = "cpu",
    resume: bool = False,
    overwrite: bool = False,
    seconds: float = math.inf,
    progress: bool = True,
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
        progress: show a progress bar where the output is a terminal.
        say: prints a line.
        processes: those that train together.

    Raises:
        FileExistsError: ``out`` holds files, and neither ``resume`` nor ``overwrite`` is set.
        FloatingPointError: a loss was not finite; the checkpoint of the epoch before is kept.
        ValueError, FileNotFoundError: see :class:`Run`; or the run to resume has other settings.
        OSError: a file could not be written; the last complete checkpoint is kept.

    Example:
        >>> import tempfile
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
        _expect_same(plan, record.read_provenance(path)["notes"]["plan"])
        say(f"{out} is complete already")
        return
    run = Run(plan, torch.device(device), processes)
    recording = record.Recording(
        path, seeds=[plan.seed], data=run.data_checksum, notes={"plan": _flat(plan)}, overwrite=True
    )
    recording.provenance["processes"] = processes.count
    processes.wait()
    if processes.writes:
        out.mkdir(parents=True, exist_ok=True)
        if overwrite and not resume:
            _clear(out)
    processes.wait()
    if resume:
        _restore(run, recording, out, say)
    took, done_before = sum(row["seconds"] for row in run.rows), run.epoch
    if run.epoch:
        say(f"resuming after epoch {run.epoch} of {plan.recipe.epochs}")
    bar = tqdm(
        total=plan.recipe.epochs * run.iterations_an_epoch,
        initial=run.epoch * run.iterations_an_epoch,
        desc=out.name,
        unit="it",
        disable=None if progress and processes.writes else True,
    )

    def watch(batches):
        for batch in batches:
            yield batch
            bar.update()

    with bar:
        while run.epoch < plan.recipe.epochs:
            row = run.advance(watch)
            bar.set_postfix_str(f"test error {row['test_error']:.2f} %")
            took += row["seconds"]
            if processes.writes:
                checkpoint.save(out / "checkpoints", run.epoch, {**run.state(), "provenance": recording.provenance})
                recording.write(run.rows, seconds=round(took, 1))
            spent = time.monotonic() - start
            next_epoch = spent / (run.epoch - done_before)
            if run.epoch < plan.recipe.epochs and processes.agree(spent + next_epoch > seconds):
                say(f"stopped after epoch {run.epoch} of {plan.recipe.epochs}, as asked; resume to go on")
                return
    if processes.writes:
        found = run.summary()
        checkpoint.write(out / "weights.pt", run.model.state_dict())
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
    here = {key: recording.provenance[key] for key in ("date", "code", "versions", "hardware", "processes")}
    recording.provenance = state["provenance"]
    recording.provenance.setdefault("resumed", []).append({"after_epoch": epoch, **here})


def _clear(out: Path) -> None:
    """Delete what a run leaves in its folder, and nothing else."""
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    for name in (f"{out.name}.csv", f"{out.name}.json", "weights.pt"):
        (out / name).unlink(missing_ok=True)


def _expect_same(plan: Plan, theirs: dict) -> None:
    ours = _flat(plan)
    if differing := [name for name in ours if theirs.get(name) != ours[name]]:
        said = ", ".join(f"{name} {theirs.get(name)} (now {ours[name]})" for name in differing)
        raise ValueError(f"the run to resume was started with {said}: give the same settings or another folder")


def _flat(plan: Plan) -> dict:
    """The plan as a dictionary of plain values, which a checkpoint and JSON give back unchanged."""
    flat = asdict(plan)
    return {**flat.pop("recipe"), **flat, "widths": list(plan.widths)}
