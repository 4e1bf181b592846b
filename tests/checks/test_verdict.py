"""What a check says, and when it raises."""

import pytest
import torch

from resnet_edu.checks.verdict import Wrong, exercise, expect_close, expect_equal, judge


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


def in_double(x):
    torch.set_default_dtype(torch.float64)
    return 2 * x


def without_gradients(x):
    torch.set_grad_enabled(False)
    return 2 * x


def elsewhere(x):
    torch.set_default_device("meta")
    return 2 * x


def leave(x):
    raise SystemExit(2)


def lookup(x):
    return {}[x]


@pytest.mark.parametrize(
    ("answer", "name"),
    [(in_double, "default dtype"), (without_gradients, "gradient mode"), (elsewhere, "default device")],
)
def test_a_changed_setting_is_named_and_put_back(answer, name: str, verdict) -> None:
    before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_default_device()
    assert f"changes torch's {name} for the whole program" in verdict(ex_9_9, answer)
    assert (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_default_device()) == before


@pytest.mark.parametrize(("answer", "line"), [(leave, "raise SystemExit(2)"), (lookup, "return {}[x]")])
def test_whatever_is_raised_is_a_sentence(answer, line: str, verdict) -> None:
    assert line in verdict(ex_9_9, answer)


def test_what_is_raised_outside_any_line_is_a_sentence() -> None:
    assert judge({}.__getitem__, 3) == (False, "not right yet. KeyError when your answer was used: 3")


def test_a_tensor_that_answers_for_itself_is_no_tensor() -> None:
    class Liar(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            return torch.tensor(0.0)

    with pytest.raises(Wrong, match="should be a tensor, but it is Liar"):
        expect_close("It", torch.zeros(2).as_subclass(Liar), torch.ones(2), "hint")
