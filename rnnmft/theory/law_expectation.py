"""LawExpectation: an average over the law of a unit that no recursion of moments gives.

Eq. (law-recursion).
"""

from __future__ import annotations

from typing import Any, cast

import sympy as sp

__all__ = ["LawExpectation"]


class LawExpectation(sp.Expr):
    """E[f] over the joint law of some of a unit's variables; an unevaluated node.

    `args`: the integrand, then the variables averaged over (states, preactivations, input).
    """

    is_commutative = True

    def __new__(cls, integrand: Any, *variables: sp.Symbol) -> LawExpectation:
        """The node E[integrand] over the law of `variables`."""
        return cast("LawExpectation", sp.Expr.__new__(cls, integrand, *variables))

    @property
    def integrand(self) -> sp.Expr:
        """f."""
        return cast("sp.Expr", self.args[0])

    @property
    def variables(self) -> tuple[sp.Symbol, ...]:
        """What is averaged over."""
        return cast("tuple[sp.Symbol, ...]", self.args[1:])

    @property
    def free_symbols(self) -> set[sp.Basic]:
        """The symbols that are not averaged over."""
        return self.integrand.free_symbols - set(self.variables)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        law = ",".join(printer._print(v) for v in self.variables)
        text = rf"\mathbb{{E}}_{{{law}}}\!\left[{printer._print(self.integrand)}\right]"
        return text if exp is None else rf"{text}^{{{exp}}}"

    def _sympystr(self, printer: Any) -> str:
        law = ", ".join(printer._print(v) for v in self.variables)
        return f"E[{printer._print(self.integrand)} | law of {law}]"

    def _eval_is_extended_real(self) -> bool:
        return True
