"""Starts against one of them: exact intervals and tests, by numbers worked out by hand."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from rnnmft.experiments.comparison import compare, times_as_soon


def test_counts_have_exact_intervals() -> None:
    found = compare({"a": [75.0] * 5, "never": [inf] * 5, "as stored": ["inf"] * 5}, "a")
    assert found["a"].share == pytest.approx((0.025**0.2, 1.0))
    assert found["never"].share == pytest.approx((0.0, 1 - 0.025**0.2))
    # Two of the 252 tables are as extreme.
    assert found["never"].p_count == pytest.approx(2 / 252)
    assert found["never"].median == inf
    assert found["as stored"] == found["never"]
    assert found["a"].p_count == found["a"].p_steps == 1.0


def test_steps_are_compared_by_their_order() -> None:
    """Apart without ties: 2 of 252 orders; never is later than all, wherever all is."""
    one = [1.0, 2.0, 3.0, 4.0, 5.0]
    for other in ([6.0, 7.0, 8.0, 9.0, 10.0], [60.0, 70.0, 80.0, 90.0, inf]):
        assert compare({"a": one, "b": other}, "a")["b"].p_steps == pytest.approx(2 / 252)
    among = compare({"a": one, "b": [1.5, 2.5, 3.5, 4.5, 0.5]}, "a")["b"].p_steps
    assert among > 0.5


def test_starts_that_do_not_differ_seldom_seem_to() -> None:
    """400 pairs of 5: at 5 %, 20 +- 4.4 false alarms are expected at most; 5 standard errors."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(1, 20, size=(400, 2, 5)).tolist()
    alarms = sum(compare({"a": a, "b": b}, "a")["b"].p_steps < 0.05 for a, b in drawn)
    assert alarms <= 20 + 5 * 4.4


def test_ratios_of_steps() -> None:
    one, other = [100, 200, 400, 800, 1600], [300, 600, 1200, 2400, 4800]
    ratio, low, high = times_as_soon(one, other)
    assert ratio == pytest.approx(3.0)
    assert low < 1.0 < 3.0 < high
    # Never is later than all, and two that are both never are alike.
    assert times_as_soon([100] * 4, ["inf"] * 4) == (inf, inf, inf)
    assert times_as_soon([inf] * 4, [inf] * 4) == (1.0, 1.0, 1.0)
    assert times_as_soon([1, 2, 3], [10, 20, 30])[1:] == (0.0, inf)


def test_the_interval_of_a_ratio_holds_it() -> None:
    """400 pairs of 5 and 7, at most 5 % of them outside: 20 +- 4.4, and 5 standard errors.

    The control, a ratio of 6 in place of 2, lies outside of more than half.
    """
    rng = np.random.default_rng(1)
    missed = {2.0: 0, 6.0: 0}
    for _ in range(400):
        one, other = np.exp(0.5 * rng.standard_normal(5)), 2 * np.exp(0.5 * rng.standard_normal(7))
        _, low, high = times_as_soon(one.tolist(), other.tolist())
        for ratio in missed:
            missed[ratio] += not low <= ratio <= high
    assert missed[2.0] <= 20 + 5 * 4.4
    assert missed[6.0] > 200
