"""Claims about a stack's Jacobian: the mean squared gradient within each layer, and up from it.

    m_1(l <- k; T) = sum_{a in l, b in k} B_ab(T) / m_k      m_k states of layer k

is what a perturbation of layer k has become in layer l after T steps. That of the shortest T is
claimed, the others, whose tails are heavier, are shown beside.

Eq. (jacobian-blocks).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import Stack
from rnnmft.errors import ConvergenceError, DerivationError
from rnnmft.simulation import Simulation
from rnnmft.solvers.results import Trajectory
from rnnmft.validation.target import Claimed, Target, Untested
from rnnmft.validation.verdicts import Prediction

__all__ = ["layer_gradients"]

Array = NDArray[np.float64]


def layer_gradients(
    mean_field: MeanField, trajectory: Trajectory, horizons: Sequence[int]
) -> Claimed:
    """m_1(l <- k; T) of all layers k <= l, at every horizon T; nothing where there is one layer.

    Args:
        mean_field: the theory.
        trajectory: its moments, over as many steps as networks take before the Jacobian.
        horizons: T.
    """
    cell, tying = mean_field.cell, trajectory.tying
    if not isinstance(cell, Stack) or len(cell.layers) < 2 or not horizons:
        return [], []
    ends = list(accumulate(len(layer.states) for layer in cell.layers))
    parts = [slice(end - len(c.states), end) for end, c in zip(ends, cell.layers, strict=True)]
    pairs = [(above, below) for above in range(len(parts)) for below in range(above + 1)]
    try:
        known = mean_field.jacobian_blocks(max(horizons), burn_in=trajectory.steps)
        reason = "" if known.status.ok else str(known.status)
    except (ConvergenceError, DerivationError) as error:
        known, reason = None, str(error)
    found: list[Target] = []
    left: list[Untested] = []
    for T in horizons:
        for above, below in pairs:
            name = f"m_1({above + 1}<-{below + 1}; {T})"
            if known is None or reason:
                left.append(Untested(name, tying, reason))
                continue
            measured = _measured(T, parts[above], parts[below])
            value = _of_layers(known.value[T - 1], parts[above], parts[below])
            # Blocks of one run move together: their errors add up.
            error = _of_layers(known.error[T - 1], parts[above], parts[below])
            if not value > 0.0:
                left.append(Untested(name, tying, "The Jacobian is zero."))
                continue
            prediction = Prediction(value, error, value, known.error_kind)
            latex = rf"m_1({above + 1} \leftarrow {below + 1}; {T})"
            of, claimed = f"{above + 1}<-{below + 1}, {T}", min(horizons) == T
            found.append(
                Target(name, latex, "layer_jacobian", of, tying, prediction, claimed, measured)
            )
    return found, left


def _of_layers(blocks: Array, above: slice, below: slice) -> Array:
    """From blocks (.., m, m) of states to the mean square of a layer's block, (..)."""
    part = blocks[..., above, below]
    return np.asarray(part.sum((-2, -1)) / part.shape[-1])


def _measured(horizon: int, above: slice, below: slice) -> Callable[[Simulation], Array]:
    return lambda run: _of_layers(run.jacobian[horizon].blocks.samples, above, below)
