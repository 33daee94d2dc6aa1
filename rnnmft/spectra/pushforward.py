"""The law of sigma_w^2 phi'(e)^2: one orthogonal step of J = D W, where J J^T has the law of D^2.

G(z) = E[1 / (z - X(e))] is an integral over one Gaussian number. Its integrand has poles where
X(e) = z, as near to the real line as z: panels shrink geometrically towards each real e with
X(e) = Re z, down to the distance of the pole. On the axis itself G is continued from just above.

Eq. (pushforward).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.optimize.elementwise import find_minimum, find_root

from rnnmft.language import Cell, Ensemble
from rnnmft.numerics.charts import Kind
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.numerics.landmarks import find_landmarks
from rnnmft.spectra.resolved import Resolved

__all__ = ["Pushforward", "orthogonal_step"]

Real = NDArray[np.float64]
Complex = NDArray[Any]  # complex128
#: In standard deviations: exp(-9.5^2 / 2) = 3e-20.
_REACH = 9.5
#: Points of a piece between kinks at which turns of X are looked for, 0.03 standard deviations
#: apart.
_SCAN = 600
#: X that takes fewer than this many values at them is a step function, whose law is not this one.
_VALUES = 30
#: Gauss-Legendre nodes of a panel. Next to a pole panels shrink by 3, so that it is a panel's
#: length away or more: Bernstein's rho = 3 + 8^(1/2) = 5.8 and rho^(-24) = 4e-19.
_NODES = 12
#: Where the range of X is looked for, in standard deviations (what lies beyond has no mass, but
#: belongs to the closed support); what counts as the same number.
_FAR, _NEAR = 1e3, 1e-12
#: A lowest edge of less than this part of the highest is 0: tanh'(e)^2 reaches it within the range.
_ZERO = 1e-10
#: The least Im z / |z| that is integrated; below it G is continued to first order, which leaves its
#: square times z^2 G''.
_LEAST = 1e-7
#: Neighbouring panels next to a pole differ by this factor (see `_NODES`), down to this part of the
#: pole's distance.
_RATIO, _FINEST = 3.0, 0.1


def orthogonal_step(cell: Cell, ensemble: Ensemble, variance: float) -> Pushforward | None:
    """The law of one step of a cell with J = D W and orthogonal weights.

    None for other weights, and where D^2 takes finitely many values.

    Args:
        cell: one that `memoryless_transfer.is_product`.
        ensemble: its law.
        variance: of the preactivation.
    """
    (e,), (state,) = cell.preactivations, cell.states
    law, update = ensemble[e.name], cell.update[state]
    if law.weights != "orthogonal" or law.sigma_w == 0.0 or variance == 0.0:
        return None
    function = compile_elementwise((sp.diff(update, e),), [e])

    def squared(at: Real) -> Real:
        slope = np.broadcast_to(np.asarray(function(at)[0], dtype=float), at.shape)
        return (law.sigma_w * slope) ** 2

    kinks = [float(mark.place) for mark in find_landmarks(update, e) if mark.kind is Kind.KINK]
    found = Pushforward(squared, law.mu_b, math.sqrt(variance), tuple(kinks))
    return None if len(np.unique(found.scanned[1])) < _VALUES else found


@dataclass(frozen=True)
class Pushforward:
    """The law of X(e), e ~ N(mean, std^2), as a `Resolver`.

    Args:
        squared: X.
        mean, std: of e.
        kinks: where X is not smooth.
    """

    squared: Callable[[Real], Real]
    mean: float
    std: float
    kinks: tuple[float, ...]

    @property
    def scout(self) -> None:
        """None: nothing is sampled."""

    @cached_property
    def _ends(self) -> Real:
        """The ends of the range and the kinks inside of it."""
        lowest, highest = self.mean - _REACH * self.std, self.mean + _REACH * self.std
        inside = [k for k in self.kinks if lowest < k < highest]
        return np.array([lowest, *sorted(inside), highest])

    @cached_property
    def scanned(self) -> tuple[Real, Real]:
        """Points of the range, none of them a kink, and X there."""
        pieces = [np.linspace(a, b, _SCAN + 2)[1:-1] for a, b in itertools.pairwise(self._ends)]
        at = np.concatenate(pieces)
        return at, self.squared(at)

    @cached_property
    def _turns(self) -> Real:
        """Where X turns: beyond its largest value the poles leave the real line from there."""
        at, x = self.scanned
        i = np.flatnonzero(np.diff(np.sign(np.diff(x)))) + 1
        downwards = np.where(x[i] > x[i - 1], -1.0, 1.0)
        found = find_minimum(
            lambda e, sign: sign * self.squared(e), (at[i - 1], at[i], at[i + 1]), args=(downwards,)
        )
        # No bracket: the second half of a level top, or where X is constant but for rounding.
        return found.x[found.success]

    @cached_property
    def image(self) -> Real:
        """The intervals that X takes for any e, (n, 2): the support of the law."""
        sides = self.mean + _FAR * self.std * np.array([-1.0, 1.0])
        inner = self._ends[1:-1]
        near = np.abs(inner) * _NEAR + np.finfo(float).tiny
        rooms = [sides[0], *np.sort(np.concatenate([inner - near, inner + near])), sides[1]]
        found: list[tuple[float, float]] = []
        for a, b in itertools.pairwise(rooms):
            turns = self._turns[(self._turns > a) & (self._turns < b)]
            x = self.squared(np.concatenate([[a], turns, [b]]))
            low, high = float(x.min()), float(x.max())
            if high - low <= _NEAR * high:
                continue
            touching = [f for f in found if f[0] <= high and f[1] >= low]
            found = [f for f in found if f not in touching]
            joined = [(low, high), *touching]
            found.append((min(f[0] for f in joined), max(f[1] for f in joined)))
        image = np.array(sorted(found)).reshape(-1, 2)
        return np.where(image > _ZERO * image.max(initial=0.0), image, 0.0)

    def _crossings(self, x: float) -> Real:
        """The e with X(e) = x, between points where X is monotonic."""
        at = np.sort(np.concatenate([self.scanned[0], self._turns]))
        values = self.squared(at)
        i = np.flatnonzero((values[:-1] - x) * (values[1:] - x) < 0)
        return find_root(lambda e: self.squared(e) - x, (at[i], at[i + 1])).x

    def _panels(self, x: float, finest: float) -> Real:
        """Ends of panels: even ones, and ones that shrink towards poles down to `finest`."""
        places = np.concatenate([self._ends, self._turns, self._crossings(x)])
        count = math.ceil(math.log(self.std / finest) / math.log(_RATIO)) + 1
        steps = self.std * _RATIO ** -np.arange(count)
        graded = (places[:, None] + np.concatenate([-steps, [0.0], steps])).ravel()
        even = np.linspace(self._ends[0], self._ends[-1], 4 * int(_REACH) + 1)  # half a deviation
        edges = np.unique(np.concatenate([even, graded]))
        return edges[(edges >= self._ends[0]) & (edges <= self._ends[-1])]

    def _at(self, z: complex) -> tuple[complex, complex]:
        """G and dG/dz at z with Im z > 0."""
        edges = self._panels(z.real, _FINEST * self.std * max(abs(z.imag / z), _LEAST))
        x, w = np.polynomial.legendre.leggauss(_NODES)
        half = np.diff(edges)[:, None] / 2
        at = (edges[:-1, None] + half + half * x).ravel()
        mass = (half * w).ravel() * np.exp(-(((at - self.mean) / self.std) ** 2) / 2)
        terms = 1.0 / (z - self.squared(at))
        mass = mass / mass.sum()
        return complex(mass @ terms), complex(-(mass @ terms**2))

    def resolve(self, z: Complex, errors: bool = False) -> Resolved:
        """G at points z of shape (Z,), Im z >= 0, z != 0; on the real axis from above."""
        imaginary = np.imag(z)
        height = np.maximum(imaginary, _LEAST * np.abs(z))
        pairs = [self._at(complex(a, b)) for a, b in zip(np.real(z), height, strict=True)]
        value, slope = np.array(pairs, dtype=complex).reshape(-1, 2).T
        value = value - 1j * (height - imaginary) * slope
        return Resolved(z, value, slope, np.zeros(len(z)), np.ones(len(z), dtype=bool))
