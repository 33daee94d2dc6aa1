"""One unit's value while a graph is walked: a sum of matrix products, parameter vectors and a rest.

    value = sum_j c_j (W_j y_j) + sum_j c_j (V_j x) + sum_j c_j p_j + rest

The sum stays open under addition and multiplication by numbers, so that terms which the module
adds one after the other end up in one preactivation. It is closed, `Groups.close`, when something
nonlinear happens to it: then a symbol stands for its products and vectors. Which of them make a
preactivation is decided when all sums are known (`rnnmft.tracing.assembly`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import sympy as sp

from rnnmft.tracing.bindings import Slice

__all__ = ["Atom", "Group", "Groups", "Monomial", "Polynomial", "Vector", "exact", "number"]


@dataclass(frozen=True)
class Monomial:
    """A block of a matrix times what it sees; the operand None is the input x."""

    block: Slice
    operand: sp.Expr | None


@dataclass(frozen=True)
class Vector:
    """A block of a parameter vector, one number a unit."""

    block: Slice


Atom: TypeAlias = Monomial | Vector


@dataclass(frozen=True)
class Polynomial:
    """Atoms with their coefficients, plus an expression."""

    atoms: Mapping[Atom, float] = field(default_factory=dict)
    rest: sp.Expr = sp.S.Zero

    def __add__(self, other: Polynomial) -> Polynomial:
        atoms = dict(self.atoms)
        for atom, c in other.atoms.items():
            atoms[atom] = atoms.get(atom, 0.0) + c
        return Polynomial({a: c for a, c in atoms.items() if c}, self.rest + other.rest)

    def times(self, c: sp.Expr) -> Polynomial:
        """The sum times a number."""
        if c == 0:
            return Polynomial()
        return Polynomial({a: float(c) * k for a, k in self.atoms.items()}, c * self.rest)

    def part(self, start: int, stop: int) -> Polynomial | None:
        """Some of its units, which are units of their own where matrices and vectors make them."""
        if self.rest.free_symbols:
            return None
        atoms = {replace(a, block=a.block.rows(start, stop)): c for a, c in self.atoms.items()}
        return Polynomial(atoms, self.rest)

    @property
    def number(self) -> sp.Expr | None:
        """The number that it is, or None."""
        return None if self.atoms or self.rest.free_symbols else self.rest


def exact(value: float) -> sp.Expr:
    """A number as SymPy has it: an integer or a short binary fraction as such, else a Float.

    >>> exact(0.5), exact(3.0), exact(0.1)
    (1/2, 3, 0.100000000000000)
    """
    numerator, denominator = float(value).as_integer_ratio()
    if denominator <= 1024 and abs(numerator) < 2**53:
        return sp.Rational(numerator, denominator)
    return sp.Float(value)


def number(value: float) -> Polynomial:
    """A number as a sum without atoms."""
    return Polynomial(rest=exact(value))


@dataclass(frozen=True)
class Group:
    """A closed sum's atoms and the symbol that stands for them."""

    symbol: sp.Dummy
    atoms: Mapping[Atom, float]


class Groups:
    """All closed sums, in the order in which they were closed; equal ones share a symbol.

    Attributes:
        known: the closed sums.
        averages: {symbol: what it is the mean of over the units}; equal ones share a symbol, too.
        pieces: {input: (first, number) of its columns}, of several inputs.
        drawn: the numbers of the arguments that are vectors.
    """

    def __init__(self) -> None:
        self.known: dict[frozenset[tuple[Atom, float]], Group] = {}
        self.averages: dict[sp.Dummy, sp.Expr] = {}
        self.pieces: dict[sp.Symbol, tuple[int, int]] = {}
        self.drawn: dict[sp.Symbol, tuple[float, ...]] = {}
        self._reported = 0

    def close(self, value: Polynomial) -> sp.Expr:
        """The value as an expression."""
        if not value.atoms:
            return value.rest
        key = frozenset(value.atoms.items())
        if key not in self.known:
            symbol = sp.Dummy(f"group_{len(self.known)}", real=True)
            self.known[key] = Group(symbol, value.atoms)
        return self.known[key].symbol + value.rest

    def average(self, expression: sp.Expr) -> sp.Dummy:
        """The symbol of a mean over units."""
        for symbol, known in self.averages.items():
            if known == expression:
                return symbol
        symbol = sp.Dummy(f"average_{len(self.averages)}", real=True)
        self.averages[symbol] = expression
        return symbol

    def newly_closed(self) -> list[Atom]:
        """The atoms of the sums that were closed since the last call."""
        fresh = list(self.known.values())[self._reported :]
        self._reported = len(self.known)
        return [atom for group in fresh for atom in group.atoms]

    def behind(self, value: Polynomial) -> list[Atom]:
        """The atoms of a value, also those behind the symbols of its rest."""
        found = list(value.atoms)
        for group in self.known.values():
            if group.symbol in value.rest.free_symbols:
                found += list(group.atoms)
        return found
