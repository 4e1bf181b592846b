"""Three controls of the degradation on the digits (chapter 2).

    python experiments/degradation_controls.py rates --seeds 3 --out book/results/degradation_rates.csv
    python experiments/degradation_controls.py longer --seeds 2 --out book/results/degradation_longer.csv
    python experiments/degradation_controls.py variants --seeds 3 --out book/results/degradation_variants.csv

The first trains the plain networks at learning rates from .002 to .2, with the schedule of the live runs: is it the
learning rate? The second trains six times as long, with the drop again at 70 %: is it only slow? The third trains
without BN, and with circular padding: is it BN, or zeros that enter small maps? Each takes some minutes on one thread.
"""

import statistics

import torch
from digits_curves import WIDTHS, arguments, claim, curve, digits, final, make, seeds_of
from torch import nn

from resnet_edu.probes import circular_padding
from resnet_edu.train import record

LEARNING_RATES = (0.002, 0.006, 0.02, 0.06, 0.2)
LONGER = 1800


def rates(options, splits) -> list[dict]:
    """Return the curves of plain 8, 20 and 56 at five learning rates."""
    return [
        {"net": "plain", "depth": depth, "lr": lr, "seed": seed} | row
        for seed in seeds_of(options)
        for depth in (8, 20, 56)
        for lr in LEARNING_RATES
        for row in curve(make("plain", depth, seed), splits, every=50, lr=lr, seed=seed)
    ]


def longer(options, splits) -> list[dict]:
    """Return the curves of plain 8, 20, 56 and residual 56 over six times the iterations of the live runs."""
    return [
        {"net": net, "depth": depth, "lr": 0.02, "seed": seed} | row
        for seed in seeds_of(options)
        for net, depth in (("plain", 8), ("plain", 20), ("plain", 56), ("residual", 56))
        for row in curve(
            make(net, depth, seed), splits, every=50, iterations=LONGER, drops=(LONGER * 7 // 10,), seed=seed
        )
    ]


def variants(options, splits) -> list[dict]:
    """Return the curves of all six networks with circular padding, without BN, and with both changes."""
    rows = []
    for seed in seeds_of(options):
        for norm, padding in (("batch", "circular"), ("none", "zeros"), ("none", "circular")):
            for net in ("plain", "residual"):
                for depth in (8, 20, 56):
                    model = make(net, depth, seed, norm_layer=nn.Identity if norm == "none" else None)
                    model = circular_padding(model) if padding == "circular" else model
                    head = {"net": net, "depth": depth, "lr": 0.02, "seed": seed, "norm": norm, "padding": padding}
                    rows += [head | row for row in curve(model, splits, every=50, seed=seed)]
    return rows


def main() -> None:
    """Train, print the final values, record."""
    parser = arguments(__doc__, seeds=3)
    parser.add_argument("control", choices=("rates", "longer", "variants"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    splits, checksums = digits()
    recording = record.Recording(
        options.out,
        seeds=seeds_of(options),
        data=checksums,
        notes={"control": options.control, "widths": WIDTHS, "evaluated_every": 50},
        overwrite=options.overwrite,
    )
    rows = {"rates": rates, "longer": longer, "variants": variants}[options.control](options, splits)
    recording.write(rows)
    report(rows)


def report(rows: list[dict]) -> None:
    """Print the final values of each network, and plain 56 against the best of the shallower ones."""
    columns = ("train_loss", "train_error", "test_error")
    conditions = [key for key in ("norm", "padding", "lr") if key in rows[0]]
    keys = [*conditions, "net", "depth"]
    print("mean (smallest to largest) of", *columns, sep="; ")
    for group in dict.fromkeys(tuple(row[key] for key in keys) for row in rows):
        cells = [final(rows, column, **dict(zip(keys, group, strict=True))) for column in columns]
        print(*group, *(f"| {statistics.mean(c):.5f} ({min(c):.5f} to {max(c):.5f})" for c in cells))
    for group in dict.fromkeys(tuple(row[key] for key in conditions) for row in rows):
        which = dict(zip(conditions, group, strict=True))
        for column in ("train_loss", "train_error"):
            deep = final(rows, column, net="plain", depth=56, **which)
            for shallower in (8, 20):
                shallow = final(rows, column, net="plain", depth=shallower, **which)
                claim(f"{column} at {group}: plain 56 > plain {shallower}", deep, shallow)


if __name__ == "__main__":
    main()
