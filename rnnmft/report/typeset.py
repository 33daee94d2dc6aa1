"""Equations of a derivation as MathML, long sums broken into lines."""

from __future__ import annotations

import re
from typing import Any

import sympy as sp

from rnnmft.page.mathml import equation_rows, mathml

__all__ = ["equation"]

# About as many characters as fit a line of the page.
_LINE = 86
_SILENT = re.compile(r"\\(left|right|!|operatorname|mathbb|begin|end)|[{}^_\s]|\\,")


def equation(expression: Any) -> str:
    """A displayed equation; a sum too long for one line goes on in the next, before its sign.

    Args:
        expression: a SymPy equation or expression; text is taken for LaTeX.
    """
    if isinstance(expression, str):
        return mathml(expression)
    if not isinstance(expression, sp.Equality):
        return mathml(sp.latex(expression))
    left, right = expression.lhs, expression.rhs
    start = sp.latex(left)
    if not isinstance(right, sp.Add) or _length(sp.latex(right)) + _length(start) <= _LINE:
        return equation_rows([(start, f"= {sp.latex(right)}")])
    lines = _lines([_term(term, first=i == 0) for i, term in enumerate(_ordered(right))])
    rows = [(start, f"= {lines[0]}")]
    return equation_rows(rows + [("", rf"\quad {line}") for line in lines[1:]])


def _ordered(total: sp.Add) -> list[Any]:
    """The terms in the order in which SymPy prints them."""
    return list(total.as_ordered_terms())


def _term(term: Any, first: bool) -> str:
    text = sp.latex(term)
    if text.lstrip().startswith("-"):
        return f"- {text.lstrip()[1:].strip()}"
    return text if first else f"+ {text}"


def _lines(terms: list[str]) -> list[str]:
    lines = [terms[0]]
    for term in terms[1:]:
        if _length(lines[-1]) + _length(term) > _LINE:
            lines.append(term)
        else:
            lines[-1] += f" {term}"
    return lines


def _length(latex: str) -> int:
    """Roughly how many characters the LaTeX shows."""
    return len(re.sub(r"\\[A-Za-z]+", "x", _SILENT.sub("", latex)))
