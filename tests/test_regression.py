"""A Gaussian pair as a regression: derivatives of its formula, and the nested pair by dblquad."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from scipy import integrate

from rnnmft.expectation import GaussianExpectation
from rnnmft.regression import ResidualVariance, SafeInverse, nested_pair

Q = sp.symbols("q_a q_ab q_b", positive=True)
AT = {Q[0]: sp.Rational(13, 10), Q[1]: sp.Rational(2, 5), Q[2]: sp.Rational(7, 10)}


def written(expression: sp.Expr) -> sp.Expr:
    """Both functions as the formulas that they stand for, where q_a > 0."""
    found = expression.replace(ResidualVariance, lambda a, ab, b: b - ab**2 / a)
    return found.replace(SafeInverse, lambda x: 1 / x)


@pytest.mark.parametrize("by", Q, ids=str)
def test_derivatives_are_those_of_the_formula(by: sp.Symbol) -> None:
    q_a, q_ab, q_b = Q
    found = written(sp.diff(ResidualVariance(*Q), by)).subs(AT)
    assert found == sp.diff(q_b - q_ab**2 / q_a, by).subs(AT) != 0
    twice = written(sp.diff(ResidualVariance(*Q), by, q_ab)).subs(AT)
    assert twice == sp.diff(q_b - q_ab**2 / q_a, by, q_ab).subs(AT)
    assert written(sp.diff(SafeInverse(q_a), q_a)).subs(AT) == -1 / AT[q_a] ** 2


def test_a_nested_pair_is_the_same_average() -> None:
    """E[sin(a) exp(b / 2)] of a pair with means: the nested integral against Stein's formula.

    Im E[exp(i a + b / 2)] = exp(mu_b / 2 - q_a / 2 + q_b / 8) sin(mu_a + q_ab / 2).
    """
    a, b = sp.symbols("a b", real=True)
    means, (q_a, q_ab, q_b) = (0.3, -0.4), (1.3, 0.4, 0.7)
    node = GaussianExpectation(
        sp.sin(a) * sp.exp(b / 2), sp.Tuple(a, b), sp.Tuple(*means), sp.Tuple(q_a, q_ab, q_b)
    )
    nested = nested_pair(node)
    inner = nested.integrand
    (outer,), (variable,) = nested.variables, inner.variables
    assert tuple(nested.means) == (0,)
    assert float(nested.covariance[0]) == q_a
    mean = sp.lambdify(outer, written(inner.means[0]))
    std = math.sqrt(float(written(inner.covariance[0])))
    f = sp.lambdify((outer, variable), inner.integrand)

    def density(z: float) -> float:
        return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    def value(y: float, x: float, slope: float = 1.0) -> float:
        d = math.sqrt(q_a) * x
        return f(d, mean(slope * d) + std * y) * density(x) * density(y)

    found = integrate.dblquad(value, -9, 9, -9, 9, epsabs=1e-9)[0]
    exact = math.exp(means[1] / 2 - q_a / 2 + q_b / 8) * math.sin(means[0] + q_ab / 2)
    assert found == pytest.approx(exact, abs=1e-8)
    # The control: without the regression the pair would be independent.
    alone = math.exp(means[1] / 2 - q_a / 2 + q_b / 8) * math.sin(means[0])
    assert abs(found - alone) > 0.05
    assert np.isfinite(found)
