"""What the page knows of a cell: its untied recursion, and one unit of it, as JavaScript.

Eq. (affine), Eq. (affine-pair), Eq. (chi), Eq. (untied-tangent).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from rnnmft.errors import CompileError
from rnnmft.expectation import GaussianExpectation
from rnnmft.explorer.javascript import JavaScriptPrinter
from rnnmft.explorer.programs import ProgramWriter
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.solvers.closed.bounds import largest_square
from rnnmft.solvers.closed.recursion import UntiedRecursion, point_of
from rnnmft.theory.notation import MomentKey

__all__ = ["PageModel", "json_text"]

_LAWS = ("sigma_w", "sigma_v", "mu_b", "sigma_b")
# As in the closed solver: densities at kinks are asked for at no less than this variance.
_LEAST_VARIANCE = sp.Float(1e-30)
# Ranges of the sliders, in the units of the ensemble: what the literature's diagrams span.
_RANGES = {
    "sigma_w": (0.0, 8.0),
    "sigma_v": (0.0, 4.0),
    "mu_b": (-5.0, 5.0),
    "sigma_b": (0.0, 4.0),
    "R": (0.0, 4.0),
    "correlation": (-1.0, 1.0),
}


@dataclass(frozen=True)
class PageModel:
    """The generated half of the page's script.

    `recursion` is untied and closed; `ensemble` and `inputs` are where the page opens.
    """

    recursion: UntiedRecursion
    ensemble: Ensemble
    inputs: Inputs

    @property
    def cell(self) -> Cell:
        """The cell."""
        return self.recursion.derivation.cell

    # --- parameters ------------------------------------------------------------------------------

    def parameters(self) -> list[dict[str, Any]]:
        """One entry a parameter, in the order of the page's p: name, law, value, range."""
        point = point_of(self.recursion.derivation, self.ensemble, self.inputs)
        n = self.recursion.derivation.notation
        found = [
            self._parameter("", "R", float(point[n.R][0])),
            self._parameter("", "correlation", float(point[n.c_x][0])),
        ]
        for p in self.cell.preactivations:
            for law in _LAWS:
                value = float(point[getattr(n, law)[p]][0])
                found.append(self._parameter(p.name, law, value))
        return found

    def _parameter(self, preactivation: str, law: str, value: float) -> dict[str, Any]:
        by_name = {p.name: p for p in self.cell.preactivations}
        low, high = _RANGES[law]
        matters = True
        if law == "sigma_w":
            matters = by_name[preactivation].is_recurrent
        if law == "sigma_v":
            matters = by_name[preactivation].has_input
        return {
            "name": f"{preactivation}.{law}" if preactivation else law,
            "preactivation": preactivation,
            "law": law,
            "value": value,
            "low": min(low, value),
            "high": max(high, value),
            "matters": matters,
        }

    # --- programs --------------------------------------------------------------------------------

    def script(self) -> str:
        """A function of the page that makes `programs` and `model`."""
        writer = ProgramWriter()
        written = self._programs(writer)
        written["unit"] = self._unit()
        fields = ",\n".join(f"{name}: {text}" for name, text in written.items())
        described = json_text(self._described("crossSlope" in written))
        made = f"return {{ programs: {{\n{fields}\n}}, model: {described} }};"
        return f"() => {{\n{writer.families()}\n{made}\n}}"

    def _programs(self, writer: ProgramWriter) -> dict[str, str]:
        r, d = self.recursion, self.recursion.derivation
        updates = list(d.moments.values())
        clipped = [(s, sp.Max(e, _LEAST_VARIANCE)) for s, e in self._variances()]
        single = self._names(r.keys)
        found = {
            "step": writer.function(single, self._variances(), updates, "m, p"),
            "linear": writer.function(
                single, self._variances(), self._linear(updates, r.keys), "m, p"
            ),
            "slope": writer.function(single, clipped, list(d.variance_slope), "m, p"),
            "variances": writer.function(
                single, self._variances(), [s for s, _ in self._variances()], "m, p"
            ),
            "tangent": writer.function(
                self._names([*r.keys, *self._higher()]),
                self._variances(),
                list(d.tangent.operator),
                "m, p",
            ),
        }
        if self._higher():
            closed = d.theory.closure(self._higher())
            linear = self._linear([closed[k] for k in self._higher()], self._higher())
            found["higher"] = writer.function(single, self._variances(), linear, "m, p")
        return found | self._cross_programs(writer)

    def _cross_programs(self, writer: ProgramWriter) -> dict[str, str]:
        """Those of two trajectories; none where no series describes a pair."""
        r, d = self.recursion, self.recursion.derivation
        updates = [d.cross_moments[k] for k in r.cross_keys]
        names = {**self._names(r.keys), **self._names(r.cross_keys, "c")}
        chain = [
            *self._variances(),
            *((d.notation.q_ab[p], d.theory.covariance(p)) for p in self.cell.preactivations),
        ]
        linear = self._linear(updates, r.cross_keys)
        wanted = {"crossStep": updates, "crossLinear": linear, "crossSlope": list(d.slope)}
        try:
            return {
                name: writer.function(names, chain, outputs, "c, m, p")
                for name, outputs in wanted.items()
            }
        except CompileError:
            return {}

    def _variances(self) -> list[tuple[sp.Symbol, sp.Expr]]:
        d = self.recursion.derivation
        return [(d.notation.q[p], d.theory.variance(p)) for p in self.cell.preactivations]

    def _names(self, keys: Iterable[MomentKey], array: str = "m") -> dict[sp.Symbol, str]:
        symbols = self.recursion.symbols(list(keys))
        names = {s: f"{array}[{i}]" for i, s in enumerate(symbols)}
        return names | {s: f"p[{i}]" for i, s in enumerate(self.recursion.parameters)}

    def _linear(self, updates: Sequence[sp.Expr], keys: Sequence[MomentKey]) -> list[sp.Expr]:
        """Matrix (row by row) and constant of updates that are affine in the moments."""
        symbols = self.recursion.symbols(list(keys))
        zero = dict.fromkeys(symbols, sp.S.Zero)
        matrix = [sp.diff(u, s) for u in updates for s in symbols]
        return [*matrix, *(u.xreplace(zero) for u in updates)]

    def _higher(self) -> list[MomentKey]:
        """The moments that the tangent process needs beside the recursion's own."""
        theory, r = self.recursion.derivation.theory, self.recursion
        operator = list(self.recursion.derivation.tangent.operator)
        needed = dict.fromkeys(k for e in operator for k in theory.moments_in(e))
        return [k for k in theory.closure(needed) if k not in r.keys]

    # --- one unit of a network ------------------------------------------------------------------

    def _unit(self) -> str:
        cell = self.cell
        names: dict[sp.Basic, str] = {s: f"run.s[{a}][i]" for a, s in enumerate(cell.states)}
        names |= {p: f"run.e[{k}][i]" for k, p in enumerate(cell.preactivations)}
        if cell.input is not None:
            names[cell.input] = "x"
        printer = JavaScriptPrinter(names)
        seen, updates = list(cell.sees.values()), list(cell.update.values())
        moved = {s: f"tangent[{a}][i]" for a, s in enumerate(cell.states)}
        moved |= {p: f"de[{k}][i]" for k, p in enumerate(cell.preactivations)}

        def differential(expression: sp.Expr) -> str:
            terms = [(sp.diff(expression, s), by) for s, by in moved.items()]
            text = [f"({printer.doprint(slope)})*{by}" for slope, by in terms if slope != 0]
            return " + ".join(text) or "0"

        def table(texts: Iterable[str], head: str) -> str:
            functions = ", ".join(f"({head}) => {text}" for text in texts)
            return f"[{functions}]"

        head, tangent = "run, i, x", "run, i, x, tangent, de"
        tables = {
            "sees": table(map(printer.doprint, seen), head),
            "seesTangent": table(map(differential, seen), tangent),
            "update": table(map(printer.doprint, updates), head),
            "updateTangent": table(map(differential, updates), tangent),
        }
        return "{ " + ", ".join(f"{name}: {text}" for name, text in tables.items()) + " }"

    # --- what is where ---------------------------------------------------------------------------

    def _described(self, cross: bool) -> dict[str, Any]:
        r, n = self.recursion, self.recursion.derivation.notation
        parameters = self.parameters()
        place = {p["name"]: i for i, p in enumerate(parameters) if p["matters"]}
        largest = largest_square(self.cell)
        return {
            "name": self.cell.name,
            "count": len(r.keys),
            "drivers": r.drivers,
            "even": [all(power % 2 == 0 for side in key for power in side) for key in r.keys],
            "squares": [r.keys.index(n.state_key(s, s)) for s in self.cell.states],
            "stateCount": len(self.cell.states),
            "states": [s.name for s in self.cell.states],
            "cross": cross,
            "nested": any(f.has(GaussianExpectation) for f in self._integrands()),
            "crossCount": len(r.cross_keys),
            "crossDrivers": r.cross_drivers,
            "crossSquares": [self._squares(key) for key in r.cross_keys],
            "pairs": [
                r.cross_keys.index(n.state_key(s, s, trajectories=2)) for s in self.cell.states
            ],
            "higher": len(self._higher()),
            "largest": min(1.1 * largest, 1e9),
            "index": {"R": 0, "c_x": 1},
            "parameters": parameters,
            "preactivations": [
                {
                    "name": p.name,
                    "parameters": [place.get(f"{p.name}.{law}", -1) for law in _LAWS],
                }
                for p in self.cell.preactivations
            ],
        }

    def _integrands(self) -> Iterator[sp.Expr]:
        d = self.recursion.derivation
        for expression in (*d.moments.values(), *(e for _, e in self._variances())):
            yield from (node.integrand for node in expression.atoms(GaussianExpectation))

    def _squares(self, key: MomentKey) -> list[int]:
        """Where the second moments of both sides of a cross moment are; the first, if nowhere."""
        r = self.recursion
        squares: list[Mapping[Any, Any] | Any] = [
            (tuple(2 * power for power in side),) for side in key
        ]
        return [r.keys.index(s) if s in r.keys else 0 for s in squares]


def json_text(value: Any) -> str:
    """JSON that cannot end a script, whatever a name holds."""
    return json.dumps(value).replace("<", "\\u003c")
