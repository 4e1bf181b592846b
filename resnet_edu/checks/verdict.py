"""How the check of an exercise speaks: not attempted yet, not right and why, or right.

A check is a function that takes the reader's answer and raises :class:`Wrong` at the first thing that is wrong.
:func:`exercise` turns it into what a notebook calls: it prints the verdict for a learner and, while nbgrader grades
(the environment variable ``NBGRADER_EXECUTION`` is set), raises for everything but a right answer, because nbgrader
gives full points to a cell that does not raise.

A check runs in the reader's own kernel, so code there can tamper with it. Grading runs in a fresh one.
"""

import contextlib
import functools
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

_OURS = Path(__file__).parent
_LIBRARIES = ("site-packages", "dist-packages")
_SETTINGS = {  # of the whole program: how each is read and set
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "default device": (torch.get_default_device, torch.set_default_device),
    "gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "deterministic mode": (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
}


class Wrong(Exception):
    """The answer is wrong; the message says what was expected, what was met and where to look."""


class NotAttempted(Exception):
    """The answer is still the stub."""


def exercise(label: str) -> Callable:
    """Turn ``check(*answers)`` into the call that a chapter makes, for example ``checks.ex_1_2(answer)``.

    The random generator is seeded for the check and put back afterwards, so a check never changes what the notebook
    draws next. An answer of ``...``, alone or inside a tuple, list or dict, and a ``NotImplementedError`` are the stub.

    Args:
        label: the exercise's number, such as ``"1.2"``.

    Raises:
        AssertionError: while grading, for a stub and for a wrong answer, with the sentence a learner would read.

    Example:
        >>> @exercise("0.0")
        ... def ex_0_0(answer):
        ...     expect_equal("The answer", answer, 42, "Multiply six by seven.")
        >>> ex_0_0(...)
        Exercise 0.0: not attempted yet.
        >>> ex_0_0(41)
        Exercise 0.0: not right yet. The answer should be 42, but it is 41. Multiply six by seven.
        >>> ex_0_0(42)
        Exercise 0.0: right.
    """

    def decorate(check: Callable) -> Callable:
        @functools.wraps(check)
        def run(*answers) -> None:
            right, verdict = judge(check, *answers)
            sentence = f"Exercise {label}: {verdict}"
            if not right and "NBGRADER_EXECUTION" in os.environ:
                raise AssertionError(sentence)
            print(sentence)

        return run

    return decorate


def judge(check: Callable, *answers) -> tuple[bool, str]:
    """Run a check and return whether the answer is right, and the verdict as a sentence."""
    if any(_is_stub(answer) for answer in answers):
        return False, "not attempted yet."
    try:
        with _settings_kept(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            check(*answers)
    except NotAttempted:
        return False, "not attempted yet."
    except Wrong as finding:
        return False, f"not right yet. {finding}"
    except (
        Exception,
        SystemExit,
    ) as error:  # whatever the reader's code raises becomes a sentence, never a bare traceback
        where = _line_in_answer()
        # PyTorch raises NotImplementedError too, for a module without forward: only the stub's own line is the stub
        if isinstance(error, NotImplementedError) and "NotImplementedError" in (where or ""):
            return False, "not attempted yet."
        place = f" in your line `{where}`" if where else " when your answer was used"
        return False, f"not right yet. {type(error).__name__}{place}: {error}"
    return True, "right."


def expect_equal(what: str, met, expected, hint: str) -> None:
    """Raise :class:`Wrong` unless ``met == expected`` (for integers, shapes, words and booleans)."""
    if isinstance(met, torch.Size):
        met = tuple(met)
    if (type(met) is bool and type(expected) is not bool) or met != expected:
        raise Wrong(f"{what} should be {expected!r}, but it is {met!r}. {hint}")


def expect_close(what: str, met, expected: torch.Tensor, hint: str, tolerance: float = 1e-5) -> None:
    """Raise :class:`Wrong` unless ``met`` is a tensor of the expected shape and values."""
    if type(met) not in (torch.Tensor, torch.nn.Parameter):  # a subclass may say of itself what it likes
        raise Wrong(f"{what} should be a tensor, but it is {type(met).__name__}. {hint}")
    if met.shape != expected.shape:
        raise Wrong(f"{what} should have shape {tuple(expected.shape)}, but it has {tuple(met.shape)}. {hint}")
    difference = (met - expected).abs().max().item() if expected.numel() else 0.0
    if not difference <= tolerance:  # written so that nan is wrong too
        raise Wrong(f"{what} has the right shape, but the values are off by up to {difference:.3g}. {hint}")


@contextlib.contextmanager
def _settings_kept() -> Iterator[None]:
    """Put the settings of the whole program back, and raise :class:`Wrong` if the answer changed one."""
    before = {name: read() for name, (read, _) in _SETTINGS.items()}
    try:
        yield
    finally:
        changed = [name for name, (read, _) in _SETTINGS.items() if read() != before[name]]
        for name in changed:
            _SETTINGS[name][1](before[name])
        if changed:
            raise Wrong(
                f"Your code changes torch's {' and '.join(changed)} for the whole program. "
                "Leave it as it is, or change it for a few lines only: with torch.no_grad(): ..."
            )


def _is_stub(answer) -> bool:
    if isinstance(answer, dict):
        return any(_is_stub(value) for value in answer.values())
    if isinstance(answer, list | tuple):
        return any(_is_stub(value) for value in answer)
    return answer is ...


def _line_in_answer() -> str | None:
    """The line of the reader's code that raised the exception being handled: the last one outside any library."""
    for frame in reversed(traceback.extract_tb(sys.exc_info()[2])):
        path = Path(frame.filename)
        if _OURS not in path.parents and not any(part in _LIBRARIES for part in path.parts) and frame.line:
            return frame.line
    return None
