"""Wrong answers derived from the solutions: a sample of them here, every one by ``make mutants``."""

import ast
import itertools
import re
from pathlib import Path

import exercises
import mutants
import mutations
import oracles
import pytest

pytestmark = pytest.mark.skipif(not mutants.SOLUTIONS.exists(), reason="this fork withholds the solutions")
BLOCKS = ("ex_3_4", "ex_4_2", "ex_4_4", "ex_5_3", "ex_5_4")
ENOUGH = 6


@pytest.fixture(scope="module")
def found() -> dict[str, mutants.Solution]:
    return mutants.solutions()


def test_every_oracle_has_its_solution(found: dict[str, mutants.Solution]) -> None:
    assert set(found) == set(oracles.ORACLES)


def test_every_exercise_that_is_answered_with_code_has_an_oracle() -> None:
    answered = [
        e for c in exercises.chapters() for e in c.exercises if e.checked and e.kind in ("build", "find the bug")
    ]
    assert answered
    assert not [e.label for e in answered if e.name not in oracles.ORACLES], "add it to tools/oracles.py"


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_can_be_wrong_in_forty_ways(name: str, found: dict[str, mutants.Solution]) -> None:
    assert len(list(itertools.islice(mutations.mutants(found[name].own), 60))) == 60


@pytest.mark.parametrize("name", oracles.ORACLES)
def test_a_sample_is_rejected(name: str, found: dict[str, mutants.Solution]) -> None:
    every = max(1, sum(1 for _ in mutations.mutants(found[name].own)) // ENOUGH)
    score = mutants.score(found[name], every)
    assert score.changing > 0
    assert score.survivors == []
    assert score.tracebacks == []


def test_a_check_that_accepts_everything_scores_nothing(
    found: dict[str, mutants.Solution], monkeypatch: pytest.MonkeyPatch
) -> None:
    def accept(*answers) -> None:
        pass

    accept.__wrapped__ = accept
    monkeypatch.setattr(mutants.checks, "ex_1_2", accept)
    score = mutants.score(found["ex_1_2"], every=40)
    assert score.changing > 2
    assert score.rejected == 0 == score.share
    assert len(score.survivors) == score.changing


def test_an_answer_that_wants_all_memory_fails_alone() -> None:
    before = mutants.resource.getrlimit(mutants.resource.RLIMIT_DATA)
    with pytest.raises((RuntimeError, MemoryError)), mutants.at_most(mutants.MEMORY):
        oracles.torch.empty(mutants.MEMORY, dtype=oracles.torch.uint8)  # beyond what else there is
    assert mutants.resource.getrlimit(mutants.resource.RLIMIT_DATA) == before


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say what a process has")
def test_what_an_answer_frees_is_there_for_the_next() -> None:
    def megabytes() -> int:
        return int(re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) >> 10

    oracles.torch.zeros(6 << 20)  # malloc keeps what is as large as anything freed before, unless told otherwise
    before = megabytes()
    with mutants.at_most(mutants.MEMORY):
        pieces = [oracles.torch.zeros(4 << 20) for _ in range(64)]  # of 16 MB
        assert megabytes() > before + 500
        kept = pieces[-1]  # from the end, so that nothing below it can be given back by shrinking
        del pieces
    assert megabytes() < before + 200 and kept.sum() == 0


def test_a_mutant_changes_one_thing() -> None:
    source = "def f(x):\n    return 3 * x"
    found = [ast.unparse(mutations.module(mutant)) for mutant in mutations.mutants(ast.parse(source).body)]
    assert len(found) == len(set(found))
    assert source not in found
    lines = {text.splitlines()[-1].strip() for text in found}
    assert {"return 4 * x", "return 3 + x", "return x", "return x * 3", "pass"} <= lines


def test_layers_without_a_state_take_no_number() -> None:
    nn = oracles.nn
    one = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.ReLU(), nn.Linear(1, 1))
    assert list(oracles.state_of(one)) == ["0.bias", "0.weight", "1.bias", "1.weight"]
