"""Ranges of variances: their ends need the weights of a map."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnnmft import Cell, Input, Preactivation, State, cells, sigmoid
from rnnmft.numerics.backends import torch_backend
from rnnmft.solvers.conditional.held_variance import needed_weights
from rnnmft.solvers.conditional.linear_cell import GateAverages
from rnnmft.solvers.conditional.weight_range import SizeRange, most_in_a_row, range_of_sizes

BACKEND = torch_backend("cpu", "float32")


def found(mu, smallest, largest, cell=None):
    averages = GateAverages(cell or cells.minimal(), mu, 1.0, BACKEND)
    return averages, range_of_sizes(averages, math.log(smallest), math.log(largest), 0, BACKEND)


@pytest.mark.parametrize(("mu", "smallest", "largest"), [(0.0, 1.0, 40.0), (3.0, 2.0, 50.0)])
def test_ends_need_the_weights_of_the_map(mu, smallest, largest):
    averages, ends = found(mu, smallest, largest)
    assert ends is not None
    for x, wanted in ((ends.low, smallest), (ends.high, largest)):
        weights = needed_weights(averages, math.exp(2 * x), 1 << 15, 3, BACKEND, 16)
        assert weights is not None
        # A little beyond: as a search of few steps finds them.
        assert weights.log_scale == pytest.approx(math.log(wanted), abs=0.5)
    assert ends.low < ends.high
    assert 16 <= ends.lags_at(ends.low) <= 1024


def test_no_range_where_memory_is_too_long():
    assert found(14.0, 1.0, 40.0)[1] is None


def test_a_range_ends_where_states_do():
    """Of a cell whose state has no bounds the largest weights are never needed."""
    h, x = State("h"), Input("x")
    e = Preactivation("e", h)
    cell = Cell("growing", update={h: 1.5 * sigmoid(e) * h + x})
    ends = found(-2.0, 0.1, 1e4, cell)[1]
    assert ends is not None
    # E[a^2] comes to half of 1.5^2 where gates are open or shut: before that it is 1.
    assert ends.high < math.log(100.0) / 2


def test_the_longest_series_of_neighbours_counts():
    one = SizeRange(0.0, 1.0, np.array([0.0, 1.0]), np.array([16, 32]))
    ranges = [(0.0, one), (1.0, None), (2.0, one), (3.0, one), (4.0, None)]
    assert list(most_in_a_row(ranges)) == [2.0, 3.0]
    assert most_in_a_row([(0.0, None)]) == {}
