"""MeanField: the meeting room of symbols and numbers. It chooses the solver and answers for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from rnnmft.analysis.choice import choose_memory_solver, choose_solver
from rnnmft.eigenvalues.law import EigenvalueLaw
from rnnmft.eigenvalues.stationary_units import eigenvalue_law
from rnnmft.errors import ParameterError
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.lyapunov.exponents import ExponentSetting, largest_exponent, lyapunov_spectrum
from rnnmft.lyapunov.spectrum import LyapunovSpectrum
from rnnmft.parameters import check_count, check_start, check_tying
from rnnmft.records import Quantity
from rnnmft.sampling import Sampling, check_particles
from rnnmft.solvers.closed.homogeneous import scale_free
from rnnmft.solvers.closed.recursion import UntiedRecursion
from rnnmft.solvers.contract import MemorySolver, Solver
from rnnmft.solvers.jacobian import JacobianMoments
from rnnmft.solvers.results import (
    Autocorrelation,
    CorrelationFixedPoint,
    FixedPoint,
    Timescales,
    Trajectory,
)
from rnnmft.spectra.law import JacobianLaw
from rnnmft.spectra.spectrum import Spectrum, powered_moments
from rnnmft.theory.population_average import left_out

__all__ = ["MeanField"]

# Units times steps times directions of one run by default: a few seconds on one core.
_WORK = 1.2e9


class MeanField:
    """The mean-field theory of one cell at one ensemble: numbers with errors and statuses.

    Args:
        cell: any `Cell`.
        ensemble: `cell.ensemble(...)`; all parameters at their defaults when absent.
        inputs: the law of the inputs.
        tying: "tied" (one set of weights, as a network has: exact, by sampling units, or by
            quadrature for the vanilla RNN and rate networks) or "untied" (fresh weights at every
            step: the closure of the literature, in milliseconds for most cells).
        backend: "numpy" or "torch", for the quadratures of the closed untied theory.
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
        backend: str = "numpy",
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
        self._solver: Solver = choose_solver(
            cell, self.ensemble, self.inputs, tying, backend, self.sampling, self.start
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

    def gradient_growth(self, *, horizon: int | None = None, burn_in: int = 30) -> Quantity:
        """lim (1/T) log m_1(T), per step: 0 at criticality. Eq. (growth).

        Averages over units are held, here as in all that is said of the Jacobian: what they add is
        of rank one, Eq. (rank-one).

        Args:
            horizon: where units are sampled, what one run of so many steps, at least 16, tells of
                the limit, its error as large as that leaves it; when absent as many steps as make
                the error small.
            burn_in: steps before that run.

        Raises:
            ParameterError: horizon is not a whole number >= 16, or burn_in not one >= 0.
        """
        if horizon is None:
            return self._held(self._solver.gradient_growth())
        check_count("burn_in", burn_in, 0)
        horizon = check_count("horizon", horizon, 16)
        return self._held(self._solver.growth_within(horizon, burn_in))

    def _held(self, quantity: Quantity) -> Quantity:
        """The quantity, whose name says that averages over units are held."""
        return replace(quantity, name=quantity.name + left_out(self.cell))

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

    def jacobian_means(self, horizon: int, *, burn_in: int = 30) -> Quantity:
        """m_1(T), T = 1, .., horizon, of the T-step Jacobians in one run, shape (horizon,).

        Args:
            horizon: the largest T.
            burn_in: steps before the Jacobians start, where units are sampled.

        Raises:
            ParameterError: horizon is not a whole number >= 1.
        """
        check_count("burn_in", burn_in, 0)
        horizon = check_count("horizon", horizon)
        return self._held(self._solver.jacobian_means(horizon, burn_in))

    def jacobian(
        self,
        horizon: int = 1,
        *,
        method: str = "exact",
        burn_in: int = 30,
        units: int = 4_000,
    ) -> JacobianLaw:
        """The law of the T-step state-to-state Jacobian at stationarity.

        Args:
            horizon: T >= 0; 0 is the identity.
            method: "exact", or "free" for the S-transform power of one step [chen2018]: exact
                for the vanilla RNN, an approximation for gated cells.
            burn_in: steps before the Jacobian starts, where units are sampled.
            units: how many units are sampled for what the solver does not know in closed form:
                the resolvent, the density, and moments beyond it.

        Raises:
            ParameterError: horizon is not a whole number >= 0, or an unknown method.
        """
        check_count("burn_in", burn_in, 0)
        check_count("horizon", horizon, 0)
        if method not in ("exact", "free"):
            raise ParameterError(f"method must be 'exact' or 'free', got {method!r}")
        spectrum = Spectrum(
            self.cell,
            self.ensemble,
            self.inputs,
            self.tying,
            replace(self.sampling, units=check_count("units", units)),
            burn_in,
            horizon,
            method,
            self._variance_of_slopes,
            self.start,
        )
        if horizon == 0:
            known = JacobianMoments(self.tying, 0, "identity", spectrum.known_moments)
        elif method == "free" and horizon > 1:
            known = powered_moments(self._solver.jacobian_moments(1, burn_in), horizon)
        else:
            known = self._solver.jacobian_moments(horizon, burn_in)
        return JacobianLaw(known, spectrum)

    def eigenvalues(self, *, units: int = 4_096) -> EigenvalueLaw:
        """The law of the eigenvalues of the one-step Jacobian at stationarity.

        Eq. (eigenvalue-boundary).

        Args:
            units: how many are sampled, where the local factors have no law in closed form.

        Raises:
            ParameterError: units is not a whole number >= 1.
            ConvergenceError: there is no stationary state.
        """
        return eigenvalue_law(
            self.cell,
            self.ensemble,
            self.inputs,
            self.tying,
            replace(self.sampling, units=check_count("units", units)),
            self.start,
            self._variance_of_slopes,
        )

    @cached_property
    def _exponents(self) -> ExponentSetting:
        setting = (self.cell, self.ensemble, self.inputs, self.tying)
        return ExponentSetting(*setting, self.start, self.sampling)

    def lyapunov(self, *, step: float = 1.0, horizon: int | None = None) -> Quantity:
        """lambda_1 = lim (1/T) log |ds^T| / |ds^0|, half the growth of gradients. Eq. (lyapunov).

        Its name says whether it is conditional on the input (two trajectories under the same
        input; negative: the network forgets its start, the echo-state property) or of the
        autonomous network, which is what R = 0 asks for.

        Args:
            step: the time that one update takes, for an exponent per unit of time.
            horizon: as `gradient_growth` takes it: few steps are fast, and less exact.

        Raises:
            ParameterError: step is not a finite number > 0.
            DerivationError: no recurrent weights couple the units.
        """
        if not 0.0 < float(step) < math.inf:
            raise ParameterError(f"step must be a finite number > 0, got {step!r}")
        self._exponents.check_coupling()
        return largest_exponent(self._exponents, self.gradient_growth(horizon=horizon), float(step))

    def lyapunov_spectrum(self, *, burn_in: int = 100) -> LyapunovSpectrum:
        """The law of all Lyapunov exponents, with dimension and entropy. Eq. (lyapunov-readings).

        In closed form for memoryless cells (J = D W) and linear ones; else from sampled units.

        Args:
            burn_in: steps before the exponents, where units are sampled.

        Raises:
            ParameterError: burn_in is not a whole number >= 0.
            DerivationError: no recurrent weights couple the units.
            ConvergenceError: there is no stationary state, or no largest exponent.
        """
        setting = replace(self._exponents, burn_in=check_count("burn_in", burn_in, 0))
        return lyapunov_spectrum(setting, self.gradient_growth, self._variance_and_error)

    def _variance_and_error(self, name: str) -> tuple[float, float]:
        """q* of a preactivation with its error; where slopes have one law, any number."""
        if scale_free(self.cell, self.ensemble):
            return 1.0, 0.0
        found = self.fixed_point().quantity("preactivation_variance", name)
        return float(found), float(found.error)

    def _variance_of_slopes(self, name: str) -> float:
        return self._variance_and_error(name)[0]

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
