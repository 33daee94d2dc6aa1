"""Choices by value: the same numbers as the Piecewise, and no delta where there is no jump."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from rnnmft import Cell, CellError, Preactivation, State, cells
from rnnmft.activations import relu, sigmoid, step, tanh
from rnnmft.language.choices import choice, condition, without_jumps
from rnnmft.numerics.compile import compile_elementwise

e, h = sp.Symbol("e", real=True), sp.Symbol("h", real=True)
GRID = np.linspace(-3.017, 3.003, 301)  # no node on a kink

CONTINUOUS = {
    "leaky": (sp.Piecewise((e, e > 0), (e / 10, True)), lambda x: np.where(x > 0, x, x / 10)),
    "joined": (
        sp.Piecewise((e + sp.Rational(1, 2), e >= 0), (sigmoid(e), True)),
        lambda x: np.where(x >= 0, x + 0.5, 1 / (1 + np.exp(-x))),
    ),
    "shrink": (
        sp.Piecewise((e - 1, e > 1), (e + 1, e < -1), (0, True)),
        lambda x: np.sign(x) * np.maximum(abs(x) - 1, 0),
    ),
    "reversed": (sp.Piecewise((0, e > 1), (1 - e, True)), lambda x: np.where(x > 1, 0, 1 - x)),
    "sign": (sp.sign(e) * sp.log(1 + sp.Abs(e)), lambda x: np.sign(x) * np.log1p(abs(x))),
    "floats": (
        sp.Piecewise((0.3 * e, e > -0.7), (-0.21, True)),
        lambda x: np.maximum(0.3 * x, -0.21),
    ),
    "affine": (step(2 * e - 1) * tanh(2 * e - 1), lambda x: np.tanh(np.maximum(2 * x - 1, 0))),
}


@pytest.mark.parametrize("kind", CONTINUOUS)
def test_continuous_choices(kind):
    expression, reference = CONTINUOUS[kind]
    written = without_jumps(expression)
    assert not written.has(step, sp.sign, sp.Piecewise)
    assert not sp.diff(written, e).has(sp.DiracDelta)
    (values,) = compile_elementwise([written], [e])(GRID)
    assert np.allclose(values, reference(GRID), rtol=0, atol=1e-14)


def test_a_jump_stays():
    assert choice(step(e), h, 0) == h * step(e)
    window = without_jumps(sp.Piecewise((e, sp.And(e > -1, e < 2)), (0, True)))
    (values,) = compile_elementwise([window], [e])(GRID)
    assert np.array_equal(values, np.where((GRID > -1) & (GRID < 2), GRID, 0.0))
    either = without_jumps(sp.Piecewise((1, sp.Or(e < -1, e > 2)), (0, True)))
    (values,) = compile_elementwise([either], [e])(GRID)
    assert np.array_equal(values, np.where((GRID < -1) | (GRID > 2), 1.0, 0.0))


def test_what_has_no_value_at_the_jump_keeps_it():
    """erf(1 / 0) is no number that could be compared with 0."""
    pole = step(e) * sp.erf(1 / e)
    assert without_jumps(pole) == pole


def test_conditions():
    assert condition(sp.true) == 1
    with pytest.raises(CellError, match="comparison by < or >"):
        condition(sp.Eq(e, h))
    with pytest.raises(CellError, match="says nothing where"):
        without_jumps(sp.Piecewise((e, e > 0)))


def test_a_piecewise_cell_is_its_continuous_twin():
    s = State("h")
    p = Preactivation("e", s)
    written = Cell("k", {s: tanh(sp.Piecewise((p, p > 0), (p / 10, True)))})
    assert written == Cell("k", {s: tanh(p / 10 + sp.Rational(9, 10) * relu(p))})
    assert cells.loads(written.to_toml()) == written


def test_atan_is_a_function_of_cells():
    s = State("h")
    cell = Cell("k", {s: sp.atan(Preactivation("e", s))})
    assert cells.loads(cell.to_toml()) == cell
