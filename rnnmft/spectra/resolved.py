"""Resolved points: what every way of solving for G(z) answers, on the closed upper half plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnmft.spectra.records import Atoms, Support

__all__ = ["Resolved", "Resolver", "SpectralLaw"]

Complex = NDArray[Any]  # complex128


@dataclass
class Resolved:
    """G at Z points.

    Attributes:
        z: where G is known, (Z,): the points asked for, or the nearest ones reached.
        value, slope: G and dG/dz there.
        error: the standard error of G; 0 where nothing is sampled.
        reached: whether z is what was asked for.
    """

    z: Complex
    value: Complex
    slope: Complex
    error: NDArray[np.float64]
    reached: NDArray[np.bool_]


class Resolver(Protocol):
    """A law of squared singular values, known by its resolvent."""

    @property
    def scout(self) -> Resolver | None:
        """The same law from few units, to look around with; None where nothing is sampled."""
        ...

    def resolve(self, z: Complex, errors: bool = False) -> Resolved:
        """G at points z of shape (Z,), Im z >= 0, z != 0; on the real axis from above."""
        ...


class SpectralLaw(Protocol):
    """What edges, atoms and the distribution of a law are found from."""

    @property
    def resolver(self) -> Resolver:
        """What solves for G."""
        ...

    @property
    def scale(self) -> float:
        """m_1, the size of a typical squared singular value."""
        ...

    @property
    def is_sampled(self) -> bool:
        """Whether numbers have a sampling error."""
        ...

    @property
    def resolution(self) -> float:
        """Fractions of all singular values below this are those of the sampled units; or 0."""
        ...

    @property
    def smoothing(self) -> float:
        """Over which part of x densities are smoothed."""
        ...

    @property
    def support(self) -> Support:
        """The intervals of positive density."""
        ...

    @property
    def atoms(self) -> Atoms:
        """The squared singular values that a positive fraction of all share."""
        ...

    def name(self, what: str) -> str:
        """A quantity's name."""
        ...
