"""Elementwise parameters that only shift preactivations: into a module they go as biases.

    F(.., e_k + c_k p, ..)    is the cell without p, whose bias of e_k has c_k p besides

So a chrono LSTM is drawn into nn.LSTM: f + b and i - b, with the one b of every unit.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from rnnmft.language import Cell

__all__ = ["without_offsets"]

Offsets = Mapping[str, Mapping[str, float]]


def without_offsets(cell: Cell) -> tuple[Cell, Offsets] | None:
    """The cell without its elementwise parameters, and {preactivation: {parameter: c_k}}.

    None where a parameter does anything else, or there is none.

    >>> from rnnmft import cells
    >>> plain, offsets = without_offsets(cells.chrono_lstm())
    >>> plain.parameters, offsets
    ((), {'i': {'b': -1.0}, 'f': {'b': 1.0}})
    >>> without_offsets(cells.indrnn()) is None
    True
    """
    if not cell.parameters:
        return None
    expressions = [*cell.update.values(), *cell.sees.values(), *cell.averages.values()]
    sums = [s for f in expressions for s in f.atoms(sp.Add)]
    offsets: dict[str, dict[str, float]] = {}
    moved = {}
    for e in cell.preactivations:
        found = {p: s.coeff(p) for p in cell.parameters for s in sums if e in s.args and s.coeff(p)}
        if any(not c.is_number for c in found.values()):
            return None
        if found:
            offsets[e.name] = {p.name: float(c) for p, c in found.items()}
            moved[e] = e - sp.Add(*(c * p for p, c in found.items()))
    update = {s: f.xreplace(moved) for s, f in cell.update.items()}
    left = {x for f in (*update.values(), *cell.sees.values()) for x in f.free_symbols}
    if cell.averages or left & {*cell.parameters}:
        return None
    return Cell(cell.name, update=update, preactivations=cell.preactivations), offsets
