"""How long ResNet-20 trains on CIFAR-10 until its last epoch has the paper's accuracy, by two recipes.

    python benchmarks/time_to_accuracy.py --runs runs/accuracy --out book/results/time_to_accuracy.csv

He et al. 2015, Table 6: 8.75 % test error, an accuracy of 91.25 %. What counts is the last epoch, never the best one,
which the test set itself would choose. Each recipe is a run of the training command in a folder of its own; with
``--stop-after SECONDS`` it stops in time, and the same command goes on. The seconds are those of training, compilation
included and evaluation not.

It is a command for a GPU. With ``--device cpu --data digits --epochs 3 --target 50`` it can be tried without one.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from command import run

from resnet_edu import data
from resnet_edu.train import record
from resnet_edu.train.__main__ import device_named
from resnet_edu.train.epoch import fastest_precision
from resnet_edu.train.folder import is_complete
from resnet_edu.train.plan import Plan
from resnet_edu.train.provenance import data_checksum
from resnet_edu.train.recipe import Recipe
from resnet_edu.train.session import train

RECIPES = {
    "paper": Recipe(),
    "one-cycle": Recipe(epochs=60, schedule="one-cycle", lr=0.3, weight_decay=5e-4, label_smoothing=0.1),
}


def plans(data: str, epochs: int | None, device: torch.device, seed: int) -> dict[str, Plan]:
    """Return what to train by each recipe, as fast as the device can; ``epochs`` replaces the recipes' own."""
    return {
        name: Plan(
            "cifar_resnet20",
            data,
            recipe if epochs is None else replace(recipe, epochs=epochs),
            seed=seed,
            precision=fastest_precision(device),
            compile=device.type == "cuda",
        )
        for name, recipe in RECIPES.items()
    }


def outcome(name: str, folder: Path, target: float) -> dict:
    """Return what a complete run says about time and accuracy (percent), as a row."""
    rows = record.read(folder / f"{folder.name}.csv")
    accuracy = 100 - rows["test_error"]
    return {
        "recipe": name,
        "epochs": len(accuracy),
        "seconds": float(rows["seconds"].sum()),
        "last_accuracy": float(accuracy[-1]),
        "best_accuracy_chosen_by_test_set": float(accuracy.max()),
        "target": target,
        "reached": int(accuracy[-1] >= target),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is not trained yet, print; the status is 0 where every recipe reached the target."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="a GPU; cpu only to try the command")
    parser.add_argument("--data", default="cifar10", help="cifar10; digits only to try the command")
    parser.add_argument("--epochs", type=int, help="in place of each recipe's own")
    parser.add_argument("--target", type=float, default=91.25, help="percent right at the last epoch")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and crops")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs; what it holds is resumed")
    parser.add_argument("--stop-after", type=float, default=float("inf"), metavar="SECONDS", help="for each recipe")
    parser.add_argument("--out", type=Path, help="record as this .csv, with a .json of provenance beside it")
    parser.add_argument("--overwrite", action="store_true", help="replace a record that exists")
    options = parser.parse_args(argv)
    device = device_named(options.device)
    torch.backends.cudnn.benchmark = True
    noted = record.Recording(
        options.out or "not_recorded.csv",
        seeds=[options.seed],
        data=data_checksum(data.load(options.data)),
        overwrite=options.overwrite or options.out is None,
    )
    rows, origin = [], {}
    for name, plan in plans(options.data, options.epochs, device, options.seed).items():
        folder = options.runs / f"{options.data}-{name}-s{options.seed}"
        train(plan, folder, device=device, resume=True, seconds=options.stop_after)
        if not is_complete(folder):
            print("not complete: the same command goes on", file=sys.stderr)
            return 1
        rows.append(outcome(name, folder, options.target))
        trained = record.read_provenance(folder / f"{folder.name}.csv")
        if trained["data"] != noted.provenance["data"]:
            raise ValueError(f"{folder} was trained on another {options.data}, by the checksum: name other --runs")
        for key in ("hardware", "versions"):  # of those that trained, not of who reads
            if trained[key] != origin.setdefault(key, trained[key]):
                raise ValueError(f"{folder} was trained with {key} {trained[key]}, unlike the other: name other --runs")
        origin["code"] = trained["code"]  # of the last of them
        print(f"trained on {trained['hardware']['gpu'] or trained['hardware']['cpu']}, {trained['versions']}")
    for row in rows:
        said = "reached" if row["reached"] else "missed"
        print(
            f"{row['recipe']}: {row['seconds']:.1f} s of training in {row['epochs']} epochs; the last is right on "
            f"{row['last_accuracy']:.2f} % of the test set: {options.target:g} % {said}"
        )
    if options.out:
        noted.write(rows, seconds=round(sum(row["seconds"] for row in rows), 1), **origin)
    return 0 if all(row["reached"] for row in rows) else 1


if __name__ == "__main__":
    run(main)
