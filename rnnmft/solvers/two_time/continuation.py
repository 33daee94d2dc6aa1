"""A stationary kernel by continuation in sigma_w: from larger weights, which settle sooner.

Close to where a network becomes chaotic everything is slow: the recursion comes near its end after
10^5 steps, and Newton's method finds no root from farther off. Weights that are larger by a tenth
settle in hundreds, and from their kernel the root is followed down.

Eq. (stationary-kernel).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rnnmft.errors import ConvergenceError
from rnnmft.language import Ensemble
from rnnmft.solvers.two_time.kernel import StationaryKernel
from rnnmft.solvers.two_time.linear_states import LinearStates
from rnnmft.solvers.two_time.stationary import KernelEquation, solve_on_window

__all__ = ["continued"]

#: Factors of sigma_w from which a start is tried: the nearest first, which has the shortest way
#: back.
_FACTORS = (1.1, 1.25, 1.5, 2.0)
# Of the factor: a branch that ends between two so near ones does not reach the system. The first
# step is a quarter of the way.
_SMALLEST_STEP, _FIRST_SHARE = 1e-4, 0.25
# A rest of the way that is rounding.
_REST = 1e-9
# A step that changes the kernel by more than this factor may have changed the branch.
_JUMP = 3.0


def continued(
    system: LinearStates, settled: Callable[[LinearStates], StationaryKernel | None]
) -> StationaryKernel | None:
    """The root at a system's own weights, or None where no path leads to it.

    Args:
        system: the cell at its ensemble.
        settled: the kernel that an easier system reaches in few steps.
    """
    if not system.weights.any():
        return None
    for factor in _FACTORS:
        kernel = settled(_with_weights(system, factor))
        if kernel is not None and kernel.forgotten.any():
            return _followed(system, kernel, factor)
    return None


def _followed(
    system: LinearStates, kernel: StationaryKernel, factor: float
) -> StationaryKernel | None:
    step = _FIRST_SHARE * (factor - 1.0)
    while factor > 1.0:
        # The last step lands on the system itself.
        lower = 1.0 if factor - step < 1.0 + _REST else factor - step
        found = _next(_with_weights(system, lower), kernel)
        if found is None:
            step /= 2
            if step < _SMALLEST_STEP:
                return None
            continue
        kernel, factor = found, lower
    return kernel


def _next(system: LinearStates, kernel: StationaryKernel) -> StationaryKernel | None:
    """The root near a kernel of slightly larger weights."""
    try:
        found = solve_on_window(
            lambda lags: KernelEquation(system, lags, 1.0), kernel.forgotten, kernel.plateau
        )
    except ConvergenceError:
        return None
    sizes = [float(np.abs(k.forgotten).max()) for k in (kernel, found)]
    return found if sizes[0] < _JUMP * sizes[1] and sizes[1] < _JUMP * sizes[0] else None


def _with_weights(system: LinearStates, factor: float) -> LinearStates:
    if factor == 1.0:
        return system
    laws = {
        name: replace(law, sigma_w=factor * law.sigma_w) for name, law in system.ensemble.items()
    }
    return replace(system, ensemble=Ensemble(laws, system.ensemble.parameters))
