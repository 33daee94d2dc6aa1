"""Runs that go on where earlier ones ended: the same to the bit, and within their memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnnmft import Inputs, cells
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.kept_runs import KeptRuns
from rnnmft.solvers.sampled.runs import SampledSetting

PLAN = Sampling(512, 2, device="cpu")


def setting(name, inputs, memory):
    cell = cells.get(name)
    laws = {p.name: {"sigma_w": 1.5, "sigma_b": 0.1} for p in cell.preactivations}
    return SampledSetting(cell, cell.ensemble(**laws), inputs, "tied", {}, kept=KeptRuns(memory))


@pytest.mark.slow
@pytest.mark.parametrize("temporal", ["white", "constant", (1.0, 0.5, 0.2)], ids=str)
@pytest.mark.parametrize("name", ["minimal", "gru", "lstm"])
def test_going_on_is_starting_again(name, temporal):
    """Moments and tangents, before and after directions are dropped (at 128 steps of a pair)."""
    inputs = Inputs(correlation=0.5, temporal=temporal)
    resumed, again = setting(name, inputs, 1 << 27), setting(name, inputs, 0)
    for steps in (16, 100):
        resumed.moments(PLAN, range(2), steps, 2)
    for draw in (
        lambda s: s.moments(PLAN, range(2), 140, 2),
        lambda s: s.tangents(PLAN, range(2), 140, 4, 2),
        lambda s: s.tangents(PLAN, range(2), 145, 4, 2),
        lambda s: s.tangents(PLAN, range(2), 145, 6, 2),
        lambda s: s.moments(PLAN, range(2), 20, 2),
    ):
        ours, theirs = draw(resumed), draw(again)
        assert all(np.array_equal(ours[n], theirs[n]) for n in theirs)
    assert len(resumed.kept.runs) == 1
    assert not again.kept.runs


def test_other_units_are_other_runs():
    """Repetitions, plans and trajectories are told apart; the oldest make room."""
    inputs = Inputs(correlation=0.5)
    known = setting("minimal", inputs, 1 << 27)
    for numbers in (range(2), range(2, 4)):
        found = known.moments(PLAN, numbers, 8, 1)
        truth = setting("minimal", inputs, 0).moments(PLAN, numbers, 8, 1)
        assert all(np.array_equal(found[n], truth[n]) for n in truth)
    assert len(known.kept.runs) == 2
    one = next(iter(known.kept.runs.values())).size
    known.kept.memory = 2 * one
    known.moments(PLAN, range(4, 6), 8, 1)
    assert [which[1] for which in known.kept.runs] == [(2, 3), (4, 5)]


def test_another_start_is_another_run():
    """A setting that differs in its start alone shares what is kept, and resumes nothing of it."""
    inputs = Inputs(correlation=0.5)
    known = setting("minimal", inputs, 1 << 27)
    known.moments(PLAN, range(2), 8, 2)
    started = replace(known, start={"h": 0.7})
    found = started.moments(PLAN, range(2), 12, 2)
    truth = replace(setting("minimal", inputs, 0), start={"h": 0.7}).moments(PLAN, range(2), 12, 2)
    assert all(np.array_equal(found[n], truth[n]) for n in truth)
    assert started.kept is known.kept
    assert len(known.kept.runs) == 2


@pytest.mark.parametrize("name", ["minimal", "gru"])
def test_a_perturbation_goes_on_where_it_ended(name):
    """To the bit, past a block of the history; a shorter one, or another start, begins anew."""
    inputs = Inputs(correlation=0.5)
    resumed, again = setting(name, inputs, 1 << 27), setting(name, inputs, 0)
    for burn_in, horizon in ((6, 8), (6, 26), (6, 12), (7, 14)):
        ours, theirs = (s.tangents(PLAN, range(2), burn_in, horizon) for s in (resumed, again))
        assert set(ours) == set(theirs)
        assert all(np.array_equal(ours[n], theirs[n]) for n in theirs)
    assert len(resumed.kept.tangents) == 2
    assert not again.kept.tangents
    resumed.kept.release()
    assert not resumed.kept.tangents


def test_perturbations_of_many_batches_stay_within_their_memory():
    """The oldest of twelve are forgotten, and begin anew; the last one goes on."""
    inputs, memory = Inputs(correlation=0.5), 1 << 18
    resumed, again = setting("minimal", inputs, memory), setting("minimal", inputs, 0)
    batches = [range(2 * k, 2 * k + 2) for k in range(12)]
    for batch in batches:
        resumed.tangents(PLAN, batch, 6, 8)
    assert 2 < len(resumed.kept.tangents) < len(batches)
    assert [which[1] for which in resumed.kept.tangents][-1] == tuple(batches[-1])
    for batch in (batches[0], batches[-1]):
        ours, theirs = (s.tangents(PLAN, batch, 6, 14) for s in (resumed, again))
        assert all(np.array_equal(ours[n], theirs[n]) for n in theirs)
