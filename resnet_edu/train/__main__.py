"""Train a network from the command line: ``python -m resnet_edu.train --model cifar_resnet20 --data cifar10 ...``.

On several GPUs: ``torchrun --nproc-per-node=4 -m resnet_edu.train ...`` with the same arguments (chapter 8).
"""

import argparse
import os
import sys

import torch

from resnet_edu.train.epoch import PRECISIONS, fastest_precision
from resnet_edu.train.networks import NORMS
from resnet_edu.train.plan import Plan
from resnet_edu.train.processes import started_by_torchrun
from resnet_edu.train.recipe import SCHEDULES, Recipe
from resnet_edu.train.session import train


class _Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Names the defaults; None depends on the network or the device, and the help says how."""

    def _get_help_string(self, action: argparse.Action) -> str:
        return action.help if action.default is None else super()._get_help_string(action)


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments; their defaults are the recipe of He et al. 2015, section 4.2."""
    recipe, plan = Recipe(), Plan("", "")
    top = argparse.ArgumentParser(
        prog="python -m resnet_edu.train",
        description="Train a network; without options by the recipe of He et al. 2015, section 4.2.",
        formatter_class=_Defaults,
        allow_abbrev=False,
    )
    what = top.add_argument_group("what")
    what.add_argument("--model", required=True, help="cifar_plainD, cifar_resnetD with D = 6n+2, or resnet50 and so on")
    what.add_argument("--data", required=True, help="digits, fashion_mnist or cifar10")
    what.add_argument("--size", type=int, help="average the images down to this many pixels a side")
    what.add_argument("--widths", type=int, nargs=3, default=plan.widths, help="channels of a CIFAR network's stages")
    what.add_argument("--shortcut", choices=("A", "B", "C"), default=plan.shortcut, help="of a CIFAR residual network")
    what.add_argument("--norm", choices=NORMS, default=plan.norm, help="normalisation")
    how = top.add_argument_group("how")
    how.add_argument("--epochs", type=int, default=recipe.epochs, help="passes over the training images")
    how.add_argument("--batch-size", type=int, default=recipe.batch_size, help="over all processes together")
    how.add_argument("--lr", type=float, default=recipe.lr, help="learning rate, or peak of one-cycle")
    how.add_argument("--momentum", type=float, default=recipe.momentum, help="of SGD")
    how.add_argument("--weight-decay", type=float, default=recipe.weight_decay, help="of all parameters")
    how.add_argument("--schedule", choices=SCHEDULES, default=recipe.schedule, help="of the learning rate")
    how.add_argument("--warmup", type=int, help="iterations at lr/10; by default 400 from 110 layers on, else 0")
    how.add_argument("--label-smoothing", type=float, default=recipe.label_smoothing, help="share spread over classes")
    how.add_argument("--pad", type=int, help="pixels of padding before a crop; by default an eighth of the side")
    how.add_argument("--mirror", action=argparse.BooleanOptionalAction, help="flip half; by default all but digits")
    how.add_argument("--seed", type=int, default=plan.seed, help="of weights, order and crops")
    fast = top.add_argument_group("how fast (results differ in rounding)")
    fast.add_argument("--device", default="auto", help="cpu, cuda, cuda:1; auto takes a GPU where there is one")
    fast.add_argument("--precision", choices=("auto", *PRECISIONS), default="auto", help="auto: what the device has")
    fast.add_argument("--channels-last", action=argparse.BooleanOptionalAction, default=True, help="memory format")
    fast.add_argument("--compile", action=argparse.BooleanOptionalAction, help="torch.compile; by default on a GPU")
    fast.add_argument("--graphs", action=argparse.BooleanOptionalAction, default=True, help="CUDA graphs, if compiled")
    fast.add_argument("--deterministic", action="store_true", help="bitwise repeatable on a GPU too, and slower")
    where = top.add_argument_group("where")
    where.add_argument("--out", required=True, help="a new folder for the run")
    existing = where.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out, if any")
    existing.add_argument("--overwrite", action="store_true", help="delete the run that stands in --out")
    where.add_argument("--stop-after", type=float, default=float("inf"), metavar="SECONDS", help="then resume later")
    return top


def device_named(name: str) -> torch.device:
    """Return the device; under torchrun, "auto" and "cuda" are the GPU of this process's own number.

    Raises:
        ValueError: there is no such device here.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if gpus else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"{name!r} is no device: say cpu, cuda, or cuda:1 and so on") from None
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) if device.index is None else device.index)
        if device.index >= gpus:
            raise ValueError(f"there is no {device}: this machine has {gpus} GPUs that PyTorch can use")
        torch.cuda.set_device(device)
    elif device.type != "cpu":
        raise ValueError(f"training on {name!r} is not supported: say cpu or cuda")
    return device


def plan_from(args: argparse.Namespace, device: torch.device) -> Plan:
    """Return what to train, with the defaults filled in that depend on the network and the device."""
    depth = int("".join(filter(str.isdigit, args.model)) or 0) if args.model.startswith("cifar_") else 0
    recipe = Recipe(
        epochs=args.epochs,
        batch_size=args.batch_size,
        lr=args.lr,
        momentum=args.momentum,
        weight_decay=args.weight_decay,
        schedule=args.schedule,
        warmup=(400 if depth >= 110 and args.schedule == "steps" else 0) if args.warmup is None else args.warmup,
        label_smoothing=args.label_smoothing,
    )
    return Plan(
        model=args.model,
        data=args.data,
        recipe=recipe,
        seed=args.seed,
        size=args.size,
        widths=tuple(args.widths),
        shortcut=args.shortcut,
        norm=args.norm,
        pad=args.pad,
        mirror=args.mirror,
        precision=fastest_precision(device) if args.precision == "auto" else args.precision,
        channels_last=args.channels_last,
        compile=device.type == "cuda" if args.compile is None else args.compile,
        graphs=args.graphs,
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status: 0, or 1 after one sentence that says what went wrong."""
    args = parser().parse_args(argv)
    if args.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        device = device_named(args.device)
        torch.backends.cudnn.benchmark = not args.deterministic
        with started_by_torchrun(device) as processes:
            train(
                plan_from(args, device),
                args.out,
                device=device,
                resume=args.resume,
                overwrite=args.overwrite,
                seconds=args.stop_after,
                say=print if processes.writes else lambda line: None,
                processes=processes,
            )
    except KeyboardInterrupt:
        way = "with --resume the same command goes on after its last whole epoch"
        if args.overwrite:
            way = (
                "once it has finished an epoch, --resume in place of --overwrite goes on; before that the old run "
                "still stands, and --overwrite begins again"
            )
        print(f"\ninterrupted: {way}", file=sys.stderr)
        return 130
    except torch.cuda.OutOfMemoryError as error:
        print(f"error: {device} has too little memory for this batch size: {error}", file=sys.stderr)
        return 1
    except (ValueError, FloatingPointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except torch._dynamo.exc.TorchDynamoException as error:
        reason = str(getattr(error, "inner_exception", error)).splitlines()[0]
        print(f"error: torch.compile failed, and --no-compile does without it: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
