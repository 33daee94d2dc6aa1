"""Averages over fewer Gaussians: each reduction against Gauss-Hermite sums of the whole."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from rnnmft.activations import hard_tanh, relu, step, tanh
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.theory.gaussian_parts import by_parts, linear_sums

E, M, N, K = sp.symbols("e m n kappa", real=True)
MEAN, VARIANCE = {E: 0.2, M: -0.5, N: 0.3}, {E: 0.7, M: 1.3, N: 0.4}


def average(expression: sp.Expr, symbols: list[sp.Symbol]) -> float:
    """By 120 nodes a variable; kappa = 0.8."""
    x, w = np.polynomial.hermite_e.hermegauss(120)
    w = w / w.sum()
    mesh = np.meshgrid(*(MEAN[s] + np.sqrt(VARIANCE[s]) * x for s in symbols), indexing="ij")
    (values,) = compile_elementwise([expression.subs(K, 0.8)], symbols)(*mesh)
    for _ in symbols:
        values = values @ w
    return float(values)


@pytest.mark.parametrize(
    "expression",
    [M * tanh(E + K * M), M**2 * tanh(E + K * M), N * M * tanh(E + K * M + N) ** 2],
    ids=["once", "twice", "two"],
)
def test_by_parts_keeps_the_average(expression: sp.Expr) -> None:
    parted = by_parts(expression, MEAN, VARIANCE)
    assert parted is not None
    symbols = sorted(expression.free_symbols - {K}, key=str)
    assert average(parted, symbols) == pytest.approx(average(expression, symbols), abs=1e-9)


def test_parts_end_where_a_function_jumps_or_nothing_is_shared() -> None:
    assert by_parts(M * relu(E + M), MEAN, VARIANCE) is not None
    for whole in (
        M * step(E + M),
        M * tanh(E),
        M * tanh(M),
        M * sp.Piecewise((1, M > E), (0, True)),
    ):
        assert by_parts(whole, MEAN, VARIANCE) is None
    assert by_parts(M * hard_tanh(E + M), MEAN, VARIANCE) is not None


def test_a_sum_is_one_gaussian() -> None:
    expression = tanh(E + K * M - 1) ** 2
    (u,), rest = linear_sums(expression, [E, M], [])
    weights = {z: float(w.subs(K, 0.8)) for z, w in u.weights.items()}
    mean = float(u.constant) + sum(w * MEAN[z] for z, w in weights.items())
    variance = sum(w**2 * VARIANCE[z] for z, w in weights.items())
    x, w = np.polynomial.hermite_e.hermegauss(120)
    (values,) = compile_elementwise([rest], [u.name])(mean + np.sqrt(variance) * x)
    assert float(values @ w / w.sum()) == pytest.approx(average(expression, [E, M]), abs=1e-9)


def test_what_shares_a_variable_stays() -> None:
    """Two sums of one variable are correlated, and one that enters elsewhere, too, is no part."""
    for expression in (tanh(E + M) * tanh(E - M), E * tanh(E + M), tanh(E + N * M)):
        sums, rest = linear_sums(expression, [E, M], [N])
        assert (sums, rest) == ((), expression)
