"""Run the notebooks as Colab would, as far as that can be had without it: ``python tools/colab.py [notebook ...]``.

A clone of what is committed gets its own address, as ``make repository`` writes it. Each notebook then runs in an empty
folder, in an environment that holds ``google.colab`` and what Colab brings and nothing else, so that its setup cell has
to fetch the book and install the package. That happens on two pairs of torch and torchvision: the one in
requirements.txt, and the newest that the package registry has. The environments stay in ``.venv-colab-*``.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import nbformat
import setup_cell
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
PYTHON = (3, 12)  # Colab's
BROUGHT = ["matplotlib", "scikit-learn", "ipykernel"]  # by Colab, beside torch and torchvision
LEFT_BY_SETUP = {"resnet_book/build/", "resnet_book/resnet_edu.egg-info/"}
LIST = "import importlib.metadata as m, json; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    return subprocess.run([str(c) for c in command], cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout


def pinned(requirements: str) -> list[str]:
    """The lines of requirements.txt that pin torch and torchvision."""
    return re.findall(r"^torch(?:vision)?==\S+", requirements, re.MULTILINE)


def interpreters() -> Iterator[str]:
    """Where a Python of Colab's version may be: this one, one on the PATH, one of pyenv's."""
    version = ".".join(map(str, PYTHON))
    yield sys.executable
    yield f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}*/bin/python")))


def is_colabs(python: str | Path) -> bool:
    """Whether this interpreter is there, starts, and has Colab's version."""
    try:
        asked = [str(python), "-c", f"import sys; sys.exit(sys.version_info[:2] != {PYTHON})"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def environment(name: str, torch: list[str], python: str) -> Path:
    """Make or bring up to date ``.venv-colab-NAME`` and return its interpreter."""
    folder = ROOT / f".venv-colab-{name}"
    inside = folder / "bin" / "python"
    if not (folder / ".installed").is_file() or is_colabs(inside) != is_colabs(python):
        run(python, "-m", "venv", "--clear", folder)
    run(inside, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *torch, *BROUGHT)
    (folder / ".installed").touch()
    return inside


def fresh(base: Path, folder: Path) -> Path:
    """An environment in ``folder`` with ``google.colab`` and all that ``base`` holds; ``base`` itself never changes."""
    run(base, "-m", "venv", "--without-pip", folder)
    (site,) = folder.glob("lib/python*/site-packages")
    (shared,) = base.parent.parent.glob("lib/python*/site-packages")
    (site / "google" / "colab").mkdir(parents=True)
    (site / "google" / "colab" / "__init__.py").touch()
    (site / "colab.pth").write_text(f"import site; site.addsitedir({str(shared)!r})\nimport google.colab\n")
    return folder / "bin" / "python"


def packages(python: Path) -> dict[str, str]:
    """What ``python`` can import, with versions; of two copies the one that it would take."""
    return dict(reversed(json.loads(run(python, "-c", LIST))))


def replaced(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What the install changed of what was there."""
    return [f"{n} {v} became {after.get(n, 'nothing')}" for n, v in before.items() if after.get(n) != v]


def left_behind(folder: Path) -> list[str]:
    """What stands in the working folder beyond the clone of the book and what installing from it leaves there."""
    found = [p.name for p in folder.iterdir() if p.name != "resnet_book"]
    if (folder / "resnet_book").is_dir():
        status = run("git", "status", "--porcelain", "--ignored", cwd=folder / "resnet_book").splitlines()
        found += [f"resnet_book/{line[3:]}" for line in status if "__pycache__" not in line]
    return sorted(set(found) - LEFT_BY_SETUP)


def warnings(notebook: nbformat.NotebookNode) -> list[str]:
    """What the cells wrote to stderr: the stored notebooks hold none, so it is this torch that warns."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [f"on stderr: {output.text.strip()}" for output in outputs if output.get("name") == "stderr"]


def run_in_colab(path: Path, base: Path) -> tuple[float, list[str]]:
    """Run one notebook; return the seconds it took and what went wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "content"
        folder.mkdir()
        python = fresh(base, Path(name) / "venv")
        before = packages(python)
        manager = AsyncKernelManager(kernel_name="python3")
        manager.kernel_spec.argv = [str(python), *manager.kernel_spec.argv[1:], "--log-level=ERROR"]
        hidden = ("PYTHON", "JUPYTER", "IPYTHON", "MPL", "RESNET_EDU", "VIRTUAL_ENV")
        variables = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        variables |= {"OMP_NUM_THREADS": "1", "TORCH_HOME": str(Path(name) / "torch")}
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(notebook, km=manager, timeout=600, resources={"metadata": {"path": str(folder)}})
        started = time.perf_counter()
        try:
            client.execute(env=variables, cleanup_kc=True)  # else its kernel stays, for it was given one
            wrong = []
        except Exception as error:  # whatever it is, it is shown, and the other notebooks run
            wrong = [str(error)]
        seconds = time.perf_counter() - started
        after = packages(python)
        wrong += warnings(notebook)
        wrong += [f"the setup cell replaced {what}" for what in replaced(before, after)]
        wrong += [f"{what} was left in the folder" for what in left_behind(folder)]
        if "resnet_edu" not in after:
            wrong.append("the setup cell did not install resnet_edu")
        return seconds, wrong


def addressed_clone(folder: Path) -> Path:
    """A clone of what is committed here, with its own address written into it and committed."""
    run("git", "clone", "--quiet", ROOT, folder)
    run(sys.executable, "tools/repository.py", folder.as_uri(), cwd=folder)
    run("git", "-c", "user.name=colab", "-c", "user.email=", "commit", "--quiet", "-am", "Address", cwd=folder)
    return folder


def table(seconds: dict[Path, dict[str, float]], titles: list[str]) -> str:
    """Seconds for each notebook, a column for each pair of torch and torchvision."""
    rows = [f"{name!s:45}" + "".join(f"{found:>16.1f}" for found in row.values()) for name, row in seconds.items()]
    return "\n".join([f"{'seconds':45}" + "".join(f"{title:>16}" for title in titles), *rows])


def main() -> str | int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="such as book/01_plain_stack.ipynb; default: all")
    parser.add_argument("--torch", choices=["pinned", "newest"], help="only this pair; default: both")
    asked = parser.parse_args()
    python = next(filter(is_colabs, interpreters()), sys.executable)
    if not is_colabs(python):
        version = ".".join(map(str, PYTHON))
        print(f"Colab has Python {version}, and none is found here: {sys.version.split()[0]} stands in for it.")
    if changed := run("git", "status", "--porcelain", "--untracked-files=no").splitlines():
        print(f"What runs is what is committed; {len(changed)} changed files are not.")
    pairs = {"pinned": pinned((ROOT / "requirements.txt").read_text()), "newest": ["--upgrade", "torch", "torchvision"]}
    seconds, titles, failed = {}, [], 0
    with tempfile.TemporaryDirectory() as name:
        clone = addressed_clone(Path(name) / "clone")
        there = setup_cell.notebooks(clone)
        paths = [clone / os.path.relpath(path, ROOT) for path in asked.notebooks]
        if unknown := [path.relative_to(clone) for path in paths if path not in there]:
            parser.error(f"not there, or not committed: {', '.join(map(str, unknown))}")
        paths = paths or there
        for pair in [asked.torch] if asked.torch else pairs:
            started = time.perf_counter()
            base = environment(pair, pairs[pair], python)
            brought = packages(base)
            titles.append(f"torch {brought['torch']}")
            print(f"{pair}: {titles[-1]}, torchvision {brought['torchvision']}", end=", ")
            print(f"installed in {time.perf_counter() - started:.0f} s", flush=True)
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                results = pool.map(partial(run_in_colab, base=base), paths)
                for path, (took, wrong) in zip(paths, results, strict=True):
                    print(f"{took:6.1f} s  {path.relative_to(clone)}  {'FAILED' if wrong else 'passed'}", flush=True)
                    print(*wrong, sep="\n", end="\n" if wrong else "")
                    seconds.setdefault(path.relative_to(clone), {})[pair] = took
                    failed += bool(wrong)
            print(f"{time.perf_counter() - started:6.1f} s  in all\n", flush=True)
    print(table(seconds, titles))
    return f"{failed} runs failed" if failed else 0


if __name__ == "__main__":
    sys.exit(main())
