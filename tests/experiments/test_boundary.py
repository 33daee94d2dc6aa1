"""The boundary of what is learnt: planted multiples of xi are found, unrelated ones are not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnnmft.experiments.boundary import fit_boundary, fit_threshold, longest_learnt, of_part

XI = np.geomspace(1.0, 100.0, 12)


def test_a_planted_multiple_is_found() -> None:
    rng = np.random.default_rng(0)
    scatter = np.exp(0.2 * rng.standard_normal(12))
    fit = fit_boundary((7.0 * XI * scatter)[:, None], XI)
    # The median of 12 logarithms of spread .2 has an error of .072.
    assert fit.multiple == pytest.approx(7.0, rel=5 * 0.072)
    assert fit.scatter == pytest.approx(math.exp(0.2), rel=0.2)
    assert fit.rank > 0.9
    assert fit.rank_interval[0] > 0.7


def test_what_is_unrelated_has_no_rank() -> None:
    shuffled = np.random.default_rng(1).permutation(XI)
    fit = fit_boundary(shuffled[:, None], XI)
    assert abs(fit.rank) < 0.7
    low, high = fit.rank_interval
    assert low < 0.0 < high


def test_networks_beyond_the_lengths_count_for_the_order_alone() -> None:
    longest = np.where(XI > 30, math.inf, np.where(XI < 2, 0.0, 5 * XI))
    fit = fit_boundary(longest[:, None], XI)
    assert fit.within == int(((XI <= 30) & (XI >= 2)).sum())
    assert fit.multiple == pytest.approx(5.0)
    assert fit.rank > 0.9
    assert math.isnan(fit_boundary(np.full((3, 1), math.inf), XI[:3]).multiple)


def test_networks_of_one_value_are_resampled_together() -> None:
    # Values scatter, their four networks do not: the interval is that of 12 values, not of 48.
    scatter = np.exp(1.5 * np.random.default_rng(2).standard_normal(12))
    one = fit_boundary((XI * scatter)[:, None], XI).rank_interval
    four = fit_boundary(np.repeat((XI * scatter)[:, None], 4, axis=1), XI).rank_interval
    assert four == pytest.approx(one, abs=1e-12)


def test_a_value_that_was_given_up_keeps_its_crossing() -> None:
    part = {
        "lengths": [10, 20, 40],
        "accuracy": [[[0.9, 0.9]], [[0.1, 0.3]], [[None, None]]],
        "xi": {"tied": [2.0], "untied": [None]},
    }
    longest, xi = of_part(part)
    assert longest.shape == (1, 2)
    assert (longest > 10).all()
    assert (longest < 20).all()
    assert xi["tied"] == [2.0]
    assert np.isnan(xi["untied"]).all()


def test_the_first_crossing_counts() -> None:
    assert longest_learnt([10, 20, 40], [0.9, 0.1, 0.9]) < 20
    assert longest_learnt([10, 40], [0.75, 0.25]) == pytest.approx(20.0)


def test_a_planted_threshold_is_found() -> None:
    """Amplitudes over three decades: one threshold holds for all, one multiple of xi does not."""
    left = np.stack([np.full(12, 3.0), np.geomspace(1.0, 1e-3, 12)], axis=1)
    longest = (left[:, 0] + XI * np.log(left[:, 1] / 1e-5))[:, None]
    found = fit_threshold(longest, XI, left)
    assert found is not None
    assert found.threshold == pytest.approx(1e-5, rel=1e-6)
    assert found.scatter == pytest.approx(1.0)
    assert found.less_multiple[2] < 0.0
    # The control: where T* is a multiple of xi, a threshold describes it worse.
    worse = fit_threshold(7 * XI[:, None], XI, left)
    assert worse is not None
    assert worse.less_multiple[1] > 0.0


def test_nothing_learnt_has_no_threshold() -> None:
    left = np.full((12, 2), 0.1)
    assert fit_threshold(np.zeros((12, 2)), XI, left) is None
