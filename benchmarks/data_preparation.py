"""How many times as many images one core prepares per second in batches as with PIL, one by one.

    python benchmarks/data_preparation.py --out book/results/data_preparation.csv

Prepared is: picked from the bytes in a new order, padded, cropped and flipped at random, made float and standardised,
and put together as a batch of 128. The record's columns are those of training_speed.py, with seconds_per_image.
"""

from collections.abc import Callable, Sequence

import torch
from command import arguments, limits, measured, prepare, recording, run
from interleave import Contender, speedups, summarised
from loops import BATCH, PAD, PILImages, images_for
from torch import Tensor
from torch.utils.data import DataLoader

from resnet_edu import data
from resnet_edu.train.batches import Images, shuffled
from resnet_edu.train.provenance import checksum

AGAIN = 8  # so many epochs a block of the faster one, so that its blocks are not too short to be timed


def one_by_one(images: Tensor, labels: Tensor) -> Callable[[], None]:
    """Return a function that prepares one epoch with PIL and a DataLoader without workers, in this process."""
    loader = DataLoader(PILImages(images, labels), BATCH, shuffle=True, drop_last=True)

    def epoch() -> None:
        for _ in loader:
            pass

    return epoch


def in_batches(images: Tensor, labels: Tensor) -> Callable[[], None]:
    """Return a function that prepares some epochs with the engine."""
    kept = Images(images, labels, data.pixel_mean(images), "cpu")
    generator = torch.Generator().manual_seed(0)

    def epochs() -> None:
        for _ in range(AGAIN):
            for some, _, views in shuffled(kept, BATCH, generator, pad=PAD, mirror=True):
                kept.prepare(some, views, PAD)

    return epochs


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; the status is 1 where the machine was too disturbed for a ratio."""
    parser = arguments(__doc__, rounds=15)
    parser.add_argument("--data", choices=("synthetic", "cifar10"), default="synthetic", help="images")
    parser.add_argument("--batches", type=int, default=40, help="of 128 images")
    parser.add_argument("--target", type=float, default=6.0, help="the ratio to be reached")
    parser.set_defaults(device="cpu", threads=1)
    options = parser.parse_args(argv)
    device = prepare(options)
    if device.type != "cpu":
        raise ValueError(f"this compares what a CPU does; the device was {device}")
    images, labels = images_for(options.batches, options.data)
    count = options.batches * BATCH
    data_used = {options.data: checksum(images, labels)}
    noted = recording(options, data_used, {"images_a_block": {"PIL": count, "batched": AGAIN * count}})
    contenders = {
        "PIL": Contender(one_by_one(images, labels), count),
        "batched": Contender(in_batches(images, labels), AGAIN * count),
    }
    pairs = measured(options, contenders, device, noted, unit="image")
    found = summarised(speedups(pairs, "PIL", "batched", limits(options)))
    if found is None:
        print("no undisturbed round: no ratio")
        return 1
    print(f"\nimages a second, batched : PIL: {found}")
    print(f"the target, at least {options.target:g}, is {'reached' if found.median >= options.target else 'missed'}")
    return 0


if __name__ == "__main__":
    run(main)
