"""Derive wrong answers from the solutions, and count how many of them the checks reject: ``make mutants``.

A mutant is the solution of an exercise with one thing changed (``tools/mutations.py``). Whether it computes anything
else than the solution is decided in ``tools/oracles.py``, which knows no check: it observes both and compares.

    python tools/mutants.py              every mutant of every exercise: half an hour, most of it for chapter 7
    python tools/mutants.py ex_4_2       of one exercise, with the survivors' lines
"""

import argparse
import ast
import contextlib
import ctypes
import difflib
import io
import json
import linecache
import re
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import mutations
import oracles

from resnet_edu import checks
from resnet_edu.checks import verdict

SOURCE = "<solution>"
SOLUTIONS = Path(__file__).parent.parent / "book" / "solutions"
M_MMAP_THRESHOLD = -3  # of malloc.h: larger pieces come from the system, and go back to it
MEMORY = 10 << 30  # bytes; a widened layer may ask for more than there is, and only that one answer should fail


@dataclass
class Solution:
    """The code of one solution: what it stands on, its own statements, and the answers it hands to the check."""

    name: str
    before: list[ast.stmt]
    own: list[ast.stmt]
    answers: list[ast.expr]

    def run(self, own: list[ast.stmt]) -> list:
        """Execute these statements in place of its own, and return the answers."""
        names: dict = {"__name__": "solution"}
        source = ast.unparse(mutations.module(self.before + own))
        # as a notebook does, so that a verdict can quote the line that raised
        linecache.cache[SOURCE] = len(source), None, source.splitlines(keepends=True), SOURCE
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, SOURCE, "exec"), names)
        return [eval(compile(_expression(answer), "<answer>", "eval"), names) for answer in self.answers]


@dataclass
class Score:
    """What became of the mutants of one exercise."""

    name: str
    mutants: int = 0
    changing: int = 0
    rejected: int = 0
    equivalent: int = 0
    accepted: int = 0
    survivors: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Rejected ones of those that change the function, in percent."""
        return 100 * self.rejected / max(self.changing, 1)


def solutions() -> dict[str, Solution]:
    """Every solution that is code and has an oracle, by the name of its check."""
    found = {}
    for path in sorted(SOLUTIONS.glob("*.ipynb")):
        cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
        before: list[ast.stmt] = []
        since_check: list[ast.stmt] = []
        for cell in cells[1:]:  # the first is the setup cell
            tree = ast.parse(re.sub(r"^%.*$", "", "".join(cell["source"]), flags=re.MULTILINE)).body
            calls = [call for call in map(_check_call, tree) if call]
            own = since_check + [statement for statement in tree if _check_call(statement) is None]
            if calls and calls[0].func.attr in oracles.ORACLES and calls[0].func.attr not in found:
                name = calls[0].func.attr
                found[name] = Solution(name, before, _needed(own, calls[0].args), calls[0].args)
            since_check = [] if calls or cell is cells[1] else own
            if calls or cell is cells[1]:
                before = before + [statement for statement in own if _stands_on(statement)]
    return found


def score(solution: Solution, every: int = 1) -> Score:
    """Judge each ``every``-th mutant of a solution."""
    with at_most(MEMORY):
        return _score(solution, every)


@contextlib.contextmanager
def at_most(memory: int) -> Iterator[None]:
    """Let an allocation fail, as an exception, that would take this process over so many bytes."""
    with contextlib.suppress(AttributeError):  # where malloc is glibc's: what is freed is not kept for the next answer
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _score(solution: Solution, every: int) -> Score:
    result = Score(solution.name)
    check, observe = getattr(checks, solution.name).__wrapped__, oracles.ORACLES[solution.name]
    right = oracles.observation(observe, solution.run(solution.own))
    assert oracles.same(right, oracles.observation(observe, solution.run(solution.own))), "the oracle is not repeatable"
    text = ast.unparse(mutations.module(solution.own))
    for number, mutant in enumerate(mutations.mutants(solution.own)):
        if number % every:
            continue
        line = _difference(text, ast.unparse(mutations.module(mutant)))
        try:
            answers, again = solution.run(mutant), solution.run(mutant)
        except Exception:
            continue  # it raises before there is an answer: no learner hands that in
        result.mutants += 1
        equal = oracles.same(right, oracles.observation(observe, answers))
        try:
            accepted, _ = verdict.judge(check, *again)
        except Exception as error:
            accepted = False
            result.tracebacks.append(f"{type(error).__name__}: {line}")
        if equal:
            result.equivalent += 1
            result.accepted += accepted
            result.refused += [line] * (not accepted)
        else:
            result.changing += 1
            result.rejected += not accepted
            result.survivors += [line] * accepted
    return result


def _check_call(statement: ast.stmt) -> ast.Call | None:
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr.startswith("ex_"):
        return call
    return None


def _needed(statements: list[ast.stmt], answers: list[ast.expr]) -> list[ast.stmt]:
    """The definitions that the answers are made of."""
    names, kept = {n.id for answer in answers for n in ast.walk(answer) if isinstance(n, ast.Name)}, []
    for statement in reversed(statements):
        made = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            made = {statement.name}
        if made & names or isinstance(statement, ast.Import | ast.ImportFrom):
            names |= {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
            kept.insert(0, statement)
    return kept


def _stands_on(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom)


def _expression(expression: ast.expr) -> ast.Expression:
    return ast.Expression(body=expression)


def _difference(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return " | ".join(line[0] + line[1:].strip() for line in list(lines)[3:])


def main(argv: list[str] | None = None) -> int:
    """Print the scores; the status is 1 where less than 95 % are rejected or an equivalent answer is refused."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("exercises", nargs="*", help="such as ex_4_2; all of them if none is given")
    parser.add_argument("--every", type=int, default=1, help="take only each so many-th mutant")
    args = parser.parse_args(argv)
    if args.every < 1:
        parser.error("--every is 1 or more")
    if not SOLUTIONS.exists():
        parser.error("this copy withholds the solutions, from which wrong answers are derived")
    found = solutions()
    if unknown := set(args.exercises) - set(found):
        parser.error(f"no oracle or no solution for {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    sound = True
    print(
        f"{'exercise':10}{'mutants':>9}{'changing':>10}{'rejected':>10}{'score':>8}{'equivalent':>12}{'accepted':>10}"
    )
    for name in args.exercises or found:
        s = score(found[name], args.every)
        print(
            f"{s.name:10}{s.mutants:9}{s.changing:10}{s.rejected:10}{s.share:7.1f}%{s.equivalent:12}{s.accepted:10}",
            flush=True,
        )
        for label, lines in (("survived", s.survivors), ("refused", s.refused), ("traceback", s.tracebacks)):
            for line in lines:
                print(f"    {label}: {line}")
        sound = sound and s.share >= 95 and not s.tracebacks
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
