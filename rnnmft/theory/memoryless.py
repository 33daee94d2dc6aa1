"""Memoryless cells: the two-time covariances of their preactivations close, tied weights or not.

Where every state is a function of this step's preactivations and input alone, and every W sees
states alone, the average E[y_k^t y_k^s] needs no more than the Gaussian pairs (e_j^t, e_j^s):

    C_k(t+1, s+1) = sigma_w,k^2 E[y_k(e^t) y_k(e^s)] + sigma_v,k^2 R kappa(t - s) c + sigma_b,k^2

The vanilla RNN is the one that everybody knows [sompolinsky1988].

Eq. (memoryless-kernel).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from rnnmft.errors import DerivationError
from rnnmft.language import Cell, Preactivation, State
from rnnmft.theory.independence import GaussianLaw, expect

__all__ = ["MemorylessTheory", "is_memoryless", "memoryless_theory"]


def is_memoryless(cell: Cell) -> bool:
    """Whether states depend on this step's preactivations and input alone, and weights on states.

    >>> from rnnmft import cells
    >>> is_memoryless(cells.vanilla()), is_memoryless(cells.minimal())
    (True, False)
    """
    states = set(cell.states)
    forgets = all(not f.free_symbols & states for f in cell.update.values())
    plain = all(y.free_symbols <= states for y in cell.sees.values())
    unaveraged = not cell.parameters and not cell.averages
    return forgets and plain and unaveraged and bool(cell.preactivations)


@dataclass(frozen=True)
class MemorylessTheory:
    """Averages over two times as Gaussian integrals.

    Attributes:
        cell: memoryless.
        mu, q_t, q_ts, q_s: {preactivation: symbol} of the mean and of the covariance matrix of the
            preactivation at the two times.
        R, R_ts: the input's second moment, and its covariance between the two times.
        seen: {preactivation: E[y^t y^s]} of what its weights see one step later.
        mean_seen: {preactivation: E[y^t]}.
        start: {state: symbol} of its variance at t = 0.
        mean_at_start: {preactivation: E[y^0]}, the states being independent Gaussians there.
        states: {state: E[s^t s^s]}.
    """

    cell: Cell
    mu: dict[Preactivation, sp.Symbol]
    q_t: dict[Preactivation, sp.Symbol]
    q_ts: dict[Preactivation, sp.Symbol]
    q_s: dict[Preactivation, sp.Symbol]
    R: sp.Symbol
    R_ts: sp.Symbol
    seen: dict[Preactivation, sp.Expr]
    mean_seen: dict[Preactivation, sp.Expr]
    start: dict[State, sp.Symbol]
    mean_at_start: dict[Preactivation, sp.Expr]
    states: dict[State, sp.Expr]


@lru_cache(maxsize=64)
def memoryless_theory(cell: Cell) -> MemorylessTheory:
    """The two-time averages of a memoryless cell.

    Raises:
        DerivationError: the cell is not memoryless.
    """
    if cell.averages:
        raise DerivationError(
            f"cell {cell.name!r} has averages over units, which differ between two times"
        )
    if not is_memoryless(cell):
        raise DerivationError(
            f"cell {cell.name!r} remembers more than its preactivations: its two-time covariances "
            "do not close"
        )
    several = len(cell.preactivations) > 1

    def named(stem: str) -> dict[Preactivation, sp.Symbol]:
        marks = {p: f"_{p.name}" if several else "" for p in cell.preactivations}
        return {p: sp.Symbol(f"{stem}{marks[p]}", real=True) for p in cell.preactivations}

    mu, q_t, q_ts, q_s = (named(stem) for stem in ("mu_b", "q_t", "q_ts", "q_s"))
    power, shared = sp.Symbol("R", nonnegative=True), sp.Symbol("R_ts", real=True)
    laws, renamed = [], ({}, {})
    variables: list[tuple[sp.Symbol, tuple[sp.Expr, ...], tuple[sp.Expr, ...]]] = [
        (p, (mu[p], mu[p]), (q_t[p], q_ts[p], q_s[p])) for p in cell.preactivations
    ]
    if cell.input is not None:
        zero = (sp.S.Zero, sp.S.Zero)
        variables.append((cell.input, zero, (power, shared, power)))
    for symbol, means, covariance in variables:
        pair = tuple(sp.Symbol(f"{symbol.name}_{side}", real=True) for side in "ts")
        laws.append(GaussianLaw(pair, means, covariance))
        for at, variable in zip(renamed, pair, strict=True):
            at[symbol] = variable
    at_times = [{s: f.xreplace(at) for s, f in cell.update.items()} for at in renamed]
    seen = {
        p: expect(sp.Mul(*(y.xreplace(values) for values in at_times)), laws)
        for p, y in cell.sees.items()
    }
    mean_seen = {p: expect(y.xreplace(at_times[0]), laws) for p, y in cell.sees.items()}
    start = {s: sp.Symbol(f"start_{s.name}", nonnegative=True) for s in cell.states}
    at_start = [GaussianLaw((s,), (sp.S.Zero,), (variance,)) for s, variance in start.items()]
    mean_at_start = {p: expect(y, at_start) for p, y in cell.sees.items()}
    states = {s: expect(sp.Mul(*(values[s] for values in at_times)), laws) for s in cell.states}
    averages = (seen, mean_seen, start, mean_at_start, states)
    return MemorylessTheory(cell, mu, q_t, q_ts, q_s, power, shared, *averages)
