"""The spectrum of the T-step Jacobian of one setting: which law, solved how.

"exact": the block equation over units, which keeps every correlation of a unit's local factors in
time, for tied and untied weights and any bi-invariant ensemble. Where every Jacobian is D W (the
vanilla RNN) its T-step law is the free power of the one-step law, tied or not, and D has a known
law: quadrature nodes take the place of sampled units.
"free": that free power for any cell, an approximation for gated ones.

Eq. (block), Eq. (free-power).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import ParameterError, Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.records import Quantity
from rnnmft.sampling import Sampling
from rnnmft.solvers.jacobian import JacobianMoments
from rnnmft.spectra.atoms import find_atoms
from rnnmft.spectra.branch import Branch
from rnnmft.spectra.density import SAMPLED_SMOOTHING, find_density
from rnnmft.spectra.distribution import Distribution, find_distribution
from rnnmft.spectra.edges import find_support
from rnnmft.spectra.free_power import FreePower, free_power_moments
from rnnmft.spectra.memoryless_transfer import is_product, memoryless_transfer
from rnnmft.spectra.moment_expansion import expanded_moments
from rnnmft.spectra.pushforward import Pushforward, orthogonal_step
from rnnmft.spectra.records import Atoms, Support
from rnnmft.spectra.resolved import Resolved, Resolver
from rnnmft.spectra.unit_transfer import UnitTransfer
from rnnmft.spectra.width_classes import by_width
from rnnmft.theory.population_average import left_out

__all__ = ["Spectrum", "powered_moments"]

Complex = NDArray[Any]  # complex128
#: Bytes of transfer matrices; the expansion of moments needs a dozen times as much.
_MEMORY = 3.0e8
#: Radii of circles around 0, in m_1, down to 1e-6.
_CIRCLES = 0.25 ** np.arange(1, 11)
#: Points of half a circle: the mean over 32 of the whole is exact to the 32nd power of the radius
#: over the distance of the spectrum.
_ON_CIRCLE = 16
#: Of |G|: what counts as no imaginary part, no mass and no error: Newton's method's own
#: (`density`).
_NOTHING = 1e-9
#: Of a moment: rounding of its expansion.
_ROUNDING = 1e-12
#: Of |G| at a z that is asked for: rounding, and what Newton's method leaves where it ends well.
_RESOLVENT_ROUNDING = 1e-10
#: Of |G|: a z that was not reached is answered where first order in its distance is below this.
_ALMOST = 1e-3
#: Sampled units that a mass must be made of: its scatter is then a third.
_UNITS = 10.0
#: Steps of a moment that has no error, relative and absolute: its derivative's error cancels.
_STEP, _LEAST_STEP = 1e-6, 1e-12


@dataclass(frozen=True)
class Spectrum:
    """The squared singular values of the T-step Jacobian that starts after `burn_in` steps.

    Args:
        cell, ensemble, inputs, tying: the setting.
        sampling: of units, where they are sampled.
        burn_in: steps before the Jacobian.
        horizon: T >= 0.
        method: "exact" or "free".
        variance: gives the stationary variance of a preactivation by name.
        start: {state: standard deviation at t = 0}, from where units are sampled.
    """

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    tying: str
    sampling: Sampling
    burn_in: int
    horizon: int
    method: str
    variance: Callable[[str], float]
    start: Mapping[str, float] = field(default_factory=dict)

    @property
    def _is_product(self) -> bool:
        """Whether J = D W, with one law of D at all steps."""
        return is_product(self.cell) and self.inputs.data is None

    @cached_property
    def by_power(self) -> bool:
        """Whether the law is computed as a free power of one step's."""
        return self.horizon > 0 and (self.method == "free" or self._is_product)

    @property
    def is_exact(self) -> bool:
        """Whether this is the law of infinitely wide networks, up to its errors."""
        return self.method == "exact" or self._is_product or self.horizon < 2

    @cached_property
    def units(self) -> UnitTransfer:
        """The units of the block equation: of one step where the law is a free power."""
        if self.horizon == 0:  # the identity
            return UnitTransfer(np.ones((1, 1, 1)), np.ones(1), 1, 0, (), (), True)
        if self._is_product:
            (e,) = self.cell.preactivations
            return memoryless_transfer(self.cell, self.ensemble, self.variance(e.name))
        return self.sampled_units(1 if self.by_power else self.horizon)

    def sampled_units(self, horizon: int) -> UnitTransfer:
        """Units of so many steps, sampled on their own trajectories."""
        # Sampling needs torch: only settings that are sampled load it.
        from rnnmft.spectra.sampled_transfer import sampled_transfer
        from rnnmft.units.particles import UnitProcess

        size = len(self.cell.states) + len(self.cell.preactivations) * horizon
        if 8.0 * size**2 * self.sampling.total > _MEMORY:
            fits = int(_MEMORY / (8.0 * size**2))
            raise ParameterError(
                f"units must be at most {fits} for horizon {horizon} of this cell (memory), "
                f"got {self.sampling.units}"
            )
        setting = (self.cell, self.ensemble, self.inputs, self.tying)
        process = UnitProcess(*setting, self.sampling, trajectories=1, start=self.start)
        for _ in range(self.burn_in):
            process.step()
        return by_width(sampled_transfer(process, horizon), self.cell)

    @property
    def resolver(self) -> Resolver:
        """What solves for G."""
        return self._resolver

    @property
    def scale(self) -> float:
        """m_1, the size of a typical squared singular value."""
        return self._scale

    @cached_property
    def _resolver(self) -> Resolver:
        if self.horizon == 1 and self._is_product:
            (e,) = self.cell.preactivations
            law = orthogonal_step(self.cell, self.ensemble, self.variance(e.name))
            if law is not None:
                return law
        one = Branch(self.units)
        if not self.by_power or self.horizon == 1:
            return one
        return FreePower(one, self.horizon, float(expanded_moments(self.units, 1)[0][0]))

    @property
    def support(self) -> Support:
        """The intervals of positive density."""
        return self._support

    @property
    def atoms(self) -> Atoms:
        """The squared singular values that a positive fraction of all share."""
        return self._atoms

    @cached_property
    def _support(self) -> Support:
        if isinstance(self.resolver, Pushforward):
            image = self.resolver.image
            return Support(image, _ROUNDING * image, sampled=False)
        return find_support(self)

    @cached_property
    def _atoms(self) -> Atoms:
        return find_atoms(self)

    @cached_property
    def distribution(self) -> Distribution:
        """The distribution of singular values."""
        return find_distribution(self)

    @property
    def is_sampled(self) -> bool:
        """Whether numbers have a sampling error."""
        return self.units.repetitions > 1

    @property
    def resolution(self) -> float:
        """A fraction of all singular values that ten of the sampled units make up; or 0."""
        return _UNITS / len(self.units.tau) if self.is_sampled else 0.0

    @property
    def smoothing(self) -> float:
        """Over which part of x densities are smoothed."""
        return SAMPLED_SMOOTHING if self.is_sampled else 0.0

    def name(self, what: str) -> str:
        """A quantity's name."""
        label = "" if self.is_exact else ", free power of one step (an approximation)"
        theory = f"{self.tying}{label}{left_out(self.cell)}"
        return f"{what} of J J^T, horizon {self.horizon}, {theory}"

    # --- moments -------------------------------------------------------------------------------

    def moments(self, highest: int) -> Quantity:
        """m_1..m_highest, shape (highest,)."""
        value, error = expanded_moments(self.units, highest)
        if self.by_power and self.horizon > 1:
            value, error = _powered(value, error, self.horizon)
        kind = "standard error" if self.is_sampled else "bound"
        error = error + _ROUNDING * np.abs(value)
        return Quantity(self.name("moments"), value, error, error_kind=kind)

    def known_moments(self, highest: int) -> tuple[Any, Any, Status]:
        """Moments, errors and status, as `JacobianMoments.compute` gives them."""
        found = self.moments(highest)
        return found.value, found.error, found.status

    # --- resolvent -----------------------------------------------------------------------------

    def resolvent(self, z: Any) -> Quantity:
        """(1/mN) tr (z - J J^T)^(-1) at any complex z but a 0 in the spectrum; the shape of z.

        On the real axis: outside of the spectrum the real value, inside the limit from above (its
        imaginary part is -pi times the density). At an edge of the spectrum the nearest point that
        could be reached answers, with what that can be off in the error.

        Raises:
            ParameterError: z is not finite, or 0 where the spectrum reaches 0 (G is infinite).
        """
        points = np.asarray(z, dtype=np.complex128)
        flat = points.ravel()
        if not np.isfinite(flat).all():
            raise ParameterError(f"z must be finite, got {z!r}")
        upper = flat.real + 1j * np.abs(flat.imag)
        zero = upper == 0
        value, error = np.empty(len(flat), dtype=complex), np.empty(len(flat))
        codes = np.full(len(flat), Status.OK, dtype=object)
        if not zero.all():
            found = self.resolver.resolve(upper[~zero], errors=True)
            value[~zero], error[~zero], codes[~zero] = _answers(upper[~zero], found)
        if zero.any():
            value[zero], error[zero] = self._at_zero()
        value = np.where(flat.imag < 0, value.conj(), value)
        bad = [c for c in codes if c is not Status.OK]
        return Quantity(
            self.name("resolvent"),
            value.reshape(points.shape),
            error.reshape(points.shape),
            bad[0] if bad else Status.OK,
            error_kind="standard error" if self.is_sampled else "bound",
        )

    @cached_property
    def _scale(self) -> float:
        return float(self.moments(1)[0])

    def _at_zero(self) -> tuple[complex, float]:
        """G(0) as its mean over a circle around 0, where there is no spectrum inside of it."""
        angles = (np.arange(_ON_CIRCLE) + 0.5) * math.pi / _ON_CIRCLE
        for radius in self.scale * _CIRCLES:
            ends = self.resolver.resolve(np.array([radius, -radius], dtype=np.complex128))
            off = np.abs(np.imag(ends.value)) <= _NOTHING * np.abs(ends.value)
            if not (ends.reached.all() and off.all()):
                continue
            circle = self.resolver.resolve(radius * np.exp(1j * angles), errors=True)
            mass = float(np.real(circle.value * circle.z).mean())
            if circle.reached.all() and abs(mass) < _NOTHING:
                mean = complex(np.real(circle.value).mean())
                return mean, float(circle.error.max()) + _NOTHING * abs(mean)
        raise ParameterError(
            "z = 0 belongs to the spectrum (squared singular values reach 0, or come nearer to it "
            "than 1e-6 of their mean): G(0) is infinite; see support() and atoms(), or take z off 0"
        )

    def density(self, grid: Any, smoothing: float | None = None) -> Quantity:
        """The density of the squared singular values at the points of a grid.

        The error is what smoothing can be off by plus the standard error (`density`).

        Args:
            grid: positive numbers.
            smoothing: eta. When absent 1 % of each x where units are sampled, whose finite number
                makes a finer law meaningless; 0 (exact) where they are not.
        """
        points = np.asarray(grid, dtype=float)
        if not np.isfinite(points).all() or (points <= 0).any():
            raise ParameterError(f"grid must hold positive finite numbers, got {grid!r}")
        if smoothing is not None and not 0.0 <= float(smoothing) < math.inf:
            raise ParameterError(f"smoothing must be >= 0 and finite, got {smoothing!r}")
        flat = points.ravel()
        eta = self.smoothing * flat if smoothing is None else np.full(len(flat), float(smoothing))
        found = find_density(self.resolver, flat, eta)
        error = found.smoothing_error + found.standard_error
        status = Status.OK if found.reached.all() else Status.NOT_CONVERGED
        return Quantity(
            self.name("density"),
            found.value.reshape(points.shape),
            error.reshape(points.shape),
            status,
            error_kind="bound",
        )


def powered_moments(one_step: JacobianMoments, horizon: int) -> JacobianMoments:
    """Moments of the free power of a solver's one-step law, from those of one step."""

    def compute(highest: int) -> tuple[Any, Any, Status]:
        value, error, status = one_step.compute(highest)
        return (*_powered(np.asarray(value), np.asarray(error), horizon), status)

    return replace(one_step, horizon=horizon, method="free power of one step", compute=compute)


def _answers(z: Complex, found: Resolved) -> tuple[Complex, NDArray[np.float64], NDArray[Any]]:
    """Values, errors and statuses at z; what was not reached is carried there to first order."""
    gap = z - found.z
    value = found.value + np.where(found.reached, 0.0, found.slope * gap)
    off = np.where(found.reached, 0.0, np.abs(found.slope * gap))
    error = found.error + off + _RESOLVENT_ROUNDING * np.abs(value)
    good = found.reached | (off < _ALMOST * np.abs(value))
    codes = np.full(len(z), Status.OK, dtype=object)
    codes[~good] = Status.NOT_CONVERGED
    return value, error, codes


def _powered(
    value: NDArray[np.float64], error: NDArray[np.float64], horizon: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Moments of the free power, with errors to first order."""
    found = free_power_moments(value, horizon)
    total = np.zeros_like(found)
    for k, e in enumerate(error):
        moved = value.copy()
        # A moment that is 0 has no error, and needs a step all the same.
        step = max(e, _STEP * abs(value[k])) or _LEAST_STEP
        moved[k] += step
        total += np.abs(free_power_moments(moved, horizon) - found) * (e / step)
    return found, total
