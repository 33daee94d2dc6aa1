"""The untied recursion of a cell as programs of the page.

Eq. (affine), Eq. (affine-pair), Eq. (chi), Eq. (untied-tangent).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from rnnmft.errors import CompileError
from rnnmft.expectation import GaussianExpectation
from rnnmft.explorer.programs import ProgramWriter
from rnnmft.solvers.closed.bounds import largest_square
from rnnmft.solvers.closed.recursion import UntiedRecursion
from rnnmft.theory.notation import MomentKey

__all__ = ["ClosedPrograms"]

# As in the closed solver: densities at kinks are asked for at no less than this variance.
_LEAST_VARIANCE = sp.Float(1e-30)


@dataclass(frozen=True)
class ClosedPrograms:
    """What the page computes by itself: functions of moments m, cross moments c and parameters p.

    `recursion` is untied and closed.
    """

    recursion: UntiedRecursion

    def written(self, writer: ProgramWriter) -> dict[str, str]:
        """{name: function}; those of two trajectories are absent where no series has a pair."""
        r, d = self.recursion, self.recursion.derivation
        updates = list(d.moments.values())
        q = [d.notation.q[p] for p in d.cell.preactivations]
        clipped = [(s, sp.Max(e, _LEAST_VARIANCE) if s in q else e) for s, e in self._numbers]
        single = self._names(r.keys)
        found = {
            "step": writer.function(single, self._numbers, updates, "m, p"),
            "linear": writer.function(single, self._numbers, r.linear_moments(), "m, p"),
            "slope": writer.function(single, clipped, list(d.variance_slope), "m, p"),
            "variances": writer.function(single, self._numbers, q, "m, p"),
            "tangent": writer.function(
                self._names([*r.keys, *self._higher]),
                self._numbers,
                list(d.tangent.operator),
                "m, p",
            ),
        }
        if self._higher:
            closed = d.theory.closure(self._higher)
            linear = r.linear([closed[k] for k in self._higher], self._higher)
            found["higher"] = writer.function(single, self._numbers, linear, "m, p")
        return found | self._of_pairs(writer)

    def _of_pairs(self, writer: ProgramWriter) -> dict[str, str]:
        r, d = self.recursion, self.recursion.derivation
        updates = [d.cross_moments[k] for k in r.cross_keys]
        names = {**self._names(r.keys), **self._names(r.cross_keys, "c")}
        chain = [*self._numbers, *r.covariances()]
        linear = r.linear(updates, r.cross_keys)
        wanted = {"crossStep": updates, "crossLinear": linear, "crossSlope": list(d.slope)}
        try:
            return {
                name: writer.function(names, chain, outputs, "c, m, p")
                for name, outputs in wanted.items()
            }
        except CompileError:
            return {}

    @property
    def _numbers(self) -> list[tuple[sp.Symbol, sp.Expr]]:
        """The variances of preactivations and the averages over units, in order."""
        return list(self.recursion.derivation.theory.numbers.items())

    def _names(self, keys: Iterable[MomentKey], array: str = "m") -> dict[sp.Symbol, str]:
        symbols = self.recursion.symbols(list(keys))
        names = {s: f"{array}[{i}]" for i, s in enumerate(symbols)}
        return names | {s: f"p[{i}]" for i, s in enumerate(self.recursion.parameters)}

    @cached_property
    def _higher(self) -> list[MomentKey]:
        """The moments that the tangent process needs beside the recursion's own."""
        theory, r = self.recursion.derivation.theory, self.recursion
        operator = list(self.recursion.derivation.tangent.operator)
        needed = dict.fromkeys(k for e in operator for k in theory.moments_in(e))
        return [k for k in theory.closure(needed) if k not in r.keys]

    def described(self) -> dict[str, Any]:
        """Where each moment is, and of what kind."""
        r, d = self.recursion, self.recursion.derivation
        n, states = d.notation, d.cell.states
        return {
            "count": len(r.keys),
            "drivers": r.drivers,
            "even": [all(power % 2 == 0 for side in key for power in side) for key in r.keys],
            "squares": [r.keys.index(n.state_key(s, s)) for s in states],
            "nested": any(f.has(GaussianExpectation) for f in self._integrands()),
            "crossCount": len(r.cross_keys),
            "crossDrivers": r.cross_drivers,
            "crossSquares": [self._squares(key) for key in r.cross_keys],
            "pairs": [r.cross_keys.index(n.state_key(s, s, trajectories=2)) for s in states],
            "higher": len(self._higher),
            "largest": min(1.1 * largest_square(d.cell), 1e9),
        }

    def _integrands(self) -> Iterator[sp.Expr]:
        moments = self.recursion.derivation.moments.values()
        for expression in (*moments, *(e for _, e in self._numbers)):
            yield from (node.integrand for node in expression.atoms(GaussianExpectation))

    def _squares(self, key: MomentKey) -> list[int]:
        """Where the second moments of both sides of a cross moment are; the first, if nowhere."""
        r = self.recursion
        squares: list[Mapping[Any, Any] | Any] = [
            (tuple(2 * power for power in side),) for side in key
        ]
        return [r.keys.index(s) if s in r.keys else 0 for s in squares]
