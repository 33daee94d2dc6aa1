"""Closed forms: every rule against mpmath at 30 digits, and Dirac deltas against differences."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

from rnnmft.activations import (
    Activation,
    define_activation,
    erf,
    exp,
    gaussian_cdf,
    hard_sigmoid,
    hard_tanh,
    leaky_relu,
    relu,
    sin,
    softsign,
    step,
    tanh,
)
from rnnmft.closed_forms import closed_form
from rnnmft.dirac_deltas import without_deltas
from rnnmft.expectation import GaussianExpectation, gaussian_expectation
from tests.meaning import MEANING

DIGITS = 30
z, y = sp.symbols("z y", real=True)
mu, nu = sp.symbols("mu nu", real=True)
q, q_b = sp.symbols("q q_b", positive=True)
q_ab = sp.Symbol("q_ab", real=True)


def function(expression, *variables):
    return sp.lambdify(variables, expression, [MEANING, "mpmath"])


def integral(f, mean, variance, kinks=()):
    """E[f(z)], z ~ N(mean, variance), split at kinks, in mpmath's working precision."""
    root = mpmath.sqrt(variance)
    ends = [mean - 14 * root, mean + 14 * root]
    inside = [k for k in (*kinks, mean) if ends[0] < k < ends[1]]
    density = lambda x: mpmath.npdf(x, mean, root)  # noqa: E731
    return mpmath.quad(lambda x: f(x) * density(x), sorted({*ends, *inside}))


def draws(name, count=2):
    rng = np.random.default_rng([ord(c) for c in name])
    return [
        (sp.Rational(round(100 * m), 100), sp.Rational(round(100 * v) + 1, 100))
        for m, v in zip(rng.uniform(-2, 2, count), rng.gamma(2.0, 0.6, count), strict=True)
    ]


ONE = {
    "polynomial": z**4 - 3 * z + 2,
    "exp": exp(z / 2),
    "exp of a quadratic": (z**2 - z) * exp(-(z**2) / 3 + z),
    "density": gaussian_cdf(z).diff(z) * z**2,
    "erf": erf(2 * z - 1),
    "gaussian_cdf": gaussian_cdf(z / 3 + sp.Rational(1, 2)),
    "sin": sin(2 * z + 1),
    "sin squared": sin(z) ** 2 * sp.cos(z),
    "relu": relu(z),
    "relu squared": relu(z) ** 2,
    "relu cubed and z": relu(z) ** 3 * z,
    "step": step(z) ** 2,
    "step and more": (2 + z) * step(z) - 3 * step(z),
    "delta": sp.DiracDelta(2 * z - 1) * z**2,
}


@pytest.mark.parametrize("name", ONE)
def test_one_variable(name):
    value = closed_form(gaussian_expectation(ONE[name], z, mu, q))
    assert not value.has(GaussianExpectation)
    for at_mu, at_q in draws(name):
        with mpmath.workdps(DIGITS):
            point = {mu: at_mu, q: at_q}
            if name == "delta":
                mean, root = (mpmath.mpf(v.p) / v.q for v in (at_mu, at_q))
                expected = mpmath.npdf(mpmath.mpf("0.5"), mean, mpmath.sqrt(root)) / 8
            else:
                mean, variance = (mpmath.mpf(v.p) / v.q for v in (at_mu, at_q))
                kinks = (0,) if ONE[name].has(relu, step) else ()
                expected = integral(function(ONE[name], z), mean, variance, kinks)
            found = function(value.subs(point))()
            assert abs(found - expected) <= mpmath.mpf(10) ** (5 - DIGITS) * (1 + abs(expected))


@pytest.mark.parametrize("f", [erf(2 * z), gaussian_cdf(z), gaussian_cdf(3 * z)])
def test_squares_at_zero_mean(f):
    node = gaussian_expectation(f**2, z, 0, q)
    value = closed_form(node)
    assert not value.has(GaussianExpectation)
    for _, at_q in draws(str(f)):
        with mpmath.workdps(DIGITS):
            expected = integral(function(f**2, z), 0, mpmath.mpf(at_q.p) / at_q.q)
            assert abs(function(value.subs(q, at_q))() - expected) <= 1e-25


PAIRS = (erf, gaussian_cdf, sin, relu, step, exp)


@pytest.mark.parametrize("correlation", ["-0.9", "0", "0.99"])
@pytest.mark.parametrize("f", PAIRS, ids=lambda f: f.__name__)
def test_a_pair(f, correlation):
    """The inner integral over y given z is a univariate closed form, tested above."""
    name = f.__name__
    for (_, at_q), (_, at_q_b) in zip(draws(name, 1), draws(name + "b", 1), strict=True):
        value = closed_form(gaussian_expectation(f(z) * f(y), (z, y), (0, 0), (q, q_ab, q_b)))
        assert not value.has(GaussianExpectation)
        with mpmath.workdps(DIGITS):
            v_a, v_b = (mpmath.mpf(v.p) / v.q for v in (at_q, at_q_b))
            c = mpmath.mpf(correlation) * mpmath.sqrt(v_a * v_b)
            inner = closed_form(gaussian_expectation(f(y), y, mu, q))
            given = function(inner, mu, q)
            outer = function(f(z), z)
            residual = v_b - c**2 / v_a
            expected = integral(
                lambda x, s=residual, k=c / v_a, outer=outer, given=given: (
                    outer(x) * given(k * x, s)
                ),
                0,
                v_a,
                getattr(f, "kinks", ()),
            )
            found = function(value, q, q_ab, q_b)(v_a, c, v_b)
            assert abs(found - expected) <= mpmath.mpf(10) ** (6 - DIGITS) * (1 + abs(expected))


def test_an_activation_has_the_closed_forms_of_its_definition():
    bump = define_activation("bump", definition=exp(-(Activation.x**2) / 2))
    ramp = define_activation("ramp", definition=relu(Activation.x) ** 2)
    for made, plain in ((bump(2 * z) ** 2, exp(-4 * z**2)), (z * ramp(z), z * relu(z) ** 2)):
        found, expected = (gaussian_expectation(f, z, mu, q).doit() for f in (made, plain))
        assert found == expected
        assert not found.has(GaussianExpectation)
    for unknown in (ramp(z) * tanh(z), bump(ramp(z)), ramp(z) + bump(ramp(z))):
        node = gaussian_expectation(unknown, z, mu, q)
        assert closed_form(node) == node


def test_stays_a_node_where_nothing_is_known():
    for f in (tanh(z), erf(z) ** 2, sin(z) * tanh(z), exp(z**3), relu(z - 1)):
        node = gaussian_expectation(f, z, mu, q)
        assert closed_form(node) == node


def test_an_integral_that_may_diverge_stays_a_node():
    node = gaussian_expectation(exp(z**2), z, mu, q)
    assert closed_form(node) == node
    quarter = closed_form(gaussian_expectation(exp(z**2), z, 0, sp.Rational(1, 4)))
    assert quarter == sp.sqrt(2)


KINKED = {
    "relu": (relu(z), (0,)),
    "leaky_relu": (leaky_relu(z), (0,)),
    "hard_tanh": (hard_tanh(z), (-1, 1)),
    "hard_sigmoid": (hard_sigmoid(2 * z + 1), (-2, 1)),
    "softsign": (softsign(z), (0,)),
    "step": (step(z), (0,)),
}


@pytest.mark.parametrize("variable", [mu, q])
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("name", KINKED)
def test_derivatives_through_kinks(name, power, variable):
    """d/dmu = E[f'] and d/dq = E[f''] / 2, whose deltas become densities."""
    f, kinks = KINKED[name]
    f = f**power
    slope = without_deltas(gaussian_expectation(f, z, mu, q).diff(variable))
    assert not slope.has(sp.DiracDelta)
    for at_mu, at_q in draws(name, 1):
        with mpmath.workdps(DIGITS):
            mean, variance = (mpmath.mpf(v.p) / v.q for v in (at_mu, at_q))
            g = function(f, z)

            def at(x, g=g, mean=mean, variance=variance):
                law = (x, variance) if variable == mu else (mean, x)
                return integral(g, *law, kinks)

            expected = mpmath.diff(at, mean if variable == mu else variance)
            found = evaluated(slope, {mu: mean, q: variance}, kinks)
            assert abs(found - expected) <= 1e-12 * (1 + abs(expected))


def evaluated(expression, values, kinks):
    """An expression whose nodes are univariate with law (mu, q), in mpmath."""
    numbers = {}
    for node in expression.atoms(GaussianExpectation):
        f = function(node.integrand, *node.variables)
        law = [function(p, mu, q)(values[mu], values[q]) for p in (*node.means, *node.covariance)]
        numbers[node] = sp.Dummy()
        values = values | {numbers[node]: integral(f, *law, kinks)}
    symbols = list(values)
    return function(expression.xreplace(numbers), *symbols)(*(values[s] for s in symbols))


@pytest.mark.parametrize("correlation", [-0.5, 0.3, 0.8])
def test_derivative_of_a_pair_through_kinks(correlation):
    """d/dq_ab P(|z| < 1, |y| < 1): two deltas on each side, the density at four corners."""
    slope = without_deltas(
        gaussian_expectation(
            hard_tanh(z).diff(z) * hard_tanh(y).diff(y), (z, y), (mu, nu), (q, q_ab, q_b)
        ).diff(q_ab)
    )
    assert not slope.has(sp.DiracDelta, GaussianExpectation)
    with mpmath.workdps(DIGITS):
        a, b, v_a, v_b = (mpmath.mpf(v) for v in ("0.3", "-0.2", "0.9", "1.3"))
        c = mpmath.mpf(correlation) * mpmath.sqrt(v_a * v_b)

        def probability(cov):
            root = mpmath.sqrt(v_b - cov**2 / v_a)

            def inside(x):
                m = b + cov / v_a * (x - a)
                return mpmath.ncdf((1 - m) / root) - mpmath.ncdf((-1 - m) / root)

            weight = lambda x: mpmath.npdf(x, a, mpmath.sqrt(v_a))  # noqa: E731
            return mpmath.quad(lambda x: inside(x) * weight(x), [-1, 0, 1])

        expected = mpmath.diff(probability, c)
        found = function(slope, mu, nu, q, q_ab, q_b)(a, b, v_a, c, v_b)
        assert abs(found - expected) <= 1e-12
