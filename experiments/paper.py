"""The paper's experiment: plain and residual networks of 20 to 110 layers on CIFAR-10, a recorded run each (chapter 9).

    python experiments/paper.py --scale full --jobs 4 --minutes 9
    python experiments/paper.py --scale small --jobs 2
    python experiments/paper.py --scale full --nets cifar_plain56 cifar_resnet56 --seeds 1

Each run is the training command in a process of its own, in ``runs/SCALE/NAME``; when it is complete, its CSV and JSON
are copied to ``book/results/SCALE``. What is complete is skipped, what was begun is resumed: after ``--minutes``, a
Ctrl-C or a crash, the same command goes on. ``make results`` calls this. Options of the training command are passed
on; those that make it another experiment, such as ``--epochs 2``, want other folders, by ``--runs`` and ``--results``.

A machine that starts bare goes on as well, if it is handed the folder ``runs``, and gives ``runs`` and ``book/results``
back at the end. Where nothing can be installed, ``PYTHONPATH=.`` before the command does, and without the repository's
``.git`` the record says that its commit is unknown.

``full`` is He et al. 2015, section 4.2: 32x32, 164 epochs, for a GPU. ``small`` is what two CPU cores can do in some
hours: the images averaged to 16x16, full widths, 20 epochs with the drops scaled, and 20 and 56 layers only.
"""

import argparse
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from children import Children

from resnet_edu.train import networks, record
from resnet_edu.train.__main__ import parser as training_parser
from resnet_edu.train.__main__ import plan_from
from resnet_edu.train.files import replace_file
from resnet_edu.train.folder import is_complete
from resnet_edu.train.plan import Plan

ROOT = Path(__file__).resolve().parent.parent
NETS = ("cifar_plain20", "cifar_resnet20", "cifar_plain56", "cifar_resnet56")
# in the order in which they are worth having
SCALES = {
    "full": (
        [*NETS, "cifar_resnet110", "cifar_plain32", "cifar_resnet32", "cifar_plain44", "cifar_resnet44"],
        ["--data", "cifar10"],
        3,
    ),
    "small": ([*NETS], ["--data", "cifar10", "--size", "16", "--epochs", "20"], 2),
}
OURS = ("--model", "--seed", "--out", "--resume", "--overwrite", "--stop-after")  # which the suite itself sets
ROUNDING = ("precision", "channels_last", "compile", "graphs")  # how a machine computes the same


def commands(scale: str, nets: list[str] | None, seeds: int | None, more: list[str]) -> dict[str, list[str]]:
    """Return the training command of each run by the run's name: all networks with seed 0, then with the next seed."""
    usual_nets, arguments, usual_seeds = SCALES[scale]
    return {
        f"{net}-s{seed}": ["--model", net, *arguments, "--seed", str(seed), *more]
        for seed in range(usual_seeds if seeds is None else seeds)
        for net in nets or usual_nets
    }


def plan_of(command: list[str]) -> Plan:
    """Return what a training command trains, as far as the command alone says it."""
    return plan_from(training_parser().parse_args([*command, "--out", "anywhere"]), torch.device("cpu"))


def is_recorded(path: Path, plan: Plan) -> bool:
    """Return whether the result of this plan stands at ``path``, whole.

    Raises:
        ValueError: what stands there is damaged, or another experiment's.
        FileNotFoundError: the JSON is there, and the CSV is not.
    """
    if not path.with_suffix(".json").exists():
        return False
    record.read(path)
    about = record.read_provenance(path)
    if said := plan.differences(about["notes"]["plan"], but_for=ROUNDING):
        raise ValueError(f"{path} is a run with {said}")
    return "summary" in about


def run(
    name: str, command: list[str], out: Path, results: Path, start: float, seconds: float, children: Children
) -> str:
    """Run one command, or what is left of it, and return what came of it in one line.

    It is to end ``seconds`` after ``start``. A run that is begun trains for one epoch at least, with compilation before
    it, so none is begun in the last quarter of the time.
    """
    if is_recorded(results / f"{name}.csv", plan_of(command)):
        return f"{name}: recorded already"
    spent = time.monotonic() - start
    if spent > 0.75 * seconds:
        return f"{name}: not reached"
    arguments = [*command, "--out", os.path.relpath(out / name, ROOT), "--resume"]
    if seconds < float("inf"):
        arguments += ["--stop-after", f"{seconds - spent:.0f}"]
    alone = {"OMP_NUM_THREADS": "1", **os.environ}  # one thread a run, unless the caller says otherwise
    if status := children.run([sys.executable, "-m", "resnet_edu.train", *arguments], cwd=ROOT, env=alone):
        return f"{name}: stopped with status {status}"
    if not is_complete(out / name):
        return f"{name}: unfinished"
    results.mkdir(parents=True, exist_ok=True)
    for suffix in (".csv", ".json"):  # the JSON, which says that all is there, comes last
        replace_file(results / f"{name}{suffix}", (out / name / f"{name}{suffix}").read_bytes())
    return f"{name}: complete"


def main(argv: list[str] | None = None) -> int:
    """Run what is not complete yet; the status is 0 when every run asked for is recorded."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="Other options, such as --no-compile, are passed on to the training command.",
        allow_abbrev=False,
    )
    parser.add_argument("--scale", choices=SCALES, required=True)
    parser.add_argument(
        "--jobs", type=positive, default=1, help="runs at once: one a core, or several sharing a GPU (default: 1)"
    )
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="stop in time for this, and resume later (default: never)"
    )
    parser.add_argument("--nets", nargs="+", metavar="NET", help="only these, such as cifar_plain56 cifar_resnet56")
    parser.add_argument("--seeds", type=positive, help="so many seeds; by default 3 at full scale and 2 at small")
    parser.add_argument("--runs", type=Path, help="where the runs and their checkpoints are (default: runs)")
    parser.add_argument("--results", type=Path, help="where complete runs go (default: book/results)")
    args, more = parser.parse_known_args(argv)  # what is left is passed on, such as --no-compile
    if taken := [option for option in more if option.split("=")[0] in OURS]:
        parser.error(f"{', '.join(taken)}: the suite sets this itself; see --nets and --seeds")
    todo = commands(args.scale, args.nets, args.seeds, more)
    own = commands(args.scale, args.nets, args.seeds, [])
    try:
        for net in args.nets or ():
            networks.make(net, in_channels=3, num_classes=10)
        changed = [plan_of(todo[name]).differences(plan_of(own[name]).flat(), but_for=ROUNDING) for name in todo]
    except ValueError as error:
        parser.error(str(error))
    if any(changed) and not (args.runs and args.results):
        said = next(filter(None, changed))
        parser.error(f"the scale {args.scale!r} has {said}: give other folders, with --runs and --results")
    start, children = time.monotonic(), Children()
    out = (args.runs or ROOT / "runs") / args.scale
    results = (args.results or ROOT / "book" / "results") / args.scale

    def line(name: str) -> str:
        try:
            return run(name, todo[name], out, results, start, 60 * args.minutes, children)
        except (ValueError, OSError) as error:
            return f"{name}: not recorded, for {error}"

    with ThreadPoolExecutor(args.jobs) as pool:
        try:
            lines = list(pool.map(line, todo))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            children.end()  # the last whole epoch of each is kept
            print("interrupted: the same command goes on", file=sys.stderr)
            return 130
    print("\n".join(lines))
    return 0 if all(line.endswith((": complete", ": recorded already")) for line in lines) else 1


def positive(text: str) -> int:
    """Return a whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends the suite ends its runs
    sys.exit(main())
