"""What small changes of a network's state do: gradients, Jacobians, exponents, eigenvalues."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from rnnmft.eigenvalues.law import EigenvalueLaw
from rnnmft.eigenvalues.stationary_units import eigenvalue_law
from rnnmft.errors import ParameterError
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.lyapunov.exponents import ExponentSetting, largest_exponent, lyapunov_spectrum
from rnnmft.lyapunov.spectrum import LyapunovSpectrum
from rnnmft.parameters import check_count
from rnnmft.records import Quantity
from rnnmft.sampling import Sampling
from rnnmft.solvers.closed.homogeneous import scale_free
from rnnmft.solvers.contract import Solver
from rnnmft.solvers.jacobian import JacobianMoments
from rnnmft.spectra.law import JacobianLaw
from rnnmft.spectra.spectrum import Spectrum, powered_moments
from rnnmft.theory.population_average import left_out

__all__ = ["LinearResponse"]


class LinearResponse:
    """The part of `MeanField` that is about small changes.

    Attributes:
        cell: the cell.
        ensemble: its law.
        inputs: theirs.
        tying: "tied" or "untied".
        start: {state: standard deviation at t = 0}.
        sampling: of units, where they are sampled.
    """

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    tying: str
    start: Mapping[str, float]
    sampling: Sampling
    _solver: Solver

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

    def jacobian_blocks(self, horizon: int, *, burn_in: int = 30) -> Quantity:
        """(1/N_a) tr J_ab J_ab^T of the Jacobian's blocks from state b to a, T = 1, .., horizon.

            B_ab(T) = E[(ds_a^T)^2]  where state b alone is perturbed,    m_1(T) = sum_ab B_ab / m

        (with widths the mean over a of sum_b B_ab, each state for its share of the units)

        How a perturbation passes between the states of a cell, and between the layers of a stack.
        By sampled units, whatever answers for the rest. Eq. (jacobian-blocks).

        Args:
            horizon: the largest T.
            burn_in: steps before the Jacobians start.

        Returns:
            A quantity of shape (horizon, m, m), states in the cell's order.

        Raises:
            ParameterError: horizon is not a whole number >= 1, or burn_in not one >= 0.
        """
        check_count("burn_in", burn_in, 0)
        check_count("horizon", horizon)
        # Sampling needs torch: only what is sampled loads it.
        from rnnmft.solvers.sampled.sampled_units import SampledUnits

        setting = (self.cell, self.ensemble, self.inputs, self.tying, self.sampling, self.start)
        return self._held(SampledUnits(*setting).jacobian_blocks(horizon, burn_in))

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
        self.inputs.require_stationary("the law of eigenvalues at stationarity")
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
        self.inputs.require_stationary("a Lyapunov exponent")
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
        found = self._solver.fixed_point().quantity("preactivation_variance", name)
        return float(found), float(found.error)

    def _variance_of_slopes(self, name: str) -> float:
        return self._variance_and_error(name)[0]
