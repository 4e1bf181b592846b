"""What a check says, and when it raises."""

import pytest
import torch

from resnet_edu.checks.verdict import Wrong, exercise, expect_close, expect_equal


@exercise("9.9")
def ex_9_9(function):
    expect_equal("double(3)", function(3), 6, "Multiply by two.")


def stub(x):
    raise NotImplementedError


def crash(x):
    return x / 0


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (stub, "Exercise 9.9: not attempted yet.\n"),
        (..., "Exercise 9.9: not attempted yet.\n"),
        (lambda x: 2 * x, "Exercise 9.9: right.\n"),
        (lambda x: x + 1, "Exercise 9.9: not right yet. double(3) should be 6, but it is 4. Multiply by two.\n"),
        (lambda x: None, "Exercise 9.9: not right yet. double(3) should be 6, but it is None. Multiply by two.\n"),
        (crash, "Exercise 9.9: not right yet. ZeroDivisionError in your line `return x / 0`: division by zero\n"),
    ],
)
def test_a_learner_reads_one_sentence(answer, said: str, capsys) -> None:
    ex_9_9(answer)
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("answer", [stub, ..., lambda x: x + 1, crash])
def test_grading_raises_for_all_but_right_answers(answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    with pytest.raises(AssertionError, match=r"Exercise 9\.9: not"):
        ex_9_9(answer)
    ex_9_9(lambda x: 2 * x)


@pytest.mark.parametrize("answer", [{"a": ..., "b": 1}, [1, ...], (1, {"deep": [...]})])
def test_a_half_filled_answer_is_not_attempted(answer, capsys) -> None:
    ex_9_9(answer)
    assert "not attempted yet" in capsys.readouterr().out


def test_a_check_leaves_the_random_numbers_alone() -> None:
    @exercise("9.7")
    def draws(answer):
        torch.rand(100)

    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    draws(1)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(("met", "expected"), [(True, 1), (2, 3), ("A", "B"), ((1, 2), (2, 1)), (None, 0)])
def test_expect_equal_refuses(met, expected) -> None:
    with pytest.raises(Wrong, match="look there"):
        expect_equal("It", met, expected, "look there")


def test_expect_equal_accepts_a_size_for_a_tuple() -> None:
    expect_equal("The shape", torch.zeros(2, 3).shape, (2, 3), "")


@pytest.mark.parametrize(
    ("met", "said"),
    [
        ([1.0], "should be a tensor, but it is list"),
        (torch.ones(1, 2), r"should have shape \(2,\), but it has \(1, 2\)"),
        (torch.tensor([1.0, 1.1]), "off by up to 0.1"),
        (torch.tensor([1.0, float("nan")]), "off by up to nan"),
    ],
)
def test_expect_close_refuses(met, said: str) -> None:
    with pytest.raises(Wrong, match=said):
        expect_close("It", met, torch.ones(2), "hint")
