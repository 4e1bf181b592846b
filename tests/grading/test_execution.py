"""Student code is stopped in time, cannot flood the grader, and meets no secret; the judge notices what is replaced."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("nbgrader", reason="nbgrader is not installed: `make grading` installs it and runs these tests")

import execution
import nbformat
from assignments import check_of
from execution import ExecuteApart

ABOUT = {"nbgrader": {"student": "a test"}}
FORGERIES = """
import json, sys
sys.path.insert(0, sys.argv[1])
import cloudpickle, judge

class Answer:
    def __init__(self, attack):
        self.attack = attack
    def __reduce__(self):
        return exec, (self.attack,)

for attack in json.load(sys.stdin):
    handed_over = cloudpickle.dumps(((Answer(attack), (1, 2, 4)), {}))
    print(json.dumps(judge.judge_apart("ex_1_5", handed_over, judge.seal(), 20)))
"""
WRITES = """
import contextlib, os
for place in range(3, 30):
    with contextlib.suppress(OSError):
        os.write(place, b'["", true, "right."]')
"""


def run(*sources: str, **limits) -> tuple[nbformat.NotebookNode, float]:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    started = time.monotonic()
    notebook, _ = ExecuteApart(**limits).preprocess(notebook, ABOUT)
    return notebook, time.monotonic() - started


def test_a_cell_that_does_not_end_is_stopped_and_the_next_one_runs() -> None:
    notebook, _ = run("while True:\n    pass", "print('here')", timeout=3)
    assert notebook.cells[0].outputs[0].ename in {"KeyboardInterrupt", "CellTimeoutError"}
    assert notebook.cells[1].outputs[0].text == "here\n"


def test_a_notebook_that_refuses_to_be_interrupted_is_killed() -> None:
    stubborn = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
    notebook, seconds = run(stubborn, "print('here')", timeout=2)
    assert not notebook.cells[1].outputs
    assert seconds < 200


def test_a_notebook_has_a_time_of_its_own() -> None:
    notebook, seconds = run(*["import time\ntime.sleep(5)\nprint('here')"] * 100, notebook_seconds=20)
    assert not notebook.cells[-1].outputs
    assert seconds < 200


def test_what_a_notebook_leaves_running_is_killed_with_it(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    child = f"import time, pathlib\nwhile True:\n    pathlib.Path({str(alive)!r}).touch(); time.sleep(0.2)"
    run(f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(3)")
    assert alive.exists()
    alive.unlink()
    time.sleep(1)
    assert not alive.exists()


def test_a_flood_of_output_is_cut_off() -> None:
    notebook, _ = run("import time\nfor i in range(20):\n    print('x' * 100_000); time.sleep(0.3)", printed=300_000)
    assert 0 < sum(len(out.text) for out in notebook.cells[0].outputs) < 1_500_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process so")
def test_memory_is_limited() -> None:
    notebook, _ = run("block = bytearray(3 * 2**30)", gigabytes=2)
    assert notebook.cells[0].outputs[0].ename == "MemoryError"


def test_the_environment_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "secret")
    notebook, _ = run("import os\nprint(sorted(os.environ), os.environ['HOME'], os.listdir())")
    said = notebook.cells[0].outputs[0].text
    assert "A_TOKEN" not in said and os.environ.get("HOME", "/") not in said.split()[-2:]


def test_files_of_the_book_that_change_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "BEFORE", "another hash")
    with pytest.raises(RuntimeError, match="Files of the book changed while the notebook of a test ran"):
        run("1 + 1")


ATTACKS = {
    "import builtins; builtins.len = lambda x: 0": "replaced builtins.len",
    "import torch; torch.equal = lambda *a: True": "replaced torch",
    "import torch; torch.Tensor.max = lambda *a: 0": "replaced torch",
    "from resnet_edu.checks import verdict; verdict.Wrong = KeyError": "replaced resnet_edu.checks",
    "from resnet_edu.checks import verdict; verdict.isinstance = lambda *a: True": "replaced resnet_edu.checks",
    "from resnet_edu.checks import ch01; ch01.ex_1_5.__wrapped__.__code__ = (lambda a, b: None).__code__": "replaced",
    "raise SystemExit": "SystemExit",
    "import os; os._exit(0)": "ended the process",
    WRITES: "wrote where a verdict is expected",
    "while True: pass": "does your code end?",
}


@pytest.fixture(scope="module")
def verdicts() -> dict[str, tuple[bool, str]]:
    """The judge's verdict on an answer that does nothing but attack, for each attack."""
    command = [sys.executable, "-c", FORGERIES, str(Path(execution.__file__).parent)]
    done = subprocess.run(command, input=json.dumps(list(ATTACKS)), capture_output=True, text=True, check=True)
    return dict(zip(ATTACKS, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_answer_that_attacks_its_check_is_not_right(verdicts, attack: str) -> None:
    right, sentence = verdicts[attack]
    assert not right
    assert ATTACKS[attack] in sentence


HONEST = """
import sys
sys.path.insert(0, sys.argv[1])
import judge, torch

judge.settle()
replaced = judge.seal()
net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.ReLU())
for kind in (torch.optim.SGD, torch.optim.AdamW):
    optimizer = kind(net.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1])
    net(torch.randn(2, 1, 8, 8)).sum().backward()
    optimizer.step(), schedule.step()
print(replaced())
"""


def test_an_answer_that_trains_a_network_replaces_nothing() -> None:
    command = [sys.executable, "-c", HONEST, str(Path(execution.__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"


def test_a_check_cell_is_a_call_of_a_check() -> None:
    assert check_of("x = 1\nchecks.ex_1_2(x, key=2)") == ("x = 1", "ex_1_2", "x, key=2")
    for other in ("print(1)", "checks", "assert True", "check.ex_1_2(x)", "((", ""):
        with pytest.raises(ValueError, match="a check cell ends in"):
            check_of(other)
