"""One process or several: what ``torchrun`` started, as three numbers and one sum (chapter 8).

The engine of several GPUs is PyTorch's own, ``DistributedDataParallel``: each process computes the gradients of its
part of every batch, and they are averaged before the step.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Processes:
    """This process's number, and how many there are; number 0 alone writes files and prints."""

    rank: int = 0
    count: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model whose ``backward`` averages gradients over all processes; the model itself for one."""
        if self.count == 1:
            return model
        return DistributedDataParallel(model, device_ids=None)

    def add(self, values: Tensor) -> Tensor:
        """Return the sum of ``values`` over all processes."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def agree(self, value: bool) -> bool:
        """Return what process 0 says."""
        if self.count == 1:
            return value
        said = [value]
        dist.broadcast_object_list(said, src=0)
        return said[0]

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            dist.barrier()


ALONE = Processes()


@contextlib.contextmanager
def started_by_torchrun(device: torch.device) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started; a single one where it did not.

    The backend is nccl on GPUs and gloo on a CPU. Each process should have its own device already.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    if device.type == "cuda":
        dist.init_process_group("nccl", device_id=device)
    else:
        dist.init_process_group("gloo")
    try:
        yield Processes(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()
