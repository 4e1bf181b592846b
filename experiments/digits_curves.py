"""What the digits experiments share: the six networks, and training by the book's own `fit` while watching."""

import argparse

import torch
from torch import Tensor, nn

from resnet_edu import data
from resnet_edu.cifar import cifar_plain, cifar_resnet
from resnet_edu.train import provenance
from resnet_edu.train.step import evaluate, fit

MAKERS = {"plain": cifar_plain, "residual": cifar_resnet}
WIDTHS = (4, 8, 16)


def make(net: str, depth: int, seed: int, **kwargs) -> nn.Module:
    """Return the network for 8x8 digits; plain and residual start with the same weights for the same seed."""
    torch.manual_seed(seed)
    return MAKERS[net](depth, widths=WIDTHS, in_channels=1, **kwargs)


def digits() -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], dict[str, str]]:
    """Return the standardised splits and the checksum of the raw data set, for the provenance."""
    dataset = data.load("digits")
    return data.standardised_splits(dataset), provenance.data_checksum(dataset)


def curve(model: nn.Module, splits: tuple[Tensor, Tensor, Tensor, Tensor], every: int, **recipe) -> list[dict]:
    """Train with `fit` and evaluate before the first step, after each ``every`` steps and at the end.

    Returns:
        Rows of iteration (steps taken), train_loss and test_loss (nats), train_error and test_error (percent); the
        losses and errors are those of the whole training and test set in evaluation mode.
    """
    train_x, train_y, test_x, test_y = splits
    rows: list[dict] = []
    steps = 0

    def look() -> None:
        train_loss, train_error = evaluate(model, train_x, train_y)
        test_loss, test_error = evaluate(model, test_x, test_y)
        rows.append(
            {
                "iteration": steps,
                "train_loss": train_loss,
                "train_error": train_error,
                "test_loss": test_loss,
                "test_error": test_error,
            }
        )

    def before_forward(module: nn.Module, inputs: tuple) -> None:
        nonlocal steps
        if module.training:  # a step of `fit`; `evaluate` comes by in evaluation mode
            if steps % every == 0:
                look()
            steps += 1

    hook = model.register_forward_pre_hook(before_forward)
    try:
        fit(model, train_x, train_y, **recipe)
    finally:
        hook.remove()
    look()
    return rows


def arguments(description: str, seeds: int) -> argparse.ArgumentParser:
    """Return a parser of the options that every experiment has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=seeds, help="how many seeds (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them (default: %(default)s)")
    parser.add_argument("--out", required=True, help="the CSV to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the result if it exists")
    return parser


def seeds_of(options: argparse.Namespace) -> range:
    """Return the seeds that the options ask for."""
    return range(options.first_seed, options.first_seed + options.seeds)


def final(rows: list[dict], column: str, **which) -> list[float]:
    """Return the column's value at each matching curve's last iteration, in the order of the rows."""
    matching = [row for row in rows if all(row[key] == value for key, value in which.items())]
    last = max(row["iteration"] for row in matching)
    return [row[column] for row in matching if row["iteration"] == last]


def claim(text: str, larger: list[float], smaller: list[float]) -> None:
    """Print in how many seeds a value was larger than another, and by what factor and difference at the least."""
    pairs = list(zip(larger, smaller, strict=True))
    held = sum(a > b for a, b in pairs)
    factor = min(a / b if b else float("inf") for a, b in pairs)
    difference = min(a - b for a, b in pairs)
    print(f"{held:3d}/{len(pairs)}  at least x{factor:<9.3g} and {difference:+9.3g}   {text}")
