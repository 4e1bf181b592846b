"""The signals in every layer of the digits networks, at initialisation and after training (chapters 2 and 3).

    python experiments/signals_digits.py --seeds 10 --trained 5 --out book/results/signals_digits.csv

At initialisation: with BN and without any normalisation, with zero and with circular padding. After training (with BN
and zero padding, the live recipe) for the first seeds. The batch is the first 256 training images; BN uses its
statistics. About 45 seconds for each trained seed on one thread.
"""

import statistics
from collections.abc import Iterator

import torch
from digits_curves import WIDTHS, arguments, claim, digits, make, seeds_of
from torch import nn

from resnet_edu import probes
from resnet_edu.train import record
from resnet_edu.train.step import fit

NORMS = {"batch": None, "none": nn.Identity}
COLUMNS = ("activation_std", "activation_gradient", "weight_gradient")


def look(model: nn.Module, head: dict, images: torch.Tensor, labels: torch.Tensor) -> Iterator[dict]:
    """Yield one row for each convolution, in forward order."""
    stds = probes.activation_std(model, images)
    activations = probes.activation_gradient_norm(model, images, labels)
    weights = probes.weight_gradient_norm(model, images, labels, nn.Conv2d)
    # the response after BN, before ReLU or addition; without BN it is the convolution's output
    responses = probes.layer_responses(model, images, training=True) if head["norm"] == "batch" else stds
    columns = (stds.values(), activations.values(), weights.values(), responses.values())
    for layer, (name, *values) in enumerate(zip(stds, *columns, strict=True), start=1):
        # six digits: the rest is noise of rounding, and would double the file
        kept = dict(zip((*COLUMNS, "response_std"), (float(f"{value:.6g}") for value in values), strict=True))
        yield head | {"layer": layer, "name": name} | kept


def main() -> None:
    """Measure, print the claims, record."""
    parser = arguments(__doc__, seeds=10)
    parser.add_argument("--trained", type=int, default=5, help="how many seeds are also trained (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    splits, checksums = digits()
    notes = {"batch": "the first 256 training images", "widths": WIDTHS, "trained_seeds": options.trained}
    recording = record.Recording(
        options.out,
        seeds=seeds_of(options),
        data=checksums,
        notes=notes,
        overwrite=options.overwrite,
    )
    images, labels = splits[0][:256], splits[1][:256]
    rows: list[dict] = []
    for seed in seeds_of(options):
        for net in ("plain", "residual"):
            for depth in (8, 20, 56):
                head = {"net": net, "depth": depth, "seed": seed}
                for norm, norm_layer in NORMS.items():
                    model = make(net, depth, seed, norm_layer=norm_layer)
                    for padding in ("zeros", "circular"):
                        state = {"norm": norm, "padding": padding, "state": "initial"}
                        padded = model if padding == "zeros" else probes.circular_padding(model)
                        rows += look(padded, head | state, images, labels)
                if seed < options.first_seed + options.trained:
                    model = make(net, depth, seed)
                    fit(model, splits[0], splits[1], seed=seed)
                    state = {"norm": "batch", "padding": "zeros", "state": "trained"}
                    rows += look(model, head | state, images, labels)
        print("seed", seed, "done", flush=True)
    recording.write(rows)
    report(rows)


def report(rows: list[dict]) -> None:
    """Print the ratio of the first layer over the last one, and the claims."""

    def ratios(column: str, ends: int = 1, **which) -> list[float]:
        found: dict[int, list[float]] = {}
        for row in rows:
            if all(row[key] == value for key, value in which.items()):
                found.setdefault(row["seed"], []).append(row[column])
        means = ((statistics.mean(v[:ends]), statistics.mean(v[-ends:])) for v in found.values())
        return [first / last for first, last in means]

    groups = dict.fromkeys(
        tuple(row[key] for key in ("state", "norm", "padding", "net", "depth")) for row in sorted(rows, key=str)
    )
    print("first layer / last layer, median (smallest to largest); weight gradients also as first 3 / last 3")
    for group in groups:
        which = dict(zip(("state", "norm", "padding", "net", "depth"), group, strict=True))
        cells = [ratios(column, **which) for column in COLUMNS]
        cells += [ratios("weight_gradient", 3, **which), ratios("response_std", **which)]
        print(*group, *(f"| {statistics.median(c):.2e} ({min(c):.1e} to {max(c):.1e})" for c in cells))
    for padding in ("zeros", "circular"):
        for norm in NORMS:
            for column in ("activation_std", "activation_gradient"):
                which = {"padding": padding, "norm": norm, "state": "initial"}
                plain = {depth: ratios(column, net="plain", depth=depth, **which) for depth in (8, 20, 56)}
                residual = ratios(column, net="residual", depth=56, **which)
                label = f"{column} first/last, norm {norm}, {padding}:"
                claim(f"{label} plain 56 > plain 20", plain[56], plain[20])
                claim(f"{label} plain 20 > plain 56", plain[20], plain[56])
                claim(f"{label} plain 56 > residual 56", plain[56], residual)
                claim(f"{label} residual 56 > plain 56", residual, plain[56])


if __name__ == "__main__":
    main()
