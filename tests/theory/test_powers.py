"""collect_powers: the same polynomial as SymPy's, with coefficients that stay as written."""

from __future__ import annotations

import pytest
import sympy as sp

from rnnmft.activations import sigmoid, tanh
from rnnmft.theory.powers import collect_powers

h, c, e, f = sp.symbols("h c e f", real=True)
u, t = sigmoid(e), tanh(f)

EXPRESSIONS = [
    h,
    u,
    (u * h + (1 - u) * t) ** 4,
    (h - t) ** 5 * u * h,
    (h + c + 1) ** 3 * (u * h - c * t) ** 2,
    ((h + 1) ** 2 + c) ** 2 - h**4,
    sp.S.Zero * h + 3,
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_is_the_same_polynomial(expression):
    found = collect_powers(expression, [h, c])
    rebuilt = sp.Add(*(k * h**i * c**j for (i, j), k in found.items()))
    assert sp.expand(rebuilt - expression) == 0
    assert all(not k.free_symbols & {h, c} for k in found.values())


@pytest.mark.parametrize(
    "expression", [tanh(h), 1 / h, h ** sp.Rational(1, 2), u * tanh(h) + h, 2**h]
)
def test_says_what_is_no_polynomial(expression):
    assert collect_powers(expression, [h]) is None


def test_coefficients_stay_as_written():
    found = collect_powers((u * h + (1 - u) * t) ** 2, [h])
    assert found == {(2,): u**2, (1,): 2 * u * (1 - u) * t, (0,): (1 - u) ** 2 * t**2}
