"""Hermite's coefficients of functions of a Gaussian: pairs against quadrature, norms, errors."""

from __future__ import annotations

import numpy as np
import pytest

from rnnmft.numerics.hermite_coefficients import hermite_coefficients

Array = np.ndarray


def functions(e: Array) -> tuple[Array, ...]:
    return np.tanh(e), 1.0 / (1.0 + np.exp(-e))


def pair(f: int, g: int, mean: float, deviation: float, rho: float) -> float:
    """E[f(a) g(b)] by Gauss and Hermite in two dimensions."""
    z, w = np.polynomial.hermite_e.hermegauss(150)
    w = w / w.sum()
    a = mean + deviation * z
    b = mean + deviation * (rho * z[:, None] + np.sqrt(1.0 - rho**2) * z)
    return float(w @ (functions(a)[f][:, None] * functions(b)[g]) @ w)


@pytest.mark.parametrize("rho", [-0.6, 0.0, 0.9])
def test_a_pair_is_a_power_series_in_its_correlation(rho: float) -> None:
    means, deviations = np.array([0.0, 1.5, -0.3]), np.array([0.2, 0.6, 1.0])
    found = hermite_coefficients(functions, means, deviations, 60)
    powers = rho ** np.arange(60)[:, None]
    for f, g in ((0, 0), (0, 1), (1, 1)):
        series = (found.values[f] * found.values[g] * powers).sum(axis=0)
        rest = abs(rho) ** 60 * found.rest[f] * found.rest[g]
        # The reference leaves exp(-2 d sqrt(n)), d = pi / 2 over the width: 1e-16 at the widest.
        bound = rest + found.error[f] + found.error[g] + 1e-14
        for i, law in enumerate(zip(means, deviations, strict=True)):
            assert abs(series[i] - pair(f, g, *law, rho)) <= bound[i]


def test_the_norm_of_what_is_left_out_is_known() -> None:
    """sum f_k^2 = E[f^2]: few leave what many have beyond them and what those leave."""
    law = np.array([0.4]), np.array([3.0])
    few, many = (hermite_coefficients(functions, *law, k) for k in (8, 120))
    for j in range(2):
        between = float((many.values[j][8:] ** 2).sum())
        assert between > 1e-4
        assert few.rest[j].item() ** 2 - many.rest[j].item() ** 2 == pytest.approx(between, 1e-9)


def test_a_function_that_no_step_resolves_has_a_large_error() -> None:
    found = hermite_coefficients(lambda e: (np.sign(e - 0.1),), np.zeros(1), np.ones(1), 8)
    assert found.error.item() > 1e-4
