"""The correlation of two trajectories: where it is defined, and that its error is a bound."""

from __future__ import annotations

import numpy as np
import pytest

from rnnmft.correlation import (
    correlation,
    correlation_error,
    defined,
    ratio_errors,
    require_variance,
    status_by_element,
)
from rnnmft.errors import ConvergenceError, Status


def test_a_ratio_where_there_is_a_variance() -> None:
    found = correlation([[1.0, 0.0, -2.0]], [[2.0], [0.0], [np.inf]])
    np.testing.assert_array_equal(found, [[0.5, 0.0, -1.0], [np.nan] * 3, [np.nan] * 3])
    # Not above its own error is zero; the least number above it is not.
    assert defined([1e-8, 1.1e-8, -1.0], 1e-8).tolist() == [False, True, False]


def test_the_error_is_the_worst_that_both_can_do_and_no_more() -> None:
    """Against 2000 displaced ratios of each of 50 settings; their largest comes close to it."""
    rng = np.random.default_rng(7)
    second = rng.uniform(0.5, 2.0, 50)
    cross = second * rng.uniform(-1, 1, 50)
    errors = rng.uniform(0, 0.2, 50), rng.uniform(0, 0.2, 50)
    bound = correlation_error(cross, second, *errors)
    a, b = rng.uniform(-1, 1, (2, 2000, 50))
    corners = np.sign(rng.uniform(-1, 1, (2, 16, 50)))
    a, b = np.concatenate([a, corners[0]]), np.concatenate([b, corners[1]])
    moved = (cross + a * errors[0]) / (second + b * errors[1]) - cross / second
    worst = np.abs(moved).max(0)
    assert (worst <= bound * (1 + 1e-12)).all()
    # The corner where both errors pull the same way is the bound.
    assert (worst > 0.97 * bound).mean() > 0.9
    # The control: half of it is exceeded everywhere.
    assert (worst > 0.5 * bound).all()


def test_no_bound_where_the_variance_may_be_zero() -> None:
    found = correlation_error([0.1, 0.1, 0.1], [1.0, 0.2, 0.0], 0.01, 0.3)
    assert found[0] == pytest.approx((0.01 + 0.1 * 0.3) / 0.7, rel=1e-12)
    assert found[1] == np.inf
    assert np.isnan(found[2])
    by_state = ratio_errors(
        {"h": np.array([1.0])},
        {"h": np.array([0.1])},
        {"second_moment": {"h": np.array([0.3])}, "cross_moment": {"h": np.array([0.01])}},
    )
    assert by_state["h"] == pytest.approx(found[:1])


def test_a_status_for_each_element_or_one_for_all() -> None:
    assert status_by_element([1.0, 2.0], Status.OK) is Status.OK
    assert status_by_element([0.0, np.nan], Status.OK) is Status.UNDEFINED
    mixed = status_by_element([1.0, 0.0], Status.OK)
    assert list(mixed) == [Status.OK, Status.UNDEFINED]


def test_a_zero_state_is_named() -> None:
    require_variance({"c": 1.0, "h": 0.5}, {"c": 0.1, "h": 0.1})
    with pytest.raises(ConvergenceError, match="stationary state h is zero"):
        require_variance({"c": 1.0, "h": 0.5}, {"c": 0.1, "h": 0.6})
    with pytest.raises(ConvergenceError, match="c, h"):
        require_variance({"c": 0.0, "h": 0.0})
