"""MeanField: the meeting room of symbols and numbers. It chooses the solver and answers for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from rnnmft.analysis.choice import choose_memory_solver, choose_solver
from rnnmft.analysis.linear_response import LinearResponse
from rnnmft.errors import ParameterError
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.numerics.backends import Backend, get_backend
from rnnmft.parameters import check_count, check_start, check_tying
from rnnmft.sampling import Sampling, check_particles
from rnnmft.solvers.closed.recursion import UntiedRecursion
from rnnmft.solvers.contract import MemorySolver, Solver
from rnnmft.solvers.results import (
    Autocorrelation,
    CorrelationFixedPoint,
    FixedPoint,
    Timescales,
    Trajectory,
)

__all__ = ["MeanField"]

# Units times steps times directions of one run by default: a few seconds on one core.
_WORK = 1.2e9


class MeanField(LinearResponse):
    """The mean-field theory of one cell at one ensemble: numbers with errors and statuses.

    Args:
        cell: any `Cell`.
        ensemble: `cell.ensemble(...)`; all parameters at their defaults when absent.
        inputs: the law of the inputs.
        tying: "tied" (one set of weights, as a network has: exact, by sampling units, or by
            quadrature for the vanilla RNN and rate networks) or "untied" (fresh weights at every
            step: the closure of the literature, in milliseconds for most cells).
        backend: "numpy" or "torch", for the quadratures of the closed untied theory; torch does
            them on `device`.
        device, dtype, seed, particles, repetitions: for sampled units: "auto", "cpu" or "cuda";
            "float64" or "float32"; how many units in all and in how many independent parts. When
            absent up to 524,288 units in 16 parts, a quarter for what is averaged over time, an
            eighth for stationary moments, fewer in longer runs.
        tolerance: for sampled units: the standard error that every number shall have, relative to
            its scale (a second moment to itself, a cross moment to the second moments, a mean to
            their root, a growth rate to 1 per step). Then units are added until it is reached;
            `particles` and `repetitions` do not matter.
        max_particles: where that stops, with `Status.NOT_CONVERGED` and the error reached.
        start: standard deviation of the states at t = 0, a number for all or {state: number}:
            Gaussians of zero mean, independent over units, states and of everything else; 0 is the
            zero state. Two trajectories start with the correlation of their inputs,
            E[s_a s_b] = c_x start^2. Without input and bias zero stays zero, stable or not: there
            R = 0 and start > 0 ask for the network's own activity, and `correlation` says how
            alike two starts are.

    Raises:
        ParameterError: an unknown option, a value outside its domain, or an ensemble of another
            cell.
        DerivationError: this cell has no theory of the requested kind.

    >>> from rnnmft import cells
    >>> cell = cells.minimal()
    >>> ensemble = cell.ensemble(e=dict(sigma_w=6.88, sigma_v=1.39))
    >>> MeanField(cell, ensemble).tying
    'tied'
    >>> mf = MeanField(cell, ensemble, Inputs(R=0.4616), tying="untied")
    >>> round(mf.fixed_point().second_moment["h"], 3)
    0.319
    """

    def __init__(
        self,
        cell: Cell,
        ensemble: Ensemble | None = None,
        inputs: Inputs | None = None,
        tying: str = "tied",
        *,
        backend: str | Backend = "numpy",
        device: str = "auto",
        dtype: str = "float64",
        seed: int = 0,
        particles: int | None = None,
        repetitions: int = 16,
        tolerance: float | None = None,
        max_particles: int = 1 << 22,
        start: float | Mapping[str, float] = 0.0,
    ) -> None:
        if not isinstance(cell, Cell):
            raise ParameterError(f"cell must be a Cell, got {cell!r}")
        if ensemble is not None and not isinstance(ensemble, Ensemble):
            raise ParameterError(f"ensemble must come from cell.ensemble(...), got {ensemble!r}")
        if inputs is not None and not isinstance(inputs, Inputs):
            raise ParameterError(f"inputs must be an Inputs, got {inputs!r}")
        self.cell, self.tying = cell, check_tying(tying)
        self.ensemble = cell.ensemble() if ensemble is None else ensemble
        self.inputs = Inputs() if inputs is None else inputs
        self.start = check_start(start, [s.name for s in cell.states])
        given = {} if particles is None else {"particles": particles}
        check_particles(repetitions, **given, max_particles=max_particles)
        self.sampling = Sampling(
            units=Sampling.units if particles is None else particles,
            repetitions=repetitions,
            seed=seed,
            device=device,
            dtype=dtype,
            tolerance=tolerance,
            max_units=max_particles,
            work=_WORK if particles is None else None,
        )
        chosen = "numpy" if backend == "numpy" else get_backend(backend, device)
        self._solver: Solver = choose_solver(
            cell, self.ensemble, self.inputs, tying, chosen, self.sampling, self.start
        )

    @property
    def method(self) -> str:
        """Which solver answers: "closed moments", "two-time kernel", "sampled units", ..."""
        return self._solver.method

    @property
    def memory_method(self) -> str:
        """Which solver answers for autocorrelations: that of the rest, or "sampled units"."""
        return self._memory.method

    @property
    def is_sampled(self) -> bool:
        """Whether numbers are means of samples, with standard errors."""
        return self._solver.is_sampled

    @property
    def has_law(self) -> bool:
        """Whether the law of a state is moved, rather than its moments or sampled units."""
        return self._solver.has_law

    @property
    def recursion(self) -> UntiedRecursion | None:
        """The recursion of moments at one time, where they close; a whole grid follows from it."""
        return self._solver.recursion

    def evolve(self, steps: int) -> Trajectory:
        """Moments over time from the start; element t is after t + 1 updates.

        Raises:
            ParameterError: steps is not a whole number >= 1.
        """
        return self._solver.evolve(check_count("steps", steps))

    def fixed_point(self) -> FixedPoint:
        """The stationary state that the start approaches.

        Where the start is one already it is the answer, `Status.UNSTABLE` if it is not stable (the
        zero state of an autonomous network above its transition).

        Raises:
            ConvergenceError: it diverges, or no stable fixed point was found.
        """
        return self._solver.fixed_point()

    def fixed_points(self) -> list[FixedPoint]:
        """All fixed points, stable or not, by increasing second moment. Eq. (fixed-point)."""
        return self._solver.fixed_points()

    def correlation_fixed_point(self) -> CorrelationFixedPoint:
        """The stationary correlation c* of two trajectories and the slope chi(c*)."""
        return self._solver.correlation_fixed_point()

    def timescales(self) -> Timescales:
        """xi_q and xi_c in steps, and chi_1. Eq. (xi)."""
        return self._solver.timescales()

    @cached_property
    def _memory(self) -> MemorySolver:
        setting = (self.cell, self.ensemble, self.inputs, self.tying, self.sampling, self.start)
        return choose_memory_solver(self._solver, *setting)

    def autocorrelation(self, lags: int, *, burn_in: int | None = None) -> Autocorrelation:
        """C(tau) = E[v^t v^{t - tau}], tau = 0, .., lags, of every state and preactivation.

        Eq. (memory).

        At stationarity, with the memory in steps that follows from it. By quadrature for tied
        cells whose two-time kernel closes, from sampled units for all others.

        Args:
            lags: the largest tau.
            burn_in: where units are sampled, t = burn_in + lags + 1 updates from the start; as
                many as stationarity takes when absent.

        Raises:
            ParameterError: lags or burn_in is not a whole number >= 0.
            ConvergenceError: there is no stationary state.
        """
        check_count("lags", lags, 0)
        if burn_in is not None:
            check_count("burn_in", burn_in, 0)
        return self._memory.autocorrelation(lags, burn_in)

    def to_dict(self) -> dict[str, Any]:
        """The setting: cell, ensemble, inputs, start, tying, solver."""
        return {
            "cell": self.cell.name,
            "ensemble": self.ensemble.to_dict(),
            "inputs": self.inputs.to_dict(),
            "start": dict(self.start),
            "tying": self.tying,
            "method": self.method,
        }

    def __repr__(self) -> str:
        return f"MeanField({self.cell.name!r}, {self.tying}, {self.method}, {self.ensemble})"
