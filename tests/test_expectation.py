"""The expectation node: linearity, Bonnet and Price against quadrature, names, scopes, printing.

The witness is a trapezoidal sum over the standard normal variables; its error estimate is what
halving the step changes. Derivatives are compared with central differences of that sum.
"""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import sympy as sp
from scipy import special

from rnnmft.activations import erf, sigmoid, tanh
from rnnmft.expectation import GaussianExpectation, bound_variables, gaussian_expectation

e, f, g = sp.symbols("e f g", real=True)
a, mu, nu, q, q_a, q_b, q_ab = sp.symbols("a mu nu q q_a q_b q_ab", real=True)
NUMBERS = {mu: 0.3, nu: -0.2, q: 0.7, q_a: 0.7, q_b: 0.4, q_ab: 0.2, a: 0.9}
FUNCTIONS = {
    "tanh": np.tanh,
    "tanh_prime": lambda x: 1 / np.cosh(x) ** 2,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sigmoid_prime": lambda x: 1 / (4 * np.cosh(x / 2) ** 2),
    "erf": special.erf,
    "exp": np.exp,
    "sin": np.sin,
    "cos": np.cos,
}
COARSE, FINE = 0.5, 0.25
ROUNDING = 1e-14


def number(expression: sp.Expr, env: dict, step: float) -> np.ndarray:
    """The value of an expression, its nodes by trapezoidal sums over [-9, 9] with that step."""
    if isinstance(expression, GaussianExpectation):
        return _sum(expression, env, step)
    if expression.is_Symbol:
        return env[expression]
    if expression.is_number:
        return np.float64(expression)
    values = [number(part, env, step) for part in expression.args]
    if expression.is_Add:
        return sum(values)
    if expression.is_Mul:
        return math.prod(values)
    if expression.is_Pow:
        return values[0] ** values[1]
    return FUNCTIONS[expression.func.__name__](values[0])


def _sum(node: GaussianExpectation, env: dict, step: float) -> np.ndarray:
    # Each node sums over trailing axes of its own, so that outer variables broadcast.
    grid = np.arange(-9, 9 + step / 2, step)
    weights = step * np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi)
    own = len(node.variables)
    env = {k: np.asarray(v)[(..., *[None] * own)] for k, v in env.items()}
    means = [number(m, env, step) for m in node.means]
    cov = [number(c, env, step) for c in node.covariance]
    if own == 1:
        at = {node.variables[0]: means[0] + np.sqrt(cov[0]) * grid}
        return (number(node.integrand, env | at, step) * weights).sum(-1)
    x, y = grid[:, None], grid[None, :]
    rest = np.sqrt(cov[2] - cov[1] ** 2 / cov[0])
    at = {
        node.variables[0]: means[0] + np.sqrt(cov[0]) * x,
        node.variables[1]: means[1] + cov[1] / np.sqrt(cov[0]) * x + rest * y,
    }
    values = number(node.integrand, env | at, step)
    return (values * weights[:, None] * weights).sum((-1, -2))


def agree(left: sp.Expr, right: sp.Expr) -> None:
    """Assert that two expressions have one value, to the quadrature's own error estimate."""
    fine, coarse = (
        np.array([number(side, NUMBERS, step) for side in (left, right)]) for step in (FINE, COARSE)
    )
    error = abs(fine - coarse).sum()
    assert error < 1e-3 * abs(fine[0]), "the quadrature is too coarse to tell"
    assert abs(fine[0] - fine[1]) <= error + ROUNDING


def agrees_with_differences(node: sp.Expr, symbol: sp.Symbol) -> None:
    """Assert node.diff(symbol) equals Richardson's central difference, to their error estimates."""
    h = 1e-2

    def slope(width: float, step: float) -> np.ndarray:
        ends = [
            number(node, {**NUMBERS, symbol: NUMBERS[symbol] + side * width}, step)
            for side in (1, -1)
        ]
        return (ends[0] - ends[1]) / (2 * width)

    def claimed(step: float) -> np.ndarray:
        return number(node.diff(symbol), NUMBERS, step)

    best = (4 * slope(h / 2, FINE) - slope(h, FINE)) / 3
    error = abs(slope(h / 2, FINE) - slope(h, FINE)) / 3 + 2 * ROUNDING / h
    error += abs(slope(h, FINE) - slope(h, COARSE)) + abs(claimed(FINE) - claimed(COARSE))
    assert error < 1e-3 * abs(best), "the difference is too coarse to tell"
    assert abs(claimed(FINE) - best) <= error


# --- canonical form ------------------------------------------------------------------------------


def test_equal_integrals_compare_and_hash_equal() -> None:
    one, two = (gaussian_expectation(tanh(z) ** 2, z, mu, q) for z in (e, f))
    assert one == two
    assert hash(one) == hash(two)
    assert one != gaussian_expectation(tanh(e) ** 2, e, mu, q_a)
    assert one != gaussian_expectation(tanh(e) ** 2, e, nu, q)
    assert one != gaussian_expectation(tanh(e) ** 3, e, mu, q)


def test_a_pair_of_equal_laws_has_no_order() -> None:
    one = gaussian_expectation(tanh(e) * sigmoid(f), (e, f), (mu, mu), (q, q_ab, q))
    two = gaussian_expectation(tanh(f) * sigmoid(e), (e, f), (mu, mu), (q, q_ab, q))
    assert one == two
    different = (
        gaussian_expectation(tanh(x) * sigmoid(y), (e, f), (mu, nu), (q_a, q_ab, q_b))
        for x, y in ((e, f), (f, e))
    )
    assert next(different) != next(different)


def test_substitution_into_a_pair_finds_the_order_again() -> None:
    pair = [
        gaussian_expectation(tanh(x) * sigmoid(y), (e, f), (0, 0), (q_a, q_ab, q_b))
        for x, y in ((e, f), (f, e))
    ]
    assert pair[0].xreplace({q_b: q_a}) == pair[1].xreplace({q_b: q_a})
    assert pair[0].subs(q_b, q_a) == pair[1].subs(q_b, q_a)


def test_what_does_not_depend_on_the_variables_is_no_expectation() -> None:
    assert gaussian_expectation(a**2, e, mu, q) == a**2
    assert gaussian_expectation(3, e, mu, q) == 3
    assert gaussian_expectation(a * tanh(e), e, mu, q) == a * gaussian_expectation(
        tanh(e), e, mu, q
    )


def test_a_pair_with_one_variable_present_is_univariate() -> None:
    pair = ((e, f), (mu, nu), (q_a, q_ab, q_b))
    assert gaussian_expectation(tanh(e), *pair) == gaussian_expectation(tanh(g), g, mu, q_a)
    assert gaussian_expectation(tanh(f), *pair) == gaussian_expectation(tanh(g), g, nu, q_b)


def test_a_substituted_integrand_is_canonical_again() -> None:
    node = gaussian_expectation(1 + a * tanh(e), e, mu, q)
    assert node.subs(a, 0) == 1
    assert node.xreplace({a: sp.S.Zero}) == 1
    scaled = gaussian_expectation(tanh(e + a) + a, e, mu, q)
    assert scaled.subs(a, 0) == gaussian_expectation(tanh(e), e, mu, q)


def test_rebuilding_from_the_arguments_changes_nothing() -> None:
    inner = gaussian_expectation(tanh(e + f), e, mu, q)
    nodes = [
        gaussian_expectation(tanh(e) ** 2, e, mu, q),
        gaussian_expectation(tanh(e) * sigmoid(f), (e, f), (mu, nu), (q_a, q_ab, q_b)),
        gaussian_expectation(inner**2, f, nu, q_b),
    ]
    for node in nodes:
        assert node.func(*node.args) == node
        assert pickle.loads(pickle.dumps(node)) == node


# --- linearity -----------------------------------------------------------------------------------


def test_expand_splits_sums_and_takes_factors_out() -> None:
    node = gaussian_expectation((a * tanh(e) + sigmoid(e)) ** 2, e, mu, q)
    squares = {f: gaussian_expectation(f, e, mu, q) for f in (tanh(e) ** 2, sigmoid(e) ** 2)}
    cross = gaussian_expectation(tanh(e) * sigmoid(e), e, mu, q)
    expected = a**2 * squares[tanh(e) ** 2] + 2 * a * cross + squares[sigmoid(e) ** 2]
    assert node.expand(expectation=True) == expected
    agree(node, expected)


def test_expand_of_a_pair_reduces_its_parts() -> None:
    node = gaussian_expectation((tanh(e) + 1) * (tanh(f) + a), (e, f), (mu, nu), (q_a, q_ab, q_b))
    expanded = node.expand(expectation=True)
    assert {len(part.variables) for part in expanded.atoms(GaussianExpectation)} == {1, 2}
    agree(node, expanded)


# --- Bonnet and Price ----------------------------------------------------------------------------

UNIVARIATE = [tanh(e) ** 2, sigmoid(e) * tanh(e) + e**2, erf(e) * e, sp.exp(a * e) * sigmoid(e)]
PAIRS = [tanh(e) * tanh(f), sigmoid(e) * erf(f) * e, sp.sin(e + a * f)]


@pytest.mark.parametrize("integrand", UNIVARIATE)
@pytest.mark.parametrize("symbol", [mu, q])
def test_bonnet(integrand: sp.Expr, symbol: sp.Symbol) -> None:
    agrees_with_differences(gaussian_expectation(integrand, e, mu, q), symbol)


def test_the_derivatives_are_those_of_bonnet_and_price() -> None:
    pair = (e, f), (mu, nu), (q_a, q_ab, q_b)
    node = gaussian_expectation(tanh(e), e, mu, q)
    assert node.diff(mu) == gaussian_expectation(tanh(e).diff(e), e, mu, q)
    assert node.diff(q) == gaussian_expectation(tanh(e).diff(e, 2), e, mu, q) / 2
    product = gaussian_expectation(tanh(e) * sigmoid(f), *pair)
    slopes = gaussian_expectation(tanh(e).diff(e) * sigmoid(f).diff(f), *pair)
    assert product.diff(q_ab) == slopes


@pytest.mark.parametrize("integrand", PAIRS)
@pytest.mark.parametrize("symbol", [mu, nu, q_a, q_ab, q_b])
def test_price(integrand: sp.Expr, symbol: sp.Symbol) -> None:
    node = gaussian_expectation(integrand, (e, f), (mu, nu), (q_a, q_ab, q_b))
    agrees_with_differences(node, symbol)


def test_the_integrand_may_hold_the_symbol_too() -> None:
    agrees_with_differences(gaussian_expectation(tanh(a * e), e, a**2, a * q), a)


def test_a_derivative_by_a_bound_variable_reaches_the_parameters_alone() -> None:
    (z,) = bound_variables(0, 1)
    node = gaussian_expectation(tanh(e), e, 0, q)
    assert node.diff(z) == 0
    shifted = node.func(*node.args[:2], sp.Tuple(z), sp.Tuple(q))
    assert shifted.diff(z) == shifted.func(tanh(z).diff(z), *shifted.args[1:])


# --- scopes --------------------------------------------------------------------------------------


def test_bound_variables_are_not_free() -> None:
    node = gaussian_expectation(a * tanh(e + a), e, mu, q)
    assert node.free_symbols == {a, mu, q}
    assert e not in node.free_symbols


def test_nested_nodes_keep_their_variables_apart() -> None:
    inner = gaussian_expectation(tanh(f + e), f, e, q_b)  # the inner mean is the outer variable
    outer = gaussian_expectation(inner * sigmoid(e), e, mu, q)
    names = {v for node in outer.atoms(GaussianExpectation) for v in node.variables}
    assert len(names) == 2
    assert outer.free_symbols == {mu, q, q_b}
    flat = gaussian_expectation(
        tanh(f + e) * sigmoid(e), (e, f), (mu, mu), (q, q, q + q_b)
    )  # f = e + an independent normal
    agree(outer, flat)


def test_the_name_given_to_the_variable_captures_nothing() -> None:
    (z,) = bound_variables(0, 1)
    inner = gaussian_expectation(tanh(f + e), f, e, q_b)
    same = gaussian_expectation(inner.xreplace({e: z}) * sigmoid(z), z, mu, q)
    assert same == gaussian_expectation(inner * sigmoid(e), e, mu, q)


def test_substitution_does_not_reach_bound_variables() -> None:
    (z,) = bound_variables(0, 1)
    node = gaussian_expectation(tanh(e), e, mu, q)
    for replaced in (node.subs(z, 5), node.xreplace({z: sp.Integer(5)})):
        assert replaced == node
    shifted = node.func(*node.args[:2], sp.Tuple(z), sp.Tuple(q))
    for replaced in (shifted.subs(z, 5), shifted.xreplace({z: sp.Integer(5)})):
        assert replaced == gaussian_expectation(tanh(e), e, 5, q)


def test_substitution_reaches_free_symbols_everywhere() -> None:
    node = gaussian_expectation(tanh(a * e), e, a, a * q)
    expected = gaussian_expectation(tanh(2 * e), e, 2, 2 * q)
    assert node.subs(a, 2) == expected
    assert node.xreplace({a: sp.Integer(2)}) == expected
    assert (1 + node**2).subs(a, 2) == 1 + expected**2
    assert node.xreplace({node: a}) == a


# --- printing ------------------------------------------------------------------------------------


def test_text() -> None:
    node = gaussian_expectation(tanh(e) ** 2, e, mu, q)
    assert str(node) == "E[tanh(z*)**2 | mu, q]"


def test_latex() -> None:
    centred = gaussian_expectation(tanh(e) ** 2, e, 0, q)
    assert sp.latex(centred) == r"\mathbb{E}_{q}\!\left[\tanh^{2}\left(z\right)\right]"
    assert sp.latex(centred**2) == r"\mathbb{E}_{q}\!\left[\tanh^{2}\left(z\right)\right]^{2}"
    shifted = gaussian_expectation(tanh(e), e, mu, q)
    assert sp.latex(shifted) == r"\mathbb{E}_{q,\mu}\!\left[\tanh\left(z\right)\right]"
    pair = gaussian_expectation(tanh(e) * sigmoid(f), (e, f), (0, 0), (q_a, q_ab, q_b))
    assert sp.latex(pair) == (
        r"\mathbb{E}_{q_{a},q_{ab},q_{b}}\!"
        r"\left[\tanh\left(z_{a}\right) \sigma\left(z_{b}\right)\right]"
    )
    slope = gaussian_expectation(tanh(e), e, 0, q).diff(mu) + centred.diff(q)
    assert r"\tanh'" in sp.latex(slope)


def test_latex_gives_both_means_where_they_differ() -> None:
    pair = gaussian_expectation(tanh(e) * tanh(f), (e, f), (mu, nu), (q_a, q_ab, q_b))
    assert r"_{q_{a},q_{ab},q_{b},\mu,\nu}" in sp.latex(pair)
    equal = gaussian_expectation(tanh(e) * tanh(f), (e, f), (mu, mu), (q_a, q_ab, q_b))
    assert r"_{q_{a},q_{ab},q_{b},\mu}" in sp.latex(equal)


def test_nested_latex_uses_two_letters() -> None:
    inner = gaussian_expectation(tanh(f + e), f, 0, q_b)
    text = sp.latex(gaussian_expectation(inner**2, e, 0, q))
    assert r"\tanh\left(y + z\right)" in text
