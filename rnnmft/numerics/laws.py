"""The contract of the quadrature: laws, samples of integrands, integrals with error and status."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rnnmft.errors import Status
from rnnmft.numerics.charts import Landmarks

__all__ = [
    "DIVERGENT",
    "INVALID",
    "NOT_CONVERGED",
    "OK",
    "STATUSES",
    "UNDEFINED",
    "Integrals",
    "Integrands",
    "Laws",
    "Sample",
]

# An array of statuses holds places in this tuple; of two, the larger is the graver.
STATUSES = tuple(Status)
OK, NOT_CONVERGED, DIVERGENT, INVALID, UNDEFINED = (
    STATUSES.index(s)
    for s in (
        Status.OK,
        Status.NOT_CONVERGED,
        Status.DIVERGENT_INTEGRAL,
        Status.INVALID,
        Status.UNDEFINED,
    )
)


@dataclass(frozen=True)
class Sample:
    """Values of K integrands at some points, with their own errors and statuses if they have any.

    `values` and `errors` (entries may be None): K arrays that broadcast to the points' shape;
    `status`: codes that broadcast to that shape, or None where all is well.
    """

    values: Sequence[Any]
    errors: Sequence[Any] = ()
    status: Any = None

    @property
    def uncertain(self) -> bool:
        """Whether any value has an error."""
        return any(e is not None for e in self.errors)


@dataclass(frozen=True)
class Integrands:
    """K functions of a Gaussian variable and of parameters, evaluated together.

    `sample(e, parameters, tolerance)`: e of shape (b, n), parameters of shape (b, 1); `tolerance`
    of shape (K, b, n) or None is how far off the values may be. `nested`: whether it makes use of
    that, because its values are integrals themselves.
    """

    sample: Callable[[Any, Sequence[Any], Any], Sample]
    count: int
    nested: bool = False


@dataclass(frozen=True)
class Integrals:
    """K integrals over each of B laws: `values` and `errors` of shape (K, B), `status` (B,) codes.

    A code is a place in `STATUSES`. A value is nan only where its status is not OK.
    """

    values: Any
    errors: Any
    status: Any


@dataclass(frozen=True)
class Laws:
    """A batch of B Gaussian laws: mu, sqrt(q), landmarks, what the integrands depend on besides.

    `atol`: errors that may be left in the integrals, shape (K, B), or None for none. `centre`: the
    integrands' values at mu, shape (K, B), where the sensitivity to the law is asked.
    """

    mean: Any
    std: Any
    landmarks: Landmarks | None
    parameters: tuple[Any, ...]
    atol: Any = None
    centre: Any = None

    def take(self, rows: Any) -> Laws:
        """Some of the laws: `rows` is a slice, a mask, an array of places, or None for all."""
        if rows is None:
            return self
        return Laws(
            self.mean[rows],
            self.std[rows],
            None if self.landmarks is None else self.landmarks.take(rows),
            tuple(p[rows] for p in self.parameters),
            None if self.atol is None else self.atol[:, rows],
            None if self.centre is None else self.centre[:, rows],
        )
