"""What every test shares: one thread, the Agg backend, and the folder of the book's own tools."""

import os
import sys
from pathlib import Path

import matplotlib

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported here, and for every kernel that nbval starts
matplotlib.use("Agg")  # here only: in the environment it would take the figures away from nbval's kernels

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tools"))
