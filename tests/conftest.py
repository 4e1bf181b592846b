"""What every test shares: one thread, the Agg backend, and the folder of the book's own tools."""

import os
import sys
from pathlib import Path

import matplotlib
import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported here, and for every kernel that nbval starts
matplotlib.use("Agg")  # here only: in the environment it would take the figures away from nbval's kernels

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tools"))


@pytest.fixture(params=["subtract", "sub", "mul", "cat"])
def joined_otherwise(request):
    """A network of two ways, (N, 4, H, W) -> (N, 4, H, W), that are joined by something else than an addition."""
    import torch  # noqa: PLC0415  # not before the number of threads is set

    joins = {
        "subtract": lambda x, y: x - y,
        "sub": torch.sub,
        "mul": torch.mul,
        "cat": lambda x, y: torch.cat([x, y], dim=1)[:, ::2],
    }

    class Joined(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.join = torch.nn.Conv2d(4, 4, 3, padding=1), joins[request.param]

        def forward(self, x):
            return self.join(x, self.conv(x))

    return Joined()
