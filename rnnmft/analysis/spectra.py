"""The spectrum of the T-step Jacobian: moments, resolvent and density from sampled units.

Exact in the limit of infinite width and units: the block equation keeps every correlation of a
unit's local factors in time, for tied and untied weights, gaussian and orthogonal.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.block_equation import BlockEquation
from rnnmft.analysis.particles import UnitProcess
from rnnmft.analysis.unit_transfer import unit_transfer
from rnnmft.cells import Cell, Ensemble, Inputs
from rnnmft.errors import ParameterError, Status
from rnnmft.records import Quantity
from rnnmft.sampling import Sampling

__all__ = ["Spectrum"]

Complex = NDArray[np.complex128]
#: A stored transfer matrix takes 8 n^2 bytes a unit, and the equation a few complex copies of it.
_MEMORY = 2.0e8


class Spectrum:
    """The squared singular values of the T-step Jacobian that starts after `burn_in` steps."""

    def __init__(
        self,
        cell: Cell,
        ensemble: Ensemble,
        inputs: Inputs,
        tying: str,
        sampling: Sampling,
        burn_in: int,
        horizon: int,
    ) -> None:
        self.cell, self.ensemble, self.inputs = cell, ensemble, inputs
        self.tying, self.sampling = tying, sampling
        self.burn_in, self.horizon = burn_in, horizon

    @cached_property
    def _equation(self) -> BlockEquation:
        process = UnitProcess(
            self.cell, self.ensemble, self.inputs, self.tying, self.sampling, trajectories=1
        )
        size = len(self.cell.states) + len(self.cell.preactivations) * self.horizon
        needed = 8.0 * size**2 * self.sampling.units
        if needed > _MEMORY:
            fits = int(_MEMORY / (8.0 * size**2))
            raise ParameterError(
                f"units must be at most {fits} for horizon {self.horizon} of this cell (memory), "
                f"got {self.sampling.units}"
            )
        for _ in range(self.burn_in):
            process.step()
        return BlockEquation(unit_transfer(process, self.horizon))

    def _name(self, what: str) -> str:
        return f"{what} of J J^T, horizon {self.horizon}, {self.tying}"

    def moments(self, highest: int) -> Quantity:
        """m_1..m_highest, shape (highest,), with standard errors over repetitions."""
        samples = self._equation.moments(highest)
        error = samples.std(0, ddof=1) / math.sqrt(len(samples))
        name = self._name("moments")
        return Quantity(name, samples.mean(0), error, error_kind="standard error")

    def resolvent(self, z: Any) -> Quantity:
        """(1/mN) tr (z - J J^T)^(-1) at complex z off the non-negative real axis; the shape of z.

        Raises:
            ParameterError: a z on the non-negative real axis, where the spectrum lies.
        """
        points = np.asarray(z, dtype=np.complex128)
        flat = points.ravel()
        if not np.isfinite(flat).all() or ((flat.imag == 0) & (flat.real >= 0)).any():
            raise ParameterError(
                "z must be finite and off the non-negative real axis, where the spectrum lies: "
                "take z + i eta, or density() for the law itself"
            )
        found = [self._at(value) for value in flat]
        values = np.array([v for v, _, _ in found]).reshape(points.shape)
        errors = np.array([e for _, e, _ in found]).reshape(points.shape)
        bad = next((s for _, _, s in found if s is not Status.OK), Status.OK)
        name = self._name("resolvent")
        return Quantity(name, values, errors, bad, error_kind="standard error")

    def _at(self, z: complex) -> tuple[complex, float, Status]:
        """One z: G(z*) = G(z)*, so the upper half plane is enough; reached from far above."""
        upper = z if z.imag >= 0 else z.conjugate()
        start, height = None, max(4.0 * abs(upper), 1.0)
        while upper.imag > 0 and height > 4.0 * upper.imag:
            _, start, _ = self._equation.resolvent(complex(upper.real, height), start)
            height *= 0.25
        samples, _, status = self._equation.resolvent(upper, start)
        value = complex(samples.mean())
        spread = samples - value
        error = math.sqrt(float((np.abs(spread) ** 2).sum()) / len(samples) / (len(samples) - 1))
        return (value if z.imag >= 0 else value.conjugate()), error, status

    def density(self, grid: Any, smoothing: float | None = None) -> Quantity:
        """The density of the squared singular values on a grid, smoothed over a width eta.

        -Im G(x + i eta) / pi at eta and 2 eta, extrapolated linearly to eta = 0; the error is the
        size of that correction plus the standard error. Atoms show as peaks of width eta.

        Args:
            grid: positive numbers.
            smoothing: eta; 1 % of the mean of the grid when absent.
        """
        points = np.asarray(grid, dtype=float)
        if not np.isfinite(points).all() or (points <= 0).any():
            raise ParameterError(f"grid must hold positive finite numbers, got {grid!r}")
        eta = 0.01 * float(points.mean()) if smoothing is None else float(smoothing)
        if not eta > 0.0:
            raise ParameterError(f"smoothing must be > 0, got {smoothing!r}")
        near, far = (self.resolvent(points + 1j * width) for width in (eta, 2.0 * eta))
        fine, coarse = (-q.value.imag / np.pi for q in (near, far))
        error = np.abs(fine - coarse) + near.error / np.pi
        status = near.status if near.status is not Status.OK else far.status
        name = self._name("density")
        return Quantity(name, 2.0 * fine - coarse, error, status, error_kind="bound")
