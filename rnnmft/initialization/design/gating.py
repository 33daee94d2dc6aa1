"""What each preactivation does in its cell: keep, write, read out, or propose a new value.

Found from the updates alone, so a cell of one's own has its gating too: a gate is a preactivation
that enters through functions with values in [0, 1] only; a retention gate is one whose opening
turns a state's own coefficient from 0 to 1 (or back).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sympy as sp

from rnnmft.activations import gaussian_cdf, hard_sigmoid, sigmoid
from rnnmft.language import Cell, Preactivation, RandomParameter, State
from rnnmft.numerics.compile import compile_elementwise

__all__ = ["Gating", "gating"]

_UNIT_INTERVAL = (sigmoid, hard_sigmoid, gaussian_cdf)
# A gate this far open or closed is at its limit: sigmoid(-30) = 1e-13.
_FAR = 30.0


@dataclass(frozen=True)
class Gating:
    """Which preactivations of a cell are gates, of what, and which are candidates; by name.

    Attributes:
        retention: {name: +1 if a large mean keeps the old state, -1 if a small one does}.
        coupled: retention gates that also open what is added, as 1 - z does, where that has
            recurrent weights of its own.
        write: gates of what is added to a state that remembers.
        readout: gates of states that are read out from it.
        candidates: recurrent preactivations that are no gates, in dependency order;
            projections first, which are read linearly.
        recurrent: every preactivation with recurrent weights, in dependency order.
        held_by_law: whether the law of an elementwise random parameter sets how long states last.
        gains: {state that remembers: its coefficient at rest, a function of the gates}.
    """

    retention: Mapping[str, int]
    coupled: tuple[str, ...]
    write: tuple[str, ...]
    readout: tuple[str, ...]
    candidates: tuple[str, ...]
    recurrent: tuple[str, ...]
    held_by_law: bool
    gains: Mapping[State, sp.Expr]

    def main(self, fixed: Iterable[str] = ()) -> str | None:
        """The preactivation whose sigma_w criticality shall set: a candidate, else a gate.

        A projection last: what reads it undoes its scale, of which any is as good as another.

        None where every sigma_w is among the `fixed`.
        """
        taken = set(fixed)
        gates = [n for n in self.recurrent if n not in self.candidates]
        return next((n for n in (*self.candidates[::-1], *gates[::-1]) if n not in taken), None)


@lru_cache(maxsize=64)
def gating(cell: Cell) -> Gating:
    """The roles of the preactivations of a cell.

    >>> from rnnmft import cells
    >>> gating(cells.lstm()).retention, gating(cells.lstm()).readout, gating(cells.lstm()).main()
    ({'f': 1}, ('o',), 'g')
    """
    recurrent = tuple(p.name for p in cell.preactivations if p.is_recurrent)
    gates = {p for p in cell.preactivations if _is_gate(cell, p)}
    lasting = [s for s in cell.states if sp.diff(cell.update[s], s) != 0]
    kept_by = {s: _coefficient(cell, s, gates) for s in lasting}
    held_by_law = any(f.atoms(RandomParameter) for f in kept_by.values())
    retention = {} if held_by_law else _retention(cell, list(kept_by.values()))
    kept = {p for f in kept_by.values() for p in f.free_symbols}
    written = {p for s in lasting for p in cell.update[s].free_symbols}
    read = {p for s in cell.states for p in cell.update[s].free_symbols} - written
    several = len(cell.states) > 1
    proposing = [p for p in cell.preactivations if p.is_recurrent and p not in gates]
    candidates = tuple(p.name for p in sorted(proposing, key=lambda p: not _is_linear(cell, p)))
    added = {p.name for s in lasting for p in cell.update[s].xreplace({s: sp.S.Zero}).free_symbols}
    return Gating(
        retention,
        tuple(name for name in retention if candidates and name in added),
        tuple(p.name for p in _ordered(cell, (gates & written) - kept)) if several else (),
        tuple(p.name for p in _ordered(cell, gates & read)) if several else (),
        candidates,
        recurrent,
        held_by_law,
        kept_by,
    )


def _ordered(cell: Cell, chosen: set[sp.Basic]) -> list[Preactivation]:
    """Of several gates under one function the one with an input, in dependency order."""
    found = [p for p in cell.preactivations if p in chosen]
    return [p for p in found if p.has_input] or found


def _is_gate(cell: Cell, p: Preactivation) -> bool:
    """Whether p stands only inside functions with values in [0, 1]."""
    expressions = (*cell.update.values(), *cell.sees.values())
    used = [f for f in expressions if p in f.free_symbols]
    opaque = [
        f.replace(lambda part: isinstance(part, _UNIT_INTERVAL), lambda part: sp.Dummy())
        for f in used
    ]
    return bool(used) and all(p not in f.free_symbols for f in opaque)


def _is_linear(cell: Cell, p: Preactivation) -> bool:
    """Whether everything that reads p is linear in it."""
    return all(not sp.diff(f, p).has(p) for f in (*cell.update.values(), *cell.sees.values()))


def _coefficient(cell: Cell, state: State, gates: set[Preactivation]) -> sp.Expr:
    """dF/ds of a state's own update, with states, input and all that is no gate at zero.

    Averages over units are those of units that are all alike: they follow a gate's mean.
    """
    quiet: set[sp.Basic] = {*cell.states, *cell.preactivations} - gates
    quiet |= {cell.input} if cell.input else set()
    slope = sp.diff(cell.update[state], state)
    for m, f in reversed([*cell.averages.items()]):
        slope = slope.xreplace({m: f})
    return slope.xreplace(dict.fromkeys(quiet, sp.S.Zero))


def _retention(cell: Cell, coefficients: list[sp.Expr]) -> dict[str, int]:
    """The preactivations that open a state's own coefficient, and the direction."""
    signs: dict[str, int] = {}
    for kept in coefficients:
        held = [p for p in cell.preactivations if p in kept.free_symbols]
        if not held:
            continue
        function = compile_elementwise([kept], held)
        for p in _ordered(cell, set(held)):
            ends = [np.array([_FAR, -_FAR]) if p is v else np.zeros(2) for v in held]
            opened, closed = function(*ends)[0]
            if abs(opened - closed) > 0.5:
                signs[p.name] = 1 if opened > closed else -1
    return signs
