"""Cells that are linear in state and input once their preactivation is known.

    h(t + 1) = a(e_t) h(t) + b(e_t) x_t,      e = W h + V x + b,      x white

Given e, the state is Gaussian, and everything about it follows from a and b along the path of e.
The part of e that comes from x is drawn afresh at every step, so that it is averaged over too:
what is left to be drawn are paths of W h alone. With <.> over the fresh part a step needs

    <a>, <a^2>, <b^2>                                  of the state,
    <a'>, <a a'>, <b b'>, <a'^2>, <b'^2>               of its response,

as functions of W h (a product of factors at one step is averaged as one).

Eq. (given-gate).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy as sp
import torch

from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.numerics.backend import Backend
from rnnmft.numerics.compile import compile_elementwise

__all__ = [
    "EXACT",
    "GateAverages",
    "GateResponse",
    "GateTransition",
    "is_conditionally_linear",
    "linear_parts",
]

Tensor = torch.Tensor
# The fresh part is averaged by the trapezoidal rule within so many standard deviations (1e-6 lies
# beyond), halving the step until no average changes by more than this. Single precision, and far
# below any noise.
_WITHIN, EXACT = 5.0, 1e-5
# So many nodes at first, a standard deviation apart or so, and at most: those of a fresh part that
# is some hundred times as wide as the gate is.
_FIRST_NODES, _MOST_NODES = 9, 513
# Of W h: gates are shut or open beyond this. Lines between so many entries miss gates, which turn
# over 1, by less than 1e-6; sharper ones are refused.
_REACH, _ENTRIES = 64.0, 1 << 14 | 1


@dataclass(frozen=True)
class GateTransition:
    """<a>, <a^2>, <b^2>, each of the shape of W h."""

    a: Tensor
    aa: Tensor
    bb: Tensor


@dataclass(frozen=True)
class GateResponse:
    """<a'>, <a a'>, <b b'>, <a'^2>, <b'^2>: what a change of e does to a, b and their products."""

    da: Tensor
    a_da: Tensor
    b_db: Tensor
    da_da: Tensor
    db_db: Tensor


@lru_cache(maxsize=64)
def linear_parts(cell: Cell) -> tuple[sp.Expr, sp.Expr] | None:
    """a and b as functions of e; None of a cell that has another form.

    >>> from rnnmft import cells
    >>> linear_parts(cells.minimal())
    (sigmoid(e), 1 - sigmoid(e))
    >>> linear_parts(cells.gru()) is None
    True
    """
    counts = len(cell.states), len(cell.preactivations)
    if counts != (1, 1) or cell.parameters or cell.averages or cell.input is None:
        return None
    ((h, update),), (e,) = cell.update.items(), cell.preactivations
    if e.sees != h:
        return None
    x = cell.input
    a, b = sp.diff(update, h), sp.diff(update, x)
    is_linear = not {h, x} & (a.free_symbols | b.free_symbols)
    if not is_linear or sp.expand(update - a * h - b * x) != 0:
        return None
    return a, b


def is_conditionally_linear(
    cell: Cell, ensemble: Ensemble, inputs: Inputs, tying: str, start: Mapping[str, float]
) -> bool:
    """Whether a setting has that form: tied weights, white inputs, no random bias, started at 0."""
    if tying != "tied" or linear_parts(cell) is None or any(start.values()):
        return False
    (law,) = ensemble.values()
    is_white = inputs.temporal == "white" and inputs.R > 0.0
    return is_white and law.sigma_b == 0.0


class GateAverages:
    """The averages over the fresh part of e, N(mu_b, sigma_v^2 R), as functions of W h.

    Args:
        cell: of that form.
        mu: mu_b.
        size: the standard deviation of the fresh part.
        backend: torch, on the device and in the precision of the paths.

    Attributes:
        is_resolved: whether they are exact to 1e-5 of the largest value.
    """

    def __init__(self, cell: Cell, mu: float, size: float, backend: Backend) -> None:
        self._mu = mu
        self._table, self.is_resolved = _table(cell, size, backend)

    def transition(self, w: Tensor) -> GateTransition:
        """At values of W h."""
        return GateTransition(*_looked_up(self._table[:3], w + self._mu))

    def response(self, w: Tensor) -> GateResponse:
        """At values of W h."""
        return GateResponse(*_looked_up(self._table[3:], w + self._mu))


def _looked_up(table: Tensor, e: Tensor) -> Iterator[Tensor]:
    """The rows of a table at e, on straight lines; what is beyond its ends is as at them."""
    place = ((e + _REACH) * ((_ENTRIES - 1) / (2 * _REACH))).clamp_(0.0, _ENTRIES - 1.0)
    left = place.long().clamp_(max=_ENTRIES - 2)
    part = place.sub_(left)
    right = left + 1
    for row in table:
        yield torch.lerp(row.take(left), row.take(right), part)


@lru_cache(maxsize=16)
def _table(cell: Cell, size: float, backend: Backend) -> tuple[Tensor, bool]:
    """What a step needs, averaged around each e, and whether that is exact enough."""
    parts = linear_parts(cell)
    assert parts is not None  # asked before
    a, b = parts
    (e,) = cell.preactivations
    da, db = sp.diff(a, e), sp.diff(b, e)
    products = (a, a**2, b**2, da, a * da, b * db, da**2, db**2)
    every = compile_elementwise(products, (e,), "torch")
    nodes = torch.linspace(-_REACH, _REACH, _ENTRIES, dtype=torch.float64)
    table, has_converged = _averaged(every, nodes, size)
    # On every second entry alone lines are four times as far off.
    middle = (table[:, :-1:2] + table[:, 2::2]) / 2
    line = float((middle - table[:, 1::2]).abs().max()) / 4
    is_straight = line <= EXACT * float(table.abs().max())
    return table.to(backend.dtype).to(backend.device), has_converged and is_straight


def _averaged(
    functions: Callable[..., tuple[Any, ...]], at: Tensor, size: float
) -> tuple[Tensor, bool]:
    """Values averaged around each place, (functions, places), and whether the rule converged."""
    if size == 0.0:
        return _by_rule(functions, at, 0.0, 3), True
    count = _FIRST_NODES
    here = _by_rule(functions, at, size, count)
    while count < _MOST_NODES:
        count = 2 * count - 1
        before, here = here, _by_rule(functions, at, size, count)
        if float((here - before).abs().max()) <= EXACT * float(here.abs().max()):
            return here, True
    return here, False


def _by_rule(
    functions: Callable[..., tuple[Any, ...]], at: Tensor, size: float, count: int
) -> Tensor:
    """By so many nodes."""
    nodes = [_WITHIN * (2 * i / (count - 1) - 1) for i in range(count)]
    weights = [math.exp(-(z**2) / 2) for z in nodes]
    total = torch.zeros(())
    for z, weight in zip(nodes, weights, strict=True):
        total = total + weight * torch.stack([v.expand(at.shape) for v in functions(at + size * z)])
    return total / sum(weights)
