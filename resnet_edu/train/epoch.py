"""One epoch of training and one evaluation, with two waits for the device in all (chapter 8).

Asking for a number (``.item()``) makes the computer wait until the device has worked off its queue. Here losses and
counts stay on the device until the epoch is over.
"""

import contextlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.train.augment import Views
from resnet_edu.train.batches import Images

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def fastest_precision(device: torch.device) -> str:
    """Return "bf16" where the hardware computes with it, else "fp16" on a GPU and "fp32" on a CPU.

    Emulated bf16 is slower than fp32, so what counts is the hardware: a GPU of compute capability 8.0 (Ampere) or
    newer, or a CPU with bf16 matrix instructions (AMX).
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return "bf16" if device.type == "cpu" and has_amx() else "fp32"


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Return the context in which convolutions and products are computed in ``precision``; weights stay float32."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, PRECISIONS[precision])


def make_objective(
    model: nn.Module, data: Images, *, pad: int, precision: str = "fp32", label_smoothing: float = 0.0
) -> Callable[[Tensor, Tensor, Views], tuple[Tensor, Tensor]]:
    """Return the function from a batch of bytes, labels and views to its loss (nats) and its number of errors.

    It is what ``torch.compile`` compiles: preparation, network and loss in one.

    Built in chapter 8.
    """
    device = data.images.device

    def objective(images: Tensor, labels: Tensor, views: Views) -> tuple[Tensor, Tensor]:
        with autocast(device, precision):
            logits = model(data.prepare(images, views, pad))
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing)
        return loss, (logits.argmax(dim=1) != labels).sum()

    return objective


class Trained(NamedTuple):
    """What an epoch of training leaves behind, on the device."""

    losses: Tensor  # (iterations,) nats, each before its step
    wrong: Tensor  # how many of the images were misclassified when their turn came


def train_epoch(
    objective: Callable,
    batches: Iterable[tuple[Tensor, Tensor, Views]],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    scaler: torch.amp.GradScaler,
) -> Trained:
    """Take one step for each batch; nothing in here waits for the device.

    Args:
        objective: see :func:`make_objective`, compiled or not; its network in training mode.
        batches: see :func:`resnet_edu.train.batches.shuffled`.
        scaler: scales the loss where float16 would lose small gradients; switched off otherwise.

    Built in chapter 8.
    """
    losses, wrong = [], 0
    for images, labels, views in batches:
        torch.compiler.cudagraph_mark_step_begin()  # a captured graph may reuse the last step's memory from here on
        loss, errors = objective(images, labels, views)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        losses.append(loss.detach().clone())
        wrong = wrong + errors
    return Trained(torch.stack(losses), wrong)


@torch.no_grad()
def evaluate_images(
    model: nn.Module, data: Images, *, precision: str = "fp32", batch_size: int = 500
) -> tuple[float, float]:
    """Return the mean loss (nats) and error (percent) in evaluation mode, and wait for the device once.

    The same as :func:`resnet_edu.train.step.evaluate`, the mode put back included, for images that are kept as bytes.
    Built in chapter 8.
    """
    was_training = model.training
    model.eval()
    loss, wrong = 0, 0
    for images, labels in data.in_order(batch_size):
        with autocast(images.device, precision):
            logits = model(data.prepare(images))
        loss = loss + F.cross_entropy(logits.float(), labels, reduction="sum").double()
        wrong = wrong + (logits.argmax(dim=1) != labels).sum()
    model.train(was_training)
    loss, wrong = torch.stack([loss, wrong.double()]).tolist()
    return loss / len(data.labels), 100 * wrong / len(data.labels)
