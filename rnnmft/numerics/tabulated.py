"""Programs whose Gaussian expectations are read from tables: what `compile_program` makes, faster.

An expression's expectations of one Gaussian, without other symbols inside, become symbols that are
looked up; what is left is elementwise. Arguments broadcast, and nothing is computed in a larger
shape than it has to be: an axis of a grid that a law does not depend on costs nothing.

Eq. (gaussian-expectation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from rnnmft.expectation import GaussianExpectation
from rnnmft.numerics.backends import get_backend
from rnnmft.numerics.block import Block
from rnnmft.numerics.build import build_block
from rnnmft.numerics.gaussian_table import GaussianTable, TablePlace, tabulate

__all__ = ["TableStore", "TabulatedProgram", "Untabulated", "tabulated_program"]

Array = NDArray[np.float64]
Law = tuple[sp.Expr, sp.Expr]


class Untabulated(Exception):
    """An expectation that no table holds: of a pair, of another inside, or not smooth."""


@dataclass(eq=False)
class TableStore:
    """The tables of one map: of every law the bodies, and the table once its means are known.

    Bodies are told before anything is evaluated, so that one quadrature makes a law's whole table.
    """

    bodies: dict[Law, dict[sp.Expr, int]] = field(default_factory=dict)
    tables: dict[Law, GaussianTable] = field(default_factory=dict)

    def number(self, node: GaussianExpectation) -> tuple[Law, int]:
        """The law of an expectation, and which of its bodies it is."""
        law = node.means[0], node.covariance[0]
        bodies = self.bodies.setdefault(law, {})
        if node.integrand not in bodies:
            self.tables.pop(law, None)
        return law, bodies.setdefault(node.integrand, len(bodies))

    def place(self, law: Law, mean: Array, variance: Array) -> tuple[GaussianTable, TablePlace]:
        """The table of a law, made or made anew where a mean is not in it, and a place in it.

        Raises:
            Untabulated: an integrand that is not smooth enough.
        """
        found = self.tables.get(law)
        index = None if found is None else found.index(mean)
        if found is None or index is None:
            means = np.unique(mean)
            if found is not None:
                means = np.union1d(found.means, means)
            bodies = self.bodies[law]
            variable = next(iter(_variable(b) for b in bodies))
            found = tabulate(tuple(bodies), variable, means)
            if found is None:
                raise Untabulated(str(law))
            self.tables[law] = found
            index = np.searchsorted(means, mean)
        return found, found.place(index, variance)


def _variable(body: sp.Expr) -> sp.Symbol:
    (variable,) = body.free_symbols
    return variable  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class _Lookup:
    """Symbols that are read from the table of a law: (slot symbol, body number)."""

    law: Law
    block: Block
    reads: tuple[tuple[sp.Symbol, int], ...]


@dataclass(frozen=True, eq=False)
class _Assign:
    symbol: sp.Symbol
    block: Block


@dataclass(frozen=True, eq=False)
class TabulatedProgram:
    """Outputs as functions of arrays, by tables; `values` alone, or with `bounds` of their errors.

    Errors move as in `Program`: to first order, added in absolute value.
    """

    arguments: tuple[sp.Symbol, ...]
    steps: tuple[tuple[tuple[sp.Symbol, ...], _Lookup | _Assign], ...]
    known: tuple[sp.Symbol, ...]
    outputs: Block
    store: TableStore

    def values(self, *arrays: Array, given: Mapping[sp.Symbol, Array] | None = None) -> list[Array]:
        """The outputs, each in the shape it depends on; `given` stands for what is assigned."""
        return self._run(arrays, False, given or {})[0]

    def bounds(self, *arrays: Array) -> tuple[list[Array], list[Array]]:
        """The outputs and the bounds of their errors."""
        return self._run(arrays, True, {})

    def _run(
        self, arrays: Sequence[Array], bounds: bool, given: Mapping[sp.Symbol, Array]
    ) -> tuple[list[Array], list[Array]]:
        values: dict[sp.Symbol, Any] = dict(zip(self.arguments, arrays, strict=True))
        errors: dict[sp.Symbol, Any] = {}

        def run(block: Block, symbols: Sequence[sp.Symbol]) -> tuple[list[Any], list[Any]]:
            off = [errors.get(s) for s in symbols] if bounds else None
            state = block.run([values[s] for s in symbols], off)
            return ([part[i] for i in block.outputs] for part in (state.values, state.errors))  # type: ignore[return-value]

        for symbols, step in self.steps:
            if isinstance(step, _Assign) and step.symbol in given:
                values[step.symbol] = given[step.symbol]
                continue
            found, off = run(step.block, symbols)
            if isinstance(step, _Assign):
                values[step.symbol], errors[step.symbol] = found[0], off[0]
            else:
                self._look_up(step, found, off, values, errors, bounds)
        found, off = run(self.outputs, self.known)
        return (
            [np.asarray(v, dtype=float) for v in found],
            [np.asarray(0.0 if e is None else e, dtype=float) for e in off],
        )

    def _look_up(
        self,
        step: _Lookup,
        law: list[Any],
        off: list[Any],
        values: dict[sp.Symbol, Any],
        errors: dict[sp.Symbol, Any],
        bounds: bool,
    ) -> None:
        mean, variance = (np.asarray(part, dtype=float) for part in law)
        table, place = self.store.place(step.law, mean, variance)
        moved = None
        if bounds and off[1] is not None:
            moved = table.place(place.index, variance + off[1])
        for symbol, body in step.reads:
            values[symbol] = table.values(body, place)
            if bounds:
                errors[symbol] = table.bounds(body, place)
                if moved is not None:
                    change = np.abs(table.values(body, moved) - values[symbol])
                    errors[symbol] = errors[symbol] + change


def tabulated_program(
    assignments: Sequence[tuple[sp.Symbol, sp.Expr]],
    outputs: Sequence[sp.Expr],
    arguments: Sequence[sp.Symbol],
    store: TableStore,
) -> TabulatedProgram:
    """What `compile_program` makes of the same arguments, by tables.

    Raises:
        Untabulated: an expectation of a pair, or of others inside.
    """
    backend = get_backend("numpy")
    known, doubtful = list(arguments), set[sp.Basic]()
    read: dict[sp.Basic, sp.Symbol] = {}
    steps: list[tuple[tuple[sp.Symbol, ...], _Lookup | _Assign]] = []

    def block(expressions: Sequence[sp.Expr]) -> Block:
        uncertain = [s for s in known if s in doubtful]
        return build_block(expressions, known, backend, 0.0, uncertain=uncertain)

    def look_up(expressions: Sequence[sp.Expr]) -> None:
        groups: dict[Law, list[tuple[sp.Symbol, int]]] = {}
        nodes = sorted(set().union(*(e.atoms(GaussianExpectation) for e in expressions)), key=str)
        for node in nodes:
            if node in read:
                continue
            _require_single(node)
            law, body = store.number(node)
            read[node] = sp.Dummy("E", real=True)
            groups.setdefault(law, []).append((read[node], body))
        for law, reads in groups.items():
            steps.append((tuple(known), _Lookup(law, block(law), tuple(reads))))
            for symbol, _ in reads:
                known.append(symbol)
                doubtful.add(symbol)

    for symbol, expression in assignments:
        look_up([sp.sympify(expression, strict=True)])
        plain = sp.sympify(expression, strict=True).xreplace(read)
        steps.append((tuple(known), _Assign(symbol, block([plain]))))
        known.append(symbol)
        if doubtful & plain.free_symbols:
            doubtful.add(symbol)
    expressions = [sp.sympify(e, strict=True) for e in outputs]
    look_up(expressions)
    final = block([e.xreplace(read) for e in expressions])
    return TabulatedProgram(tuple(arguments), tuple(steps), tuple(known), final, store)


def _require_single(node: GaussianExpectation) -> None:
    inside = node.integrand.free_symbols
    if (
        len(node.variables) != 1
        or inside != set(node.variables)
        or node.integrand.has(GaussianExpectation)
    ):
        raise Untabulated(f"no table holds {node}")
