"""expect(): against direct integration in up to four dimensions, and the form of its answer."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from rnnmft.activations import sigmoid, tanh
from rnnmft.expectation import GaussianExpectation
from rnnmft.theory.independence import GaussianLaw, expect, gaussian_moment
from tests.theory.witness import compositions, direct, engine, isserlis

x, y, w = (GaussianLaw((sp.Symbol(n, real=True),), (sp.Symbol(f"m_{n}"),), (sp.Symbol(f"q_{n}"),))
           for n in "xyw")  # fmt: skip
X, Y, W = (law.variables[0] for law in (x, y, w))
k = sp.Symbol("k", real=True)


def pair(name):
    symbols = tuple(sp.Symbol(f"{name}_{side}", real=True) for side in "ab")
    mean, q, q_ab = (sp.Symbol(f"{s}_{name}") for s in ("m", "q", "c"))
    return GaussianLaw(symbols, (mean, mean), (q, q_ab, q))


P, S = pair("p"), pair("s")
NUMBERS = {k: 0.7}
for law, (mean, variance) in zip((x, y, w), ((0.3, 0.8), (-0.4, 1.1), (0.2, 0.5)), strict=True):
    NUMBERS |= {law.means[0]: mean, law.covariance[0]: variance}
for law, values in zip((P, S), ((0.3, 0.9, 0.4), (-0.2, 0.6, -0.3)), strict=True):
    mean, q, q_ab = law.means[0], law.covariance[0], law.covariance[1]
    NUMBERS |= dict(zip((mean, q, q_ab), values, strict=True))

ONE = {
    "product": sigmoid(X) * tanh(Y) ** 2 * (1 - sigmoid(X)),
    "sum": (sigmoid(X) * k + (1 - sigmoid(X)) * tanh(Y)) ** 2,
    "polynomial": (X + 2 * Y) ** 3 * X,
    "polynomial times function": X**2 * tanh(Y) ** 2 * (X - Y),
    "gate and power of itself": X**3 * sigmoid(X) ** 2,
    "linear combination": tanh(2 * X + Y) ** 2,
    "linear combination given the rest": tanh(X + sigmoid(Y) * W),
    "with a variable of it outside": W**2 * tanh(X + sigmoid(Y) * W) ** 2,
    "with two of them outside": X * W**3 * tanh(X + sigmoid(Y) * W),
    "with a function of one outside": sigmoid(W) * tanh(X + W) ** 2,
    "nothing linear": tanh(X * Y) * X,
    "tied sum": (X * Y + tanh(W)) ** 2 * sigmoid(X),
    "a square under a function": sigmoid(X**2 + Y),
}


@pytest.mark.parametrize("name", ONE)
def test_one_trajectory(name):
    laws = [law for law in (x, y, w) if law.variables[0] in ONE[name].free_symbols]
    steps = (0.2, 0.1) if len(laws) < 3 else (0.5, 0.25)
    value, error = direct(ONE[name], laws, NUMBERS, steps)
    found, own = engine(expect(ONE[name], [x, y, w]), NUMBERS)
    assert abs(found - value) <= error + own
    assert error < 1e-8 * (1 + abs(value))


def test_two_combinations_are_merged_one_in_the_other():
    u = GaussianLaw((sp.Symbol("u", real=True),), (sp.Integer(0),), (sp.Rational(3, 5),))
    f = tanh(X + u.variables[0] * sigmoid(Y + W)) ** 2
    found = expect(f, [x, y, w, u])
    nodes = found.atoms(GaussianExpectation)
    assert len(nodes) == 2  # over the gate's sum, and over the rest given the gate
    value, error = direct(f, [x, y, w, u], NUMBERS, (0.6, 0.4))
    number, own = engine(found, NUMBERS)
    assert abs(number - value) <= error + own
    assert error < 1e-5


p_a, p_b, s_a, s_b = *P.variables, *S.variables
TWO = {
    "product": sigmoid(p_a) * sigmoid(p_b) * tanh(s_a) * tanh(s_b),
    "one side only": sigmoid(p_a) * tanh(s_b) ** 2,
    "polynomial": p_a**2 * p_b * s_a * s_b**2,
    "combination": tanh(p_a + s_a) * tanh(p_b + s_b),
    "combination given the rest": tanh(sigmoid(p_a) * s_a) * tanh(sigmoid(p_b) * s_b),
    "with variables outside": s_a * s_b * tanh(p_a + s_a) * tanh(p_b + s_b),
}


@pytest.mark.parametrize("name", TWO)
def test_two_trajectories(name):
    value, error = direct(TWO[name], [P, S], NUMBERS, (0.68, 0.34))
    found, own = engine(expect(TWO[name], [P, S]), NUMBERS)
    assert abs(found - value) <= error + own
    assert error < 1e-5 * (1 + abs(value))


def test_a_wrong_law_is_seen():
    value, error = direct(ONE["with a variable of it outside"], [x, y, w], NUMBERS, (0.5, 0.25))
    moved = NUMBERS | {w.covariance[0]: 0.51}
    found, own = engine(expect(ONE["with a variable of it outside"], [x, y, w]), moved)
    assert abs(found - value) > 100 * (error + own)


class TestForm:
    def test_independent_variables_share_no_node(self):
        found = expect(sigmoid(X) * tanh(Y) * (1 - sigmoid(X)) * k, [x, y])
        nodes = found.atoms(GaussianExpectation)
        assert len(nodes) == 2
        assert all(len(node.means) == 1 and not node.integrand.has(GaussianExpectation)
                   for node in nodes)  # fmt: skip

    def test_gates_are_not_multiplied_out(self):
        found = expect((1 - sigmoid(X)) ** 6 * tanh(Y), [x, y])
        assert found.has((1 - sigmoid(sp.Symbol("z*", real=True))) ** 6)

    def test_linear_combination_becomes_one_node(self):
        (node,) = expect(tanh(2 * X + Y) ** 2, [x, y]).atoms(GaussianExpectation)
        assert node.means == (2 * x.means[0] + y.means[0],)
        assert node.covariance == (4 * x.covariance[0] + y.covariance[0],)

    def test_polynomials_leave_no_node(self):
        assert not expect((X + Y) ** 4, [x, y]).has(GaussianExpectation)

    def test_constants_stay(self):
        assert expect(k**2, [x]) == k**2


@pytest.mark.parametrize("powers", compositions(5, 3))
def test_gaussian_moment(powers):
    rng = np.random.default_rng(sum(powers))
    means, root = rng.normal(size=3), rng.normal(size=(3, 3))
    covariance = root @ root.T
    exact = gaussian_moment(
        powers,
        tuple(sp.Float(m) for m in means),
        tuple(tuple(sp.Float(c) for c in row) for row in covariance),
    )
    size = isserlis(powers, abs(means), abs(covariance))
    assert abs(float(exact) - isserlis(powers, means, covariance)) <= 1e-13 * size


def test_stein_lowering():
    product = p_a**2 * sigmoid(p_a) * tanh(p_b)
    value, error = direct(product, [P], NUMBERS, (0.4, 0.2))
    lowered, own = direct(P.lower(product, p_a), [P], NUMBERS, (0.4, 0.2))
    assert P.lower(product, p_a) != product
    assert abs(lowered - value) <= error + own
