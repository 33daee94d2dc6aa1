"""Pairs inside pairs: Hermite series against quadrature and mpmath, and when quadrature stays."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from rnnmft.activations import relu, sigmoid, tanh
from rnnmft.expectation import gaussian_expectation
from rnnmft.numerics.block import Block
from rnnmft.numerics.build import build_block
from rnnmft.numerics.compile import Program, compile_program
from rnnmft.numerics.iterated_pair import IteratedPair, mark_iterated_pairs
from rnnmft.numerics.pair_average import PairAverage

y, u, z, w = sp.symbols("y u z w", real=True)
mu, q, c, v = sp.symbols("mu q c v", real=True)
ARGUMENTS = (mu, q, c, v)


def _reset_after(inside=tanh) -> sp.Expr:
    """E[f(x_a + s_a m_a) f(x_b + s_b m_b)], s = sigmoid(r): x and m of variance 1 and v."""
    a, b = sigmoid(y), sigmoid(u)
    law = (1 + a**2 * v, c / q + a * b * v / 2, 1 + b**2 * v)
    pair = gaussian_expectation(inside(z) * inside(w), (z, w), (0, 0), law)
    return gaussian_expectation(pair, (y, u), (mu, mu), (q, c, q))


def _normalised() -> sp.Expr:
    """E[g_a g_b], g = sigmoid(f) / (sigmoid(f) + sigmoid(i)): min_lstm's gate."""
    gates = [sigmoid(f) / (sigmoid(f) + sigmoid(i)) for f, i in ((y, z), (u, w))]
    pair = gaussian_expectation(gates[0] * gates[1], (z, w), (0, 0), (v, v / 3, v))
    return gaussian_expectation(pair, (y, u), (mu, mu), (q, c, q))


def _by_quadrature(node: sp.Expr) -> Program:
    """The same without series, by the block that the instruction keeps for such laws."""
    program = compile_program([], [node], ARGUMENTS)
    (average,) = [i for i in program.block.instructions if isinstance(i, PairAverage)]
    nested = average.nested()
    order = [program.block.inputs.index(slot) for slot in average.captured]
    arguments = [ARGUMENTS[k] for k in order]
    block = Block(nested.inputs, nested.outputs, nested.template, nested.instructions)
    return Program(tuple(arguments), program.backend, block)


def _grid() -> list[np.ndarray]:
    """Mean, variance, covariance and v; correlations -0.9, 0 and 1 among them."""
    mean = np.array([0.0, 0.7, -2.0, 0.3, 0.0])
    variance = np.array([1.0, 0.2, 3.0, 6.0, 0.5])
    correlation = np.array([1.0, -0.9, 0.5, 0.2, 0.0])
    return [mean, variance, correlation * variance, np.array([0.5, 2.0, 0.1, 4.0, 0.0])]


# Quadrature of the second pair takes a minute a point: one is enough for every day.
@pytest.mark.parametrize(
    ("node", "points"),
    [
        pytest.param(_reset_after(), 3, id="reset after"),
        pytest.param(_normalised(), 1, id="normalised"),
        pytest.param(_normalised(), 3, id="normalised, more", marks=pytest.mark.slow),
    ],
)
def test_series_and_quadrature_agree_within_their_errors(node, points) -> None:
    program, values = compile_program([], [node], ARGUMENTS), [one[:points] for one in _grid()]
    series = program(*values)
    quadrature = _by_quadrature(node)
    given = dict(zip(ARGUMENTS, values, strict=True))
    old = quadrature(*(given[s] for s in quadrature.arguments))
    assert series.ok
    assert old.ok
    allowed = series.errors[0] + old.errors[0]
    assert (np.abs(series.values[0] - old.values[0]) <= allowed).all()
    # The tolerance of compile_program is 1e-11 of the integrand's size, which is below 1.
    assert (series.errors[0] < 1.1e-11).all()
    # A pair moved by 1e-6 in its correlation is told from it.
    moved = program(values[0], values[1], values[2] * (1 - 1e-6), values[3])
    told = np.abs(moved.values[0] - old.values[0]) > allowed
    assert told.all()


def test_against_a_gauss_sum_over_all_four_variables() -> None:
    """sum w w w w g_a g_b on 24^4 and 32^4 Gauss-Hermite nodes, whose gap is that sum's error."""
    law = {mu: 0.3, q: 1.2, c: 0.7, v: 0.9}

    def gauss(count: int) -> float:
        nodes, weights = np.polynomial.hermite_e.hermegauss(count)
        weights = weights / weights.sum()
        axes = np.meshgrid(*[nodes] * 4, indexing="ij", sparse=True)
        f = [law[mu] + np.sqrt(law[q]) * e for e in _pair(axes[0], axes[1], law[c] / law[q])]
        i = [np.sqrt(law[v]) * e for e in _pair(axes[2], axes[3], 1 / 3)]
        gates = [1 / (1 + (1 + np.exp(-x)) / (1 + np.exp(-y))) for x, y in zip(f, i, strict=True)]
        return float(np.einsum("abcd,a,b,c,d", gates[0] * gates[1], *[weights] * 4))

    rough, exact = gauss(24), gauss(32)
    assert abs(rough - exact) < 1e-9
    found = compile_program([], [_normalised()], ARGUMENTS)(*law.values())
    assert (
        abs(float(found.values[0]) - exact) <= float(found.errors[0]) + abs(rough - exact) + 1e-14
    )


def _pair(first: np.ndarray, second: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Two standard normals of correlation rho from two independent ones."""
    return first, rho * first + np.sqrt(1 - rho**2) * second


def test_the_error_bounds_the_change_to_a_finer_tolerance() -> None:
    for node in (_reset_after(), _normalised()):
        fine = compile_program([], [node], ARGUMENTS, rtol=1e-13)(*_grid())
        for rtol in (1e-4, 1e-6, 1e-9):
            rough = compile_program([], [node], ARGUMENTS, rtol=rtol)(*_grid())
            gap = np.abs(rough.values[0] - fine.values[0])
            assert (gap <= rough.errors[0] + fine.errors[0]).all()


def test_laws_whose_series_does_not_end_are_left_to_quadrature() -> None:
    """At q = 4000 the gate is far sharper than its Gaussian; the law beside it is not."""
    node, steep = _normalised(), [[0.0], [4000.0], [1200.0], [1.0]]
    program = compile_program([], [node], ARGUMENTS, rtol=1e-6)
    (average,) = [i for i in program.block.instructions if isinstance(i, PairAverage)]
    program(*_grid())
    assert "_quadrature" not in vars(average)
    found = program(*([*one, two[0]] for one, two in zip(steep, _grid(), strict=True)))
    assert found.ok
    assert "_quadrature" in vars(average)
    # f of one sign or the other, nothing between: sigmoid(f) is 1 or 0 up to 1 / sqrt(q).
    z_i = np.linspace(-9, 9, 2001)
    inside = np.exp(-(z_i**2) / 2) / np.exp(-(z_i**2) / 2).sum()
    gate = float(inside @ (1 / (1 + 1 / (1 + np.exp(-z_i)))))
    both = 0.25 + np.arcsin(0.3) / (2 * np.pi)
    assert found.values[0][0] == pytest.approx(both * gate**2, abs=4 / np.sqrt(4000.0))


def test_what_is_no_pair_of_laws_is_reported() -> None:
    found = compile_program([], [_normalised()], ARGUMENTS)(0.0, 1.0, [1.5, 0.5], 1.0)
    assert [found.status_at(k).name for k in range(2)] == ["INVALID", "OK"]


def test_kinks_and_single_pairs_are_not_marked() -> None:
    single = gaussian_expectation(tanh(y) * tanh(u), (y, u), (mu, mu), (q, c, q))
    for node in (_reset_after(relu), single):
        assert not mark_iterated_pairs(node).has(IteratedPair)
    assert mark_iterated_pairs(2 + _reset_after()).has(IteratedPair)


def test_on_torch(numpy64) -> None:
    on_torch = compile_program([], [_reset_after()], ARGUMENTS, "torch")(*_grid())
    on_numpy = compile_program([], [_reset_after()], ARGUMENTS, numpy64)(*_grid())
    gap = np.abs(on_torch.values[0].numpy() - on_numpy.values[0])
    assert (gap <= on_numpy.errors[0]).all()


def test_a_law_with_an_error_goes_to_quadrature(numpy64) -> None:
    """The error of an argument is carried through dE/dq, which the series does not know."""
    block = build_block([_normalised()], ARGUMENTS, numpy64, 1e-6, uncertain=[v])
    assert not any(isinstance(i, PairAverage) for i in block.instructions)
