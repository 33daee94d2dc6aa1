"""Expressions as JavaScript: their text, and what is refused."""

from __future__ import annotations

import pytest
import sympy as sp

from rnnmft.activations import define_activation, relu, sigmoid, tanh
from rnnmft.errors import CompileError
from rnnmft.expectation import gaussian_expectation
from rnnmft.explorer.javascript import JavaScriptPrinter
from rnnmft.regression import SafeInverse

x, y = sp.symbols("x y", real=True)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (tanh(x) ** 2 / 3, "(1/3)*square(act.tanh(a))"),
        (sp.erf(x) + sp.exp(-(x**2)), "erf(a) + exp(-square(a))"),
        (x**3 / y, "(a)*square(a)/b"),
        (sp.sqrt(x) * SafeInverse(y), "sqrt(a)*act.safeInverse(b)"),
        (sp.Max(x, 1) - relu(y) * sp.pi, "-Math.PI*act.relu(b) + max(1, a)"),
        (-(sp.Abs(x) ** sp.Rational(5, 2)), "-Math.pow(abs(a), 5/2)"),
    ],
    ids=["activation", "functions", "powers", "roots", "branches", "fractions"],
)
def test_an_expression_has_this_text(expression: sp.Expr, text: str) -> None:
    assert JavaScriptPrinter({x: "a", y: "b"}).doprint(expression) == text


def test_a_part_that_has_a_name_is_not_written_again() -> None:
    node = gaussian_expectation(sigmoid(x) ** 2, x, 0, y)
    assert JavaScriptPrinter({node: "v[0]", y: "q"}).doprint(y * node) == "q*v[0]"


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (x + y, "y"),
        (sp.gamma(x), "gamma"),
        (define_activation("strange", sp.Integer(1))(x), "strange"),
        (sp.DiracDelta(x), "DiracDelta"),
        (gaussian_expectation(tanh(x), x, 0, 1), "GaussianExpectation"),
    ],
    ids=["symbol", "function", "activation", "delta", "expectation"],
)
def test_what_the_page_lacks_is_refused_by_name(expression: sp.Expr, names: str) -> None:
    with pytest.raises(CompileError, match=names):
        JavaScriptPrinter({x: "a"}).doprint(expression)
