"""An average over a unit's whole process, left unevaluated: what the tied equations are made of.

Eq. (tied-kernel).
"""

from __future__ import annotations

from typing import Any, cast

import sympy as sp

__all__ = ["UnitExpectation"]


class UnitExpectation(sp.Expr):
    """E[f] over a unit's process: preactivations, inputs, parameters and states at all times."""

    is_commutative = True

    def __new__(cls, integrand: Any) -> UnitExpectation:
        """The node E[integrand]."""
        return cast("UnitExpectation", sp.Expr.__new__(cls, sp.sympify(integrand, strict=True)))

    @property
    def integrand(self) -> sp.Expr:
        """f."""
        return cast("sp.Expr", self.args[0])

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = rf"\mathbb{{E}}\!\left[{printer._print(self.integrand)}\right]"
        return text if exp is None else rf"{text}^{{{exp}}}"

    def _sympystr(self, printer: Any) -> str:
        return f"E[{printer._print(self.integrand)}]"

    def _eval_is_extended_real(self) -> bool:
        return True
