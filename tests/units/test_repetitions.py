"""Repetitions in batches and to a tolerance: runs of known noise in place of units."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnnmft.errors import Status
from rnnmft.sampling import Sampling
from rnnmft.units.repetitions import Reading, draw_repetitions, jackknife, mean_and_error

UNIT_BYTES = 100


class Coin:
    """A run whose mean is 1 and whose noise is sigma / sqrt(units); it notes what was asked."""

    def __init__(self, sigma=1.0):
        self.sigma, self.asked = sigma, []

    def __call__(self, plan, repetitions):
        self.asked.append((plan.per_repetition, len(repetitions)))
        noise = [np.random.default_rng((plan.per_repetition, r)).normal() for r in repetitions]
        return {"x": 1 + self.sigma / math.sqrt(plan.per_repetition) * np.array(noise)}


def read(values):
    mean, error = mean_and_error(values["x"])
    return {"x": Reading(mean, error, mean)}


def test_without_a_tolerance_the_units_asked_for_are_drawn():
    coin = Coin()
    found = draw_repetitions(coin, Sampling(1 << 14, 16), UNIT_BYTES, read)
    assert coin.asked == [(1024, 16), (64, 16)]
    assert found.values["x"].shape == (16,)
    assert found.status is Status.OK


def test_batches_fit_the_memory_and_change_nothing():
    whole = draw_repetitions(Coin(), Sampling(1 << 14, 16), UNIT_BYTES, read)
    coin = Coin()
    small = Sampling(1 << 14, 16, memory=1 << 20)
    parts = draw_repetitions(coin, small, UNIT_BYTES, read)
    assert all(units * count * UNIT_BYTES <= 1 << 20 for units, count in coin.asked)
    assert [count for _, count in coin.asked] == [10, 6, 16]
    assert np.array_equal(parts.values["x"], whole.values["x"])


def test_one_repetition_at_a_time_is_the_least():
    coin = Coin()
    draw_repetitions(coin, Sampling(1 << 18, 2, memory=1 << 20), UNIT_BYTES, read)
    assert coin.asked == [(1 << 17, 1)] * 2 + [(1 << 13, 1)] * 2


@pytest.mark.parametrize("tolerance", [2e-2, 2e-3, 1e-3])
def test_a_tolerance_is_met_by_about_the_units_that_it_takes(tolerance):
    found = draw_repetitions(Coin(), Sampling(tolerance=tolerance), UNIT_BYTES, read)
    error = float(mean_and_error(found.values["x"])[1])
    assert error <= tolerance * found.values["x"].mean()
    needed = tolerance**-2
    # The estimate of an error from 8 repetitions may be off by a factor 2; sizes are powers of two.
    assert found.sampling.total >= max(8 * 4096, needed / 6)
    assert found.sampling.total <= max(8 * 4096, 12 * needed)
    assert found.status is Status.OK


def test_the_memory_bounds_the_units_of_a_repetition_and_more_repetitions_follow():
    coin = Coin()
    sampling = Sampling(tolerance=1e-3, memory=1 << 20)
    found = draw_repetitions(coin, sampling, UNIT_BYTES, read)
    assert max(units for units, _ in coin.asked) == 8192
    assert found.sampling.repetitions > 8
    assert found.values["x"].shape == (found.sampling.repetitions,)
    assert len(np.unique(found.values["x"])) == found.sampling.repetitions


def test_a_cap_ends_the_search_with_a_status():
    sampling = Sampling(tolerance=1e-5, max_units=1 << 18)
    found = draw_repetitions(Coin(), sampling, UNIT_BYTES, read)
    assert found.status is Status.NOT_CONVERGED
    assert found.sampling.total <= 1 << 18
    assert found.sampling.total > 1 << 16


def test_numbers_without_a_scale_meet_no_tolerance_and_exact_ones_meet_all():
    assert Reading(np.array(0.0), np.array(0.0), np.array(0.0)).relative == 0.0
    assert Reading(np.array(0.1), np.array(0.1), np.array(0.0)).relative == math.inf
    assert Reading(np.ones(2), np.array([0.1, 0.3]), np.array(1.0)).relative == 0.3


def test_the_jackknife_of_a_mean_is_its_standard_error():
    samples = np.random.default_rng(0).normal(size=20)
    error = mean_and_error(samples)[1]
    assert jackknife(samples, lambda rows: float(rows.mean())) == pytest.approx(error)


def test_the_jackknife_of_a_logarithm_is_the_delta_method():
    samples = 5 + 0.1 * np.random.default_rng(0).normal(size=20)
    mean, error = mean_and_error(samples)
    found = jackknife(samples, lambda rows: math.log(rows.mean()))
    assert found == pytest.approx(error / mean, rel=1e-2)
