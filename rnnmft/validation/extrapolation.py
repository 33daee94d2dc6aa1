"""Extrapolation to infinite width: value(N) = a + b/N, the networks being the independent units.

The fit is linear in the samples with coefficients fixed by the design alone: weighted least squares
with the weights that the law Var ~ 1/(n N) gives (n networks of width N). So a is unbiased
whatever the variances really are; they are measured at each width, and the degrees of freedom
are Welch's and Satterthwaite's.

Sources: [welch1947], [satterthwaite1946]. Eq. (extrapolation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import ParameterError
from rnnmft.records import Record

__all__ = ["Extrapolation", "LinearEstimate", "WidthDesign", "extrapolate", "with_level"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class WidthDesign(Record):
    """Widths (at least three, increasing) and how many networks of each.

    >>> WidthDesign((64, 128, 256), (40, 20, 10)).coefficients(0).round(3)
    array([-0.5,  0.5,  1. ])
    """

    widths: tuple[int, ...]
    networks: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.widths) < 3 or list(self.widths) != sorted(set(self.widths)):
            raise ParameterError(
                f"widths must be at least three different widths, increasing, got {self.widths}"
            )
        if len(self.networks) != len(self.widths) or min(self.networks) < 2:
            raise ParameterError(
                f"networks must be at least 2 for each of {len(self.widths)} widths, "
                f"got {self.networks}"
            )

    def coefficients(self, power: int, degree: int = 1) -> Array:
        """What the means at each width are multiplied by to give the coefficient of N^-power.

        Eq. (extrapolation).

        Args:
            power: 0 for a, 1 for b, 2 for the curvature (with degree 2).
            degree: of the polynomial in 1/N that is fitted.

        Returns:
            Shape (widths,).
        """
        smallest = self.widths[0]
        x = smallest / np.array(self.widths, dtype=float)
        weights = np.array(self.networks, dtype=float) / x
        powers = x[:, None] ** np.arange(degree + 1)
        normal = powers.T @ (weights[:, None] * powers)
        solved = np.linalg.solve(normal, (weights[:, None] * powers).T)
        return solved[power] * float(smallest) ** power

    def variance_factor(self) -> float:
        """Var(a) / v, where one network of width N has the variance v / N."""
        sizes = np.array(self.widths) * np.array(self.networks)
        return float((self.coefficients(0) ** 2 / sizes).sum())


@dataclass(frozen=True, eq=False)
class LinearEstimate(Record):
    """A linear combination of means: value, standard error, degrees of freedom, one shape."""

    value: Array
    error: Array
    degrees: Array


@dataclass(frozen=True, eq=False)
class Extrapolation(Record):
    """a at infinite width, the slope b of the fit a + b/N, and the curvature c that it leaves out.

    `means` and `sems` hold what each width measured, shape (widths, ...). `curvature` is the
    coefficient of 1/N^2 in the quadratic fit: where it differs from zero, the widths are too small
    for a + b/N.
    """

    design: WidthDesign
    limit: LinearEstimate
    slope: LinearEstimate
    curvature: LinearEstimate
    means: Array
    sems: Array


def extrapolate(
    design: WidthDesign, samples: Sequence[Any], rounding: float = 0.0
) -> Extrapolation:
    """Fit a + b/N to samples of each width.

    Args:
        design: the widths and numbers of networks.
        samples: one array (networks, ...) a width, in the order of the widths.
        rounding: relative size of what rounding may do to a mean; a floor of the error of a.

    Raises:
        ParameterError: the samples do not have the design's shape, or are not finite.
    """
    arrays = [np.asarray(s, dtype=float) for s in samples]
    if tuple(len(a) for a in arrays) != design.networks:
        raise ParameterError(f"samples must have {design.networks} rows, one a network")
    if not all(np.isfinite(a).all() for a in arrays):
        raise ParameterError("samples must be finite")
    means = np.stack([a.mean(axis=0) for a in arrays])
    counts = np.array(design.networks, dtype=float).reshape(-1, *[1] * (means.ndim - 1))
    variances = np.stack([a.var(axis=0, ddof=1) for a in arrays]) / counts
    floor = rounding * np.abs(means).max(axis=0)

    def estimate(coefficients: Array, least: Any = 0.0) -> LinearEstimate:
        k = coefficients.reshape(counts.shape)
        parts = k**2 * variances
        total = parts.sum(axis=0)
        spread = (parts**2 / (counts - 1)).sum(axis=0)
        most = counts.sum() - len(counts)
        degrees = np.divide(total**2, spread, out=np.full_like(total, most), where=spread > 0)
        return LinearEstimate((k * means).sum(axis=0), np.sqrt(total) + least, degrees)

    return Extrapolation(
        design,
        estimate(design.coefficients(0), floor),
        estimate(design.coefficients(1)),
        estimate(design.coefficients(2, degree=2)),
        means,
        np.sqrt(variances),
    )


def with_level(
    design: WidthDesign, samples: Sequence[Array], scale: Array, rounding: float = 0.0
) -> tuple[Extrapolation, Extrapolation]:
    """The extrapolated values, and their level: the mean of value / scale."""
    levels = [(s / scale).reshape(len(s), -1).mean(axis=1) for s in samples]
    return extrapolate(design, samples, rounding), extrapolate(design, levels, rounding)
