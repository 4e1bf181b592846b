"""How a network is trained: a recipe's numbers, its optimiser and its learning rate at every iteration (chapter 8).

The defaults are the recipe of He et al. 2015, section 4.2, whose 64,000 iterations are 164 passes over CIFAR-10. A
shorter or longer run scales the iterations at which the learning rate drops; ``one-cycle`` is the alternative for
short runs (Smith and Topin 2017).
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

SCHEDULES = ("steps", "one-cycle")
FULL_LENGTH = 64_000  # iterations of the paper's schedule; its drops and its warm-up are parts of it
DROPS = (32_000, 48_000)


@dataclass(frozen=True)
class Recipe:
    """The numbers of one training run; the defaults are the paper's for CIFAR-10.

    Args:
        epochs: passes over the training images.
        batch_size: images a step, over all processes together.
        lr: the learning rate after the warm-up and before the first drop, or the peak of one-cycle.
        momentum: of SGD.
        weight_decay: of all parameters.
        schedule: ``"steps"`` or ``"one-cycle"``.
        warmup: first iterations at a tenth of ``lr`` (steps only); the paper's 110 layers need about 400.
        label_smoothing: the share of each label that is spread over all classes.

    Raises:
        ValueError: a number that cannot be, with what was met.

    Example:
        >>> Recipe().epochs, Recipe(epochs=20).drops(total=7_800)
        (164, [3900, 5850])
    """

    epochs: int = 164
    batch_size: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: str = "steps"
    warmup: int = 0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ValueError(f"no schedule is called {self.schedule!r}; there are: {', '.join(SCHEDULES)}")
        for name, least in (("epochs", 1), ("batch_size", 1), ("momentum", 0), ("weight_decay", 0), ("warmup", 0)):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} should be at least {least}, but it is {getattr(self, name)}")
        if self.warmup and self.schedule != "steps":
            raise ValueError(f"the schedule {self.schedule!r} rises by itself: it takes no warmup, got {self.warmup}")
        if not self.lr > 0:
            raise ValueError(f"lr should be positive, but it is {self.lr}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing should be at least 0 and below 1, but it is {self.label_smoothing}")

    def drops(self, total: int) -> list[int]:
        """Return the iterations, of ``total``, from which on the learning rate is a tenth and a hundredth."""
        # the paper's own numbers where the length is the paper's, give or take the images that fill no batch
        scale = 1 if abs(total - FULL_LENGTH) < 0.01 * FULL_LENGTH else total / FULL_LENGTH
        return [round(drop * scale) for drop in DROPS]


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return SGD with the recipe's momentum and weight decay; on a GPU in one fused kernel, which waits for nothing.

    The momentum is there from the start, and zero. Left to PyTorch, the fused kernel makes it in the first step, and if
    that step is skipped, because float16 overflowed, the second one takes whatever the memory held.
    """
    fused = next(model.parameters()).is_cuda
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=fused or None,
    )
    for parameter in model.parameters():
        optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def make_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, total: int) -> LRScheduler:
    """Return the schedule to step after each of ``total`` iterations.

    Example:
        >>> optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        >>> schedule = make_schedule(optimizer, Recipe(warmup=1), total=8)  # drops at iterations 4 and 6
        >>> rates = []
        >>> for _ in range(8):
        ...     rates.append(round(schedule.get_last_lr()[0], 4))
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [0.01, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]

    He et al. 2015, section 4.2. Built in chapter 8.
    """
    if recipe.schedule == "one-cycle":
        return OneCycleLR(optimizer, max_lr=recipe.lr, total_steps=total + 1, pct_start=0.3, cycle_momentum=False)
    drops = recipe.drops(total)

    def factor(iteration: int) -> float:
        if iteration < recipe.warmup:
            return 0.1
        return 0.1 ** sum(iteration >= drop for drop in drops)

    return LambdaLR(optimizer, factor)
