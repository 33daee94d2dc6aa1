"""Slow maps: mixing ends where plain iteration does, and the Krylov rate is the eigenvalue."""

from __future__ import annotations

import numpy as np
import pytest

from rnnmft import cells
from rnnmft.cells import Inputs
from rnnmft.errors import ConvergenceError
from rnnmft.solvers.transport import stationary_pair as pairs
from rnnmft.solvers.transport.slow_limit import slow_limit
from rnnmft.solvers.transport.stationary_laws import StationaryLaws
from rnnmft.solvers.transport.stationary_pair import stationary_pair

RATES = 0.995 * np.linspace(0.0, 1.0, 60)


def _size(step: np.ndarray) -> float:
    return float(np.abs(step).max())


def _affine(rates: np.ndarray):
    """x -> A (x - 1) + 1 with a symmetric A of known eigenvalues."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((len(rates), len(rates))))[0]
    matrix = basis @ np.diag(rates) @ basis.T
    return basis, lambda x: matrix @ (x - 1.0) + 1.0


def _diagonal(rates: np.ndarray):
    return lambda x: rates * (x - 1.0) + 1.0


def test_a_known_spectrum() -> None:
    _, move = _affine(RATES)
    calls = 0

    def counted(x: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        return move(x)

    found = slow_limit(counted, np.zeros(len(RATES)), _size, lambda d: d)
    # A step below 1e-9 leaves at most 1e-9 / (1 - rate).
    assert np.abs(found.at - 1.0).max() < 2e-7
    assert found.rate == pytest.approx(RATES[-1], abs=1e-6)
    # Plain iteration needs log(1e-8) / log(0.995) = 3700 steps.
    assert calls < 300


def test_crowded_slow_modes_are_told_apart() -> None:
    # A Krylov space of 60 that is not restarted ends at 0.98993.
    rates = 0.99 * np.linspace(1.0, 0.0, 3000)
    move = _diagonal(rates)
    found = slow_limit(move, np.zeros(len(rates)), _size, lambda d: d)
    assert found.rate == pytest.approx(0.99, abs=1e-7)


def test_what_is_conserved_is_taken_out() -> None:
    rates = np.r_[RATES, 1.0]
    basis, move = _affine(rates)
    kept = basis[:, -1]

    def project(step: np.ndarray) -> np.ndarray:
        return step - (kept @ step) * kept

    start = 1.0 + project(np.random.default_rng(1).standard_normal(len(rates)))
    found = slow_limit(move, start, _size, project)
    assert found.rate == pytest.approx(RATES[-1], abs=1e-6)


def test_an_unstable_map_is_refused() -> None:
    _, move = _affine(np.r_[RATES, 1.01])
    with pytest.raises(ConvergenceError):
        slow_limit(move, np.zeros(len(RATES) + 1), _size, lambda d: d)


def test_a_slow_lstm_ends_where_plain_iteration_does(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = cells.lstm()
    laws = StationaryLaws(cell, cell.ensemble(f={"mu_b": 2.5}, g={"sigma_w": 4.0}), Inputs())
    (mixed, _, rate), (_, _, finer) = (
        stationary_pair(laws, level) for level in ((56, 14), (64, 16))
    )

    def plainly(*arguments, smooth: bool):
        return slow_limit(*arguments, smooth=False)

    monkeypatch.setattr(pairs, "slow_limit", plainly)
    plain, _, slope = stationary_pair(laws, (56, 14))
    assert rate > 0.85
    # Steps end at 1e-9 and 1e-8 of E[s^2], which leaves 1 / (1 - rate) times as much.
    second = laws.reached[0].second
    for state, value in plain.cross.items():
        assert abs(mixed.cross[state] - value) < 1.1e-8 / (1.0 - rate) * second[state]
    # Another grid has the same eigenvalue; the ratio of two plain steps holds faster modes too.
    assert rate == pytest.approx(finer, abs=1e-6)
    assert rate == pytest.approx(slope, abs=5e-5)
