"""The experiments are commands: their folder is their path."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "experiments"
sys.path.insert(0, str(FOLDER))
