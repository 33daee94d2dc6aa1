"""Densities of singular values against the quarter circle, within and beyond their budget."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnnmft.errors import ConvergenceError, DerivationError
from rnnmft.report.budget import Budget
from rnnmft.report.densities import Axis, density_of

Array = NDArray[np.float64]


class QuarterCircle:
    """J = W with N(0, 1/N) elements: squared singular values of density sqrt(4/x - 1) / 2 pi."""

    def __init__(self, seconds: float = 0.0, error: float = 0.0) -> None:
        self.seconds, self.error, self.asked = seconds, error, 0

    def density(self, grid: Any) -> Any:
        x = np.asarray(grid)
        self.asked += x.size
        end = time.thread_time() + self.seconds * x.size
        while time.thread_time() < end:
            pass
        value = np.sqrt(np.maximum(4 / x - 1, 0)) / (2 * math.pi)
        return SimpleNamespace(value=value, error=np.full(x.shape, self.error))


def law(**values: float) -> Any:
    return QuarterCircle(**values)


def quarter_circle(s: Array) -> Array:
    return np.sqrt(np.maximum(4 - s**2, 0)) / math.pi


@pytest.mark.parametrize("logarithmic", [False, True])
def test_it_is_the_density_over_its_axis(logarithmic: bool) -> None:
    axis = Axis(0.01 if logarithmic else 0.0, 2.0, logarithmic)
    found = density_of(law(), axis, Budget(10.0))
    s = found.singular_values
    jacobian = s * math.log(10) if logarithmic else 1.0
    assert np.allclose(found.value, quarter_circle(s) * jacobian, rtol=1e-12)
    # The midpoint rule; the edge at 2 is a square root, which costs h^(3/2).
    over = np.log10(s) if logarithmic else s
    assert float(found.value.sum() * (over[1] - over[0])) == pytest.approx(1.0, abs=0.02)


def test_it_stops_where_the_time_is_over() -> None:
    slow = QuarterCircle(seconds=0.002)
    found = density_of(slow, Axis(0.1, 1.9, False), Budget(0.06))  # type: ignore[arg-type]
    assert 8 <= len(found.value) == slow.asked < 60


def test_too_expensive_is_said_before_it_is_tried() -> None:
    slow = QuarterCircle(seconds=0.01)
    with pytest.raises(DerivationError, match="Each point takes about"):
        density_of(slow, Axis(0.1, 1.9, False), Budget(0.05))  # type: ignore[arg-type]
    assert slow.asked == 2


def test_points_that_did_not_converge_are_left_out() -> None:
    with pytest.raises(ConvergenceError):
        density_of(law(error=100.0), Axis(0.1, 1.9, False), Budget(10.0))


def test_the_axis_is_divided_evenly() -> None:
    assert np.allclose(Axis(1.0, 16.0, True).edges(4), [1, 2, 4, 8, 16])
    assert np.allclose(Axis(0.0, 2.0, False).edges(4), [0, 0.5, 1, 1.5, 2])


def test_a_budget_is_spent_by_working_only() -> None:
    budget = Budget(0.5)
    time.sleep(0.05)
    assert budget.affords(0.46)
    assert not budget.part(0.5).affords(0.3)
    assert Budget(0.0).left == 0.0


def test_a_narrow_peak_is_not_passed_over() -> None:
    """Of the coarsest curve's 8 points half lie where a sample does, and 0 of an even axis's."""
    rng = np.random.default_rng(0)
    sample = np.concatenate([rng.normal(1.02, 0.01, 950), rng.uniform(0, 6, 50)])
    coarsest = slice(4, None, 8)
    for known, near in ((sample, (3, 5)), (None, (0, 0))):
        points = Axis(0.0, 6.0, False, known).points()
        assert (np.diff(points) > 0).all()
        assert 0 < points[0] < points[-1] < 6
        assert near[0] <= (np.abs(points[coarsest] - 1.02) < 0.05).sum() <= near[1]
