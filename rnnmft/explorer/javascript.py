"""From SymPy expressions to JavaScript: expressions of one point, without expectations.

Source: the names are those of `js/functions.js`, whose functions are stable in their tails as the
tables of `rnnmft.numerics` are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp
from sympy.printing.jscode import JavascriptCodePrinter

from rnnmft import activations as act
from rnnmft.errors import CompileError
from rnnmft.regression import SafeInverse

__all__ = ["FUNCTIONS", "JavaScriptPrinter"]

_ACTIVATIONS = (
    "tanh tanh_prime sigmoid sigmoid_prime gaussian_cdf gaussian_cdf_prime softplus silu gelu step",
    "relu leaky_relu leaky_relu_prime hard_tanh hard_tanh_prime hard_sigmoid hard_sigmoid_prime",
    "softsign softsign_prime softsign_second",
)

#: SymPy's class of each function: the name that it has in the page.
FUNCTIONS: dict[type, str] = {
    **{getattr(act, name): f"act.{name}" for line in _ACTIVATIONS for name in line.split()},
    SafeInverse: "act.safeInverse",
    sp.erf: "erf",
    sp.erfc: "erfc",
    sp.exp: "exp",
    sp.log: "log",
    sp.sin: "sin",
    sp.cos: "cos",
    sp.asin: "asin",
    sp.acos: "acos",
    sp.atan: "atan",
    sp.Abs: "abs",
    sp.sign: "sign",
    sp.tanh: "tanh",
    sp.Max: "max",
    sp.Min: "min",
}


class JavaScriptPrinter(JavascriptCodePrinter):
    """Prints an expression with given names for its symbols and for parts that are known already.

    >>> x = sp.Symbol("x", real=True)
    >>> JavaScriptPrinter({x: "p[0]"}).doprint(act.tanh(x)**2 / 3)
    '(1/3)*square(act.tanh(p[0]))'
    """

    def __init__(self, names: Mapping[sp.Basic, str]) -> None:
        super().__init__()
        self._given = names

    def _print(self, expr: Any, **options: Any) -> str:
        if isinstance(expr, sp.Basic) and expr in self._given:
            return self._given[expr]
        return super()._print(expr, **options)

    def _print_Symbol(self, expr: Any) -> str:
        raise CompileError(f"the page has no value for {str(expr)!r}")

    def _print_Function(self, expr: Any) -> str:
        name = FUNCTIONS.get(expr.func)
        if name is None:
            known = type(expr).__name__
            raise CompileError(
                f"JavaScript has no {known!r}: give it a definition of functions that are there"
            )
        return f"{name}({', '.join(self._print(part) for part in expr.args)})"

    _print_Max = _print_Min = _print_Abs = _print_sign = _print_Function
    _print_exp = _print_log = _print_erf = _print_Function

    def _print_Rational(self, expr: Any) -> str:
        return f"{expr.p}/{expr.q}"

    def _print_Pow(self, expr: Any) -> str:
        base, exponent = expr.as_base_exp()
        if exponent.is_Integer and int(exponent) in (1, 2, 3, 4):
            inside = self._print(base)
            square = f"square({inside})"
            return {
                1: f"({inside})",
                2: square,
                3: f"({inside})*{square}",
                4: f"square({square})",
            }[int(exponent)]
        if exponent == -1:
            return f"(1/({self._print(base)}))"
        if exponent == sp.Rational(1, 2):
            return f"sqrt({self._print(base)})"
        return f"Math.pow({self._print(base)}, {self._print(exponent)})"

    def _print_not_supported(self, expr: Any) -> str:
        raise CompileError(f"JavaScript has no {type(expr).__name__!r}")

    def emptyPrinter(self, expr: Any) -> str:
        """What SymPy calls for a class without a method: an error, never its text."""
        raise CompileError(f"JavaScript has no {type(expr).__name__!r}")
