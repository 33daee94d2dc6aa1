"""Settling, decay and memory, read off series whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnnmft.solvers.memory_time import integrated_time, memory_time
from rnnmft.solvers.sampled.relaxation import alternation, decay_rate, settling

REPETITIONS = 16


def noisy(series, noise, seed=0):
    """Repetitions of a series with independent normal noise at each step."""
    rng = np.random.default_rng(seed)
    return series + noise * rng.normal(size=(REPETITIONS, len(series)))


def approach(rate, steps, amplitude=0.5, limit=1.0):
    return limit - amplitude * np.exp(-rate * np.arange(steps))


def test_a_stationary_series_has_settled():
    """Over 500 seeds: 3 standard errors of Student's t with 15 degrees are passed by 0.9 %."""
    wrong = sum(not settling(noisy(np.ones(64), 0.1, seed)).settled for seed in range(500))
    # Binomial: 4.5 expected; 20 or more with probability 1e-7.
    assert wrong < 20


def test_two_values_that_alternate_are_no_stationary_state():
    """A series alternates by 10 % under noise of 10 %; over 500 seeds without, none is said to.

    32 pairs a quarter in 16 repetitions: a standard error of .1 (2 / 512)^(1/2) = .006, so that the
    ratio of the quarters is 1 +- .09. Noise passes four errors in both with less than 1e-7.
    """
    sign = (-1.0) ** np.arange(256)
    assert 0.6 < alternation(noisy(1.0 + 0.05 * sign, 0.1)) < 1.4
    assert settling(noisy(1.0 + 0.05 * sign, 0.1)).settled
    assert not any(alternation(noisy(np.ones(256), 0.1, seed)) for seed in range(500))


def test_an_alternation_that_dies_tells_how_fast():
    """(-.99)^t over quarters of 64 steps: .99^64 of it is left."""
    times = np.arange(256)
    assert alternation(noisy(1.0 + (-0.99) ** times, 0.0)) == pytest.approx(0.99**64, rel=1e-9)


def test_a_drift_is_seen_and_what_remains_is_predicted():
    """An exponential approach of 40 steps seen over 64: three quarters tell the end."""
    series = approach(1 / 40, 64)
    found = settling(noisy(series, 1e-4))
    assert not found.settled
    late = series[48:].mean()
    assert found.remaining == pytest.approx(1.0 - late, rel=0.05)
    assert found.ratio == pytest.approx(math.exp(-16 / 40), rel=0.02)


def test_linear_and_exponential_growth_have_no_end_in_sight():
    for series, speeding in ((np.arange(64.0), False), (1.05 ** np.arange(64), True)):
        found = settling(noisy(series, 1e-6))
        assert not found.settled
        assert found.ratio > 0.999
        assert (found.slowing, found.speeding) == (False, speeding)


def test_a_series_without_noise_settles_to_rounding():
    assert settling(np.ones((4, 64))).settled
    assert settling(np.zeros((4, 64))).settled
    assert settling(np.ones((4, 1)) * approach(0.9, 64)).settled
    assert not settling(np.ones((4, 1)) * approach(0.05, 64)).settled


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_a_decay_rate_is_met_within_its_error(rate):
    """40 seeds: the mean square of (rate - truth) / error is near 1; 20 % off is rejected."""
    ratios, controls = [], []
    for seed in range(40):
        found = decay_rate(noisy(approach(rate, 200), 1e-3, seed), 50)
        assert found.resolved
        ratios.append((found.value - rate) / found.error)
        controls.append((found.value - 1.2 * rate) / found.error)
    # The error includes what the curvature might hide: it may be too large, not too small.
    assert np.mean(np.square(ratios)) < 1.7
    assert np.mean(np.square(controls)) > 1.7


def test_a_decay_too_fast_to_see_is_a_bound():
    found = decay_rate(noisy(approach(3.0, 64), 0.01), 16)
    assert not found.resolved
    assert found.error == math.inf
    assert found.value < 3.0


def test_the_integrated_time_of_an_exponential():
    """sum_{tau >= 0} a^tau - 1/2 = (1 + a) / (2 (1 - a)), whatever plateau lies under it."""
    for a in (0.2, 0.8):
        series = a ** np.arange(400.0)
        assert integrated_time(series) == pytest.approx((1 + a) / (2 * (1 - a)), rel=1e-9)
        assert integrated_time(series + 3.0) == pytest.approx((1 + a) / (2 * (1 - a)), rel=1e-9)
    assert integrated_time(np.ones(10)) == 0.0
    assert integrated_time(np.array([2.0])) == 0.5


def test_a_memory_time_is_met_within_its_error():
    """30 seeds; truncation at the noise may shorten it by two of its errors, not by more."""
    truth = (1 + 0.8) / (2 * 0.2)
    for seed in range(30):
        found, error = memory_time(noisy(0.8 ** np.arange(60.0), 0.01, seed))
        assert abs(found - truth) < 5 * error + 0.02 * truth
        assert abs(found - 1.5 * truth) > 5 * error + 0.02 * truth
