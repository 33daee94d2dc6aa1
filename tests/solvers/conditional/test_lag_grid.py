"""Lags: which there are, and what lies between."""

from __future__ import annotations

import pytest
import torch

from rnnmft.solvers.conditional.lag_grid import LagGrid


@pytest.mark.parametrize(("last", "near"), [(16, 16), (64, 8), (4096, 8), (32, 1)])
def test_lags_end_where_they_shall_and_steps_are_powers_of_two(last, near):
    grid = LagGrid(last, near)
    assert grid.lags[: near + 1] == list(range(near + 1))
    assert grid.lags[-1] == last
    assert all(step & (step - 1) == 0 for step in grid.steps)
    # A block starts at a multiple of its length, and none is longer than 1 / near of its lag.
    assert all(lag % step == 0 for lag, step in zip(grid.lags, grid.steps, strict=False))
    far = zip(grid.lags[near:], grid.steps[near:], strict=False)
    assert all(step * near <= lag for lag, step in far)


def test_between_lags_are_straight_lines():
    grid = LagGrid(64, 4)
    lags = torch.tensor(grid.lags, dtype=torch.float64)
    line = torch.stack([3.0 - 0.5 * lags, lags], 1)
    every = torch.arange(65, dtype=torch.float64)
    assert torch.allclose(grid.at_all_lags(line), torch.stack([3.0 - 0.5 * every, every], 1))
    curve = grid.at_all_lags(lags.square())
    assert torch.equal(curve[grid.lags], lags.square())
    assert (curve - every.square()).abs().max() > 1.0
