"""A training run between two epochs: network, optimiser, schedule, random generators, rows so far (chapter 8)."""

import math
import time
from collections.abc import Callable

import torch
from torch import nn

from resnet_edu import data, probes
from resnet_edu.train import networks
from resnet_edu.train.batches import Images, shuffled
from resnet_edu.train.epoch import evaluate_images, make_objective, train_epoch
from resnet_edu.train.plan import Plan
from resnet_edu.train.processes import ALONE, Processes
from resnet_edu.train.provenance import data_checksum
from resnet_edu.train.recipe import make_optimizer, make_schedule


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
        if not 0 <= plan.seed < 2**63:
            raise ValueError(f"a seed is a whole number from 0 to 2**63 - 1, got {plan.seed}")
        dataset = data.load(plan.data)
        self.data_checksum = data_checksum(dataset)
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
        side = dataset.train_images.shape[-1]
        self.pad = side // 8 if plan.pad is None else plan.pad
        if not 0 <= self.pad <= side:
            raise ValueError(f"images of {side} pixels a side are padded by 0 to {side}, got {self.pad}")
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
            # CUDA graphs on a GPU: a small network's kernels are shorter than the time to launch them. Not with several
            # processes, whose gradients travel in between.
            graphs = plan.graphs and device.type == "cuda" and processes.count == 1
            mode = "reduce-overhead" if graphs else "default"
            self.objective = torch.compile(self.objective, mode=mode, dynamic=False)

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.rows)

    def advance(self, watch: Callable = lambda batches: batches) -> dict:
        """Train for one epoch, evaluate, and return the new row; ``watch`` wraps the batches, in a progress bar say.

        Raises:
            FloatingPointError: a loss or a weight was infinite or not a number; the message says at which iteration.
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
        weights = [value for value in self.model.state_dict().values() if value.is_floating_point()]
        broken = torch.stack([value.isfinite().logical_not().sum() for value in weights]).sum()
        sums = processes.add(torch.cat([losses.double(), wrong.double()[None], broken.double()[None]]))
        *losses, wrong, broken = sums.tolist()  # the first of two waits for the device
        seconds = time.perf_counter() - start
        iteration, seen = self.epoch * len(losses), len(losses) * batch_size
        for number, loss in enumerate(losses):
            if not math.isfinite(loss):
                self._diverged(f"the loss was {loss / processes.count} at iteration {iteration + number}")
        if broken:
            self._diverged(f"weights were infinite or not a number after iteration {iteration + len(losses) - 1}")
        test_loss, test_error = evaluate_images(self.model, self.test_images, precision=self.plan.precision)
        if not math.isfinite(test_loss) and self.plan.precision != "fp16":  # which may overflow in a sound network
            self._diverged(f"the test loss was {test_loss} after iteration {iteration + len(losses) - 1}")
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

    def _diverged(self, what: str) -> None:
        good = f"the state after epoch {self.epoch} is the last good one" if self.epoch else "no epoch was good"
        raise FloatingPointError(
            f"{what}, in epoch {self.epoch + 1}; {good}. Try a smaller learning rate than {self.plan.recipe.lr}, or a "
            "warm-up"
        )

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
            "plan": self.plan.flat(),
            "rows": self.rows,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "generator": self.generator.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def restore(self, state: dict) -> None:
        """Go on from a state of the same plan.

        Raises:
            ValueError: the state belongs to another plan; the message names the differences.
        """
        self.plan.expect(state["plan"])
        self.rows = list(state["rows"])
        self.model.load_state_dict(state["model"])
        fused = self.optimizer.param_groups[0]["fused"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.optimizer.param_groups[0]["fused"] = fused  # it belongs to the device, and the state may be from another
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        self.generator.set_state(state["generator"].cpu())
        torch.set_rng_state(state["torch"].cpu())
        if self.device.type == "cuda" and state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"].cpu(), self.device)
