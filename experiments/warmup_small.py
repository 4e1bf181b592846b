"""Does a warm-up free the deep residual network that does not begin to learn at small scale (chapter 9)?

    python experiments/warmup_small.py --seeds 5 --jobs 2 --out book/results/warmup_small.csv

The first two epochs of the suite's small scale (``experiments/paper.py``), residual, 56 layers, each seed with the
recipe's rate of 0.1 from the first step on, and with 0.01 for the first 400 steps. After each epoch also the spread of
the answers: the standard deviation of each logit over 1,000 training images in evaluation mode, mean over the classes.
It is zero for a network that answers every image alike. About 10 minutes a seed on one core.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import torch
from digits_curves import arguments, seeds_of

from resnet_edu import data
from resnet_edu.train import provenance, record
from resnet_edu.train.plan import Plan
from resnet_edu.train.recipe import Recipe
from resnet_edu.train.run import Run

WARMUPS = (0, 400)
EPOCHS = 2
KEPT = ("epoch", "iteration", "lr", "train_loss", "train_error", "test_loss", "test_error")


@torch.no_grad()
def spread_of_answers(run: Run) -> float:
    """Return the standard deviation of the logits over 1,000 training images, mean over the classes."""
    run.model.eval()
    images = run.train_images
    return run.model(images.prepare(images.images[:1000])).std(dim=0).mean().item()


def begin(seed: int, warmup: int) -> list[dict]:
    """Train for two epochs and return a row for each."""
    torch.set_num_threads(1)
    recipe = Recipe(epochs=20, warmup=warmup)
    run = Run(Plan("cifar_resnet56", "cifar10", recipe, seed=seed, size=16), torch.device("cpu"))
    rows = []
    for _ in range(EPOCHS):
        row = run.advance()
        head = {"seed": seed, "warmup": warmup}
        rows.append(head | {name: row[name] for name in KEPT} | {"logit_spread": spread_of_answers(run)})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Train every seed both ways, record, print what came of it."""
    parser = arguments(__doc__, seeds=5)
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, one a core (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = seeds_of(options)
    checksums = provenance.data_checksum(data.load("cifar10"))
    recording = record.Recording(options.out, seeds=seeds, data=checksums, overwrite=options.overwrite)
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = pool.map(begin, *zip(*product(seeds, WARMUPS), strict=True))
        rows = [row for found in done for row in found]
    recording.write(rows)
    for warmup in WARMUPS:
        last = [row for row in rows if row["warmup"] == warmup and row["epoch"] == EPOCHS]
        alike = sum(row["train_error"] > 85 for row in last)
        print(f"warm-up {warmup:3}: {alike} of {len(last)} seeds err on more than 85 % of the training images")


if __name__ == "__main__":
    main()
