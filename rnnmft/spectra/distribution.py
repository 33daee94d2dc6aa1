"""The distribution of singular values from a spectrum: masses, quantiles, how far from isometry.

Between two ends, whose masses are contour integrals, the density is integrated on a grid in log x.

Eq. (mass), Eq. (density).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import ParameterError, Status
from rnnmft.records import Quantity
from rnnmft.spectra.contour import mass_below
from rnnmft.spectra.density import find_density
from rnnmft.spectra.records import Atoms, Condition
from rnnmft.spectra.resolved import Resolver, SpectralLaw

__all__ = ["Distribution", "find_distribution"]

Real = NDArray[np.float64]
#: Of the grid in log x where units are sampled, an interval of the support has three times as many:
#: the rule on every third node tells the error.
_POINTS = 120
#: Mass left out at either end of the grid: below the quantiles 0.01 and 0.99 that `condition` asks
#: for.
_TAIL = 1e-3
#: Where the search for an end stops, in m_1: masses below and above are taken there, whatever they
#: are. At 1e-14 singular values are 1e-7 of the typical one: rounding of a network in single
#: precision.
_FINEST, _WIDEST = 1e-14, 1e8
#: An end moves outwards by these factors: the lower one over decades, the upper one not far.
_DOWN, _UP = 0.25, 2.0
#: -z / m_1 for the mass at zero where only the end is looked for.
_AT_ZERO = 1e-12
#: Singular values within a factor of 2 of 1, squared.
_NEAR_ONE = (0.25, 4.0)


@dataclass(frozen=True)
class Distribution:
    """The law on a grid that holds all but about a thousandth at either end.

    Attributes:
        law: of the singular values.
        x: squared singular values, (n,), increasing: pieces, each with nodes crowded at its ends,
            in the middle of cells.
        cells: the lower and upper ends of the cells, (2, n).
        step: the weight of each place in an integral over its piece, in x; two rows: the rule, and
            the rule on every third node.
        density, density_error: at x; the error of smoothing alone.
        atoms: of the law; only its own mass below x[0] counts where it stands there.
        below, above: the mass below x[0] and above x[-1].
        end_error: of both.
        sampling_error: the standard error of F in the middle of the law.
        status: of the density.
    """

    law: SpectralLaw
    x: Real
    cells: Real
    step: Real
    density: Real
    density_error: Real
    atoms: Atoms
    below: float
    above: float
    end_error: float
    sampling_error: float = 0.0
    status: Status = Status.OK

    @cached_property
    def cumulative(self) -> Real:
        """F at the upper end of each cell: the mass below the grid, atoms, and the density's."""
        inside = self.atoms.place > self.x[0]
        reached = self.cells[1][:, None] >= self.atoms.place[inside]
        before = np.cumsum(self.density * self.step[0])
        return self.below + before + reached @ self.atoms.mass[inside]

    @cached_property
    def mass(self) -> Quantity:
        """The mass on the grid and beyond its ends: 1 up to its error.

        The error: what smoothing can be off by everywhere, a quarter of the change when two
        nodes of three are left out, and the errors of the ends and of the atoms. (Whatever units
        are sampled, their law has mass 1.)
        """
        found = self.moment(0)
        inside = self.atoms.place > self.x[0]
        error = found.error + self.end_error + float(self.atoms.error[inside].sum())
        value = float(found.value) + self.below + self.above
        return Quantity(self.law.name("mass"), value, error, self.status)

    def moment(self, order: int) -> Quantity:
        """int x^order over the grid, atoms included; the tails beyond it are left out."""
        power = self.x**order
        value, coarse = self.step @ (power * self.density)
        # A second-order rule is off by an eighth of what three times wider steps change.
        error = float(self.step[0] @ (power * self.density_error)) + abs(value - coarse) / 4
        inside = self.atoms.place > self.x[0]
        value += float(self.atoms.mass[inside] @ self.atoms.place[inside] ** order)
        name = self.law.name(f"moment {order} of the density")
        return Quantity(name, float(value), error, self.status)

    def quantiles(self, p: Any) -> Quantity:
        """The p-quantiles of the singular values, 0 < p < 1, of the shape of p."""
        wanted = np.asarray(p, dtype=float)
        if not np.isfinite(wanted).all() or (wanted <= 0).any() or (wanted >= 1).any():
            raise ParameterError(f"p must be numbers between 0 and 1, got {p!r}")
        flat = wanted.ravel()
        value, error = self._place(flat)
        inside = (flat >= self.below) & (flat <= 1.0 - self.above)
        value = np.where((flat < self.below) & (self.below > 2 * _TAIL), 0.0, value)
        known = inside | (value == 0.0)
        status = self.status if known.all() else Status.NOT_CONVERGED
        return Quantity(
            self.law.name("quantiles of the singular values"),
            np.sqrt(value).reshape(wanted.shape),
            error.reshape(wanted.shape),
            status,
        )

    def _place(self, p: Real) -> tuple[Real, Real]:
        """x with F(x) = p, and the error of its root."""
        # Between the ends of a cell F is taken to be straight in log x.
        mass = self.density * self.step[0]
        bend = float(np.abs(np.diff(mass)).max(initial=0.0)) / 8
        off = float(self.mass.error) + self.sampling_error + bend
        log_x, cumulative = self._steps
        value, low, high = (np.interp(p + s * off, cumulative, log_x) for s in (0.0, -1.0, 1.0))
        root = np.exp(value / 2)
        return np.exp(value), np.maximum(np.exp(high / 2) - root, root - np.exp(low / 2))

    @cached_property
    def _steps(self) -> tuple[Real, Real]:
        """log x and F, with both sides of every atom's jump as points of their own."""
        inside = self.atoms.place > self.x[0]
        place, mass = self.atoms.place[inside], self.atoms.mass[inside]
        start = np.concatenate([[self.below], self.cumulative[:-1]])  # no atom of its own cell
        at = np.minimum(np.searchsorted(self.cells[1], place), len(self.x) - 1)
        jumped = self.cells[1][at] >= place
        after = np.where(jumped, self.cumulative[at], self.cumulative[at] + mass)
        log_x = np.log(np.concatenate([*self.cells, place, place]))
        values = np.concatenate([start, self.cumulative, after - mass, after])
        order = np.lexsort((values, log_x))
        return log_x[order], np.maximum.accumulate(values[order])

    def condition(self) -> Condition:
        """Smallest and largest singular values, their ratio, and how many are near 1."""
        found = self.quantiles([0.01, 0.5, 0.99])
        smallest, median, largest = (float(v) for v in found.value)
        below, above = np.interp(np.log(_NEAR_ONE), *self._steps)
        near = float(above - below)
        ratio = largest / smallest if smallest > 0 else math.inf
        low, middle, high = (float(e) for e in found.error)
        relative = low / smallest + high / largest if smallest > 0 else 0.0
        error = {
            "smallest": low,
            "largest": high,
            "ratio": ratio * relative if math.isfinite(ratio) else 0.0,
            "median": middle,
            "near_one": 2.0 * (float(self.mass.error) + self.sampling_error),
        }
        return Condition(smallest, largest, ratio, median, near, error, found.status)


def find_distribution(law: SpectralLaw) -> Distribution:
    """The distribution of a law: its density between two ends, atoms, and what lies beyond."""
    low, below, low_error = _end(law, lower=True)
    high, inside, high_error = _end(law, lower=False)
    pieces = [(low, high)]
    atoms = law.atoms if not law.is_sampled else Atoms.none()
    if not law.is_sampled:
        edges = law.support.intervals
        inner = [(max(a, low), min(b, high)) for a, b in edges if b > low and a < high]
        pieces = inner or pieces
    grids = [_nodes(piece, _POINTS if law.is_sampled else 3 * _POINTS) for piece in pieces]
    x, cells, step = (np.concatenate(parts, axis=-1) for parts in zip(*grids, strict=True))
    found = find_density(law.resolver, x, law.smoothing * x)
    good = found.reached.all() and np.isfinite([below, inside]).all()
    status = Status.OK if good else Status.NOT_CONVERGED
    above = max(1.0 - inside, 0.0)
    whole = Distribution(
        law,
        x,
        cells,
        step,
        found.value,
        found.smoothing_error,
        atoms,
        below,
        above,
        low_error + high_error,
        status=status,
    )
    if not (law.is_sampled and good):
        return whole
    middle = np.exp(np.interp([0.25, 0.5, 0.75], whole.cumulative, np.log(cells[1])))
    return replace(whole, sampling_error=float(mass_below(law.resolver, middle)[2].max()))


def _nodes(piece: tuple[float, float], count: int) -> tuple[Real, Real, Real]:
    """Nodes of one piece, their cells, and two rows of weights: the midpoint rule in phi.

    log x = middle - half cos(phi): a density that vanishes like a root at an end is smooth in phi.
    The coarse rule takes the middle one of every three nodes.
    """
    low, high = np.log(piece[0]), np.log(piece[1])
    half, step = 0.5 * (high - low), math.pi / count
    phi = (np.arange(count) + 0.5) * step
    x = np.exp(0.5 * (low + high) - half * np.cos(phi))
    ends = np.exp(0.5 * (low + high) - half * np.cos(np.arange(count + 1) * step))
    weight = x * half * np.sin(phi) * step
    coarse = np.where(np.arange(count) % 3 == 1, 3.0 * weight, 0.0)
    return x, np.stack([ends[:-1], ends[1:]]), np.stack([weight, coarse])


def _end(law: SpectralLaw, lower: bool) -> tuple[float, float, float]:
    """Where the grid ends, the mass below it, and that mass's error.

    The place is looked for with the units that walk the branch, the mass taken with all.
    """
    resolver, factor = law.resolver, _DOWN if lower else _UP
    scout = resolver.scout or resolver
    atom = _mass_at_zero(scout, law.scale) if lower else 0.0
    x = law.scale
    while law.scale * _FINEST < x < law.scale * _WIDEST:
        mass = float(mass_below(scout, np.array([x]))[0][0])
        if (mass - atom < _TAIL) if lower else (1.0 - mass < _TAIL):
            break
        x *= factor
    mass, error, _ = mass_below(resolver, np.array([x]))
    return x, float(mass[0]), float(error[0])


def _mass_at_zero(resolver: Resolver, scale: float) -> float:
    found = resolver.resolve(np.array([-_AT_ZERO * scale], dtype=np.complex128))
    value = float(np.real(found.value * found.z)[0])
    # A guess that only decides where the grid begins; what lies below is measured, and has an
    # error.
    return min(max(value, 0.0), 1.0) if found.reached[0] else 0.0
