"""Maps of which some points are predicted: right where they are smooth, solved where not."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from rnnmft import cells
from rnnmft.errors import Status
from rnnmft.solvers.sampled.point_search import PointFound
from rnnmft.solvers.sampled.refined_map import PREDICTED, RefinedMap

TOLERANCE, NOISE = 0.005, 0.002
# What a kink or a jump leaves of the error that is stated for it: see `refined_map`.
LEFT_BY_A_BREAK = 2.6


class KnownMap:
    """In place of sampled units: a rate that is known, with noise that neighbours share or not."""

    def __init__(self, shape, rate, shared=1.0, missing=lambda place: False):
        self.cell, self.rate, self.missing = cells.minimal(), rate, missing
        self.places = list(product(*map(range, shape)))
        rng = np.random.default_rng(0)
        own = rng.standard_normal(len(self.places))
        self.noise = NOISE * (shared * rng.standard_normal() + np.sqrt(1 - shared**2) * own)
        self.solved = []

    def completed(self, which):
        self.solved += which
        yield [(i, self.at(i)) for i in which]

    def at(self, i):
        if self.missing(self.places[i]):
            return PointFound.failed(Status.NOT_CONVERGED)
        value, error = self.rate(*self.places[i]) + self.noise[i], np.array([NOISE])
        one = np.array([value]), error, Status.OK
        moment = np.exp(one[0]), NOISE * np.exp(one[0]), Status.OK
        return PointFound(dict.fromkeys(PREDICTED, moment) | {"gradient_growth": one})


def completed(points, asked=PREDICTED):
    """Every point once; those that were predicted, by place."""
    found = [pair for some in RefinedMap(points, TOLERANCE, asked).completed() for pair in some]
    assert sorted(i for i, _ in found) == list(range(len(points.places)))
    return {points.places[i]: f for i, f in found if f.is_predicted}


def z(points, predicted):
    """(number predicted,) distance from the rate in errors."""
    return np.array(
        [
            (f.values["gradient_growth"][0][0] - points.rate(*p))
            / f.values["gradient_growth"][1][0]
            for p, f in predicted.items()
        ]
    )


def smooth(i, k=0):
    return np.sin(0.1 * i) * np.exp(-0.03 * k)


@pytest.mark.parametrize("shape", [(30,), (30, 25), (14, 3, 13)], ids=str)
def test_a_smooth_map_is_known_from_a_few_points(shape):
    def rate(*place):
        return smooth(place[0], sum(place[1:]))

    points = KnownMap(shape, rate)
    predicted = completed(points)
    assert len(points.solved) + len(predicted) == len(points.places)
    assert len(predicted) > len(points.places) / 3
    found = z(points, predicted)
    assert np.abs(found).max() < 3.0
    for f in predicted.values():
        (value,), (error,), status = f.values["gradient_growth"]
        assert (status, f.units) == (Status.OK, 0)
        assert 0.9 * NOISE < error <= TOLERANCE
        assert f.values["chi_1"][0] == np.exp(value)


def test_noise_of_their_own_is_in_the_error():
    """Noise that points do not share: predictions are no further off than they say."""
    points = KnownMap((40, 40), smooth, shared=0.0)
    predicted = completed(points)
    found = z(points, predicted)
    assert len(found) > 500
    assert (found**2).mean() < 1.0


@pytest.mark.parametrize(
    "rate",
    [
        lambda i, k: smooth(i, k) + 0.4 * (i + 0.7 * k > 21.3),
        lambda i, k: smooth(i, k) + 0.08 * abs(i + 0.7 * k - 21.3),
        lambda i, k: smooth(i, k) + 0.3 * (i + 0.7 * k > 21.3) * (k > 12),
    ],
    ids=["jump", "kink", "edge"],
)
def test_where_a_map_breaks_it_is_solved(rate):
    """Away from the break points are predicted, and what is predicted is right."""
    points = KnownMap((30, 25), rate)
    predicted = completed(points)
    assert 150 < len(predicted) < 620
    assert np.abs(z(points, predicted)).max() < 3.0


class BrokenRate(KnownMap):
    """Exact, with moments that do not break."""

    def at(self, i):
        rate = np.array([self.rate(*self.places[i])]), np.array([1e-9]), Status.OK
        one = np.ones(1), np.array([1e-9]), Status.OK
        return PointFound(dict.fromkeys(PREDICTED, one) | {"gradient_growth": rate})


@pytest.mark.parametrize("break_at_0", [abs, lambda u: u > 0], ids=["kink", "jump"])
def test_a_break_too_small_to_be_solved_is_in_the_error(break_at_0):
    """Wherever it lies; the control states half of the errors."""
    largest = 0.0
    for at in np.arange(0.0, 29.0, 0.2713):
        points = BrokenRate((30,), lambda i, at=at: 0.009 * break_at_0(i - at))
        predicted = completed(points)
        largest = max(largest, *np.abs(z(points, predicted)))
    assert largest < LEFT_BY_A_BREAK
    assert 2 * largest > LEFT_BY_A_BREAK


class BrokenMoment(KnownMap):
    """A smooth rate, and a second moment that breaks."""

    def at(self, i):
        found, (x, y) = super().at(i), self.places[i]
        moment, error, status = found.values["second_moment"]
        jump = 0.4 * (x + 0.7 * y > 21.3)
        return PointFound({**found.values, "second_moment": (moment * (1 + jump), error, status)})


def test_what_is_not_asked_for_need_not_be_predicted():
    """A break of a moment costs points only where moments are asked for; its error says so."""
    points = BrokenMoment((30, 25), smooth)
    both, rates = completed(points), completed(points, ["gradient_growth"])
    assert len(both) < len(rates) == len(completed(KnownMap((30, 25), smooth)))
    assert np.abs(z(points, rates)).max() < 3.0
    off = []
    for place, found in rates.items():
        (value,), (error,), _ = found.values["second_moment"]
        (truth,), _, _ = points.at(points.places.index(place)).values["second_moment"]
        off.append([abs(value - truth), error])
    gap, error = np.array(off).T
    assert gap.max() > 0.1  # the break is missed by more than any noise
    assert (gap / error).max() < 3.0


def test_what_has_no_rate_tells_nothing():
    points = KnownMap((30, 25), smooth, missing=lambda place: place == (12, 12))
    predicted = completed(points)
    # Nothing goes through it: neither beside it nor where it would have to be looked at.
    assert (12, 11) not in predicted
    assert (0, 11) in predicted
    assert not completed(KnownMap((6, 6), smooth))
