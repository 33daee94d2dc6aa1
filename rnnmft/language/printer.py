"""Expressions as text that `rnnmft.language.grammar` reads back to the same expression."""

from __future__ import annotations

import sympy as sp

from rnnmft.errors import CellError
from rnnmft.language.grammar import CONSTANTS

__all__ = ["expression_text"]

_SUM, _PRODUCT, _POWER, _ATOM = range(4)
_NAMES = {"Abs": "abs"}
_CONSTANT_NAMES = {value: name for name, value in CONSTANTS.items()}


def expression_text(expression: sp.Expr) -> str:
    """The expression in the grammar of a text cell.

    Raises:
        CellError: it holds something that the grammar has no word for.

    >>> from rnnmft.activations import sigmoid
    >>> h, x = sp.symbols("h x", real=True)
    >>> expression_text((1 - sigmoid(x)) * h / 2 - x**2)
    'h*(1 - sigmoid(x))/2 - x**2'
    """
    return _text(expression, _SUM)


def _text(expression: sp.Expr, level: int) -> str:
    """The expression, in parentheses where its own level is below the one asked for."""
    text, own = _write(expression)
    return f"({text})" if own < level else text


def _write(expression: sp.Expr) -> tuple[str, int]:
    if expression.is_Symbol:
        return expression.name, _ATOM  # type: ignore[attr-defined]
    if expression in _CONSTANT_NAMES:
        return _CONSTANT_NAMES[expression], _ATOM
    if expression.is_Add:
        return _sum(expression), _SUM
    if expression.is_Mul or (expression.is_Pow and expression.args[1].is_negative):
        return _product(expression)
    if expression.is_Rational or expression.is_Float:
        return _number(expression)
    if expression.is_Pow:
        base, exponent = expression.args
        return f"{_text(base, _ATOM)}**{_text(exponent, _ATOM)}", _POWER
    if expression is sp.E:
        return "exp(1)", _ATOM
    if isinstance(expression, sp.Function) and len(expression.args) == 1:
        name = type(expression).__name__
        return f"{_NAMES.get(name, name)}({_text(expression.args[0], _SUM)})", _ATOM
    raise CellError(f"the text form of cells has no word for {expression}")


def _sum(expression: sp.Expr) -> str:
    first, *rest = expression.as_ordered_terms()
    text = _text(first, _PRODUCT)
    for term in rest:
        negative = term.could_extract_minus_sign() and term.as_coeff_Mul()[0].is_negative
        text += f" - {_text(-term, _PRODUCT)}" if negative else f" + {_text(term, _PRODUCT)}"
    return text


def _product(expression: sp.Expr) -> tuple[str, int]:
    number, rest = expression.as_coeff_Mul()
    above, below = [], []
    for factor in sp.Mul.make_args(rest):
        base, exponent = factor.as_base_exp() if factor.is_Pow else (factor, sp.S.One)
        if exponent.is_Number and exponent.is_negative:
            below.append(_text(sp.Pow(base, -exponent), _POWER))
        elif factor is not sp.S.One:
            above.append(_text(factor, _POWER))
    if number.is_Rational:
        above = [*([str(abs(number.p))] if abs(number.p) != 1 else []), *above]
        below = [*([str(number.q)] if number.q != 1 else []), *below]
    else:
        above = [repr(abs(float(number))), *above]
    text = "/".join(["*".join(above) or "1", *below])
    return (f"-{text}", _SUM) if number.is_negative else (text, _PRODUCT)


def _number(number: sp.Expr) -> tuple[str, int]:
    if number.is_Rational:
        text = str(abs(number.p)) + (f"/{number.q}" if number.q != 1 else "")
        level = _ATOM if number.q == 1 else _PRODUCT
    else:
        text, level = repr(abs(float(number))), _ATOM
    return (f"-{text}", _SUM) if number.is_negative else (text, level)
