"""How far gates open: the means that make a state last, and stay of order one, for T steps.

    retention gates    E[gain^2] = exp(-1 / T): a state's square loses a factor e in T steps
    write gates        E[noise^2] = 1 - E[gain^2]: so that E[c^2] = 1 when nothing else enters

The averages here only place the gates; criticality is then solved with the full theory. A tensor
rule of 24 Gauss-Hermite nodes is enough for that.

Eq. (gates).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.optimize import brentq

from rnnmft.errors import InfeasibleError
from rnnmft.initialization.design.design import Design
from rnnmft.language import Cell, Preactivation
from rnnmft.numerics.compile import compile_elementwise

__all__ = ["mean_square", "retention_means", "write_means"]

Array = NDArray[np.float64]

# Gauss-Hermite nodes of each preactivation of a gate, and how many it may depend on: 24^3 points.
# At q = 1 E[sigmoid^2] is right to 1e-9, a start's accuracy being all that is needed.
_NODES, _WIDEST = 24, 3
# Where a gate's mean is looked for: sigmoid(-16) = 1e-7.
_MEANS = (-16.0, 16.0)
# Of the mean.
_XTOL = 1e-10


def mean_square(expression: sp.Expr, cell: Cell) -> Callable[[Design], float]:
    """E[f(e)^2] as a function of a design's means and variances (1 where unknown)."""
    held = [p for p in cell.preactivations if p in expression.free_symbols]
    if len(held) > _WIDEST:
        raise InfeasibleError(
            f"{expression} depends on {len(held)} preactivations: give the means of its gates by "
            "fix"
        )
    function = compile_elementwise([expression], held)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    grids = np.meshgrid(*([nodes] * len(held)), indexing="ij")
    weight = _outer([weights / weights.sum()] * len(held))

    def average(design: Design) -> float:
        choices = [design.choices[p.name] for p in held]
        points = [
            choice.mu_b + math.sqrt(choice.q or 1.0) * grid
            for choice, grid in zip(choices, grids, strict=True)
        ]
        values = np.asarray(function(*points)[0]) if held else np.array(float(expression))
        return float((weight * values**2).sum())

    return average


def _outer(vectors: Sequence[Array]) -> Array:
    product = np.array(1.0)
    for v in vectors:
        product = np.multiply.outer(product, v)
    return product


def retention_means(design: Design, horizon: float) -> dict[str, float]:
    """The means of the free retention gates at which E[gain^2] = exp(-1 / horizon)."""
    free = {n: s for n, s in design.gating.retention.items() if design.is_free(n, "mu_b")}
    wanted = math.exp(-1.0 / horizon)
    return _solved(design, free, design.gating.gains.values(), lambda: wanted)


def write_means(design: Design) -> dict[str, float]:
    """The means of the free write gates at which the state that they feed is of order one."""
    free = {n: 1 for n in design.gating.write if design.is_free(n, "mu_b")}
    if design.gating.held_by_law:
        return {}
    quiet = dict.fromkeys(
        (*design.cell.states, *((design.cell.input,) if design.cell.input else ())), sp.S.Zero
    )
    noise = [design.cell.update[s].xreplace(quiet) for s in design.gating.gains]
    gains = [mean_square(gain, design.cell) for gain in design.gating.gains.values()]
    return _solved(design, free, noise, lambda: 1.0 - max(gain(design) for gain in gains))


def _solved(
    design: Design,
    signs: Mapping[str, int],
    expressions: Iterable[sp.Expr],
    wanted: Callable[[], float],
) -> dict[str, float]:
    """The common shift, with each gate's sign, at which the mean of E[f^2] is as wanted."""
    if not signs:
        return {}
    touched = [f for f in expressions if _names(f) & set(signs)]
    squares = [mean_square(f, design.cell) for f in touched]
    target = wanted()

    def gap(shift: float) -> float:
        moved = design.opened({n: s * shift for n, s in signs.items()})
        return sum(square(moved) for square in squares) / len(squares) - target

    if gap(_MEANS[0]) * gap(_MEANS[1]) > 0:
        raise InfeasibleError(f"no mean of {', '.join(signs)} gives E[gate^2] = {target:.4g}")
    shift = float(brentq(gap, *_MEANS, xtol=_XTOL))
    return {n: s * shift for n, s in signs.items()}


def _names(expression: sp.Expr) -> set[str]:
    return {p.name for p in expression.free_symbols if isinstance(p, Preactivation)}
