"""What is read off a spectrum: its support, its atoms, and how far J is from an isometry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import Status
from rnnmft.records import Measured, Record

__all__ = ["Atoms", "Condition", "Support"]


@dataclass(frozen=True)
class Support(Record):
    """Intervals [low, high] of positive density of the squared singular values; atoms apart.

    A lowest edge within 1e-10 of m_1 from 0 is given as 0. For sampled units these are the edges
    of the law of those units: where local factors have unbounded laws (a state that is multiplied
    by a Gaussian input, say) the limiting law has no upper edge, and more units move this one out.
    What fewer than ten units do is an accident: such a part beyond a gap is left out, and where so
    few reach on towards 0 the lowest edge is given as 0, its error being where they begin.

    Attributes:
        intervals: (n, 2), by increasing place. Gaps of less than 10 % of their place (20 % where
            units are sampled) are not seen.
        error: of the edges, (n, 2); of their search, not of the sampling.
        sampled: whether units were sampled.
        status: NOT_CONVERGED where an edge could not be closed in.
    """

    intervals: NDArray[np.float64]
    error: NDArray[np.float64]
    sampled: bool
    status: Status = Status.OK

    def __len__(self) -> int:
        return len(self.intervals)

    @property
    def lowest(self) -> float:
        """The lower end of all."""
        return float(self.intervals[0, 0]) if len(self.intervals) else math.nan

    @property
    def highest(self) -> float:
        """The upper end of all."""
        return float(self.intervals[-1, 1]) if len(self.intervals) else math.nan

    def __repr__(self) -> str:
        rows = [f"[{a:.10g}, {b:.10g}]" for a, b in self.intervals]
        kind = "of the sampled units, " if self.sampled else ""
        return f"Support({kind}{' and '.join(rows) or 'no density'})"


@dataclass(frozen=True)
class Atoms(Measured):
    """Places and masses of the atoms of the squared singular values, by increasing place.

    Attributes:
        place: lambda_0, (n,); 0 where J is singular.
        mass: fractions of all m N singular values, (n,); those of 1e-3 and more are found.
        error: of the masses, (n,): how much they last changed, which bounds what is left.
        place_error: of the places, in the same way; 0 for an atom at 0.
        status: OK, or NOT_CONVERGED where a mass was still changing.
    """

    kinds: ClassVar[Mapping[str, str]] = {"place": "dimensionless", "mass": "dimensionless"}

    place: NDArray[np.float64]
    mass: NDArray[np.float64]
    error: NDArray[np.float64]
    place_error: NDArray[np.float64]
    status: Status = Status.OK

    @classmethod
    def none(cls) -> Atoms:
        """No atoms."""
        nothing = np.zeros(0)
        return cls(nothing, nothing, nothing, nothing)

    def error_of(self, kind: str, name: str | None) -> Any:
        """The error of places or masses, (n,)."""
        return self.place_error if kind == "place" else self.error

    def __len__(self) -> int:
        return len(self.place)

    def __repr__(self) -> str:
        rows = [f"{m:.8g} at {x:.8g}" for x, m in zip(self.place, self.mass, strict=True)]
        return f"Atoms({'; '.join(rows) or 'none'})"


@dataclass(frozen=True)
class Condition(Record):
    """How far J is from an isometry, by its singular values s.

    Attributes:
        smallest, largest: the 1 % and 99 % quantiles of s (the extreme ones are `support`'s).
        ratio: largest / smallest; inf where more than 1 % of s are 0.
        median: of s.
        near_one: the fraction of singular values with 1/2 <= s <= 2.
        error: of each, by the name of the field.
        status: OK, or the reason why not.
    """

    smallest: float
    largest: float
    ratio: float
    median: float
    near_one: float
    error: dict[str, float]
    status: Status = Status.OK
