"""Tabulated Gaussian integrals: against 30 digits, at zero variance, and what no table holds."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

from rnnmft.activations import hard_tanh, sigmoid, silu, tanh
from rnnmft.numerics.gaussian_table import GaussianTable, tabulate

E = sp.Symbol("e", real=True)
BODIES = (sigmoid(E) ** 2, tanh(E), (1 - sigmoid(E)) ** 2, silu(E) ** 2)
LAWS = [(0.0, 1e-8), (0.0, 0.7), (-1.5, 3.0), (5.25, 0.04), (5.25, 40.0), (0.4, 1e4)]


def exact(body: int, mean: float, variance: float) -> float:
    """E[f(e)] to 30 digits."""
    with mpmath.workdps(30):
        mu, s = mpmath.mpf(mean), mpmath.sqrt(mpmath.mpf(variance))

        def f(e: mpmath.mpf) -> mpmath.mpf:
            u = 1 / (1 + mpmath.exp(-e))
            return (u**2, mpmath.tanh(e), (1 - u) ** 2, (e * u) ** 2)[body]

        def integrand(z: mpmath.mpf) -> mpmath.mpf:
            return f(mu + s * z) * mpmath.npdf(z)

        # Within a few units of e = 0 the functions bend.
        bends = [-mu / s + k / s for k in (-20, -4, 0, 4, 20)]
        ends = sorted({mpmath.mpf(-14), mpmath.mpf(14), *(b for b in bends if abs(b) < 14)})
        return float(mpmath.quad(integrand, ends))


def table_of(means: np.ndarray) -> GaussianTable:
    found = tabulate(BODIES, E, means)
    assert found is not None
    return found


@pytest.mark.parametrize("many", [False, True], ids=["means themselves", "panels of means"])
def test_a_table_is_right_within_its_bounds(many: bool) -> None:
    means = np.unique([mean for mean, _ in LAWS])
    if many:
        means = np.union1d(means, np.linspace(-2.0, 6.0, 201))
    table = table_of(means)
    assert table.growth == (0, 0, 0, 2)
    for mean, variance in LAWS:
        index = table.index(np.array([mean]))
        assert index is not None
        place = table.place(index, np.array([variance]))
        for j in range(len(BODIES)):
            value, bound = table.values(j, place).item(), table.bounds(j, place).item()
            true = exact(j, mean, variance)
            assert abs(value - true) <= bound, (mean, variance, j)
            # The bounds are no idle ones.
            assert bound <= 1e-8 * abs(true) + 1e-10, (mean, variance, j)


def test_without_variance_the_integral_is_the_function() -> None:
    means = np.array([-1.0, 0.0, 2.0])
    table = table_of(means)
    place = table.place(np.arange(3), np.zeros(3))
    assert table.values(1, place)[1] == 0.0
    np.testing.assert_allclose(table.values(1, place), np.tanh(means), rtol=1e-15)
    assert (table.bounds(1, place) <= 1e-13).all()


def test_a_mean_that_is_not_there_is_not_found() -> None:
    assert table_of(np.array([0.0, 1.0])).index(np.array([0.5])) is None


def test_a_kink_off_the_mean_is_refused() -> None:
    assert tabulate((hard_tanh(E) ** 2,), E, np.array([0.999])) is None
