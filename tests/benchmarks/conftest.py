"""The benchmarks are commands: their folder is their path, and what they set for a process is put back."""

import os
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(FOLDER))


@pytest.fixture(autouse=True)
def machine_put_back():
    """Put cores, threads and cuDNN's settings back as they were."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    before = torch.get_num_threads(), torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    yield
    if cores:
        os.sched_setaffinity(0, cores)
    torch.set_num_threads(before[0])
    _, torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = before
