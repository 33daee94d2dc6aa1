"""Which solver answers: closed moments, two-time kernel, transport of a law, or sampled units."""

from __future__ import annotations

from collections.abc import Mapping

from rnnmft.errors import DerivationError
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.sampling import Sampling
from rnnmft.solvers.closed.closed_moments import ClosedMoments
from rnnmft.solvers.contract import MemorySolver, Solver
from rnnmft.solvers.transport.accumulated import TransportedLaw
from rnnmft.solvers.two_time.gaussian_states import GaussianStates
from rnnmft.solvers.two_time.memoryless import TwoTimeKernel
from rnnmft.theory.memoryless import is_memoryless

__all__ = ["choose_memory_solver", "choose_solver"]


def choose_solver(
    cell: Cell,
    ensemble: Ensemble,
    inputs: Inputs,
    tying: str,
    backend: str,
    sampling: Sampling,
    start: Mapping[str, float],
) -> Solver:
    """The solver for a setting.

    Tied weights have no closed recursion for gated cells: units are sampled. A memoryless cell
    (the vanilla RNN) and one with Gaussian states (the rate network) are solved by their two-time
    kernels. Untied, a cell affine in its states closes in its moments (quadrature); one with a
    single accumulated state has its law transported (spectral, deterministic); any other is
    sampled.
    """
    if tying == "untied":
        try:
            return ClosedMoments(cell, ensemble, inputs, backend, start)
        except DerivationError:
            pass
        try:
            return TransportedLaw(cell, ensemble, inputs, start)
        except DerivationError:
            pass
    if tying == "tied" and is_memoryless(cell):
        try:
            return TwoTimeKernel(cell, ensemble, inputs, backend, start)
        except DerivationError:
            pass
    if tying == "tied":
        try:
            return GaussianStates(cell, ensemble, inputs, start)
        except DerivationError:
            pass
    # Sampling needs torch: only settings that are sampled load it.
    from rnnmft.solvers.sampled.sampled_units import SampledUnits

    return SampledUnits(cell, ensemble, inputs, tying, sampling, start)


def choose_memory_solver(
    solver: Solver,
    cell: Cell,
    ensemble: Ensemble,
    inputs: Inputs,
    tying: str,
    sampling: Sampling,
    start: Mapping[str, float],
) -> MemorySolver:
    """The solver itself where it knows correlations in time; sampled units otherwise."""
    if solver.memory is not None:
        return solver.memory
    from rnnmft.solvers.sampled.sampled_units import SampledUnits

    return SampledUnits(cell, ensemble, inputs, tying, sampling, start)
