"""Run a submission in a kernel apart, and let answers be judged where the submission has never been.

In place of nbgrader's ``Execute``. A check cell does not run its check in the student's kernel, where the student's
code could have changed it: there it only hands the answers over, pickled. ``judge.py`` checks them in a process of its
own, and its verdict, not what the kernel said, becomes the cell's output, by which nbgrader gives the points.
"""

import contextlib
import copy
import functools
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import nbformat
from assignments import ROOT, check_of
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbgrader.preprocessors import Execute
from traitlets import Float, Integer

PASSED_ON = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "RESNET_EDU_DATA")
HAND_OVER = """\
{before}
def _hand_over(*answers):
    import linecache
    from pathlib import Path

    import cloudpickle

    lines = {{file: entry[2] for file, entry in linecache.cache.items() if "ipykernel" in file}}
    Path({file!r}).write_bytes(cloudpickle.dumps((answers, lines)))


_hand_over({arguments})
"""


class ExecuteApart(Execute):
    """Execute the student's cells, and give each check cell the judge's verdict as its output."""

    timeout = Integer(120, help="Seconds for one cell.").tag(config=True)
    notebook_seconds = Integer(900, help="Seconds for the whole notebook.").tag(config=True)
    check_seconds = Integer(120, help="Seconds for one check.").tag(config=True)
    gigabytes = Float(6.0, help="Memory for a kernel or a check, where the system can limit it.").tag(config=True)
    printed = Integer(200_000, help="Characters of output that are kept of one cell.").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        with tempfile.TemporaryDirectory(prefix="grading-") as folder:
            self._folder = Path(folder)
            run = copy.deepcopy(nb)
            handed_over = {}
            for cell in _checks(run):
                before, name, arguments = check_of(cell.source)
                handed_over[name] = self._folder / f"{name}.pickle"
                cell.source = HAND_OVER.format(before=before, file=str(handed_over[name]), arguments=arguments)
            stopped = self._run(run)
            verdicts = self._judge({name: str(file) for name, file in handed_over.items() if file.exists()})
        for cell, executed in zip(nb.cells, run.cells, strict=True):
            if cell.cell_type == "code":
                cell.outputs = executed.outputs
        for cell in _checks(nb):
            name = check_of(cell.source)[1]
            cell.outputs = [_output(name, *verdicts.get(name, (False, _why_not(cell.outputs, stopped))))]
        if fingerprint() != BEFORE:
            raise RuntimeError(
                f"Files of the book changed while the notebook of {resources['nbgrader']['student']} ran: read it, "
                "restore the files (git status names them), and grade again where submissions cannot write (README.md)."
            )
        return nb, resources

    def _run(self, nb: NotebookNode) -> str | None:
        """Execute what the student wrote; a sentence if the kernel did not live to the end."""
        over_time = threading.Event()

        def end() -> None:
            over_time.set()
            self._kill()

        timer = threading.Timer(self.notebook_seconds, end)
        timer.start()
        try:
            super().preprocess(nb, {"metadata": {"path": str(self._folder)}})
        except CellTimeoutError:
            return f"An earlier cell did not end within {self.timeout} seconds, and could not be interrupted."
        except DeadKernelError:
            if over_time.is_set():
                return f"The notebook was stopped after {self.notebook_seconds} seconds."
            return "The code in an earlier cell ended the notebook's process, or used up its memory."
        finally:
            timer.cancel()
            self._kill()  # what the kernel may have left behind
        return None

    def start_new_kernel(self, **kwargs) -> None:
        """Start the kernel in the empty folder, with a bare environment and a limit to its memory."""
        super().start_new_kernel(**kwargs, **self._bare(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._group = getattr(self.km.provisioner, "pgid", None)

    def _bare(self) -> dict:
        return {"env": environment(self._folder), "preexec_fn": functools.partial(limit_memory, self.gigabytes)}

    def output(self, outs: list, msg: dict, display_id: str, cell_index: int) -> NotebookNode | None:
        """Keep an output, unless the cell has printed too much already."""
        if len(outs) >= 1000 or sum(len(out.get("text", "")) for out in outs) >= self.printed:
            return None
        return super().output(outs, msg, display_id, cell_index)

    def _kill(self) -> None:
        group = getattr(self, "_group", None)
        if group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def _judge(self, answers: dict[str, str]) -> dict[str, tuple[bool, str]]:
        if not answers:
            return {}
        request = {"answers": answers, "seconds": self.check_seconds}
        judged = subprocess.run(
            [sys.executable, "-I", str(Path(__file__).with_name("judge.py"))],
            input=json.dumps(request),
            cwd=self._folder,
            **self._bare(),
            capture_output=True,
            text=True,
            check=False,
        )
        if judged.returncode:
            raise RuntimeError(f"The judge failed, and that is a fault of this book:\n{judged.stderr}")
        verdicts = [json.loads(line) for line in judged.stdout.splitlines()]
        return {name: (right, sentence) for name, right, sentence in verdicts}


def environment(folder: Path) -> dict[str, str]:
    """The environment for a student's code: this book's package, no token, no key, and no home but the folder."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    ours = {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / "ipython"), "MPLCONFIGDIR": str(folder)}
    return kept | ours | {"HOME": str(folder)}


def fingerprint() -> str:
    """A hash of all that decides about points: the package and this folder."""
    digest = hashlib.sha256()
    for file in sorted([*(ROOT / "resnet_edu").rglob("*.py"), *(ROOT / "grading").glob("*.py")]):
        digest.update(file.read_bytes())
    return digest.hexdigest()


BEFORE = fingerprint()


def _checks(nb: NotebookNode) -> list[NotebookNode]:
    return [c for c in nb.cells if c.cell_type == "code" and c.metadata.get("nbgrader", {}).get("grade")]


def limit_memory(gigabytes: float) -> None:
    """Let this process, and those that it starts, allocate no more than so much, where the system can limit it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (int(gigabytes * 2**30),) * 2)


def _output(name: str, right: bool, sentence: str) -> NotebookNode:
    sentence = f"Exercise {name.removeprefix('ex_').upper().replace('_', '.')}: {sentence}"
    if right:
        return nbformat.v4.new_output("stream", name="stdout", text=sentence + "\n")
    return nbformat.v4.new_output("error", ename="AssertionError", evalue=sentence, traceback=[sentence])


def _why_not(outputs: list[NotebookNode], stopped: str | None) -> str:
    error = next((f"{out.ename}: {out.evalue}" for out in outputs if out.output_type == "error"), None)
    if error:
        return f"not right. The answer could not be handed over: {error}"
    return f"not right. {stopped or 'There is no answer.'}"
