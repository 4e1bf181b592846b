"""Chapter 9's checks accept right answers, however written, and say to each wrong one what belongs to it."""

import math

import numpy as np
import pytest

from resnet_edu import checks
from resnet_edu.train.recipe import Recipe

# ---------------------------------------------------------------- 9.1 last and best

LAST_AND_BEST = """
import numpy as np
def last_and_best(run):
    test = run["test_error"]
    place = np.argmin(test)
    return {
        "last": test[-1],
        "best": test[place],
        "best epoch": run["epoch"][place],
        "optimism": test[-1] - test[place],
    }
"""
IN_A_LOOP = """
def last_and_best(run):
    best, when = float("inf"), None
    for epoch, error in zip(run["epoch"].tolist(), run["test_error"].tolist()):
        if error < best:
            best, when = error, epoch
    return {"optimism": error - best, "last": error, "best epoch": float(when), "best": best}
"""


@pytest.mark.parametrize("source", [LAST_AND_BEST, IN_A_LOOP])
def test_9_1_accepts_right_answers(verdict, earns, write, source) -> None:
    answer = write(source, "last_and_best")
    assert verdict(checks.ex_9_1, answer) == "Exercise 9.1: right."
    assert earns(checks.ex_9_1, answer)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"last": test[-1]', '"last": test.min()', "lowest of all"),
        ('"last": test[-1]', '"last": test.max()', "highest"),
        ('"last": test[-1]', '"last": run["train_error"][-1]', "another column"),
        ("np.argmin(test)", "np.argmax(test)", "best epoch has the lowest"),
        ("np.argmin(test)", 'np.argmin(run["train_error"])', "Best means the lowest"),
        ("np.argmin(test)", 'np.argmin(run["test_loss"])', "test LOSS"),
        ('"best": test[place]', '"best": run["train_error"].min()', "another column"),
        ('run["epoch"][place]', "place", "position in the array"),
        ('run["epoch"][place]', "place + 1", "position in the array"),
        ('run["epoch"][place]', 'run["iteration"][place]', "an iteration"),
        ('run["epoch"][place]', 'run["epoch"][-1]', "last epoch"),
        ("np.argmin(test)", "len(test) - 1 - np.argmin(test[::-1])", "take the first"),
        ("test[-1] - test[place]", "test[place] - test[-1]", "sign is turned"),
        ("test[-1] - test[place]", "(test[-1] - test[place]) / test[-1]", "not a ratio"),
        ("test[-1] - test[place]", "(test[-1] - test[place]) / test[place]", "not a ratio"),
        ("test[-1] - test[place]", "str(test[-1] - test[place])", "should be one number"),
        ('"optimism":', '"gain":', "should return a dict with the keys"),
    ],
)
def test_9_1_names_the_mistake(verdict, earns, write, old, new, words) -> None:
    answer = write(LAST_AND_BEST, "last_and_best", (old, new))
    assert words in verdict(checks.ex_9_1, answer)
    assert not earns(checks.ex_9_1, answer)


def test_9_1_knows_the_stub(verdict, write) -> None:
    stub = write("def last_and_best(run):\n    raise NotImplementedError", "last_and_best")
    assert verdict(checks.ex_9_1, stub) == "Exercise 9.1: not attempted yet."


# ---------------------------------------------------------------- 9.2 smoothed to success

CENTRED = """
import numpy as np
def centred(values, window):
    smoothed = []
    for i in range(len(values)):
        r = min(window // 2, i, len(values) - 1 - i)
        smoothed.append(np.mean(values[i - r : i + r + 1]))
    return np.array(smoothed)
"""
FROM_SUMS = """
import numpy as np
def centred(values, window):
    sums = np.concatenate([[0.0], np.cumsum(values)])
    n = len(values)
    place = np.arange(n)
    r = np.minimum(np.minimum(place, place[::-1]), window // 2)
    return (sums[place + r + 1] - sums[place - r]) / (2 * r + 1)
"""
OTHERS = {
    "zeros": (
        "import numpy as np\ndef centred(v, w):\n"
        "    return np.convolve(v, np.ones(w) / w, mode='same')[:len(v)] if len(v) >= w else np.array(v)"
    ),
    "trailing": (
        "import numpy as np\ndef centred(v, w):\n"
        "    return [np.mean(v[max(0, i - w + 1):i + 1]) for i in range(len(v))]"
    ),
    "leading": "import numpy as np\ndef centred(v, w):\n    return [np.mean(v[i:i + w]) for i in range(len(v))]",
    "clipped": (
        "import numpy as np\ndef centred(v, w):\n"
        "    return [np.mean(v[max(0, i - w // 2):i + w // 2 + 1]) for i in range(len(v))]"
    ),
    "padded": (
        "import numpy as np\ndef centred(v, w):\n"
        "    return np.convolve(np.pad(v, w // 2, mode='edge'), np.ones(w) / w, mode='valid')"
    ),
    "valid": "import numpy as np\ndef centred(v, w):\n    return np.convolve(v, np.ones(w) / w, mode='valid')",
    "nothing": "def centred(v, w):\n    return v.copy()",
    "no return": "def centred(v, w):\n    v.copy()",
    "nothing, as words": "def centred(v, w):\n    return 'smooth'",
}


@pytest.mark.parametrize("source", [CENTRED, FROM_SUMS, CENTRED.replace("np.array(smoothed)", "smoothed")])
def test_9_2_accepts_right_answers(verdict, earns, write, source) -> None:
    answer = write(source, "centred")
    assert verdict(checks.ex_9_2, answer) == "Exercise 9.2: right."
    assert earns(checks.ex_9_2, answer)


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("zeros", "zeros that nobody measured"),
        ("trailing", "PAST only"),
        ("leading", "FUTURE only"),
        ("clipped", "a straight line bends"),
        ("padded", "measured again"),
        ("valid", "should return 9 values"),
        ("nothing", "Nothing has been smoothed"),
        ("no return", "returns NoneType"),
        ("nothing, as words", "an array of numbers"),
    ],
)
def test_9_2_names_the_mistake(verdict, earns, write, which, words) -> None:
    answer = write(OTHERS[which], "centred")
    assert words in verdict(checks.ex_9_2, answer)
    assert not earns(checks.ex_9_2, answer)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("np.mean(", "np.median(", "median"),
        ("window // 2, i", "window // 2 + 1, i", "too far"),
        ("window // 2, i", "max(window // 2 - 1, 0), i", "too few"),
        ("i - r : i + r + 1", "max(i - r, 0) : i + max(r, 1)", "r being the largest"),
        ("    return np.array(smoothed)", "    values[:] = smoothed\n    return values", "changed the array"),
    ],
)
def test_9_2_names_slips_in_the_solution(verdict, earns, write, old, new, words) -> None:
    answer = write(CENTRED, "centred", (old, new))
    assert words in verdict(checks.ex_9_2, answer)
    assert not earns(checks.ex_9_2, answer)


# ---------------------------------------------------------------- 9.3 ahead of the paper

FAIR_ROW = """
import numpy as np
def fair_row(runs, paper, iterations):
    full = [run for run in runs if run["iteration"][-1] >= iterations]
    errors = [run["test_error"][-1] for run in full]
    if not errors:
        return None
    mean = np.mean(errors)
    return {
        "seeds": len(errors),
        "last": mean,
        "lowest": min(errors),
        "highest": max(errors),
        "difference": mean - paper,
    }
"""
PLAINLY = """
def fair_row(runs, paper, iterations):
    errors = sorted(float(r["test_error"][-1]) for r in runs if not max(r["iteration"]) < iterations)
    if len(errors) == 0:
        return
    last = sum(errors) / len(errors)
    return dict(seeds=len(errors), last=last, lowest=errors[0], highest=errors[-1], difference=-(paper - last))
"""


ROUNDED = FAIR_ROW.replace("mean = np.mean(errors)", "mean = round(float(np.mean(errors)), 2)")


@pytest.mark.parametrize("source", [FAIR_ROW, PLAINLY, ROUNDED])
def test_9_3_accepts_right_answers(verdict, earns, write, source) -> None:
    answer = write(source, "fair_row")
    assert verdict(checks.ex_9_3, answer) == "Exercise 9.3: right."
    assert earns(checks.ex_9_3, answer)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('run["test_error"][-1]', 'run["test_error"].min()', "BEST epochs"),
        ('run["test_error"][-1]', 'run["test_error"][run["iteration"] >= iterations][0]', "goes on to its last row"),
        ('run["test_error"][-1]', 'run["train_error"][-1]', "training error"),
        ("mean = np.mean(errors)", 'mean = min(min(run["test_error"]) for run in full)', "chosen twice"),
        ("np.mean(errors)", "min(errors)", "best seed"),
        ("np.mean(errors)", "np.median(errors)", "median"),
        ("np.mean(errors)", "errors[0]", "first seed alone"),
        ('if run["iteration"][-1] >= iterations', "", "stopped earlier"),
        (">= iterations", "> iterations", "returns None, though"),
        ('"lowest": min(errors)', '"lowest": mean - np.std(errors)', "standard deviation"),
        ('"lowest": min(errors)', '"lowest": min(min(run["test_error"]) for run in full)', "BEST epochs"),
        ('"highest": max(errors)', '"highest": max(max(run["test_error"]) for run in full)', "all epochs"),
        ("mean - paper,", "paper - mean,", "sign is turned"),
        ("mean - paper,", "(mean - paper) / paper,", "not a ratio"),
        ("mean - paper,", "100 * (mean - paper) / paper,", "not a ratio"),
        ("mean - paper,", "min(errors) - paper,", "Your `last` minus"),
        ('run["iteration"][-1] >= iterations', 'len(run["epoch"]) > 3', "after 2,000"),
        ("return None", "return {}", "should return None"),
        ('"seeds"', '"runs"', "should return a dict with the keys"),
    ],
)
def test_9_3_names_the_mistake(verdict, earns, write, old, new, words) -> None:
    answer = write(FAIR_ROW, "fair_row", (old, new))
    assert words in verdict(checks.ex_9_3, answer)
    assert not earns(checks.ex_9_3, answer)


# ---------------------------------------------------------------- 9.4 how many seeds?

SEEDS = {"mean of five": 0.07, "two single runs": 0.23, "0.5 points": 1, "0.2 points": 6, "0.1 points": 21}


def test_9_4_accepts_right_answers(verdict, earns) -> None:
    exactly = SEEDS | {"mean of five": 0.16 / math.sqrt(5), "two single runs": np.float64(0.2263), "0.2 points": 6.0}
    for answer in (SEEDS, exactly):
        assert verdict(checks.ex_9_4, answer) == "Exercise 9.4: right."
        assert earns(checks.ex_9_4, answer)


def test_9_4_agrees_with_a_simulation() -> None:
    """With the answer's seeds twice the scatter of the difference fits into it, with one seed fewer it does not."""
    rng = np.random.default_rng(0)
    for points in (0.5, 0.2, 0.1):
        seeds = SEEDS[f"{points} points"]
        for n, enough in ((seeds, True), (seeds - 1, False)):
            if n:
                means = rng.normal(0, 0.16, (2, 200_000, n)).mean(axis=-1)
                assert (2 * (means[0] - means[1]).std() < points) is np.bool_(enough)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("mean of five", 0.03, "square ROOT"),
        ("mean of five", 0.16, "Their mean scatters less"),
        ("mean of five", 0.08, "not of n - 1"),
        ("mean of five", 0.36, "LESS"),
        ("mean of five", 1.0, "s / sqrt(n)"),
        ("mean of five", "small", "should be one number"),
        ("two single runs", 0.32, "add as squares"),
        ("two single runs", 0.16, "Both runs scatter"),
        ("two single runs", 0, "more than either"),
        ("two single runs", 0.11, "not for their difference"),
        ("0.2 points", 3, "BOTH means"),
        ("0.2 points", 2, "one standard error"),
        ("0.2 points", 5, "falls just short"),
        ("0.1 points", 5, "SQUARE"),
        ("0.1 points", 11, "BOTH means"),
        ("0.1 points", 42, "EACH"),
        ("0.1 points", 20.5, "whole number"),
        ("0.1 points", float("nan"), "whole number"),
        ("0.5 points", 7, "difference by 0.16"),
    ],
)
def test_9_4_names_the_mistake(verdict, earns, key, value, words) -> None:
    said = verdict(checks.ex_9_4, SEEDS | {key: value})
    assert words in said and f"`{key}`" in said
    assert not earns(checks.ex_9_4, SEEDS | {key: value})


def test_9_4_knows_the_stub_and_asks_for_the_keys(verdict) -> None:
    assert verdict(checks.ex_9_4, SEEDS | {"0.1 points": ...}) == "Exercise 9.4: not attempted yet."
    assert "keys 'mean of five'" in verdict(checks.ex_9_4, list(SEEDS.values()))


def test_the_numbers_that_exercise_9_5_leads_to() -> None:
    """Its solution plans 40 epochs: the drops come from the recipe, as in the chapter."""
    assert Recipe(epochs=40).drops(40 * 390) == [7_800, 11_700]
