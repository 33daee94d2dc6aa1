"""Low-rank rate networks: a covariance comes back from its laws; ranks and inputs add up."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import sympy as sp
from numpy.typing import NDArray

from rnnmft import cells
from rnnmft.cells import Average
from rnnmft.errors import ParameterError

Array = NDArray[np.float64]


def vectors(cell: cells.Cell) -> list[sp.Expr]:
    """(m_1, .., n_1, .., I) of a cell, as its update has them."""
    (h,), (update,) = cell.states, cell.update.values()
    free = sp.expand(update - sp.diff(update, h) * h)
    leak = free.coeff(cell.preactivations[0])
    still = dict.fromkeys([*cell.averages, *cell.preactivations], 0)
    m = [sp.diff(free, kappa) / leak for kappa in cell.averages]
    n = [sp.cancel(f / sp.tanh(1)).subs(sp.tanh(1), 1) for f in _rates(cell)]
    stimulus = free.xreplace(still) / leak
    return [*m, *n, stimulus] if stimulus != 0 else [*m, *n]


def _rates(cell: cells.Cell) -> list[sp.Expr]:
    """n_r times tanh(1), of kappa_r = E[n_r phi(h)]."""
    activation = cell.preactivations[0].sees
    return [sp.cancel(sp.expand(f / activation)) * sp.tanh(1) for f in cell.averages.values()]


@pytest.mark.parametrize("stimulus", [False, True], ids=["alone", "stimulus"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_covariance_comes_back_from_its_laws(rank: int, stimulus: bool) -> None:
    """Mean and covariance of what the cell has, linear in independent numbers, are those given."""
    size = 2 * rank + stimulus
    rng = np.random.default_rng(rank)
    root = rng.normal(size=(size, size))
    given: Array = root @ root.T + np.eye(size)
    given = (given + given.T) / 2
    for i, j in product(range(rank), repeat=2):
        if i != j:
            given[i, j] = 0.0
            given[rank + i, rank + j] = np.nan  # not used
    given += np.diag(np.full(size, 3.0))
    filled = np.where(np.isnan(given), 0.0, given)
    mean = rng.normal(size=size)
    cell = cells.low_rank(rank, stimulus=stimulus)
    laws = cells.low_rank_laws(filled.tolist(), mean.tolist())
    cell.ensemble(parameters=laws)
    drawn = [p for p in cell.parameters if laws[p.name].variance > 0]
    fixed = {p: sp.Float(laws[p.name].mean) for p in cell.parameters if p not in drawn}
    found = [v.xreplace(fixed) for v in vectors(cell)]
    weights = np.array([[float(sp.diff(v, p)) for p in drawn] for v in found])
    means = {p: laws[p.name].mean for p in drawn}
    spread = np.array([laws[p.name].variance for p in drawn])
    covariance = weights * spread @ weights.T
    known = ~np.isnan(given)
    np.testing.assert_allclose(covariance[known], given[known], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose([float(v.xreplace(means)) for v in found], mean, atol=1e-12)


def test_a_text_cell_says_the_same() -> None:
    for rank, stimulus in product((1, 2, 3), (False, True)):
        cell = cells.low_rank(rank, leak=1, stimulus=stimulus)
        assert cells.loads(cell.to_toml()) == cell
        assert all(isinstance(m, Average) for m in cell.averages)


@pytest.mark.parametrize(
    ("covariance", "mean", "sentence"),
    [
        ([[1, 2], [2, 3]], None, "an overlap exceeds the variances"),
        ([[0, 1], [1, 3]], None, "a constant shares nothing"),
        ([[1, 2], [1, 5]], None, "symmetric"),
        ([[1, 2], [2, 5]], [0.0], "mean as long"),
        ([[1, "x"], [2, 5]], None, "must be numbers"),
        ([[1, 0.5, 0, 0], [0.5, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], None, "uncorrelated"),
        ([[1]], None, "rank must be 1, 2 or 3"),
    ],
    ids=["overlap", "constant", "symmetric", "mean", "text", "correlated", "rank"],
)
def test_what_is_no_covariance_is_refused(
    covariance: list, mean: list | None, sentence: str
) -> None:
    with pytest.raises(ParameterError, match=sentence):
        cells.low_rank_laws(covariance, mean)


@pytest.mark.parametrize("given", [{"rank": 4}, {"rank": True}, {"leak": 0}], ids=str)
def test_what_is_no_low_rank_network_is_refused(given: dict) -> None:
    with pytest.raises(ParameterError, match="must be"):
        cells.low_rank(**given)
