"""Judge handed-over answers in a process of its own: ``python -I judge.py < request.json``, one JSON line an answer.

This process imports PyTorch and the package before it meets anything of a student's, so whatever a notebook did to
modules, names or environment is not here. Each answer is unpickled and checked in a fork of it. What an answer itself
replaces while it runs is found afterwards, by comparing every function of every module with what it was.

The limit: an answer's code runs in the same process as its check. A determined attacker who reads this file can forge a
verdict; README.md says how to grade so that nothing else is lost.
"""

import builtins
import contextlib
import json
import linecache
import os
import secrets
import select
import signal
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import cloudpickle
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the package beside this folder, and no other

from resnet_edu import checks
from resnet_edu.checks import verdict


def settle() -> None:
    """Let PyTorch make the replacements that it makes itself: an optimiser's first instance wraps its ``step``."""
    for kind in vars(torch.optim).values():
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer):
            with contextlib.suppress(Exception):  # the abstract one, and those that want other parameters
                kind([torch.nn.Parameter(torch.zeros(1))])


def seal() -> Callable[[], str | None]:
    """Remember all functions and classes of all modules; the function returned names one that was replaced since.

    What was added counts where it hides something: a method in a class hides an inherited one, a name in a module a
    builtin. Modules that are imported later are no matter.
    """
    plain = builtins.__dict__
    builtins_before = dict(plain)
    before, insides, seen = [], [], set()
    todo = [(name, module.__dict__) for name, module in sys.modules.items() if isinstance(module, types.ModuleType)]
    while todo:
        where, names = todo.pop()
        callables = {n: v for n, v in list(names.items()) if callable(v) or isinstance(v, _METHODS)}
        before.append((where, names, set(names), callables, isinstance(names, types.MappingProxyType)))
        for name, value in callables.items():
            if isinstance(value, type) and id(value) not in seen:
                todo.append((f"{value.__module__}.{value.__qualname__}", value.__dict__))
            functions = [value]
            while functions:
                function = functions.pop()
                if isinstance(function, types.FunctionType) and id(function) not in seen:
                    inside = _inside(function)
                    insides.append((f"{where}.{name}", function, inside))
                    functions += [part for part in inside if isinstance(part, types.FunctionType)]
                seen.add(id(function))

    def replaced(_inside=_inside) -> str | None:
        for name, value in builtins_before.items():  # with no builtin, until they are known to be what they were
            if name not in plain or plain[name] is not value:
                return f"builtins.{name}"
        for where, names, known, callables, of_class in before:
            for name, value in callables.items():
                if name not in names or names[name] is not value:
                    return f"{where}.{name}"
            for name in set(names) - known:
                hides = callable(names[name]) if of_class else name in builtins_before
                if hides and not name.startswith("__"):
                    return f"{where}.{name}"
        for where, function, inside in insides:
            now = _inside(function)
            if len(now) != len(inside) or any(a is not b for a, b in zip(now, inside, strict=True)):
                return where
        return None

    return replaced


_METHODS = (staticmethod, classmethod, property)


def _inside(function: types.FunctionType) -> list:
    """What a function consists of: its code, its defaults, and what its closure holds."""
    cells = function.__closure__ or ()
    held = [cell.cell_contents for cell in cells if cell != types.CellType()]
    return [function.__code__, function.__defaults__, function.__kwdefaults__, *held]


def run_check(name: str, handed_over: bytes, replaced: Callable[[], str | None]) -> tuple[bool, str]:
    """Unpickle the answers and run the check on them: right or not, and the verdict as a sentence."""
    judge, check = verdict.judge, getattr(checks, name).__wrapped__
    try:
        answers, lines = cloudpickle.loads(handed_over)
        for file, source in lines.items():  # so that a verdict can quote the line that raised
            linecache.cache[file] = (len(source), None, source, file)
    except BaseException as error:
        return False, f"not right yet. The answer could not be handed over: {type(error).__name__}: {error}"
    try:
        right, sentence = judge(check, *answers)
    except BaseException as error:  # also SystemExit: an answer does not end the judge
        right, sentence = False, f"not right yet. {type(error).__name__}: {error}"
    changed = replaced()
    if changed is not None:
        return False, f"not right. While it was checked, the answer replaced {changed}, so its check proves nothing."
    return right, sentence


def judge_apart(name: str, handed_over: bytes, replaced: Callable, seconds: float) -> tuple[bool, str]:
    """Judge one answer in a fork that ends after ``seconds``; no verdict from it means not right."""
    token = secrets.token_hex(16)
    ours, theirs = os.pipe()
    fork = os.fork()
    if fork == 0:
        _in_fork(name, handed_over, replaced, token, theirs)
    os.close(theirs)
    said = _listen(ours, seconds)
    os.close(ours)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(fork, signal.SIGKILL)
    os.kill(fork, signal.SIGKILL)
    os.waitpid(fork, 0)
    if said is None:
        return False, f"not right yet. The check was stopped after {seconds:g} seconds: does your code end?"
    with contextlib.suppress(ValueError, TypeError):  # JSON, for what a student's process wrote is not unpickled here
        met, right, sentence = json.loads(said)
        if met == token:
            return right is True, str(sentence)
    return False, "not right. The code ended the process in which it was checked, or wrote where a verdict is expected."


def _in_fork(name: str, handed_over: bytes, replaced: Callable, token: str, pipe: int) -> None:
    write, dumps, leave = os.write, json.dumps, os._exit
    try:
        os.setsid()  # so that what the answer starts can be killed with it
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        os.environ.clear()
        right, sentence = run_check(name, handed_over, replaced)
        write(pipe, dumps([token, right is True, str(sentence)[:4000]]).encode())
    finally:
        leave(0)


def _listen(pipe: int, seconds: float) -> bytes | None:
    """All that is written until the pipe is closed, or None if that takes too long."""
    said, end = b"", time.monotonic() + seconds
    while len(said) < 100_000 and (left := end - time.monotonic()) > 0:
        if not select.select([pipe], [], [], left)[0]:
            break
        part = os.read(pipe, 65536)
        if not part:
            return said
        said += part
    return None


if __name__ == "__main__":
    request = json.load(sys.stdin)
    settle()
    original = seal()
    for exercise, file in request["answers"].items():
        verdict_on_it = judge_apart(exercise, Path(file).read_bytes(), original, request["seconds"])
        print(json.dumps([exercise, *verdict_on_it]), flush=True)
