"""What the benchmark commands share: their options, the machine they run on, and the record they leave."""

import argparse
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from interleave import Contender, Limits, Pair, interleave

from resnet_edu.train.__main__ import device_named
from resnet_edu.train.record import Recording

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def arguments(about: str, rounds: int) -> argparse.ArgumentParser:
    """Return the options that every benchmark has."""
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=about.splitlines()[0], formatter_class=formatter)
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1; auto takes a GPU where there is one")
    parser.add_argument("--threads", type=int, default=CORES, help="threads, and cores for all that runs (Linux)")
    parser.add_argument("--rounds", type=int, default=rounds, help="each times every contender twice")
    parser.add_argument("--tolerance", type=float, default=0.1, help="reject blocks disturbed by a larger share")
    parser.add_argument("--shared", action="store_true", help="subtract what others took, do not reject for it")
    parser.add_argument("--out", type=Path, help="record as this .csv, with a .json of provenance beside it")
    parser.add_argument("--overwrite", action="store_true", help="replace a record that exists")
    return parser


def prepare(options: argparse.Namespace) -> torch.device:
    """Return the device, and keep this process and its workers to ``--threads`` cores, where the system can.

    Raises:
        ValueError: there is no such device, there are fewer cores, or several threads on a shared machine.
    """
    if not 1 <= options.threads <= CORES:
        raise ValueError(f"{options.threads} threads were asked for, and there are 1 to {CORES} cores for them here")
    if options.shared and options.threads > 1:
        raise ValueError(
            "with several threads, one that waits for a core holds up the rest: --shared needs --threads 1"
        )
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-options.threads :])
    torch.set_num_threads(options.threads)
    torch.backends.cudnn.benchmark = True  # for every contender alike
    return device_named(options.device)


def limits(options: argparse.Namespace) -> Limits:
    """Return from which share on a disturbed pair of blocks is rejected."""
    return Limits(options.tolerance, math.inf if options.shared else options.tolerance)


def recording(options: argparse.Namespace, data: Mapping[str, str], notes: Mapping) -> Recording:
    """Print the machine, and return what notes it; nothing is written before :func:`measured` ends."""
    noted = Recording(
        options.out or "not_recorded.csv",
        seeds=[0],
        data=data,
        notes={"tolerance": options.tolerance, "time_of_others_subtracted": options.shared, **notes},
        overwrite=options.overwrite or options.out is None,
    )
    hardware, versions = noted.provenance["hardware"], noted.provenance["versions"]
    print(f"{hardware['cpu']} ({hardware['instructions']}), threads: {hardware['threads']}, GPU: {hardware['gpu']}")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    return noted


def measured(
    options: argparse.Namespace, contenders: Mapping[str, Contender], device: torch.device, noted: Recording, unit: str
) -> list[Pair]:
    """Interleave the contenders, print how many blocks were rejected and why, and write the record where asked.

    Args:
        unit: of the contenders' work, for the record's column ``seconds_per_UNIT``.
    """
    wait: Callable = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    if options.shared and not Path("/proc/self/schedstat").exists():
        raise ValueError("this system does not count the time that other processes took: leave --shared out")
    pairs = interleave(contenders, options.rounds, subtract=options.shared, wait=wait)
    bounds = limits(options)
    unequal, lost = sum(pair.gap > bounds.gap for pair in pairs), sum(pair.lost > options.tolerance for pair in pairs)
    rejected = sum(not pair.kept(bounds) for pair in pairs)
    print(
        f"\nrejected {2 * rejected} of {2 * len(pairs)} blocks; of {len(pairs)} pairs of blocks, {unequal} differed by "
        f"more than {options.tolerance:.0%}, and {lost} lost more than {options.tolerance:.0%} of their time to other "
        f"processes{', which was subtracted' * options.shared}"
    )
    if any(math.isnan(pair.lost) for pair in pairs):
        print("this system does not count the time lost to others: only the first sign was used")
    if options.out:
        noted.write(
            {
                "ingredient": pair.contender,
                "round": pair.round,
                f"seconds_per_{unit}": pair.seconds,
                "gap": pair.gap,
                "lost": pair.lost,
                "kept": int(pair.kept(bounds)),
            }
            for pair in pairs
        )
    return pairs


def run(main: Callable[[Sequence[str] | None], int]) -> None:
    """Run a command, and end it with its status, or with one sentence that says what went wrong."""
    try:
        status = main(None)
    except (ValueError, FloatingPointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        status = 1
    sys.exit(status)
