"""Widths: how many units a state or a preactivation has, as fractions of N.

What acts elementwise acts on vectors of one width; a matrix takes one width to another. W_k has
w_k N rows and v_k N columns, w_k the width of e_k and v_k that of what it sees, and independent
entries of variance sigma_w^2 / (v_k N): so the law of a unit does not know of widths. Traces do:
they count units. A width is proportional to N; one that stays while N grows (a fixed rank) is no
width, since averages over its units do not become numbers.

Eq. (widths).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp

from rnnmft.errors import CellError
from rnnmft.language.symbols import Average, Preactivation, State

__all__ = ["units", "widths_of"]

_Places = Mapping[str, tuple[sp.Expr, sp.Rational | None]]


def units(width: Any, size: int) -> int:
    """How many units a width is in networks of width N: the nearest whole number, 1 at least.

    >>> units(sp.Rational(1, 4), 10), units(sp.Rational(1, 4), 1)
    (2, 1)
    """
    return max(1, round(float(width) * size))


def widths_of(
    cell: str, places: _Places
) -> tuple[dict[sp.Symbol, sp.Rational], dict[str, sp.Rational]]:
    """The width of every symbol that has one, and of every expression.

    An elementwise input and random parameters have the width of what they stand beside. An average
    is a number: it has none.

    Args:
        cell: its name.
        places: {where: (expression, its width if it has to have one)}.

    Raises:
        CellError: an expression, or the uses of an input or parameter, of more than one width.
    """
    known: dict[sp.Symbol, sp.Rational] = {}
    widths: dict[str, sp.Rational] = {}
    # What holds a state or a preactivation says what the others in it are; the rest follows.
    for last in (False, True):
        for place, (expression, needed) in places.items():
            symbols = _symbols(expression)
            own = {s: s.width for s in symbols if isinstance(s, State | Preactivation)}
            known |= own
            if needed is None and not own and not last:
                continue
            found = own | {s: known[s] for s in symbols if s in known}
            values = {*found.values(), *([] if needed is None else [needed])}
            if len(values) > 1:
                raise CellError(f"cell {cell!r}: {_mixed(place, found, needed)}")
            widths[place] = next(iter(values), sp.S.One)
            known |= dict.fromkeys(symbols, widths[place])
    return known, widths


def _symbols(expression: sp.Expr) -> list[sp.Symbol]:
    symbols: Iterable[Any] = expression.free_symbols
    return sorted((s for s in symbols if not isinstance(s, Average)), key=str)


def _mixed(place: str, found: Mapping[sp.Symbol, sp.Rational], needed: sp.Rational | None) -> str:
    parts = [f"{s} of {_times_n(w)}" for s, w in found.items()]
    itself = "" if needed is None else f" is of {_times_n(needed)} units and"
    return (
        f"{place}{itself} holds {', '.join(parts)}: vectors of different widths meet only through "
        "a matrix, in a preactivation that sees one of them"
    )


def _times_n(width: sp.Rational) -> str:
    return "N" if width == 1 else f"{width} N"
