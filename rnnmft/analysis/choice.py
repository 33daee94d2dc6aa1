"""Which solver answers: closed moments, two-time kernel, transport of a law, or sampled units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from rnnmft.errors import DerivationError
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.numerics.backends import Backend
from rnnmft.sampling import Sampling
from rnnmft.solvers.closed.closed_moments import ClosedMoments
from rnnmft.solvers.contract import MemorySolver, Solver
from rnnmft.solvers.transport.accumulated import TransportedLaw
from rnnmft.solvers.two_time.gaussian_states import GaussianStates
from rnnmft.solvers.two_time.memoryless import TwoTimeKernel

__all__ = ["METHODS", "choose_memory_solver", "choose_solver"]

Method = Callable[[Cell, Ensemble, Inputs, str | Backend, Mapping[str, float]], Solver]


def _without_backend(
    solver: Callable[[Cell, Ensemble, Inputs, Mapping[str, float]], Solver],
) -> Method:
    """A method that computes on the CPU whatever the backend is."""
    return lambda cell, ensemble, inputs, _, start: solver(cell, ensemble, inputs, start)


# What is tried before units are sampled, in this order, at the cell, ensemble, inputs, backend and
# start. Untied, a cell affine in its states closes in its moments (quadrature), and one with a
# single accumulated state has its law transported (spectral, deterministic). Tied weights have no
# closed recursion for gated cells; a memoryless cell (the vanilla RNN) and one with Gaussian states
# (the rate network) are solved by their two-time kernels.
METHODS: dict[str, tuple[Method, ...]] = {
    "untied": (ClosedMoments, _without_backend(TransportedLaw)),
    "tied": (TwoTimeKernel, _without_backend(GaussianStates)),
}


def choose_solver(
    cell: Cell,
    ensemble: Ensemble,
    inputs: Inputs,
    tying: str,
    backend: str | Backend,
    sampling: Sampling,
    start: Mapping[str, float],
) -> Solver:
    """The solver for a setting.

    The first of the tying's methods that knows the cell: each says by a DerivationError that it
    does not. Where none does, units are sampled, and so they are for data, of which the others know
    nothing: they are about inputs of a stationary law.
    """
    for method in METHODS[tying] if inputs.data is None else ():
        with suppress(DerivationError):
            return method(cell, ensemble, inputs, backend, start)
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
