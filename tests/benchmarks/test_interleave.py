"""Contenders are timed there and back, and what was disturbed is rejected: all on fake clocks."""

import doctest
import math
import os
import subprocess
import sys
from pathlib import Path

import interleave
import pytest
from interleave import Contender, Limits, Pair, speedups, summarised

STRICT = Limits(gap=0.1, lost=0.1)


class Machine:
    """A clock that moves when a contender runs; each of its blocks lasts so long, and loses so much."""

    def __init__(self, lasts, loses=lambda name, block: 0.0):
        self.lasts, self.loses, self.now, self.gone, self.log = lasts, loses, 0.0, 0.0, []

    def contender(self, name, work=1):
        def run():
            block = len(self.log)
            self.log.append(name)
            self.now += self.lasts(name, block)
            self.gone += self.loses(name, block)

        return Contender(run, work)

    def watch(self):
        start = self.gone
        return lambda: self.gone - start

    def race(self, names="ab", rounds=1, **options):
        contenders = {name: self.contender(name) for name in names}
        return interleave.interleave(contenders, rounds, clock=lambda: self.now, watch=self.watch, **options)


def test_the_example():
    assert doctest.testmod(interleave).attempted and not doctest.testmod(interleave).failed


def test_each_runs_once_to_warm_up_and_then_there_and_back():
    machine = Machine(lambda name, block: 1.0)
    machine.race("abc", rounds=2)
    assert "".join(machine.log) == "abc" + "abccba" * 2


def test_an_even_drift_falls_out():
    usual = {"a": 4.0, "b": 2.0, "c": 1.0}
    pairs = Machine(lambda name, block: usual[name] * (1 + 0.001 * block)).race("abc", rounds=3)
    for fast, ratio in (("b", 2), ("c", 4)):
        assert speedups(pairs, "a", fast, STRICT) == pytest.approx([ratio] * 3, abs=1e-12)


def test_seconds_are_those_of_a_unit_of_work():
    machine = Machine(lambda name, block: 6.0)
    pairs = interleave.interleave(
        {"a": machine.contender("a", work=4)}, 1, clock=lambda: machine.now, watch=machine.watch
    )
    assert pairs == [Pair("a", 0, 1.5, 0.0, 0.0)]


def test_the_device_is_waited_for_on_both_sides_of_the_clock():
    machine = Machine(lambda name, block: 1.0)
    pairs = machine.race("a", wait=lambda: machine.log.append("|") or setattr(machine, "now", machine.now + 8))
    assert "".join(machine.log) == "a|a||a|"
    assert pairs[0].seconds == 9  # the block and the wait after it, which belongs to it


def test_a_pair_whose_blocks_differ_is_rejected_and_its_round_with_it():
    # blocks 0 and 1 warm up; a runs in 2, 5, 6, 9 and b in 3, 4, 7, 8; somebody comes by in block 5
    pairs = Machine(lambda name, block: 1.2 if block == 5 else 1.0).race(rounds=2)
    kept = {(pair.contender, pair.round): pair.kept(STRICT) for pair in pairs}
    assert kept == {("a", 0): False, ("b", 0): True, ("a", 1): True, ("b", 1): True}
    assert pairs[0].gap == pytest.approx(0.2)
    assert speedups(pairs, "a", "b", STRICT) == pytest.approx([1.0])
    assert len(speedups(pairs, "a", "b", Limits(gap=0.3, lost=0.1))) == 2


def test_an_even_disturbance_shows_in_the_time_lost():
    pairs = Machine(lambda name, block: 2.0, loses=lambda name, block: 1.0 if name == "b" else 0.1).race()
    assert [pair.gap for pair in pairs] == [0, 0]
    assert [pair.lost for pair in pairs] == pytest.approx([0.05, 0.5])
    assert [pair.kept(STRICT) for pair in pairs] == [True, False]
    assert speedups(pairs, "a", "b", STRICT) == []


def test_what_was_lost_can_be_subtracted():
    def loses(name, block):
        return {2: 1.0, 5: 5.0}.get(block, 0.0)

    def race(subtract):
        return Machine(lambda name, block: 2.0 + loses(name, block), loses).race(subtract=subtract)

    assert [pair.gap for pair in race(False)] == pytest.approx([7 / 3 - 1, 0])
    disturbed, quiet = race(True)
    assert (disturbed.seconds, disturbed.gap) == pytest.approx((2.0, 0.0))
    assert disturbed.lost == pytest.approx(6 / 10)  # still a share of the whole time
    assert quiet.seconds == 2.0
    assert disturbed.kept(Limits(gap=0.1, lost=math.inf)) and not disturbed.kept(STRICT)


def test_blocks_too_short_for_the_count_are_rejected():
    (pair,) = Machine(lambda name, block: 0.01, lambda name, block: 0.01).race("a", subtract=True)
    assert not pair.kept(Limits(gap=0.1, lost=math.inf))


def test_where_nobody_counts_the_time_lost_the_other_sign_is_used():
    assert Pair("a", 0, 1.0, gap=0.0, lost=math.nan).kept(STRICT)
    assert not Pair("a", 0, 1.0, gap=0.2, lost=math.nan).kept(STRICT)


def test_no_round_no_ratio():
    assert summarised([]) is None
    assert summarised([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0, 3)
    assert str(summarised([3.0, 1.0, 2.0])) == "2 (1 to 3 in 3 rounds)"
    with pytest.raises(ValueError, match="at least 1 round, but 0"):
        Machine(lambda name, block: 1.0).race(rounds=0)


@pytest.mark.parametrize(
    ("ran", "waited", "busy", "lost"),
    [
        (3.0, 0.0, 9.0, 0.0),  # others ran on our cores, and we never waited
        (3.0, 2.0, 3.0, 0.0),  # we waited for our own workers only
        (3.0, 2.0, 4.0, 1.0),  # for workers and others: others ran for one second
        (3.0, 2.0, 9.0, 2.0),
    ],
)
def test_lost_is_what_we_waited_for_and_others_ran(monkeypatch, tmp_path, ran, waited, busy, lost):
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("this system does not count it")
    threads = iter([{"1": (10.0, 5.0)}, {"1": (10.0 + ran - 1, 5.0 + waited), "2": (1.0, 0.0)}])
    machine = iter([100.0, 100.0 + busy])
    monkeypatch.setattr(interleave, "_threads", lambda: next(threads))
    monkeypatch.setattr(interleave, "_busy", lambda cores: next(machine))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    assert interleave.lost_to_others()() == pytest.approx(lost)


def test_a_neighbour_on_the_same_core_is_noticed():
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("this system does not count it")
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})  # the neighbour inherits it
    neighbour = subprocess.Popen([sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE)
    try:
        neighbour.stdout.readline()
        lost = interleave.lost_to_others()
        end = os.times().user + 0.3
        while os.times().user < end:
            pass
        assert lost() > 0
    finally:
        neighbour.kill()
        neighbour.wait()
        neighbour.stdout.close()
