"""Collecting an expression in powers of some variables, with the coefficients left as written.

SymPy's `expand` and `Poly` multiply everything out: (1 - u)^4 becomes five terms, which is slow,
unreadable and cancels in numbers. Here only what holds one of the variables is multiplied out.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

__all__ = ["Powers", "collect_powers", "integer_power"]

#: {exponents of the variables: coefficient}.
Powers = dict[tuple[int, ...], sp.Expr]


def collect_powers(expression: sp.Expr, variables: Sequence[sp.Symbol]) -> Powers | None:
    """{exponents: coefficient} of an expression that is polynomial in the variables, else None.

    >>> h, u, v = sp.symbols("h u v")
    >>> collect_powers((u * h + (1 - u) * v) ** 2, [h])
    {(2,): u**2, (1,): 2*u*v*(1 - u), (0,): v**2*(1 - u)**2}
    """
    present = expression.free_symbols.intersection(variables)
    if not present:
        return {(0,) * len(variables): expression}
    if isinstance(expression, sp.Symbol):
        return {tuple(int(v == expression) for v in variables): sp.S.One}
    if isinstance(expression, sp.Add):
        parts = [collect_powers(term, variables) for term in expression.args]
        total: dict[tuple[int, ...], list[sp.Expr]] = {}
        for part in parts:
            if part is None:
                return None
            for exponents, coefficient in part.items():
                total.setdefault(exponents, []).append(coefficient)
        return {exponents: sp.Add(*terms) for exponents, terms in total.items()}
    if isinstance(expression, sp.Mul):
        product: Powers = {(0,) * len(variables): sp.S.One}
        for factor in expression.args:
            part = collect_powers(factor, variables)
            if part is None:
                return None
            product = _times(product, part)
        return product
    if isinstance(expression, sp.Pow) and _is_count(expression.exp):
        base = collect_powers(expression.base, variables)
        return None if base is None else integer_power(base, int(expression.exp), len(variables))
    return None


def _is_count(exponent: sp.Expr) -> bool:
    return bool(exponent.is_Integer and exponent.is_positive)


def _times(left: Powers, right: Powers) -> Powers:
    total: dict[tuple[int, ...], list[sp.Expr]] = {}
    for a, x in left.items():
        for b, y in right.items():
            exponents = tuple(i + j for i, j in zip(a, b, strict=True))
            total.setdefault(exponents, []).append(sp.Mul(x, y))
    return {exponents: sp.Add(*terms) for exponents, terms in total.items()}


def integer_power(base: Powers, n: int, width: int) -> Powers:
    """base^n by the multinomial theorem: each coefficient stays one product."""
    rows = list(base.items())
    total: dict[tuple[int, ...], list[sp.Expr]] = {}

    def add(i: int, left: int, exponents: tuple[int, ...], product: sp.Expr) -> None:
        powers, coefficient = rows[i]
        if i == len(rows) - 1:
            reached = tuple(e + left * p for e, p in zip(exponents, powers, strict=True))
            total.setdefault(reached, []).append(product * coefficient**left)
            return
        for k in range(left, -1, -1):
            reached = tuple(e + k * p for e, p in zip(exponents, powers, strict=True))
            add(i + 1, left - k, reached, product * sp.binomial(left, k) * coefficient**k)

    add(0, n, (0,) * width, sp.S.One)
    return {exponents: sp.Add(*terms) for exponents, terms in total.items()}
