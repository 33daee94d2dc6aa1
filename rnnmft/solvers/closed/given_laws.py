"""Averages at given preactivation laws where moments close: compiled Gaussian integrals.

Eq. (given-laws), Eq. (untied-tangent).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from rnnmft.errors import ConvergenceError, DerivationError, Status
from rnnmft.language import Cell, Inputs
from rnnmft.numerics.compile import Program, compile_program
from rnnmft.solvers.closed.recursion import UntiedRecursion, untied_recursion
from rnnmft.solvers.tangents import Tangent, tangent_of
from rnnmft.theory.notation import MomentKey

__all__ = ["ClosedLaws"]

Array = NDArray[np.float64]
# What moments at given laws are right to: ten times what integrals are computed to.
_PRECISION = 1e-10
# Of averages in searches over two trajectories; they come out far better.
_ROUGH = 1e-6


@dataclass(frozen=True)
class ClosedAverages:
    """Moments, and the coefficients of the tangent operator, at one set of laws.

    `forgotten` is the part of the slowest moment that one step forgets, the laws held fixed.
    """

    laws: ClosedLaws
    second: Mapping[str, float]
    seen: Mapping[str, float]
    moments: Mapping[MomentKey, float]
    arguments: tuple[float, ...]
    forgotten: float

    @cached_property
    def _operators(self) -> Array:
        """The coefficients of the tangent operator as a polynomial in the sigma_w^2."""
        program, terms = self.laws.operator
        values = self.laws.call(program, (*self.moments.values(), *self.arguments))
        size = round((len(values) / len(terms)) ** 0.5)
        return values.reshape(len(terms), size, size)

    @property
    def closed(self) -> ClosedAverages:
        """Itself."""
        return self

    def tangent(self, squares: Mapping[str, float]) -> Tangent:
        """m_1 and growth at the given sigma_w^2."""
        _, terms = self.laws.operator
        factors = [math.prod(squares.get(n, 0.0) for n in names) for names in terms]
        pairs = self.laws.recursion.derivation.tangent.pairs
        identity = np.array([float(i == j) for i, j in pairs])
        shares = np.array([float(self.laws.cell.shares[i]) for i, _ in pairs]) * identity
        operator = np.tensordot(factors, self._operators, axes=1)
        return tangent_of(operator, identity, shares)


class ClosedLaws:
    """One cell whose moments close, and whose averages over units follow from the given laws alone.

    Raises:
        DerivationError: they do not.
    """

    method = "closed moments"
    closes = True
    is_sampled = False
    precision = _PRECISION

    def __init__(self, cell: Cell, inputs: Inputs) -> None:
        self.cell, self.inputs = cell, inputs
        self.recursion: UntiedRecursion = untied_recursion(cell, inputs.temporal == "constant")
        self.recursion.require_closed()
        theory = self.recursion.derivation.theory
        self._averages = {m: theory.average(m) for m in cell.averages}
        for m, value in self._averages.items():
            if theory.moments_in(value):
                raise DerivationError(
                    f"the average {m.name!r} of cell {cell.name!r} depends on the states: it does "
                    "not follow from the laws of the preactivations"
                )

    @cached_property
    def rough_recursion(self) -> UntiedRecursion:
        """With rough averages, for searches over two trajectories."""
        return UntiedRecursion(self.recursion.derivation, rtol=_ROUGH)

    @cached_property
    def seen(self) -> dict[str, sp.Expr]:
        """{preactivation: E[y^2]} of what its weights see."""
        theory = self.recursion.derivation.theory
        return {p.name: theory.expect(y**2) for p, y in self.cell.sees.items() if y != 0}

    @cached_property
    def updates(self) -> dict[MomentKey, sp.Expr]:
        """{key: update} of every moment that is needed."""
        derivation = self.recursion.derivation
        used = (*derivation.tangent.operator, *self.seen.values())
        needed = [k for e in used for k in derivation.theory.moments_in(e)]
        return derivation.theory.closure([*derivation.moments, *needed])

    @property
    def _symbols(self) -> list[sp.Symbol]:
        n, cell = self.recursion.derivation.notation, self.cell
        laws = [s for p in cell.preactivations for s in (n.q[p], n.mu_b[p])]
        return [*laws, n.R, n.c_x]

    def _compile(self, outputs: list[sp.Expr]) -> Program:
        n = self.recursion.derivation.notation
        moments = [n.moment(k) for k in self.updates]
        return compile_program([*self._averages.items()], outputs, [*moments, *self._symbols])

    @cached_property
    def stationarity(self) -> Program:
        """Matrix (row by row) and constant of the moments' updates."""
        n = self.recursion.derivation.notation
        symbols = [n.moment(k) for k in self.updates]
        rows = list(self.updates.values())
        matrix = [sp.diff(row, s) for row in rows for s in symbols]
        zero = dict.fromkeys(symbols, sp.S.Zero)
        return self._compile([*matrix, *(row.xreplace(zero) for row in rows)])

    @cached_property
    def sights(self) -> Program:
        """E[y^2] of every recurrent preactivation."""
        return self._compile(list(self.seen.values()))

    @cached_property
    def operator(self) -> tuple[Program, list[tuple[str, ...]]]:
        """The tangent operator as a polynomial, linear in each sigma_w^2.

        Returns:
            Its coefficients, each a matrix row by row, and the preactivations whose sigma_w^2
            multiply each of them.
        """
        derivation = self.recursion.derivation
        squares = {sp.Dummy(): p for p in self.cell.preactivations}
        known = {derivation.notation.sigma_w[p] ** 2: w for w, p in squares.items()}
        terms = {(): [e.xreplace(known) for e in derivation.tangent.operator]}
        for w, p in squares.items():
            slopes = {(*names, p.name): [sp.diff(e, w) for e in m] for names, m in terms.items()}
            rests = {names: [e.xreplace({w: sp.S.Zero}) for e in m] for names, m in terms.items()}
            terms = {n: m for n, m in {**rests, **slopes}.items() if any(e != 0 for e in m)}
        return self._compile([e for m in terms.values() for e in m]), list(terms)

    @staticmethod
    def call(program: Program, arguments: tuple[float, ...]) -> Array:
        """The outputs of a program at one point."""
        found = program(*(np.array([a]) for a in arguments))
        return np.array([float(v[0]) for v in found.values])

    @property
    def coarse(self) -> ClosedLaws:
        """Itself."""
        return self

    def at(self, q: Mapping[str, float], mu: Mapping[str, float]) -> ClosedAverages:
        """The averages at variances q and means mu."""
        laws = [v for p in self.cell.preactivations for v in (q[p.name], mu[p.name])]
        given = (*laws, self.inputs.R, self.inputs.correlation)
        count = len(self.updates)
        values = self.call(self.stationarity, (*([0.0] * count), *given))
        matrix, constant = values[: count * count].reshape(count, count), values[count * count :]
        if not np.isfinite(values).all():
            variances = ", ".join(f"{v:.4g} of {name}" for name, v in q.items())
            raise ConvergenceError(
                Status.NOT_CONVERGED, f"At variances {variances} an average is no finite number."
            )
        kept = float(np.abs(np.linalg.eigvals(matrix)).max())
        if kept >= 1.0:
            raise ConvergenceError(Status.DIVERGES, "At these gates nothing is ever forgotten.")
        solved = np.linalg.solve(np.eye(count) - matrix, constant)
        moments = {k: float(v) for k, v in zip(self.updates, solved, strict=True)}
        sights = self.call(self.sights, (*moments.values(), *given)) if self.seen else []
        n = self.recursion.derivation.notation
        return ClosedAverages(
            self,
            {s.name: moments[n.state_key(s, s)] for s in self.cell.states},
            {name: float(v) for name, v in zip(self.seen, sights, strict=True)},
            moments,
            given,
            1.0 - kept,
        )
