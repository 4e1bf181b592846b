"""Degradation on the digits: plain and residual networks of 8, 20 and 56 layers, over several seeds (chapters 2, 3).

    python experiments/degradation_digits.py --seeds 10 --out book/results/degradation_digits.csv

About a minute a seed on one thread. The recipe is the default of `resnet_edu.train.step.fit`.
"""

import statistics

import torch
from digits_curves import WIDTHS, arguments, claim, curve, digits, final, make, seeds_of

from resnet_edu.train import record

DEPTHS = (8, 20, 56)
EVERY = 10


def main() -> None:
    """Train, print the table and the claims, record."""
    options = arguments(__doc__, seeds=10).parse_args()
    torch.set_num_threads(1)
    splits, checksums = digits()
    seeds = seeds_of(options)
    notes = {"recipe": "defaults of resnet_edu.train.step.fit", "widths": WIDTHS, "evaluated_every": EVERY}
    recording = record.Recording(options.out, seeds=seeds, data=checksums, notes=notes, overwrite=options.overwrite)
    rows = []
    for seed in seeds:
        for net in ("plain", "residual"):
            for depth in DEPTHS:
                head = {"net": net, "depth": depth, "seed": seed}
                rows += [head | row for row in curve(make(net, depth, seed), splits, EVERY, seed=seed)]
                print(head, rows[-1], flush=True)
    recording.write(rows)
    report(rows)


def report(rows: list[dict]) -> None:
    """Print the final values and, for each claim of the text, in how many seeds it held."""

    def of(net: str, depth: int, column: str) -> list[float]:
        return final(rows, column, net=net, depth=depth)

    columns = ("train_loss", "train_error", "test_loss", "test_error")
    print("mean (smallest to largest) of", *columns, sep="; ")
    for net in ("plain", "residual"):
        for depth in DEPTHS:
            cells = (of(net, depth, column) for column in columns)
            print(f"{net:9}{depth:3}", *(f"{statistics.mean(c):8.4f} ({min(c):.4f} to {max(c):.4f})" for c in cells))
    for column in columns:
        for deeper, shallower in ((20, 8), (56, 20), (56, 8)):
            claim(
                f"{column}: plain {deeper} > plain {shallower}",
                of("plain", deeper, column),
                of("plain", shallower, column),
            )
        for shallower in (8, 20):
            claim(
                f"{column}: residual {shallower} > residual 56",
                of("residual", shallower, column),
                of("residual", 56, column),
            )
        claim(f"{column}: residual 8 > residual 20", of("residual", 8, column), of("residual", 20, column))
        for depth in DEPTHS:
            claim(
                f"{column}: plain {depth} > residual {depth}", of("plain", depth, column), of("residual", depth, column)
            )
        claim(f"{column}: plain 8 > residual 56", of("plain", 8, column), of("residual", 56, column))


if __name__ == "__main__":
    main()
