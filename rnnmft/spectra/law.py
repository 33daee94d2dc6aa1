"""JacobianLaw: the law of the squared singular values of the T-step state-to-state Jacobian J.

Eq. (generating-function).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rnnmft.errors import Status
from rnnmft.parameters import check_count
from rnnmft.records import Quantity, Record
from rnnmft.solvers.jacobian import JacobianMoments
from rnnmft.spectra.records import Atoms, Condition, Support
from rnnmft.spectra.spectrum import Spectrum
from rnnmft.theory.population_average import left_out

__all__ = ["JacobianLaw"]


@dataclass(frozen=True)
class JacobianLaw(Record):
    """The law of the m N squared singular values of the T-step Jacobian, N -> infinity.

    Attributes:
        known: the moments that the solver finds by itself.
        spectrum: what solves for the rest: higher moments, resolvent and density.
    """

    known: JacobianMoments
    spectrum: Spectrum = field(repr=False, compare=False)

    @property
    def tying(self) -> str:
        """Whose theory it is: "tied" or "untied"."""
        return self.known.tying

    @property
    def _of(self) -> str:
        return self.tying + left_out(self.spectrum.cell)

    @property
    def horizon(self) -> int:
        """T."""
        return self.known.horizon

    @property
    def method(self) -> str:
        """How the solver finds the moments that it knows."""
        return self.known.method

    @property
    def error_kind(self) -> str:
        """Of the moments that the solver knows: "bound" or "standard error"."""
        return self.known.error_kind

    @property
    def approximation(self) -> bool:
        """Whether this is the free power of a gated cell's step, which is not its law."""
        return not self.spectrum.is_exact

    def moments(self, highest: int) -> Quantity:
        """m_1..m_highest, m_k = (1/mN) tr (J J^T)^k, shape (highest,).

        From the solver as far as it knows them, beyond by expanding the resolvent in 1/z.

        Raises:
            ParameterError: highest is not a whole number >= 1.
        """
        check_count("highest", highest)
        known = self.known.known(highest)
        if known is not None and len(known) == highest:
            return replace(known, name=known.name + left_out(self.spectrum.cell))
        found = self.spectrum.moments(highest)
        if known is None:
            return found
        value, error = (
            np.concatenate([first, rest[len(known) :]])
            for first, rest in ((known.value, found.value), (known.error, found.error))
        )
        status = found.status if known.status is Status.OK else known.status
        return replace(found, value=value, error=error, status=status)

    def resolvent(self, z: Any) -> Quantity:
        """(1/mN) tr (z - J J^T)^(-1) at complex z, of the shape of z: see `Spectrum.resolvent`."""
        return self.spectrum.resolvent(z)

    def density(self, grid: Any, smoothing: float | None = None) -> Quantity:
        """The density of the squared singular values on a grid: see `Spectrum.density`."""
        return self.spectrum.density(grid, smoothing)

    def support(self) -> Support:
        """The intervals that hold the spectrum, without atoms: see `spectra.records.Support`."""
        return self.spectrum.support

    def atoms(self) -> Atoms:
        """The squared singular values that a fraction of all share: see `spectra.records.Atoms`."""
        return self.spectrum.atoms

    def quantiles(self, p: Any) -> Quantity:
        """The p-quantiles of the singular values (not squared), p in (0, 1), of the shape of p."""
        return self.spectrum.distribution.quantiles(p)

    def condition(self) -> Condition:
        """How far J is from an isometry: see `spectra.records.Condition`."""
        return self.spectrum.distribution.condition()

    @property
    def mean(self) -> Quantity:
        """m_1: the mean squared singular value; 1 is criticality."""
        found = self.moments(1)
        name = f"mean of J J^T, horizon {self.horizon}, {self._of}"
        value, error = float(found[0]), float(found.error[0])
        return Quantity(name, value, error, found.status, error_kind=self.error_kind)

    @property
    def variance(self) -> Quantity:
        """sigma^2 = m_2 - m_1^2 of the squared singular values; 0 with mean 1 is isometry."""
        found = self.moments(2)
        m_1, m_2 = found.value
        error = float(found.error[1] + 2 * abs(m_1) * found.error[0])
        name = f"variance of J J^T, horizon {self.horizon}, {self._of}"
        value = float(m_2 - m_1**2)
        return Quantity(name, value, error, found.status, error_kind=self.error_kind)

    def to_dict(self) -> dict[str, Any]:
        """Horizon, tying, method and mean."""
        return {
            "tying": self.tying,
            "horizon": self.horizon,
            "method": self.method,
            "approximation": self.approximation,
            "mean": self.mean.to_dict(),
        }

    def __repr__(self) -> str:
        return f"JacobianLaw({self.tying}, horizon {self.horizon}, m_1 = {float(self.mean):.8g})"
