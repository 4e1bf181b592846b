"""Time contenders in turn on one machine, and reject what was disturbed.

A machine's speed drifts: with heat, with its neighbours. So each round goes there and back, A B C C B A, and a ratio
is taken within a round only: a drift that is even over the round then falls out. What is left is rejected, by two
signs. A contender's two blocks in a round differ too much; or the process lost too much of their time to other
processes, by the kernel's own account. On a machine that is never quiet, that time can be subtracted instead.
"""

import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm


class Contender(NamedTuple):
    """What is timed."""

    run: Callable[[], object]  # one block
    work: float  # how much of what is counted (steps, images, operations) a block does


class Limits(NamedTuple):
    """From which share on a pair of blocks is rejected."""

    gap: float
    lost: float


class Pair(NamedTuple):
    """One contender's two blocks in one round."""

    contender: str
    round: int
    seconds: float  # for one unit of work, the mean of the two blocks
    gap: float  # by which share of the shorter block the longer one is longer
    lost: float  # share of the time lost to other processes; not a number where nobody counts it

    def kept(self, limits: Limits) -> bool:
        """Return whether the machine left these two blocks alone."""
        return self.gap <= limits.gap and not self.lost > limits.lost


class Ratio(NamedTuple):
    """How a ratio came out over the rounds in which both of its sides were kept."""

    median: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g} in {self.rounds} rounds)"


def interleave(
    contenders: Mapping[str, Contender],
    rounds: int,
    *,
    subtract: bool = False,
    wait: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
    watch: Callable[[], Callable[[], float]] | None = None,
) -> list[Pair]:
    """Run every contender once to warm up, then ``rounds`` times there and back.

    Args:
        contenders: by name, in the order of the way there.
        rounds: at least 1.
        subtract: take the time lost to other processes off every block.
        wait: returns when the device has worked off its queue: ``torch.cuda.synchronize`` on a GPU.
        clock: seconds.
        watch: starts counting and returns a function that says how many seconds were lost since; by default
            :func:`lost_to_others`.

    Raises:
        ValueError: there is no round.

    Example:
        >>> ticks = iter([0, 1, 1, 3, 3, 5, 5, 6])  # the blocks last 1, 2, 2 and 1 seconds
        >>> idle = Contender(lambda: None, work=1)
        >>> pairs = interleave({"a": idle, "b": idle}, 1, clock=lambda: next(ticks), watch=lambda: lambda: 0)
        >>> [(pair.contender, pair.seconds, pair.gap) for pair in pairs]
        [('a', 1.0, 0.0), ('b', 2.0, 0.0)]
        >>> speedups(pairs, "b", "a", Limits(gap=0.1, lost=0.1))
        [2.0]
    """
    if rounds < 1:
        raise ValueError(f"there should be at least 1 round, but {rounds} were asked for")
    watch = watch or lost_to_others
    for contender in contenders.values():
        contender.run()
    pairs = []
    for number in tqdm(range(rounds), unit="round", disable=None):
        blocks: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
        for name in [*contenders, *reversed(list(contenders))]:
            wait()
            lost, start = watch(), clock()
            contenders[name].run()
            wait()
            blocks[name].append((clock() - start, lost()))
        for name, timed in blocks.items():
            lost_share = sum(gone for _, gone in timed) / sum(seconds for seconds, _ in timed)
            short, long = sorted(seconds - gone * subtract for seconds, gone in timed)
            mean = (short + long) / 2 / contenders[name].work
            gap = long / short - 1 if short > 0 else math.inf  # too short for the kernel's count, in ticks of 10 ms
            pairs.append(Pair(name, number, mean, gap, lost_share))
    return pairs


def speedups(pairs: Sequence[Pair], slow: str, fast: str, limits: Limits) -> list[float]:
    """Return how many times as fast as ``slow`` is ``fast``, for each round in which both were kept."""
    kept = {(pair.contender, pair.round): pair.seconds for pair in pairs if pair.kept(limits)}
    rounds = dict.fromkeys(pair.round for pair in pairs)
    return [kept[slow, n] / kept[fast, n] for n in rounds if (slow, n) in kept and (fast, n) in kept]


def summarised(ratios: Sequence[float]) -> Ratio | None:
    """Return median, smallest and largest ratio, or None where every round was rejected."""
    return Ratio(statistics.median(ratios), min(ratios), max(ratios), len(ratios)) if ratios else None


def lost_to_others() -> Callable[[], float]:
    """Start counting; the returned function says how many seconds a core were lost to other processes since.

    Linux counts how long each thread of this process and of its workers ran, and how long it waited for a core. It
    may have waited for our own workers, so what was lost is at most what others ran on our cores. Other systems do
    not count it, and the answer is not a number.
    """
    if not Path("/proc/self/schedstat").exists():
        return lambda: math.nan
    cores = os.sched_getaffinity(0)
    before, busy_before = _threads(), _busy(cores)

    def lost() -> float:
        now, busy = _threads(), _busy(cores) - busy_before
        ran, waited = (sum(now[thread][i] - before.get(thread, (0, 0))[i] for thread in now) for i in (0, 1))
        return max(0.0, min(waited, busy - ran)) / len(cores)

    return lost


def _threads() -> dict[str, tuple[float, float]]:
    """Seconds run and waited by each thread of this process and its workers."""
    found = {}
    for process in (os.getpid(), *(child.pid for child in multiprocessing.active_children())):
        for file in Path(f"/proc/{process}/task").glob("*/schedstat"):
            try:
                ran, waited, _ = file.read_text().split()
            except (FileNotFoundError, ProcessLookupError):  # the thread has just ended
                continue
            found[file.parent.name] = (int(ran) / 1e9, int(waited) / 1e9)
    return found


def _busy(cores: set[int]) -> float:
    """Seconds for which the cores worked, for anybody, since the machine was started."""
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    ticks = {name: numbers for name, *numbers in lines if name.startswith("cpu")}
    user, nice, system, _, _, interrupt, soft = zip(*(map(int, ticks[f"cpu{core}"][:7]) for core in cores), strict=True)
    return sum(user + nice + system + interrupt + soft) / os.sysconf("SC_CLK_TCK")
