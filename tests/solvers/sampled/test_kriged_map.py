"""Maps that surfaces tell: right where they are smooth, solved where not."""

from __future__ import annotations

import numpy as np
import pytest

from rnnmft.errors import Status
from rnnmft.solvers.sampled.kriged_map import KrigedMap, spread_over, worst_apart
from rnnmft.solvers.sampled.point_surface import PREDICTED
from tests.solvers.sampled.known_points import LOOSE, TOLERANCE, KnownMap, smooth

# Of hundreds of points that share the noise of some dozens: none of these is as far off once in 400
# times, if they are normal.
FAR = 4.2
# And where a map breaks by less than the noise of what makes its surface.
FAR_BESIDE_A_BREAK = 6.0


def completed(points, asked=PREDICTED):
    """The last answer of every point; those that a surface told, by place."""
    found = {}
    for some in KrigedMap(points, points.places, TOLERANCE, asked).completed():
        found |= dict(some)
    assert sorted(found) == list(range(len(points.places)))
    return {points.places[i]: f for i, f in found.items() if f.is_predicted}


def z(points, told):
    """(number told,) distance from the rate in errors."""
    rates = {p: f.values["gradient_growth"] for p, f in told.items()}
    return np.array([(v[0] - points.rate(*p)) / e[0] for p, (v, e, _) in rates.items()])


@pytest.mark.parametrize("shape", [(30,), (30, 25), (14, 3, 13)], ids=str)
def test_a_smooth_map_is_known_from_a_few_points(shape):
    def rate(*place):
        return smooth(place[0], sum(place[1:]))

    points = KnownMap(shape, rate)
    told = completed(points)
    assert len(points.nodes) + len(points.solved) < max(0.2 * len(points.places), 30)
    assert len(told) > 0.9 * len(points.places)
    found = z(points, told)
    assert np.abs(found).max() < FAR
    # They do say what they may be wrong by, and not much more; half of it would be too little.
    assert 0.3 < np.sqrt((found**2).mean()) < 1.2
    for f in told.values():
        (value,), (error,), status = f.values["gradient_growth"]
        assert (status, f.units) == (Status.OK, 0)
        assert error <= TOLERANCE
        assert f.values["chi_1"][0] == np.exp(value)


def test_noise_is_averaged():
    """Points are no better than .004: what they tell together is."""
    points = KnownMap((30, 25), smooth)
    told = completed(points)
    off = z(points, told) * [f.values["gradient_growth"][1][0] for f in told.values()]
    assert np.sqrt((off**2).mean()) < 0.7 * LOOSE


BREAKS = {
    "jump": lambda i, k: 0.4 * (i + 0.7 * k > 14.3),
    "kink": lambda i, k: 0.08 * abs(i + 0.7 * k - 14.3),
    "edge": lambda i, k: 0.3 * (i + 0.7 * k > 14.3) * (k > 8),
}
SMALL_BREAKS = {
    "jump": lambda i, k: 0.015 * (i + 0.7 * k > 14.3),
    "kink": lambda i, k: 0.01 * abs(i + 0.7 * k - 14.3),
}


@pytest.mark.parametrize("which", BREAKS)
def test_where_a_map_breaks_it_is_solved(which):
    points = KnownMap((21, 18), lambda i, k: smooth(i, k) + BREAKS[which](i, k))
    told = completed(points)
    assert 30 < len(told) < 300
    assert np.abs(z(points, told)).max() < FAR


@pytest.mark.parametrize("which", SMALL_BREAKS)
def test_a_small_break_is_missed_by_some_errors(which):
    """One of a few tolerances, which noise hides; the control states half of the errors."""
    largest = 0.0
    for seed in range(3):
        points = KnownMap(
            (21, 18), lambda i, k: smooth(i, k) + SMALL_BREAKS[which](i, k), seed=seed
        )
        largest = max(largest, np.abs(z(points, completed(points))).max())
    assert largest < FAR_BESIDE_A_BREAK < 2 * largest


def test_what_is_not_asked_for_need_not_be_told_well():
    """A break of a moment costs points only where moments are asked for."""

    def broken(i, k):
        return np.exp(smooth(i, k)) * (1 + 0.4 * (i + 0.7 * k > 14.3))

    both, rates = (KnownMap((21, 18), smooth, broken) for _ in range(2))
    completed(both)
    told = completed(rates, ["gradient_growth"])
    assert len(rates.solved) + len(rates.nodes) < 100 < len(both.solved) + len(both.nodes)
    assert np.abs(z(rates, told)).max() < FAR


def test_what_has_no_rate_tells_nothing():
    """A corner without rates is solved, and so is what is next to it."""

    def missing(place):
        return place[0] > 21 and place[1] > 17

    points = KnownMap((30, 25), smooth, missing=missing)
    told = completed(points)
    assert not any(missing(place) for place in told)
    assert (21, 20) not in told
    assert (0, 11) in told
    # Nor is it asked again.
    assert any(missing(points.places[i]) for i in points.nodes)
    assert set(points.nodes).isdisjoint(points.solved)


def test_a_small_map_is_solved():
    points = KnownMap((5, 5), smooth)
    assert not completed(points)
    assert not points.nodes


def test_points_are_spread_and_apart():
    places = np.argwhere(np.ones((30, 25)))
    chosen = places[spread_over(places)]
    assert {(0, 0), (0, 24), (29, 0), (29, 24)} <= {tuple(p) for p in chosen.tolist()}
    assert len(chosen) == 8 * 8
    # The worst is the first; beside it there are others, which come last.
    excess = np.exp(-np.abs(places - [10, 10]).sum(1))
    worst = places[worst_apart(places.astype(float), excess, 6)]
    assert worst[0].tolist() == [10, 10]
    assert np.abs(worst[1:] - worst[0]).max(1).min() > 3
