"""The checks of chapter 9: last and best epoch, smoothing, a row of a fair table, and how many seeds a claim needs."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from resnet_edu import plots
from resnet_edu.checks.scalars import number, whole_number
from resnet_edu.checks.verdict import NotAttempted, Wrong, exercise


def _run(test_error: Sequence[float], *, every: int = 1, per_epoch: int = 390) -> dict[str, np.ndarray]:
    """A made-up recorded run, as ``record.read`` returns it, evaluated every so many epochs."""
    test = np.array(test_error, dtype=float)
    epoch = every * np.arange(1, len(test) + 1)
    train = np.linspace(60, 1.5, len(test)) if len(test) > 1 else np.array([20.0])
    return {
        "epoch": epoch,
        "iteration": per_epoch * epoch,
        "train_loss": train / 40,
        "train_error": train,
        "test_loss": 0.3 + np.abs(np.linspace(-0.2, 0.6, len(test))),  # its lowest epoch is not the lowest error's
        "test_error": test,
    }


def _said(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _expect_keys(call: str, met, keys: Sequence[str]) -> None:
    if not isinstance(met, dict) or set(met) != set(keys):
        shown = f"has the keys {', '.join(map(repr, met))}" if isinstance(met, dict) else f"is {type(met).__name__}"
        raise Wrong(f"{call} a dict with the keys {', '.join(map(repr, keys))}, but it {shown}.")


def _expect_number(what: str, met, right: float, slips: Sequence[tuple[float, str]], otherwise: str) -> None:
    """Raise unless ``met`` is ``right``, naming the slip that gives the same number."""
    met = number(what, met)
    if not abs(met - right) < 1e-6:
        hint = next((hint for value, hint in slips if abs(met - value) < 1e-6), otherwise)
        raise Wrong(f"{what} should be {right:g}, but it is {met:g}. {hint}")


RATIO = "A difference in percentage points is asked for, not a ratio."


# What the check hands over must not change under the reader's hands: each call gets a copy.
def _copy(run: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: column.copy() for name, column in run.items()}


CURVES = (
    _run([62, 41, 30, 12, 9.5, 9.25, 9.75]),
    _run([50, 20, 12, 8, 8.5, 9], every=5),  # evaluated every fifth epoch
    _run([40, 11, 10, 10.5, 10, 10.25]),  # the lowest twice
    _run([40, 30, 20, 10]),
)


@exercise("9.1")
def ex_9_1(answer: Callable) -> None:
    """Check ``last_and_best(run)``: the last test error, the lowest, its epoch, and the difference."""
    for run in CURVES:
        epoch, test = run["epoch"], run["test_error"]
        case = f"For the test errors {_said(test)} in the epochs {_said(epoch)}"
        met = answer(_copy(run))
        if met is ...:
            raise NotAttempted
        _expect_keys("last_and_best should return", met, ("last", "best", "best epoch", "optimism"))
        last, place = test[-1], int(test.argmin())
        best = test[place]
        wrong_column = "That is another column: this is about `test_error`."
        others = [run[name] for name in ("train_error", "train_loss", "test_loss")]
        _expect_number(
            f'{case} "last"',
            met["last"],
            last,
            [
                (best, "That is the lowest of all. The last epoch is the one at which the training ended."),
                (test.max(), "That is the highest. Rows stand in the order of training: take the last one."),
                *((column[-1], wrong_column) for column in others),
            ],
            "The last row of `test_error`.",
        )
        _expect_number(
            f'{case} "best"',
            met["best"],
            best,
            [
                (last, "That is the last. Best means the lowest over all epochs."),
                (test.max(), "That is the highest ERROR; the best epoch has the lowest."),
                (test[run["train_error"].argmin()], "That is the test error where the TRAINING error is lowest."),
                (test[run["test_loss"].argmin()], "That is the test error where the test LOSS is lowest."),
                *((column.min(), wrong_column) for column in others),
            ],
            "The lowest value of `test_error`.",
        )
        position = "That is a position in the array. Which epoch stands there? Look it up in the column `epoch`."
        _expect_number(
            f'{case} "best epoch"',
            met["best epoch"],
            epoch[place],
            [
                (place, position),
                (place + 1, position),
                (epoch[np.flatnonzero(test == best)[-1]], "Several epochs share the lowest error: take the first."),
                (epoch[-1], "That is the last epoch."),
                (run["iteration"][place], "That is an iteration: take the column `epoch`."),
            ],
            "The entry of `epoch` in the row with the lowest test error.",
        )
        _expect_number(
            f'{case} "optimism"',
            met["optimism"],
            last - best,
            [
                (best - last, "The sign is turned: it says by how much `best` looks better than `last`."),
                *((abs(last - best) / whole, RATIO) for whole in (last, best)),
            ],
            "Last minus best, in percentage points.",
        )


def _centred(values: np.ndarray, window: int, middle: Callable = np.mean) -> np.ndarray:
    reach = [min(window // 2, i, len(values) - 1 - i) for i in range(len(values))]
    return np.array([middle(values[i - r : i + r + 1]) for i, r in enumerate(reach)])


def _slip_in_smoothing(met: np.ndarray, values: np.ndarray, window: int) -> str:
    half = window // 2
    padded = np.pad(values, half, mode="edge")
    near = [values[max(0, i - half) : i + half + 1] for i in range(len(values))]
    trailing = plots.smooth(values, window)
    known = [
        (np.convolve(values, np.ones(window) / window, "same"), "At the ends it averages zeros that nobody measured."),
        (trailing, "It averages the PAST only, so everything appears later than it happened."),
        (plots.smooth(values[::-1], window)[::-1], "It averages the FUTURE only: everything appears too early."),
        (
            np.array([part.mean() for part in near]),
            "Near an end one side is shorter, and the mean leans to the longer one: a straight line bends. "
            "Take as many neighbours on the left as on the right.",
        ),
        (
            np.convolve(padded, np.ones(window) / window, "valid"),
            "At the ends it repeats the last value as if it had been measured again: a straight line bends.",
        ),
        (_centred(values, window, np.median), "That is a median; a mean is asked for."),
        (values, "Nothing has been smoothed."),
        (_centred(values, window + 2), "It reaches one neighbour too far: window // 2 on each side."),
        (_centred(values, max(window - 2, 1)), "It reaches one neighbour too few: window // 2 on each side."),
    ]
    return next(
        (hint for slip, hint in known if slip.shape == met.shape and np.allclose(slip, met, atol=1e-9)),
        "Value i is the mean of values[i - r] to values[i + r], r being the largest up to window // 2 that fits.",
    )


@exercise("9.2")
def ex_9_2(answer: Callable) -> None:
    """Check ``centred(values, window)``: a moving average that shifts nothing and invents nothing."""
    step = np.array([8.0] * 6 + [2.0] * 6)
    cases = (
        ("a net that stays at 10 %", np.full(9, 10.0), 3),
        ("a straight line", np.arange(9.0, 0, -1), 5),
        ("a noisy curve", np.array([9, 4, 7, 1, 8, 2, 8, 1, 8.0]), 5),
        ("a step from 8 to 2", step, 5),
        ("a step from 8 to 2", step, 1),
        ("a curve of three values", np.array([3.0, 1.0, 8.0]), 7),
        ("a single value", np.array([4.0]), 3),
    )
    for name, values, window in cases:
        given = values.copy()
        met = answer(given, window)
        if met is ...:
            raise NotAttempted
        call = f"For {name} ({_said(values)}) and window={window} centred"
        try:
            met = np.asarray("nothing" if met is None else met, dtype=float)
        except (TypeError, ValueError):
            raise Wrong(f"{call} should return an array of numbers, but it returns {type(met).__name__}.") from None
        if met.shape != values.shape:
            hint = "One value for each epoch that came in, or the curve no longer fits its x axis."
            raise Wrong(f"{call} should return {len(values)} values, but the shape is {met.shape}. {hint}")
        if not np.array_equal(given, values):
            raise Wrong(f"{call} has changed the array that it was given: write into a new one.")
        right = _centred(values, window)
        if not np.allclose(met, right, atol=1e-9):
            place = int(np.flatnonzero(~np.isclose(met, right, atol=1e-9))[0])
            where = f"{call} should have {right[place]:g} at position {place}, but has {met[place]:g}."
            raise Wrong(f"{where} {_slip_in_smoothing(met, values, window)}")


@exercise("9.3")
def ex_9_3(answer: Callable) -> None:
    """Check ``fair_row(runs, paper, iterations)``: mean and range of the last epochs, over all seeds of full length."""
    long = [_run([40, 20, 9.75, 10.5]), _run([45, 22, 8.0, 8.25]), _run([50, 21, 8.75, 9.0])]
    short, dear = _run([60, 31, 30.0], per_epoch=130), _run([50, 6.0, 6.25], per_epoch=200)
    many_rows, few_rows = _run([50, 40, 30, 20, 15, 14], per_epoch=100), _run([30, 9.25], per_epoch=1000)
    cases = (
        (long, 8.5, 1560),
        ([long[0], short, long[2]], 8.75, 1560),
        ([short, long[1]], 10.0, 700),
        ([dear, *long], 7.0, 601),
        ([many_rows, few_rows, long[1]], 8.0, 1560),
        ([short, dear], 8.75, 1560),
    )
    for runs, paper, iterations in cases:
        ends = ", ".join(f"{run['test_error'][-1]:g} % after {run['iteration'][-1]:,}" for run in runs)
        case = f"For runs that end at {ends} iterations, and at least {iterations:,} asked for, fair_row"
        met = answer([_copy(run) for run in runs], paper, iterations)
        if met is ...:
            raise NotAttempted
        full = [run for run in runs if run["iteration"][-1] >= iterations]
        if not full:
            if met is not None:
                raise Wrong(f"{case} should return None, but it returns {repr(met)[:80]}. No run is long enough.")
            continue
        if met is None:
            raise Wrong(f"{case} returns None, though there are runs that are long enough.")
        _expect_keys(f"{case} should return", met, ("seeds", "last", "lowest", "highest", "difference"))
        last, best = ([pick(run["test_error"]) for run in full] for pick in (lambda e: e[-1], min))
        everyone = [run["test_error"][-1] for run in runs]
        too_short = "That counts runs that were stopped earlier than the paper's: leave them out."
        _expect_number(f'{case} "seeds"', met["seeds"], len(full), [(len(runs), too_short)], "How many runs count.")
        reached = [run["test_error"][run["iteration"] >= iterations][0] for run in full]
        slips = [
            (np.mean(reached), f"That is the error when {iterations:,} was reached: the run goes on to its last row."),
            (np.mean(best), "That is the mean of the BEST epochs, which the test set itself has chosen."),
            (min(best), "That is the best epoch of the best seed: chosen twice."),
            (min(last), "That is the best seed. A claim about a network is about all of its seeds."),
            (np.mean(everyone), too_short),
            (np.median(last), "That is the median; the mean is asked for."),
            (np.mean([run["train_error"][-1] for run in full]), "That is the training error."),
            (last[0], "That is the first seed alone."),
        ]
        mean = float(np.mean(last))
        _expect_number(f'{case} "last"', met["last"], mean, slips, "The mean of the last epochs' test errors.")
        for key, pick in (("lowest", min), ("highest", max)):
            slips = [
                (pick(best), "That is taken over the BEST epochs: take the last epochs here as well."),
                (pick(everyone), too_short),
                (
                    mean - np.std(last),
                    "That is mean minus standard deviation; the seeds themselves are asked for.",
                ),
                (
                    mean + np.std(last),
                    "That is mean plus standard deviation; the seeds themselves are asked for.",
                ),
                (pick(pick(run["test_error"]) for run in full), "That looks at all epochs: only the last one counts."),
            ]
            otherwise = f"The {key} of the last epochs' test errors."
            _expect_number(f'{case} "{key}"', met[key], pick(last), slips, otherwise)
        slips = [
            (paper - mean, "The sign is turned: positive should mean that ours has the higher error."),
            *((scale * (mean - paper) / paper, RATIO) for scale in (1, 100)),
        ]
        otherwise = "Your `last` minus the paper's number."
        _expect_number(f'{case} "difference"', met["difference"], mean - paper, slips, otherwise)


SCATTER = 0.16
SEEDS = {
    "mean of five": SCATTER / math.sqrt(5),
    "two single runs": SCATTER * math.sqrt(2),
    "0.5 points": 1,
    "0.2 points": 6,
    "0.1 points": 21,
}
ERROR_OF_MEAN = "The mean of n values that scatter by s scatters by s / sqrt(n)."
ERROR_OF_DIFFERENCE = "Scatters of independent numbers add as squares: sqrt(s**2 + s**2)."
ENOUGH = "Both means scatter: the difference by 0.16 * sqrt(2 / n). Twice that may be at most the difference."
SEED_SLIPS = {
    "mean of five": [
        (SCATTER / 5, "It shrinks with the square ROOT of the number of runs."),
        (SCATTER, "That is how much single runs scatter. Their mean scatters less."),
        (SCATTER / 2, "With n runs it is the root of n, not of n - 1."),
        (SCATTER * math.sqrt(5), "A mean scatters LESS than a single run."),
    ],
    "two single runs": [
        (2 * SCATTER, ERROR_OF_DIFFERENCE),
        (SCATTER, f"Both runs scatter, not only one. {ERROR_OF_DIFFERENCE}"),
        (0, f"The difference of two numbers that scatter scatters more than either. {ERROR_OF_DIFFERENCE}"),
        (SCATTER / math.sqrt(2), "That is for the MEAN of two runs, not for their difference."),
    ],
}


def _slip_in_seeds(difference: float, met: int) -> str:
    """Say which rule gives this number of seeds."""
    ratio = 2 * SCATTER / difference
    known = [
        (math.ceil(ratio**2), "That forgets that BOTH means scatter."),
        (math.ceil(2 * (ratio / 2) ** 2), "That asks for one standard error; two are asked for."),
        (math.floor(2 * ratio**2), "Rounded down, the difference falls just short of two standard errors."),
        (
            math.ceil(math.sqrt(2) * ratio),
            "Seeds grow with the SQUARE: half the difference, four times as many.",
        ),
        (2 * math.ceil(2 * ratio**2), "That is for both networks together; the seeds of EACH are asked for."),
    ]
    return next((hint for seeds, hint in known if seeds == met), ENOUGH)


@exercise("9.4")
def ex_9_4(answer: dict) -> None:
    """Check five numbers about how much runs scatter, and how many it takes: a dict."""
    _expect_keys("The answer should be", answer, tuple(SEEDS))
    for key, right in SEEDS.items():
        if isinstance(right, int):
            met = whole_number(f"`{key}`", answer[key])
            if met != right:
                raise Wrong(f"`{key}` is not {met}. {_slip_in_seeds(float(key.split()[0]), met)}")
            continue
        met = number(f"`{key}`", answer[key])
        if not abs(met - right) < 0.006:
            hints = (hint for value, hint in SEED_SLIPS[key] if abs(met - value) < 0.006)
            otherwise = ERROR_OF_MEAN if key == "mean of five" else ERROR_OF_DIFFERENCE
            raise Wrong(f"`{key}` is not {met:g}. {next(hints, otherwise)}")
