"""How far the units of trained residual networks are from the identity (chapter 3).

    python experiments/identity_digits.py --seeds 10 --out book/results/identity_digits.csv

For each unit with an identity shortcut: the mean over the training images of ||F(x)|| / ||x|| (correction) and of
||y - x|| / ||x|| (change), at initialisation and after the live recipe, both with the statistics of the whole training
set as one batch in BN. About 20 seconds a seed on one thread.
"""

import statistics

import torch
from digits_curves import WIDTHS, arguments, claim, digits, make, seeds_of

from resnet_edu import probes
from resnet_edu.train import record
from resnet_edu.train.step import fit

STAGES = ("layer1", "layer2", "layer3")


def main() -> None:
    """Train, measure, print the claims, record."""
    options = arguments(__doc__, seeds=10).parse_args()
    torch.set_num_threads(1)
    splits, checksums = digits()
    seeds = seeds_of(options)
    recording = record.Recording(
        options.out, seeds=seeds, data=checksums, notes={"widths": WIDTHS}, overwrite=options.overwrite
    )
    rows = []
    for seed in seeds:
        for depth in (8, 20, 56):
            model = make("residual", depth, seed)
            for state in ("initial", "trained"):
                if state == "trained":
                    fit(model, splits[0], splits[1], seed=seed)
                corrections, changes = probes.distance_from_identity(model, splits[0], training=True)
                for name, correction in corrections.items():
                    head = {"depth": depth, "seed": seed, "state": state, "unit": name, "stage": name[:6]}
                    rows.append(head | {"correction": correction, "change": changes[name]})
        print("seed", seed, "done", flush=True)
    recording.write(rows)
    report(rows)


def report(rows: list[dict]) -> None:
    """Print the means over units, by depth and stage, and the claims."""

    def means(column: str, **which) -> list[float]:
        found: dict[int, list[float]] = {}
        for row in rows:
            if all(row[key] == value for key, value in which.items()):
                found.setdefault(row["seed"], []).append(row[column])
        return [statistics.mean(values) for values in found.values()]

    for state in ("initial", "trained"):
        for column in ("correction", "change"):
            for depth in (8, 20, 56):
                for which in ({}, *({"stage": stage} for stage in STAGES)):
                    if values := means(column, state=state, depth=depth, **which):
                        spread = f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"
                        print(f"{state} {column:10} {depth:2} {which.get('stage', 'all'):7} {spread}")
    for column in ("correction", "change"):
        trained = {depth: means(column, state="trained", depth=depth) for depth in (8, 20, 56)}
        claim(f"{column}, trained: residual 20 > residual 56", trained[20], trained[56])
        claim(f"{column}, trained: residual 8 > residual 20", trained[8], trained[20])
        for stage in STAGES:
            both = [means(column, state="trained", depth=depth, stage=stage) for depth in (20, 56)]
            claim(f"{column}, trained, {stage}: residual 20 > residual 56", *both)
        for depth in (20, 56):
            claim(f"{column}, {depth}: initial > trained", means(column, state="initial", depth=depth), trained[depth])


if __name__ == "__main__":
    main()
