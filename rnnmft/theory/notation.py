"""The symbols of a derivation: one name a quantity, short where the cell has one of its kind.

A cell with one preactivation and one state gets q, mu_b, sigma_w, Q as in the papers; otherwise
names carry the preactivation or state: q_z, sigma_w_z, Q_h.
"""

from __future__ import annotations

from functools import cached_property

import sympy as sp

from rnnmft.language import Cell, Input, Preactivation, State

__all__ = ["MomentKey", "Notation"]

#: Exponents of the recurrent variables, one tuple a trajectory: ((2,),) is E[h^2] and
#: ((1,), (1,)) is E[h_a h_b].
MomentKey = tuple[tuple[int, ...], ...]


def _symbol(stem: str, *marks: str, nonnegative: bool = False) -> sp.Symbol:
    name = "_".join([stem, *(m for m in marks if m)])
    return sp.Symbol(name, real=True, nonnegative=True if nonnegative else None)


class Notation:
    """All symbols of one cell's theory.

    Attributes:
        q, q_ab, mu_b, sigma_w, sigma_v, sigma_b: {preactivation: symbol}; q is a variance.
        R, c_x: the input's second moment and the correlation of two inputs.
        recurrent: the variables whose moments the recursion follows: the states, and the input
            where it is constant in time.
    """

    def __init__(self, cell: Cell, constant_input: bool = False) -> None:
        self.cell = cell
        self.follow_input = constant_input and cell.input is not None
        mark = {p: p.name if len(cell.preactivations) > 1 else "" for p in cell.preactivations}
        over = cell.preactivations
        self.q = {p: _symbol("q", mark[p], nonnegative=True) for p in over}
        self.q_ab = {p: _symbol("q", mark[p], "ab") for p in over}
        self.mu_b = {p: _symbol("mu_b", mark[p]) for p in over}
        self.sigma_w = {p: _symbol("sigma_w", mark[p], nonnegative=True) for p in over}
        self.sigma_v = {p: _symbol("sigma_v", mark[p], nonnegative=True) for p in over}
        self.sigma_b = {p: _symbol("sigma_b", mark[p], nonnegative=True) for p in over}
        self.R = _symbol("R", nonnegative=True)
        self.c_x = _symbol("c_x")
        self._moments: dict[MomentKey, sp.Symbol] = {}

    @cached_property
    def recurrent(self) -> tuple[State | Input, ...]:
        """States, then the input where the recursion follows it."""
        extra = (self.cell.input,) if self.follow_input and self.cell.input else ()
        return (*self.cell.states, *extra)

    def on(self, symbol: sp.Symbol, trajectory: int, trajectories: int) -> sp.Symbol:
        """A cell's symbol on one of two trajectories: h_a, h_b; itself where there is only one."""
        if trajectories == 1:
            return symbol
        return sp.Symbol(f"{symbol.name}_{'ab'[trajectory]}", real=True)

    def moment(self, key: MomentKey) -> sp.Symbol:
        """The symbol of a moment of the recurrent variables; equal by symmetry, equal symbol."""
        key = tuple(sorted(key, reverse=True))
        if key not in self._moments:
            symbol, taken = self._name_moment(key), set(self._moments.values())
            while symbol in taken:  # names run together: a, bc and ab, c both make abc
                symbol = _symbol(symbol.name, "x", nonnegative=bool(symbol.is_nonnegative))
            self._moments[key] = symbol
        return self._moments[key]

    def known(self) -> dict[MomentKey, sp.Symbol]:
        """Every moment named so far."""
        return dict(self._moments)

    def _name_moment(self, key: MomentKey) -> sp.Symbol:
        names = [s.name for s in self.recurrent]
        words = ["".join(n * e for n, e in zip(names, side, strict=True)) for side in key]
        several = len(names) > 1
        order = sum(map(sum, key))
        if len(key) == 1 and order == 1:
            return _symbol("m", words[0] if several else "")
        if order == 2 and len(key) == 1:
            square = max(key[0]) == 2
            word = names[key[0].index(2)] if square else words[0]
            return _symbol("Q", word if several else "", nonnegative=square)
        if order == 2:
            word = words[0] if words[0] == words[1] else "".join(words)
            return _symbol("Q", word if several else "", "ab")
        powers = [f"{n}{e}" for side in key for n, e in zip(names, side, strict=True) if e]
        return _symbol("M", *powers, *(["ab"] if len(key) == 2 else []))

    def state_key(self, *states: State, trajectories: int = 1) -> MomentKey:
        """The key of E[product of states]; of two trajectories, one state is on each."""
        if trajectories == 2:
            return tuple(tuple(int(v == s) for v in self.recurrent) for s in states)
        return (tuple(sum(v == s for s in states) for v in self.recurrent),)

    def preactivation_on(self, p: Preactivation, trajectories: int) -> tuple[sp.Symbol, ...]:
        """The variables of a preactivation, one a trajectory."""
        return tuple(self.on(p, t, trajectories) for t in range(trajectories))
