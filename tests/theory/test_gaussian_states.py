"""Cells with Gaussian states are known by their expressions; Price and Bonnet hold for them."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from rnnmft import (
    Cell,
    DerivationError,
    Input,
    Preactivation,
    State,
    cells,
    identity,
    relu,
    sigmoid,
    tanh,
)
from rnnmft.activations import erf, leaky_relu, sin, softsign, step
from rnnmft.numerics.compile import compile_program
from rnnmft.theory.gaussian_states import gaussian_states_theory, has_gaussian_states

H, G, X = State("h"), State("g"), Input("x")


def rate(y, leak=0.25):
    update = {H: (1 - leak) * H + leak * Preactivation("e", y)}
    if G in sp.sympify(y).free_symbols:
        update[G] = G / 2
    return Cell("r", update=update)


def test_the_linear_system_of_two_states():
    e, f = Preactivation("e", tanh(2 * H + 3 * G + 1)), Preactivation("f", H, input=None)
    cell = Cell("two", update={H: H / 2 - G / 5 + 3 * e + 1, G: G / 3 + f + 2 * e + 4 * X})
    theory = gaussian_states_theory(cell)
    assert sp.Matrix([[sp.Rational(1, 2), -sp.Rational(1, 5)], [0, sp.Rational(1, 3)]]) == theory.A
    assert sp.Matrix([[3, 0], [2, 1]]) == theory.B
    assert theory.c == sp.Matrix([0, 4])
    assert theory.d == sp.Matrix([1, 0])
    # The scale of a combination is free: r u and Y(u / r) say the same.
    row, y = theory.rows[e], theory.seen[e]
    assert row[1] / row[0] == sp.Rational(3, 2)
    assert y.subs(theory.u, row[0] * H + row[1] * G).simplify() == tanh(2 * H + 3 * G + 1)


@pytest.mark.parametrize(
    "y",
    [H, tanh(H), relu(H) + 1, H**2, (H + 2 * G) * tanh(H + 2 * G), (H + G) ** 2 + H + G, 0],
    ids=str,
)
def test_one_combination_is_enough(y):
    e = Preactivation("e", y)
    assert has_gaussian_states(Cell("c", update={H: H / 2 + e, G: G / 3 + H}))


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        (rate(tanh(H) * G), "not a function of one linear combination"),
        (rate(tanh(H) + tanh(G)), "not a function of one linear combination"),
        (rate(step(H)), "jumps"),
        (rate(sigmoid(Preactivation("g", H)) * H), "depends on more than the states"),
        (rate(tanh(H + X)), "depends on more than the states"),
        (cells.minimal(), "not linear with constant coefficients"),
        (cells.leaky_rnn(), "not linear with constant coefficients"),
        (cells.lstm(), "not linear with constant coefficients"),
        (cells.indrnn(), "random parameters"),
        (Cell("still", update={H: H / 2}), "no preactivation"),
    ],
    ids=str,
)
def test_what_is_not_gaussian_is_refused(cell, sentence):
    assert not has_gaussian_states(cell)
    with pytest.raises(DerivationError, match=sentence):
        gaussian_states_theory(cell)


@pytest.mark.parametrize("f", [tanh, relu, erf, sin, softsign, leaky_relu, identity])
@pytest.mark.parametrize("centred", [True, False])
def test_slope_and_curvature_are_derivatives_of_the_overlap(f, centred):
    """Price: d/dq_ts; Bonnet: d/dq_t; by central differences of the overlap."""
    theory = gaussian_states_theory(rate(f(H)))
    averages = theory.averages(theory.cell.preactivations[0])
    averages = averages.centred() if centred else averages
    means = (0.0, 0.0) if centred else (0.3, -0.2)
    at, step_size = np.array([*means, 1.3, 0.4, 0.9]), 1e-4

    def value(expression, moved):
        program = compile_program([], [expression], averages.arguments)
        return float(program(*moved).values[0])

    def slope(i):
        up, down = at.copy(), at.copy()
        up[i] += step_size
        down[i] -= step_size
        return (value(averages.overlap, up) - value(averages.overlap, down)) / (2 * step_size)

    # Central differences are off by step^2 f''' / 6, and by rounding of 1e-11 / step.
    assert value(averages.slope, at) == pytest.approx(slope(3), abs=1e-6)
    assert value(averages.curvature, at) == pytest.approx(slope(2), abs=1e-6)
    if f is not identity:
        assert abs(value(averages.slope, at) - 1.02 * slope(3)) > 1e-3


@pytest.mark.parametrize("f", [tanh, relu, erf, sin, softsign])
def test_averages_at_equal_times_are_the_limit_of_pairs(f):
    theory = gaussian_states_theory(rate(f(H)))
    averages = theory.averages(theory.cell.preactivations[0]).centred()
    for pair, alone in zip(
        (averages.overlap, averages.slope, averages.curvature), averages.equal, strict=True
    ):
        mu_t, _, q_t = averages.arguments[:3]
        one = float(compile_program([], [alone], [mu_t, q_t])(0.0, 0.8).values[0])
        # Kinks approach their value like sqrt(1 - rho).
        near = compile_program([], [pair], averages.arguments)(0, 0, 0.8, 0.8 * (1 - 1e-10), 0.8)
        assert float(near.values[0]) == pytest.approx(one, abs=1e-5)
