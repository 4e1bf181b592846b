"""Modules and notebooks pass ruff, and are formatted by it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("how", [["check"], ["format", "--check"]], ids=["check", "format"])
def test_ruff(how: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *how, "."], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
