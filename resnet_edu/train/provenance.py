"""Where a recorded result came from: the command, the code, the versions, the machine, the data (appendix C)."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

import torch

from resnet_edu.data import Dataset

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("torchvision", "numpy", "scikit-learn")


def command() -> str:
    """Return the command line with paths relative to the repository, or bare names where they lie outside."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    script = ["-m", spec.name.removesuffix(".__main__")] if spec else [_nameless(sys.argv[0])]
    here = os.environ.get("LOCAL_WORLD_SIZE")  # set by torchrun
    start = ["torchrun", f"--nproc-per-node={here}"] if here else ["python"]
    return " ".join([*start, *script, *(_nameless(argument) for argument in sys.argv[1:])])


def code() -> dict:
    """Return the commit and which of the files imported so far differ from it; the commit is None outside git.

    Example:
        >>> list(code())
        ['commit', 'dirty', 'changed_files']
    """
    try:
        commit = _git("rev-parse", "HEAD").strip()
        status = _git("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all")
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None, "changed_files": []}
    differing = {entry[3:] for entry in status.split("\0") if entry}
    files = {
        Path(file).resolve() for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))
    }
    imported = {file.relative_to(_ROOT).as_posix() for file in files if file.is_relative_to(_ROOT)}
    changed = sorted(differing & imported)
    return {"commit": commit, "dirty": bool(changed), "changed_files": changed}


def versions() -> dict[str, str]:
    """Return the versions of Python, PyTorch and the packages that the numbers depend on.

    Example:
        >>> list(versions())
        ['python', 'torch', 'torchvision', 'numpy', 'scikit-learn']
    """
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        **{package: importlib.metadata.version(package) for package in _PACKAGES},
    }


def hardware() -> dict:
    """Return the processor, the vector instructions and threads that PyTorch uses, and the GPU (None without one).

    Example:
        >>> list(hardware())
        ['cpu', 'instructions', 'threads', 'gpu']
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": cpu,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
    }


def checksum(*tensors: torch.Tensor) -> str:
    """Return the SHA-256 of tensors' types, shapes and values, in hexadecimal.

    Example:
        >>> checksum(torch.arange(3)) == checksum(torch.arange(3)) != checksum(torch.arange(3.0))
        True
    """
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def data_checksum(dataset: Dataset) -> dict[str, str]:
    """Return the data set's name with the :func:`checksum` of its images and labels, training set first.

    Example:
        >>> from resnet_edu.data import load
        >>> list(data_checksum(load("digits")))
        ['digits']
    """
    raw = (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels)
    return {dataset.name: checksum(*raw)}


def _nameless(argument: str) -> str:
    option, equals, value = argument.rpartition("=") if argument.startswith("--") else ("", "", argument)
    path = Path(value)
    if not path.is_absolute() and ".." not in path.parts:
        return argument
    path = path.resolve()
    return option + equals + (path.relative_to(_ROOT).as_posix() if path.is_relative_to(_ROOT) else path.name)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=_ROOT, check=True, capture_output=True, text=True).stdout
