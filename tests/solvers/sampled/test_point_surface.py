"""Surfaces through points: what is averaged, what is common to all, and what breaks them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnnmft import cells
from rnnmft.errors import Status
from rnnmft.solvers.sampled.point_found import PointFound
from rnnmft.solvers.sampled.point_surface import KnownPoint, PointSurface, is_asked
from tests.solvers.sampled.known_points import at

NOISE, TOLERANCE = 0.004, 0.005
PLACES = np.argwhere(np.ones((7, 7))).astype(float)
BETWEEN = PLACES[:-1] + 0.5
ASKED = is_asked(cells.minimal(), ["gradient_growth"])


def surface(rate=lambda x, y: 0.1 * x - 0.02 * x * y, seed=0, **common):
    rng = np.random.default_rng(seed)
    found = [
        at(rate(x, y) + NOISE * rng.standard_normal(), 1.0, NOISE, **common) for x, y in PLACES
    ]
    known = [KnownPoint.of(point) for point in found]
    return PointSurface(PLACES, [point for point in known if point is not None])


def test_noise_is_averaged_and_what_is_common_is_not():
    plain, biased, wide = (
        surface(**common).at(BETWEEN, TOLERANCE, ASKED).errors[:, 0]
        for common in ({}, {"bias": -0.003}, {"width": 0.003})
    )
    assert np.median(plain) < 0.6 * NOISE
    for more in (biased, wide):
        np.testing.assert_allclose(more**2 - plain**2, 0.003**2, rtol=1e-6)


def test_a_break_is_in_the_errors_near_it_alone():
    """Beside a jump that the noise does not hide, and away from it."""
    smooth, broken = (
        surface(lambda x, y, size=size: size * (x > 3.5)).at(BETWEEN, TOLERANCE, ASKED)
        for size in (0.0, 0.05)
    )
    beside = np.abs(BETWEEN[:, 0] - 3.5) < 1.0
    assert (broken.excess[beside] > 1.0).all()
    assert (smooth.excess <= 1.0).all()


def test_what_is_asked_for_decides():
    told = surface().at(BETWEEN, TOLERANCE, ASKED)
    every = surface().at(BETWEEN, TOLERANCE, is_asked(cells.minimal(), ["second_moment"]))
    np.testing.assert_array_equal(told.excess, told.errors[:, 0] / TOLERANCE)
    assert (every.excess >= told.excess).all()
    assert is_asked(cells.lstm(), ["second_moment"]).tolist() == [True] * 3 + [False] * 4


def test_an_answer_has_all_that_follows_from_it():
    told = surface().at(BETWEEN, TOLERANCE, ASKED)
    found = told.found(3, 1)
    (rate,), (error,), status = found.values["gradient_growth"]
    assert (rate, error, status) == (told.values[3, 0], told.errors[3, 0], Status.OK)
    assert found.values["chi_1"][0][0] == pytest.approx(np.exp(rate))
    (moment,), (of_moment,), _ = found.values["second_moment"]
    assert of_moment / moment == told.errors[3, 1]
    assert found.is_predicted


def test_what_tells_nothing_of_others():
    """No rate, a state that is zero, and what was itself told."""
    good = at(-0.1, 1.0, NOISE)
    assert KnownPoint.of(good) is not None
    zero = good.values["second_moment"][0] * 0.0, np.zeros(1), Status.OK
    for bad in (
        PointFound.failed(Status.DIVERGES),
        replace(good, values={**good.values, "second_moment": zero}),
        replace(good, limit=None),
    ):
        assert KnownPoint.of(bad) is None
