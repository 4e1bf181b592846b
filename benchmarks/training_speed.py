"""How many times as fast as the usual teaching loop the engine trains ResNet-20, its ingredients added one by one.

    python benchmarks/training_speed.py --threads 2 --out book/results/training_speed.csv

Batches of 128 images of 32x32, the same model, the same machine, one interleaved run. The record has a row for each
round and ingredient, in the order in which they are added:

    ingredient        "usual loop", "batched augmentation", "two waits", "channels_last", "bf16" (or "fp16"), "compile",
                      "CUDA graphs"; those that the hardware lacks are missing, and the JSON's notes say why
    round             0, 1, ...
    seconds_per_step  the mean of the ingredient's two blocks in this round
    gap, lost         by which share the two blocks differ, and which share of their time other processes took
    kept              0 where one of both was too large

On a GPU two things are part of the engine from its first line on, or of both sides: the engine's optimiser is one fused
kernel, where the usual loop has PyTorch's default; and convolutions in float32 round their inputs to TF32, which is
PyTorch's default as well.

With ``--shared`` the time that others took is subtracted from the seconds, and ``lost`` does not count in ``kept``; the
JSON's notes say so, and give the tolerance. A ratio is to be taken within a round, where both rows are kept, and its
median over the rounds.
"""

import argparse
import statistics
from collections.abc import Sequence

import torch
from command import arguments, limits, measured, prepare, recording, run
from interleave import Contender, Pair, speedups, summarised
from loops import BATCH, engine, images_for, usual_loop
from torch import Tensor

from resnet_edu.train.epoch import fastest_precision
from resnet_edu.train.provenance import checksum

USUAL = "usual loop"


def ingredients(device: torch.device, compiled: bool) -> tuple[dict[str, dict], dict[str, str]]:
    """Return the engine's settings with each ingredient added to those before, and why others are left out."""
    found = {
        "batched augmentation": {"ask_each_step": True, "channels_last": False},
        "two waits": {"channels_last": False},
        "channels_last": {},
    }
    skipped = {}
    precision = fastest_precision(device)
    if precision == "fp32":
        skipped["bf16"] = f"no bf16 matrix instructions ({torch.backends.cpu.get_cpu_capability()}), and none emulated"
    else:
        found[precision] = {"precision": precision}
    if compiled:
        found["compile"] = {"precision": precision, "compiled": True, "graphs": False}
    else:
        skipped["compile"] = "switched off"
    if compiled and device.type == "cuda":
        found["CUDA graphs"] = {"precision": precision, "compiled": True}
    else:
        skipped["CUDA graphs"] = "switched off" if device.type == "cuda" else "no GPU"
    return found, skipped


def contenders(
    images: Tensor, labels: Tensor, device: torch.device, settings: dict[str, dict], workers: int
) -> dict[str, Contender]:
    """Return the usual loop and the engine with each of the settings; a block is one epoch of the images."""
    steps = len(images) // BATCH
    loops = {USUAL: usual_loop(images, labels, device, workers)}
    loops |= {name: engine(images, labels, device, **chosen) for name, chosen in settings.items()}
    return {name: Contender(loop, steps) for name, loop in loops.items()}


def images_a_second(pairs: list[Pair], name: str, options: argparse.Namespace) -> str:
    """Return the median over the undisturbed rounds, in words: it holds for this machine and this hour."""
    seconds = [pair.seconds for pair in pairs if pair.contender == name and pair.kept(limits(options))]
    return f"{BATCH / statistics.median(seconds):,.0f}" if seconds else "?"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; the status is 1 where the machine was too disturbed for a ratio."""
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--data", choices=("synthetic", "cifar10"), default="synthetic", help="images")
    parser.add_argument("--steps", type=int, help="of 128 images a block; by default 390 on a GPU, 10 on a CPU")
    parser.add_argument("--workers", type=int, help="of the usual loop; by default one a core, 8 at most")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out: a minute less on a CPU")
    options = parser.parse_args(argv)
    device = prepare(options)
    steps = (390 if device.type == "cuda" else 10) if options.steps is None else options.steps
    workers = min(options.threads, 8) if options.workers is None else options.workers
    images, labels = images_for(steps, options.data)
    settings, skipped = ingredients(device, not options.no_compile)
    noted = recording(
        options,
        data={options.data: checksum(images, labels)},
        notes={"device": device.type, "steps_a_block": steps, "workers_of_the_usual_loop": workers, "skipped": skipped},
    )
    print(f"ResNet-20 on {device.type}, {steps} steps of {BATCH} {options.data} images a block, {workers} workers")
    for name, reason in skipped.items():
        print(f"left out: {name}: {reason}")
    pairs = measured(options, contenders(images, labels, device, settings, workers), device, noted, unit="step")
    print(f"\ntimes as fast as the {USUAL}, and as the line above; median (smallest to largest); images a second")
    print(f"    {USUAL:<22}{'':<76}{images_a_second(pairs, USUAL, options)}")
    complete, before = True, USUAL
    for name in settings:
        whole, step = (summarised(speedups(pairs, slow, name, limits(options))) for slow in (USUAL, before))
        said = "".join(f"{ratio or 'no undisturbed round'!s:<38}" for ratio in (whole, step))
        print(f"  + {name:<22}{said}{images_a_second(pairs, name, options)}")
        complete, before = complete and whole is not None, name
    return 0 if complete else 1


if __name__ == "__main__":
    run(main)
