"""The checks of chapter 8: a run on paper and a schedule of the learning rate; the bug hunts stand beside this file."""

import copy
import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from resnet_edu.checks.scalars import whole_number
from resnet_edu.checks.verdict import NotAttempted, Wrong, exercise

ON_PAPER = {
    "iterations an epoch": 468,
    "images left out": 96,
    "megabytes": 47,
    "views": 98,
    "first drop": 4_680,
    "waits": 936,
}


@exercise("8.1")
def ex_8_1(on_paper):
    """Check six predictions about a run on Fashion-MNIST: a dict of whole numbers."""
    if not isinstance(on_paper, dict) or set(on_paper) != set(ON_PAPER):
        raise Wrong(f"The answer should be a dict with the keys {', '.join(ON_PAPER)}. Fill in the stub, key by key.")
    for key, right in ON_PAPER.items():
        met = whole_number(f"`{key}`", on_paper[key])
        if met != right:
            raise Wrong(f"`{key}` is not {met}. {_slip_on_paper(key, met)}")


def _slip_on_paper(key: str, met: int) -> str:
    """Name the mistake behind a wrong prediction, without the right number."""
    known = {
        ("iterations an epoch", 469): "The last images fill no whole batch: they sit out.",
        ("images left out", 32): "That many are missing from another whole batch: how many are there?",
        ("images left out", 0): "60,000 is no multiple of 128.",
        ("megabytes", 188): "That is float32: a byte is a quarter of it.",
        ("megabytes", 141): "The images are grey: one channel.",
        ("views", 162): "That is CIFAR-10's padding of 4; an eighth of 28, rounded down, is less.",
        ("views", 49): "Each crop can be mirrored as well.",
        ("views", 72): "With a padding of p there are 2p + 1 places in each direction, not 2p.",
        ("views", 32): "The window can start at 0 as well as at 2p: 2p + 1 places in each direction.",
        ("views", 14): "Rows AND columns are drawn: the places multiply.",
        ("first drop", 32_000): "That is the paper's, in 64,000 iterations; a shorter run keeps the proportion.",
        ("first drop", 10): "That is an epoch: count iterations.",
        ("first drop", 7_020): "That is the second drop.",
        ("waits", 468): "There are two calls in each step.",
        ("waits", 2): "That is this chapter's loop and its evaluation: here the calls are made in each step.",
        ("waits", 18_720): "That is the whole run: the question is about one epoch.",
    }
    otherwise = {
        "iterations an epoch": "How many whole batches of 128 are there in 60,000 images?",
        "images left out": "What remains of 60,000 behind the last whole batch of 128?",
        "megabytes": "One byte for each of 28x28 pixels, times the images, divided by a million.",
        "views": "Places of the window's upper edge, times places of its left edge, times two.",
        "first drop": "Which part of the paper's 64,000 iterations lies before 32,000? Take it of all your iterations.",
        "waits": "Two for each iteration of the epoch.",
    }
    return known.get((key, met)) or otherwise[key]


def _rates(schedule: LRScheduler, optimizer: torch.optim.Optimizer, iterations: int) -> list[float]:
    rates = []
    for _ in range(iterations):
        rates.append(float(optimizer.param_groups[0]["lr"]))  # a tensor would go on changing
        optimizer.step()
        schedule.step()
    return rates


def _sgd(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)


def _warmup_cosine(i: int, w: int, total: int) -> float:
    return (i + 1) / w if i < w else 0.5 * (1 + math.cos(math.pi * (i - w) / (total - w)))


@exercise("8.2")
def ex_8_2(answer):
    """Check ``warmup_cosine(optimizer, warmup, total)`` at every iteration of several runs, and after a resume."""
    for lr, w, total in ((0.1, 5, 20), (2.0, 1, 7), (0.1, 0, 10), (0.3, 9, 10)):
        call = f"warmup_cosine(optimizer, warmup={w}, total={total})"
        optimizer = _sgd(lr)
        schedule = answer(optimizer, w, total)
        if schedule is ...:
            raise NotAttempted
        if not isinstance(schedule, LRScheduler):
            raise Wrong(f"{call} should return a scheduler of PyTorch, but it returns {type(schedule).__name__}.")
        met = _rates(schedule, optimizer, total)
        right = [lr * _warmup_cosine(i, w, total) for i in range(total)]
        for i, (a, b) in enumerate(zip(met, right, strict=True)):
            if not abs(a - b) < 1e-6 * lr:
                hint = _slip_in_rates(met, lr, w, total)
                raise Wrong(
                    f"With lr={lr} and {call}, the rate of iteration {i} should be {b:.4g}, but it is {a:.4g}. {hint}"
                )
    _expect_resumable(answer)


def _expect_resumable(answer) -> None:
    lr, w, total, half = 0.1, 5, 20, 8
    optimizer = _sgd(lr)
    schedule = answer(optimizer, w, total)
    _rates(schedule, optimizer, half)
    states = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
    resumed = _sgd(lr)
    its_schedule = answer(resumed, w, total)
    resumed.load_state_dict(states[0])
    its_schedule.load_state_dict(states[1])
    met = _rates(its_schedule, resumed, total - half)
    for i, rate in enumerate(met, start=half):
        right = lr * _warmup_cosine(i, w, total)
        if not abs(rate - right) < 1e-6 * lr:
            raise Wrong(
                f"Resumed from its state_dict after {half} iterations, the rate of iteration {i} should be "
                f"{right:.4g}, but it is {rate:.4g}. Does the factor depend on "
                "anything but the iteration that it is given?"
            )


def _slip_in_rates(met: list[float], lr: float, w: int, total: int) -> str:
    def glide(i: int, start: int, length: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * (i - start) / length))

    slips = [
        (
            lambda i: i / w if i < w else glide(i, w, total - w),
            "The warm-up counts from i + 1: a rate of 0 wastes a step.",
        ),
        (lambda i: (i + 1) / w if i < w else glide(i, 0, total), "The cosine starts when the warm-up ends: i - w."),
        (
            lambda i: (i + 1) / w if i < w else glide(i, w, total),
            "The cosine has only the T - w iterations behind the warm-up.",
        ),
        (lambda i: glide(i, w, total - w) if i >= w else 1.0, "There is no warm-up."),
        (lambda i: min((i + 1) / w, 1.0), "There is no cosine."),
        (
            lambda i: (i + 1) / w if i <= w else glide(i, w, total - w),
            "Iteration w belongs to the cosine: the warm-up is for i < w.",
        ),
        (
            lambda i: (i + 1) / w if i < w else math.cos(math.pi * (i - w) / (total - w) / 2),
            "It is a quarter of a cosine, which has no plateau at its end.",
        ),
        (
            lambda i: (i + 1) / w if i < w else math.cos(math.pi * (i - w) / (total - w)),
            "It is the cosine itself, which falls to -1: add 1, and halve.",
        ),
        (lambda i: (i + 1) / w if i < w else 1 - (i - w) / (total - w), "It falls in a line, not along a cosine."),
        (
            lambda i: (i + 1) / w if i < w else 0.5 * (1 + math.cos((i - w) / (total - w))),
            "The cosine runs over half a turn: where is pi?",
        ),
        (lambda i: lr * _warmup_cosine(i, w, total), "The optimiser's rate came in twice: LambdaLR multiplies by it."),
        (lambda i: _warmup_cosine(i - 1, w, total) if i else met[0] / lr, "It is one iteration late."),
        (lambda i: _warmup_cosine(i + 1, w, total) if i + 1 < total else met[i] / lr, "It is one iteration early."),
        (lambda i: 1.0, "It never changes: is the factor called with the iteration?"),
    ]
    for factor, hint in slips:
        try:
            if all(abs(rate - lr * factor(i)) < 1e-6 * lr for i, rate in enumerate(met)):
                return hint
        except ZeroDivisionError:  # a warm-up of 0
            continue
    return "Print the rates of a run of ten iterations beside the formula."
