"""A network at rest: each unit's states and what its matrices see, by its preactivations.

Without input, s = F(s, e) and e_k = W_k y_k + b_k with y_k = Y_k(s, e). F is solved for s, state by
state; states that feed each other linearly are solved together. What is left has no memory: e_k are
independent Gaussians over the units,

    e_k ~ N(mu_k, sigma_w,k^2 E[y_k^2] + sigma_b,k^2),    y_k = Y_k(s(e), e),

and averages over the units m = E[f(s(e), e)], which are numbers.

Source: [can2020] for the GRU, [mastrogiuseppe2018] for overlaps. Eq. (rest), Eq. (rest-averages).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from rnnmft.errors import DerivationError
from rnnmft.language import Average, Cell, Preactivation, State

__all__ = ["RestingUnit", "constant_leak", "resting_unit"]


@dataclass(frozen=True)
class RestingUnit:
    """One unit of a network at rest: in its preactivations and parameters, and the averages.

    Attributes:
        cell: whose.
        states: s(e).
        seen: what the matrices see, y_r(e), each once.
        row: of each recurrent preactivation, the place in `seen` of what it sees.
        averaged: of what each average over the units is.
    """

    cell: Cell
    states: dict[State, sp.Expr]
    seen: tuple[sp.Expr, ...]
    row: dict[Preactivation, int]
    averaged: dict[Average, sp.Expr]

    def of(self, expression: sp.Expr) -> sp.Expr:
        """An expression in the cell's symbols, at rest."""
        still = {F: s for s, F in self.cell.update.items()}  # s' = s, wherever s' is written
        if self.cell.input is not None:
            still[self.cell.input] = sp.S.Zero
        return expression.xreplace(still).xreplace({**self.states, **still})


@lru_cache(maxsize=64)
def resting_unit(cell: Cell) -> RestingUnit:
    """The unit at rest of a cell.

    Raises:
        DerivationError: the cell has a state that its own update does not hold linearly, or whose
            old value has the weight 1.

    >>> from rnnmft import cells
    >>> unit = resting_unit(cells.gru())
    >>> unit.states, unit.seen
    ({h: tanh(n)}, (tanh(n), tanh(n)*sigmoid(r)))
    """
    unit = RestingUnit(cell, _solved(cell), (), {}, {})
    seen: list[sp.Expr] = []
    row = {}
    for p in cell.preactivations:
        if p.is_recurrent:
            y = unit.of(cell.sees[p])
            if y not in seen:
                seen.append(y)
            row[p] = seen.index(y)
    averaged = {m: unit.of(f) for m, f in cell.averages.items()}
    return RestingUnit(cell, unit.states, tuple(seen), row, averaged)


def constant_leak(cell: Cell) -> sp.Expr | None:
    """a of s' = a s + .., where it is the same number for all units and averages are of states.

    What matrices see must be of the state, too: then averages of one step move the next one's.
    None for other cells.

    >>> from rnnmft import cells
    >>> constant_leak(cells.rate()), constant_leak(cells.gru())
    (4/5, None)
    """
    if len(cell.states) > 1:
        return None
    state, update = next(iter(cell.update.items()))
    a = sp.diff(update, state)
    own = {state, *cell.parameters}
    contents = [d.content for d in cell.order if d.content.free_symbols]
    if not a.is_number or any(not f.free_symbols <= own for f in contents):
        return None
    return a


def _solved(cell: Cell) -> dict[State, sp.Expr]:
    """s(e): groups of states that feed each other, in the order in which they can be solved."""
    quiet = {} if cell.input is None else {cell.input: sp.S.Zero}
    updates = {}
    for s, F in cell.update.items():
        # Another state's new value is its old one.
        others = {G: t for t, G in cell.update.items() if t != s and t != G}
        updates[s] = F.xreplace(others).xreplace(quiet)
    feeds = [(s, t) for s, F in updates.items() for t in cell.states if F.has(t)]
    groups = sp.utilities.iterables.strongly_connected_components((list(cell.states), feeds))
    found: dict[State, sp.Expr] = {}
    for group in groups:  # those that are fed by others come after them
        own = [s for s in cell.states if s in group]
        found |= _group(cell, own, [updates[s].xreplace(found) for s in own])
    return {s: found[s] for s in cell.states}


def _group(cell: Cell, states: list[State], updates: list[sp.Expr]) -> dict[State, sp.Expr]:
    """The solution of s = A s + b."""
    slope = sp.Matrix(len(states), len(states), lambda i, j: sp.diff(updates[i], states[j]))
    if slope.has(*states):
        names = ", ".join(s.name for s in states)
        raise DerivationError(
            f"cell {cell.name!r} is not linear in its own {names}: a unit may rest in several ways"
        )
    shift = sp.Matrix([F.xreplace(dict.fromkeys(states, sp.S.Zero)) for F in updates])
    matrix = sp.eye(len(states)) - slope
    if sp.cancel(matrix.det()) == 0:
        raise DerivationError(
            f"cell {cell.name!r} adds to an old value that it keeps whole: nothing holds it at rest"
        )
    solved = matrix.LUsolve(shift)
    return {s: sp.factor(sp.cancel(x)) for s, x in zip(states, solved, strict=True)}
