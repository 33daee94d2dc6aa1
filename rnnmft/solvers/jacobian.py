"""JacobianLaw: the law of the squared singular values of the T-step state-to-state Jacobian J."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnmft.errors import DerivationError, Status
from rnnmft.parameters import check_count
from rnnmft.records import Quantity, Record

if TYPE_CHECKING:
    from rnnmft.spectra.atoms import Atoms
    from rnnmft.spectra.distribution import Condition
    from rnnmft.spectra.edges import Support
    from rnnmft.spectra.spectrum import Spectrum

__all__ = ["JacobianLaw"]


@dataclass(frozen=True)
class JacobianLaw(Record):
    """The law of the m N squared singular values of the T-step Jacobian, N -> infinity.

    `compute(k)` returns the values, errors and status of m_1..m_k; it is the solver's, and raises
    DerivationError beyond what the solver knows. `spectrum` solves for the rest: higher moments,
    resolvent and density. `approximation` says whether it is the free power of a gated cell's
    step (method="free"), which is not its law.
    """

    tying: str
    horizon: int
    method: str
    compute: Callable[[int], tuple[Any, Any, Status]]
    error_kind: str = "bound"
    spectrum: Spectrum | None = field(default=None, repr=False, compare=False)
    approximation: bool = False

    def moments(self, highest: int) -> Quantity:
        """m_1..m_highest, m_k = (1/mN) tr (J J^T)^k, shape (highest,).

        From the solver as far as it knows them, beyond by expanding the resolvent in 1/z.

        Raises:
            ParameterError: highest is not a whole number >= 1.
            DerivationError: the solver does not know them, and there are no units to expand with.
        """
        check_count("highest", highest)
        known = self._known(highest)
        if known is not None and len(known) == highest:
            return known
        if self.spectrum is None:
            raise DerivationError(
                f"m_1..m_{highest} of this Jacobian are not known: it was made without units"
            )
        found = self.spectrum.moments(highest)
        if known is None:
            return found
        value, error = (
            np.concatenate([first, rest[len(known) :]])
            for first, rest in ((known.value, found.value), (known.error, found.error))
        )
        status = found.status if known.status is Status.OK else known.status
        return replace(found, value=value, error=error, status=status)

    def _known(self, highest: int) -> Quantity | None:
        """As many of m_1..m_highest as the solver knows; None where it knows none."""
        for order in range(highest, 0, -1):
            try:
                value, error, status = self.compute(order)
            except DerivationError:
                continue
            return Quantity(
                f"moments of J J^T, horizon {self.horizon}, {self.tying}",
                np.asarray(value),
                np.asarray(error),
                status,
                error_kind=self.error_kind,
            )
        return None

    def resolvent(self, z: Any) -> Quantity:
        """(1/mN) tr (z - J J^T)^(-1) at complex z, of the shape of z: see `Spectrum.resolvent`."""
        return self._solved().resolvent(z)

    def density(self, grid: Any, smoothing: float | None = None) -> Quantity:
        """The density of the squared singular values on a grid: see `Spectrum.density`."""
        return self._solved().density(grid, smoothing)

    def support(self) -> Support:
        """The intervals that hold the spectrum, without atoms: see `spectra.edges.Support`."""
        return self._solved().support

    def atoms(self) -> Atoms:
        """The squared singular values that a fraction of all share: see `spectra.atoms.Atoms`."""
        return self._solved().atoms

    def quantiles(self, p: Any) -> Quantity:
        """The p-quantiles of the singular values (not squared), p in (0, 1), of the shape of p."""
        return self._solved().distribution.quantiles(p)

    def condition(self) -> Condition:
        """How far J is from an isometry: see `spectra.distribution.Condition`."""
        return self._solved().distribution.condition()

    def _solved(self) -> Spectrum:
        if self.spectrum is None:
            raise DerivationError("this Jacobian was made without units: it knows moments only")
        return self.spectrum

    @property
    def mean(self) -> Quantity:
        """m_1: the mean squared singular value; 1 is criticality."""
        found = self.moments(1)
        name = f"mean of J J^T, horizon {self.horizon}, {self.tying}"
        return Quantity(
            name, float(found[0]), float(found.error[0]), found.status, error_kind=self.error_kind
        )

    @property
    def variance(self) -> Quantity:
        """sigma^2 = m_2 - m_1^2 of the squared singular values; 0 with mean 1 is isometry."""
        found = self.moments(2)
        m_1, m_2 = found.value
        error = float(found.error[1] + 2 * abs(m_1) * found.error[0])
        name = f"variance of J J^T, horizon {self.horizon}, {self.tying}"
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
