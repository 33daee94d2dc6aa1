"""SpectralRadius: the largest |eigenvalue| of a matrix of expressions, as an unevaluated node.

Eq. (chi).
"""

from __future__ import annotations

from typing import Any, cast

import sympy as sp

__all__ = ["SpectralRadius"]


class SpectralRadius(sp.Expr):
    """max |lambda| over the eigenvalues of a square matrix; `args[0]` is the matrix."""

    def __new__(cls, matrix: Any) -> SpectralRadius:
        """The node of a square matrix."""
        return cast("SpectralRadius", sp.Expr.__new__(cls, sp.ImmutableMatrix(matrix)))

    def _latex(self, printer: Any) -> str:
        return rf"\rho\!\left({printer._print(self.args[0])}\right)"

    def _mathml_presentation(self, printer: Any) -> Any:
        row = printer.dom.createElement("mrow")
        for tag, text in (("mi", "\u03c1"), ("mo", "(")):
            row.appendChild(printer.dom.createElement(tag))
            row.lastChild.appendChild(printer.dom.createTextNode(text))
        row.appendChild(printer._print(self.args[0]))
        row.appendChild(printer.dom.createElement("mo"))
        row.lastChild.appendChild(printer.dom.createTextNode(")"))
        return row

    def _eval_is_extended_nonnegative(self) -> bool:
        return True

    def doit(self, **hints: Any) -> sp.Expr:
        """The radius itself where the matrix is triangular, otherwise the node."""
        matrix = self.args[0].doit(**hints)
        if matrix.is_upper or matrix.is_lower:
            return sp.Max(*(sp.Abs(x) for x in matrix.diagonal()))
        return SpectralRadius(matrix)
