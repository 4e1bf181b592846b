"""What the tests of the exercises' checks share: run a check and read its sentence, grade, and write answers.

An answer is written as source, and a wrong answer as a replacement in it, so that a test says what the mistake is.
"""

import linecache
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F


@pytest.fixture
def verdict(capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """Run ``check(*answers)`` as a learner does, and return the sentence that it prints."""

    def run(check: Callable, *answers) -> str:
        capsys.readouterr()
        check(*answers)
        return capsys.readouterr().out.strip()

    return run


@pytest.fixture
def earns(monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Run ``check(*answers)`` as nbgrader does, and return whether the cell earns its points: it must not raise."""

    def run(check: Callable, *answers) -> bool:
        monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
        try:
            check(*answers)
        except AssertionError:
            return False
        finally:
            monkeypatch.delenv("NBGRADER_EXECUTION")
        return True

    return run


@pytest.fixture
def write() -> Callable[..., object]:
    """Run the source of an answer and return what it calls ``name``, after replacing ``(old, new)`` pairs in it."""

    def run(source: str, name: str, *changes: tuple[str, str]):
        for old, new in changes:
            assert old in source, f"the answer has no {old!r} to replace"
            source = source.replace(old, new)
        file = f"<answer {name}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # the check quotes lines
        scope = {"torch": torch, "nn": nn, "F": F}
        exec(compile(source, file, "exec"), scope)
        return scope[name]

    return run
