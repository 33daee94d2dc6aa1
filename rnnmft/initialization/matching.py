"""Whether two cells are one up to names: what an ensemble's names are called in another module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations, product

import sympy as sp

from rnnmft.errors import ParameterError
from rnnmft.language import Cell, Ensemble
from rnnmft.theory.equality import same_expression

__all__ = ["matching_names", "same_cell"]


def matching_names(ensemble: Ensemble, cell: Cell | None, module_cell: Cell) -> dict[str, str]:
    """{name in the module's cell: name in the ensemble}, of preactivations and parameters.

    Args:
        ensemble: what is to be drawn.
        cell: the ensemble's cell; names alone decide where it is absent.
        module_cell: as `rnnmft.tracing` reads it.

    Raises:
        ParameterError: the ensemble is of another cell; the message says how it differs.
    """
    if cell is not None:
        found = same_cell(module_cell, cell)
        if found is None:
            raise ParameterError(
                f"the ensemble is of another cell than the module's: {cell!r} is not, under any "
                f"names, {module_cell!r}{_reset_gate([*ensemble], module_cell)}"
            )
        return found
    ours = {*ensemble, *ensemble.parameters}
    theirs = {p.name for p in (*module_cell.preactivations, *module_cell.parameters)}
    if ours != theirs:
        raise ParameterError(
            f"the ensemble is of another cell than the module's: it has {_listed(ours)}, the "
            f"module {_listed(theirs)}{_reset_gate([*ensemble], module_cell)}"
        )
    for p in module_cell.preactivations:
        law = ensemble[p.name]
        if (law.sigma_w and not p.is_recurrent) or (law.sigma_v and not p.has_input):
            what = "sigma_v" if p.is_recurrent else "sigma_w"
            raise ParameterError(
                f"the ensemble is of another cell than the module's: {what} of {p.name!r} is not "
                "0, and the module has no such matrix"
            )
    return {name: name for name in sorted(theirs)}


def same_cell(one: Cell, other: Cell) -> dict[str, str] | None:
    """{name in one: name in other} that makes both the same cell, or None.

    The cells are compared as functions that can be multiplied out, not as they are written.

    >>> import torch
    >>> from rnnmft import cells
    >>> same_cell(cells.from_torch(torch.nn.RNNCell(2, 3), name="mine"), cells.vanilla())
    {'e': 'e'}
    >>> same_cell(cells.gru(), cells.gru_torch()) is None
    True
    """
    kinds = ("states", "preactivations", "parameters", "averages")
    if any(len(getattr(one, kind)) != len(getattr(other, kind)) for kind in kinds):
        return None
    if (one.input is None) != (other.input is None):
        return None
    for states, terms, parameters in product(
        _pairings(one.states, other.states),
        _pairings(one.preactivations, other.preactivations),
        _pairings(one.parameters, other.parameters),
    ):
        names = {a.name: b.name for a, b in (terms | parameters).items()}
        if _agree(one, other, states, terms, parameters):
            return names
    return None


def _pairings(
    ours: Sequence[sp.Symbol], theirs: Sequence[sp.Symbol]
) -> Iterator[dict[sp.Symbol, sp.Symbol]]:
    """Every way to pair symbols; the one that keeps their names comes first."""
    by_name = {s.name: s for s in theirs}
    if {s.name for s in ours} == by_name.keys():
        yield {s: by_name[s.name] for s in ours}
    for order in permutations(theirs):
        yield dict(zip(ours, order, strict=True))


def _agree(
    one: Cell,
    other: Cell,
    states: Mapping[sp.Symbol, sp.Symbol],
    terms: Mapping[sp.Symbol, sp.Symbol],
    parameters: Mapping[sp.Symbol, sp.Symbol],
) -> bool:
    """Whether every update and everything that weights see is the same under these names."""
    mine = {**states, **terms, **parameters}
    if one.input is not None:
        mine[one.input] = other.input
    # A preactivation holds what it sees: plain symbols stand for both sides' alike.
    plain = {symbol: sp.Symbol(f"_{j}") for j, symbol in enumerate(mine.values())}
    ours = {symbol: plain[found] for symbol, found in mine.items()}
    for cell, known in ((one, ours), (other, plain)):
        for m, f in cell.averages.items():  # by what they are of, whatever they are called
            known[m] = sp.Function("E")(sp.expand(f.xreplace(known)))
    pairs = []
    for p, q in terms.items():
        if _shape(one, p) != _shape(other, q):
            return False
        pairs.append((one.sees[p], other.sees[q]))
    pairs += [(one.update[s], other.update[t]) for s, t in states.items()]
    sides = [(a.xreplace(ours), b.xreplace(plain)) for a, b in pairs]
    # Free symbols are cheap to compare, and tell most wrong pairings.
    if any(a.free_symbols != b.free_symbols for a, b in sides):
        return False
    return all(a == b or same_expression(a, b) for a, b in sides)


def _shape(cell: Cell, p: sp.Symbol) -> tuple[bool, bool]:
    """Whether a preactivation has recurrent weights, and whether it sees the input."""
    own = next(q for q in cell.preactivations if q == p)
    return own.is_recurrent, own.has_input


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _reset_gate(names: Sequence[str], module_cell: Cell) -> str:
    """The commonest mistake has a reason of its own."""
    if {*names} == {"r", "z", "n"} and module_cell.name == "gru_torch":
        return (
            ". PyTorch's GRU applies its reset gate after the product, n_x + sigmoid(r) n_h; "
            "cells.gru() applies it before: take cells.gru_torch()"
        )
    return ""
