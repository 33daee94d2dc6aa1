"""A neighbour's repetitions in place of one's own: an unbiased rate with the error that it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnnmft.units.growth_limit import Control, growth_limit

STEPS, SHARED, ALL, RATE = 16, 16, 48, -0.3
# A run of repetitions has steps of log m_1 with this deviation, of which neighbours share a part.
STEP = 0.05


def walks(random, rows):
    return np.cumsum(STEP * random.normal(size=(rows, STEPS)), 1)


def pair(random, share):
    """log m_1 of a point and of a neighbour, whose first rows have the same random numbers."""
    noise = walks(random, ALL)
    own = share * noise[:SHARED] + math.sqrt(1 - share**2) * walks(random, SHARED)
    times = np.arange(1.0, STEPS + 1)
    return RATE * times + own, 0.2 * times + noise


@pytest.mark.parametrize("share", [0.98, 0.5])
def test_errors_are_as_good_as_without_a_neighbour(share):
    """Root mean square of deviations over errors in 100 runs: 7 % each by chance, so 35 % is 3.5.

    Control, the second bound: errors of half the size would be told apart.
    """
    random = np.random.default_rng(3)
    z, alone = [], []
    for _ in range(100):
        own, other = pair(random, share)
        for found, into in (
            (growth_limit(own, exponential=True, control=Control(other, None)), z),
            (growth_limit(own, exponential=True), alone),
        ):
            into.append((found.value - RATE) / found.error)
    size, usual = (math.sqrt(np.mean(np.square(v))) for v in (z, alone))
    assert size < 1.35 * usual < 2.0 * size


def test_a_near_neighbour_makes_the_error_small_and_a_far_one_does_not():
    random = np.random.default_rng(5)
    near, far, alone = [], [], []
    for _ in range(12):
        own, other = pair(random, 0.98)
        alone.append(growth_limit(own, exponential=True).error)
        near.append(growth_limit(own, exponential=True, control=Control(other, None)).error)
        stranger = Control(0.2 * np.arange(1.0, STEPS + 1) + walks(random, ALL), None)
        far.append(growth_limit(own, exponential=True, control=stranger).error)
    assert np.mean(near) < 0.75 * np.mean(alone)
    assert np.mean(far) > np.mean(alone)


def test_sums_are_controlled_like_means():
    """A neighbour that is the point itself, in all its repetitions, is what these say alone.

    But that the spreads of the shared repetitions and of the others are two.
    """
    random = np.random.default_rng(7)
    rows = RATE * np.arange(1.0, STEPS + 1) + walks(random, ALL)
    sums = 2 * RATE * np.arange(STEPS // 2) + walks(random, ALL)[:, : STEPS // 2]
    whole = growth_limit(rows, sums)
    few = growth_limit(rows[:SHARED], sums[:SHARED], control=Control(rows, sums))
    without = growth_limit(rows[:SHARED], sums[:SHARED])
    assert abs(few.value - whole.value) < 0.5 * whole.noise
    assert few.noise == pytest.approx(whole.noise, rel=0.1)
    # Without the neighbour both are others.
    assert abs(without.value - whole.value) > whole.noise
    assert without.noise > 1.5 * whole.noise


def test_more_windows_of_the_same_repetitions_are_a_neighbour():
    """The point itself, with the windows that it lacks: the whole, whose noise is one spread."""
    random = np.random.default_rng(11)
    rows = RATE * np.arange(1.0, STEPS + 1)
    rows = rows + walks(random, 4 * SHARED).reshape(SHARED, 4, STEPS)
    whole = growth_limit(rows, exponential=True)
    few = growth_limit(rows[:, :1], exponential=True, control=Control(rows, None))
    assert few.value == pytest.approx(whole.value, abs=1e-12)
    assert few.noise == pytest.approx(whole.noise, rel=1e-9)
    assert whole.noise < 0.7 * growth_limit(rows[:, 0], exponential=True).noise
