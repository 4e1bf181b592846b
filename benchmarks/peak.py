"""Which fraction of the machine's own peak in matrix products training ResNet-20 reaches.

    python benchmarks/peak.py --threads 2

The peak is measured, not the maker's: one large product, in the same process and precision, in turn with training.
Training's operations are counted from the model, forward and backward, by PyTorch's own counter.
"""

from collections.abc import Callable, Sequence

import torch
from command import arguments, limits, measured, prepare, recording, run
from interleave import Contender, speedups, summarised
from loops import BATCH, engine, images_for
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from resnet_edu.cifar import cifar_resnet
from resnet_edu.train.epoch import PRECISIONS, fastest_precision
from resnet_edu.train.provenance import checksum


def operations(batch: int = BATCH) -> int:
    """Return the multiplications and additions of one step of ResNet-20, forward and backward."""
    model = cifar_resnet(20)
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(model(torch.zeros(batch, 3, 32, 32)), torch.zeros(batch, dtype=torch.int64)).backward()
    return counter.get_total_flops()


def products(size: int, times: int, precision: str, device: torch.device) -> Callable[[], None]:
    """Return a function that multiplies two matrices of size x size, so many times."""
    left, right = (torch.randn(size, size, device=device, dtype=PRECISIONS[precision]) for _ in range(2))
    out = torch.empty_like(left)

    def block() -> None:
        for _ in range(times):
            torch.mm(left, right, out=out)

    return block


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; the status is 1 where the machine was too disturbed for a ratio."""
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--steps", type=int, help="of training a block; by default 390 on a GPU, 10 on a CPU")
    parser.add_argument("--size", type=int, help="of the matrices; by default 8192 on a GPU, 2048 on a CPU")
    parser.add_argument("--no-compile", action="store_true", help="train without torch.compile")
    options = parser.parse_args(argv)
    device = prepare(options)
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32, in convolutions as in products
    on_gpu = device.type == "cuda"
    steps = (390 if on_gpu else 10) if options.steps is None else options.steps
    size = (8192 if on_gpu else 2048) if options.size is None else options.size
    if size < 1:
        raise ValueError(f"the matrices should be 1x1 at least, and {size}x{size} were asked for")
    images, labels = images_for(steps, "synthetic")
    noted = recording(
        options, {"synthetic": checksum(images, labels)}, {"device": device.type, "steps": steps, "size": size}
    )
    fastest = fastest_precision(device)
    precisions = list(dict.fromkeys(["fp32", fastest]))
    step, product = operations(), 2 * size**3
    work = steps * step
    times = -(-work // product)  # as many as do the same work as a block of training,
    times *= 20 if on_gpu else 1  # which on a GPU would be over too soon to be timed
    contenders = {}
    for precision in precisions:
        train = engine(images, labels, device, precision=precision, compiled=not options.no_compile)
        contenders[f"products {precision}"] = Contender(products(size, times, precision, device), times * product)
        contenders[f"training {precision}"] = Contender(train, work)
    print(f"ResNet-20 on {device.type}: {step / 1e9:.3g} GFLOP a step of {BATCH} images, counted")
    if fastest != "bf16":
        print(f"left out: bf16: {device.type} has no bf16 matrix instructions here, and none are emulated")
    pairs = measured(options, contenders, device, noted, unit="operation")
    complete = True
    for precision in precisions:
        found = summarised(speedups(pairs, f"products {precision}", f"training {precision}", limits(options)))
        print(f"training : peak in {precision}: {found or 'no undisturbed round'}")
        complete = complete and found is not None
    return 0 if complete else 1


if __name__ == "__main__":
    run(main)
