"""Maps by sampled units: against exact growth rates, single points, and themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from rnnmft import cells
from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import Inputs
from rnnmft.deadline import deadline
from rnnmft.errors import OutOfTimeError, Status
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.joint_runs import JointRuns, RunAsked, joined
from rnnmft.solvers.sampled.sampled_map import SampledMap
from tests.solvers.linear_cells import linear_cell

PLAN = Sampling(units=1 << 20, max_units=1 << 20, dtype="float32", device="cpu")
# False alarms of the comparison with single points, in one of so many runs; its control moves every
# rate by so much.
ALARM, MOVED = 1e-3, 0.03


def solved(cell, points, tolerance=0.005, tying="tied", **options):
    found = {}
    for completed in SampledMap(cell, points, tying, tolerance, PLAN, **options).completed():
        assert not set(found) & {i for i, _ in completed}
        found |= dict(completed)
    assert set(found) == set(range(len(points)))
    return [found[i].values for i in range(len(points))]


def test_linear_cells_grow_at_their_rate():
    """h' = a h + W h: 2 log(a + sigma_w), and the zero state is stable where that is negative."""
    a, sizes = 0.5, (0.1, 0.4, 0.6)
    cell = linear_cell(a)
    points = [(cell.ensemble(e={"sigma_w": w}), Inputs(R=0.0)) for w in sizes]
    for w, found in zip(sizes, solved(cell, points), strict=True):
        truth = 2 * math.log(a + w)
        (value,), (error,), status = found["gradient_growth"]
        assert status is Status.OK
        assert error <= 0.005
        assert abs(value - truth) < 3 * error
        (chi,), (chi_error,), _ = found["chi_1"]
        assert (chi, chi_error) == (math.exp(value), math.exp(value) * error)
        assert found["second_moment"][2] is (Status.UNSTABLE if truth > 0 else Status.OK)
        assert found["xi_q"][0] == (math.inf if truth > 0 else -1 / value)


def test_a_slow_state_is_left_after_the_steps_that_it_is_given():
    """h' = a h + W h + b: a deviation from rest loses 1 - a a step, 2 % and 50 %."""
    found = {}
    for a in (0.5, 0.98):
        cell = linear_cell(a)
        points = [(cell.ensemble(e={"sigma_w": 0.0, "sigma_b": 1.0}), Inputs(R=0.0))]
        for steps in (64, 2048):
            (at,) = solved(cell, points, settle_within=steps)
            found[a, steps] = at["second_moment"][2]
    assert found.pop((0.98, 64)) is Status.MAX_STEPS
    assert set(found.values()) == {Status.OK}


def test_a_state_that_explodes_has_no_rate():
    cell = linear_cell(0.5)
    points = [(cell.ensemble(e={"sigma_w": w, "sigma_b": 1.0}), Inputs()) for w in (0.1, 2.0)]
    calm, wild = solved(cell, points)
    assert calm["second_moment"][2] is Status.OK
    for value, error, status in wild.values():
        assert np.isnan(value).all()
        assert np.isnan(error).all()
        assert status is Status.DIVERGES


def test_moments_alone_draw_no_perturbation(monkeypatch):
    monkeypatch.setattr("rnnmft.units.averaged_tangent.AveragedTangent.step", None)
    cell = cells.minimal()
    (found,) = solved(cell, [(cell.ensemble(), Inputs())], with_growth=False)
    assert set(found) == {"second_moment", "preactivation_variance", "xi_q"}


def test_threads_change_nothing():
    """Three runs of sixteen, sixteen and four points, by one thread and by three."""
    cell = linear_cell(0.5)
    points = [(cell.ensemble(e={"sigma_w": 0.01 * n}), Inputs()) for n in range(36)]
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            values = solved(cell, points, with_growth=False)
            found.append(np.array([v["second_moment"][0] for v in values]))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert (found[0] == found[1]).all()


def test_the_end_of_the_time_is_said():
    cell = cells.minimal()
    with deadline(0.0), pytest.raises(OutOfTimeError):
        solved(cell, [(cell.ensemble(), Inputs())])


def neighbours():
    """Points close to each other, where fluctuations are large."""
    cell = cells.minimal()
    return cell, [
        (cell.ensemble(e={"sigma_w": w, "sigma_v": 1.39, "mu_b": -1.0}), Inputs(R=0.4616))
        for w in (2.0, 2.4, 2.8)
    ]


def test_a_noisy_point_gets_units_until_it_is_good_enough():
    cell, points = neighbours()
    (found,) = solved(cell, points[:1], tolerance=0.01)
    _, (error,), status = found["gradient_growth"]
    assert status is Status.OK
    assert error <= 0.01


def test_noise_counts_in_part_where_a_surface_averages_it():
    """Points of a surface have numbers of their own, and stop at less units; brackets count."""
    cell, points = neighbours()
    points = [points[0], points[0]]
    grid = SampledMap(cell, points, "tied", 0.01, PLAN)
    found = dict(pair for some in grid.completed(averaged=True) for pair in some)
    limits = [found[i].limit for i in range(2)]
    assert limits[0].value != limits[1].value
    for i, limit in enumerate(limits):
        (value,), (error,), status = found[i].values["gradient_growth"]
        assert (value, error, status) == (limit.value, limit.error, Status.OK)
        assert limit.averaged(0.3).error <= 0.008 < error
        (of_map,), _, status = found[i].within(0.01).values["gradient_growth"]
        assert of_map == value
        assert status is (Status.OK if error <= 0.01 else Status.NOT_CONVERGED)
    alone = dict(pair for some in grid.completed() for pair in some)
    assert alone[0].units > found[0].units
    assert alone[0].limit.value == alone[1].limit.value


def test_repetitions_that_follow_tell_of_the_bias_too():
    """Four and four more are eight, of many units and of few; others are not these."""
    cell, points = neighbours()

    def drawn(repetitions, first=0):
        runs = JointRuns(cell, points[:2], "tied", {})
        return runs.draw(RunAsked(PLAN.of(256, repetitions), 4, 16, first))[1]

    first, others = drawn(4), drawn(4, first=4)
    whole, parts = drawn(8), joined(first, others)
    assert parts.sampling == whole.sampling
    assert parts.smaller == whole.smaller
    for kind in ("values", "small"):
        one, other = (getattr(found, kind)["log_m_1"] for found in (whole, parts))
        # Sums over 256 units in single precision, over 20 steps.
        np.testing.assert_allclose(one, other, atol=1e-4)
        apart = getattr(first, kind)["log_m_1"] - getattr(others, kind)["log_m_1"]
        assert np.abs(apart[:, -1]).min() > 1e-3


CASES = {
    "minimal": (
        cells.minimal(),
        [
            {"e": {"sigma_w": w, "sigma_v": 1.39, "mu_b": mu}}
            for w in (3.0, 7.0)
            for mu in (0, 2, 4)
        ],
        0.4616,
    ),
    "gru": (cells.gru(), [{"n": {"sigma_w": w}, "z": {"mu_b": 1.0}} for w in (1, 2, 4)], 1.0),
    "lstm": (cells.lstm(), [{"g": {"sigma_w": w}, "f": {"mu_b": 1.0}} for w in (1, 2, 4)], 1.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("which", CASES)
def test_points_are_those_of_the_single_point_theory(which):
    """Rates and second moments of other random numbers: the sum of squares in errors is chance."""
    cell, laws, R = CASES[which]
    points = [(cell.ensemble(**law), Inputs(R=R)) for law in laws]
    rates, squares = [], []
    for point, found in zip(points, solved(cell, points), strict=True):
        single = MeanField(cell, *point, seed=1, particles=1 << 16)
        growth, at = single.gradient_growth(), single.fixed_point()
        (value,), (error,), status = found["gradient_growth"]
        assert (status, growth.status) == (Status.OK, Status.OK)
        assert error <= 0.005
        rates.append([value - float(growth), math.hypot(error, float(growth.error))])
        values, errors, status = found["second_moment"]
        assert status is Status.OK
        names = at.second_moment
        own = np.array([at.errors["second_moment"][n] for n in names])
        gap = (values - np.array(list(names.values()))) / np.hypot(errors, own)
        squares += gap.tolist()
    gap, error = np.array(rates).T
    assert_chance(gap / error)
    assert_chance(np.array(squares))
    with pytest.raises(AssertionError):
        assert_chance((gap + MOVED) / error)


def assert_chance(z):
    assert (z**2).sum() < stats.chi2.isf(ALARM / 2, len(z)), z
