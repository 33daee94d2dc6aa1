"""Units of several widths as units of one population, each with its part of all units.

Nothing elementwise joins vectors of different widths: a sampled unit falls apart into independent
units, one of each width, that meet through the W_k alone. A network of w_1 N, w_2 N, .. of them is
one of W N units, W = w_1 + w_2 + .., of which a part p = w / W is of each kind; W_k is a corner of
a square matrix with entries of variance (sigma_w^2 / p_k) / (W N), p_k the part of what it sees. So
the block equation stands as it is, with sigma_w^2 / p_k, and m the mean number of states a unit.

Eq. (widths), Eq. (block).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
import sympy as sp

from rnnmft.language import Cell, Preactivation
from rnnmft.language.weight_ensembles import room_of
from rnnmft.spectra.unit_transfer import UnitTransfer

__all__ = ["by_width"]


def by_width(units: UnitTransfer, cell: Cell) -> UnitTransfer:
    """The units of a cell, one of each width in place of each.

    Raises:
        ParameterError: a rectangle of an ensemble that is of square matrices alone.
    """
    if not cell.has_widths:
        return units
    coupled = [p for p in cell.preactivations if p.name in units.names]
    own = [s.width for s in cell.states]
    rows = _over_time(own, [cell.seen_widths[p] for p in coupled], units.horizon)
    columns = _over_time(own, [p.width for p in coupled], units.horizon)
    kinds = list(dict.fromkeys([*rows, *columns]))
    total = float(sum(kinds))
    kept = np.array([np.outer([r == w for r in rows], [c == w for c in columns]) for w in kinds])
    # Repetition by repetition, and width by width: parts and even strides hold every width.
    groups = units.tau.reshape(units.repetitions, 1, -1, *units.tau.shape[1:])
    tau = np.where(kept[:, None], groups, 0.0).reshape(-1, *units.tau.shape[1:])
    weight = units.weight.reshape(units.repetitions, 1, -1)
    part = np.array([float(w) / total for w in kinds])[:, None]
    return replace(
        units,
        tau=tau,
        weight=(weight * part).ravel(),
        sigma_w=tuple(
            sigma * sqrt(total / float(cell.seen_widths[p]))
            for sigma, p in zip(units.sigma_w, coupled, strict=True)
        ),
        room=tuple(
            float(_room(kind, p, cell)) / total
            for kind, p in zip(units.weights, coupled, strict=True)
        ),
        states_a_unit=float(sum(own)) / total,
    )


def _over_time(
    states: Sequence[sp.Rational], coupled: Sequence[sp.Rational], horizon: int
) -> list[sp.Rational]:
    return [*states, *(w for w in coupled for _ in range(horizon))]


def _room(kind: str, p: Preactivation, cell: Cell) -> sp.Rational:
    return room_of(kind, p.width, cell.seen_widths[p])
