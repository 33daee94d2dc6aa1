"""Charts: the analytic map of each law onto the unit interval, chosen by where integrands change.

A landmark is a point where an integrand changes on a scale of its own (its width): the argument of
an activation passes zero there; a landmark that is a kink also ends a piece of the integral. A
`Straight` chart is linear in e; a `Curved` one is e = c + l sinh(u), which resolves both the scale
l of the landmarks around c and the scale of the Gaussian.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rnnmft.numerics.backend import Backend
from rnnmft.numerics.rules import Level

__all__ = ["Chart", "Curved", "Landmarks", "Nodes", "Straight", "make_charts"]

_INVERSE_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
# tanh and sigmoid have their poles at 1.6 and 3.1 times their width: the map's scale is in between.
_SCALE = 1.75
# Below this many widths the Gaussian alone sets the scale and a straight map needs fewer nodes.
_NARROW = 0.3
# Landmarks farther outside the range than this, in standard deviations, do not shape the map.
_MARGIN = 3.0
# Intervals to begin with for a straight map, and for a curved one by the length of its range in u.
_STRAIGHT_INTERVALS = 16
_CURVED_INTERVALS = ((5.0, 16), (9.0, 24), (math.inf, 48))
_PIECE_INTERVALS = 16


@dataclass(frozen=True)
class Landmarks:
    """Places and widths of P landmarks for each of B laws (arrays of shape (B, P)), and the kinks.

    Entries that are not finite count as absent. `kinks[p]` says whether landmark p is a kink.
    """

    places: Any
    widths: Any
    kinks: tuple[bool, ...]

    def take(self, rows: Any) -> Landmarks:
        """The landmarks of some of the laws."""
        return Landmarks(self.places[rows], self.widths[rows], self.kinks)


@dataclass(frozen=True)
class Nodes:
    """Nodes of B laws: e - mu (B, n), z = (e - mu) / sqrt(q), weights, density at the two ends.

    z and the weights may have first dimension 1. `ends` (B or 1, 2) is the density times the
    length of the range, so that with the integrand it bounds what lies beyond.
    """

    distance: Any
    z: Any
    weight: Any
    ends: Any


@dataclass(frozen=True)
class Straight:
    """e - mu = std z, |z| <= reach."""

    std: Any
    reach: float
    intervals: int
    pieces: int = 1

    def take(self, rows: Any) -> Straight:
        """The chart of some of the laws."""
        return Straight(self.std[rows], self.reach, self.intervals)

    def nodes(self, level: Level, backend: Backend) -> Nodes:
        """The nodes of a level: the same z for every law."""
        xp = backend.xp
        z = (self.reach * (2.0 * level.place - 1.0))[None, :]
        density = (2.0 * self.reach * _INVERSE_SQRT_2PI) * xp.exp(-0.5 * z * z)
        ends = density[:, [0, -1]]
        return Nodes(self.std[:, None] * z, z, density * level.weight, ends)


@dataclass(frozen=True)
class Curved:
    """e - mu = offset + scale sinh(u) between the edges of the pieces (B, S + 1) in u."""

    std: Any
    offset: Any
    scale: Any
    edges: Any
    intervals: int

    @property
    def pieces(self) -> int:
        """How many pieces the kinks cut the range into."""
        return self.edges.shape[1] - 1

    def take(self, rows: Any) -> Curved:
        """The chart of some of the laws."""
        return Curved(
            self.std[rows], self.offset[rows], self.scale[rows], self.edges[rows], self.intervals
        )

    def nodes(self, level: Level, backend: Backend) -> Nodes:
        """The nodes of a level in every piece."""
        xp = backend.xp
        size, std = len(self.std), self.std[:, None]
        length = (self.edges[:, 1:] - self.edges[:, :-1])[:, :, None]
        u = (self.edges[:, :-1, None] + length * level.place).reshape(size, -1)
        if self.pieces == 1:
            # One exponential is cheaper than a sinh; near 0 its absolute error is enough.
            up = xp.exp(u)
            down = 1.0 / up
            sinh, cosh = 0.5 * (up - down), 0.5 * (up + down)
        else:
            sinh = xp.sinh(u)
            cosh = xp.sqrt(1.0 + sinh * sinh)
        distance = self.offset + self.scale * sinh
        z = distance / std
        density = xp.exp(-0.5 * z * z) * cosh * (_INVERSE_SQRT_2PI * self.scale / std)
        ends = density[:, [0, -1]] * (self.edges[:, -1:] - self.edges[:, :1])
        weight = length * level.weight
        weight = weight[:, 0, :1] if self.pieces == 1 else weight.reshape(size, -1)
        return Nodes(distance, z, density * weight, ends)


Chart = Straight | Curved


def make_charts(
    mean: Any, std: Any, landmarks: Landmarks | None, reach: float, first: float, backend: Backend
) -> Iterator[tuple[Any, Chart]]:
    """Charts over |e - mu| <= reach sqrt(q), each with the mask of its laws (None: all of them).

    Args:
        mean: mu, shape (B,).
        std: sqrt(q) > 0, shape (B,).
        landmarks: what shapes the map, or None for straight lines.
        reach: the half-width of the range in standard deviations.
        first: the reach to begin with; wider ranges get more nodes.
        backend: whose arrays these are.
    """
    xp = backend.xp
    intervals = _STRAIGHT_INTERVALS * math.ceil(reach / first)
    if landmarks is None:
        yield None, Straight(std, reach, intervals)
        return
    kinked = any(landmarks.kinks)
    offset, scale, straight = _centre_and_scale(mean, std, landmarks, reach, backend)
    edges = [xp.asinh((side * reach * std - offset) / scale) for side in (-1.0, 1.0)]
    curved = Curved(std, offset[:, None], scale[:, None], xp.stack(edges, -1), _PIECE_INTERVALS)
    if kinked:
        cut = _cut(curved, mean, landmarks, backend)
        yield None, Curved(std, curved.offset, curved.scale, cut, _PIECE_INTERVALS)
        return
    if bool(xp.any(straight)):
        mask = straight if not bool(xp.all(straight)) else None
        yield mask, Straight(std if mask is None else std[mask], reach, intervals)
        if mask is None:
            return
    length, low = edges[1] - edges[0], -math.inf
    for high, intervals in _CURVED_INTERVALS:
        mask = (length > low) & (length <= high) & ~straight
        low = high
        if bool(xp.all(mask)):
            yield None, Curved(std, curved.offset, curved.scale, curved.edges, intervals)
        elif bool(xp.any(mask)):
            part = curved.take(mask)
            yield mask, Curved(part.std, part.offset, part.scale, part.edges, intervals)


def _cut(chart: Curved, mean: Any, landmarks: Landmarks, backend: Backend) -> Any:
    """The edges of the pieces between the kinks; a kink out of range makes a piece of no length."""
    xp = backend.xp
    low, high = chart.edges[:, :1], chart.edges[:, 1:]
    kinked = [p for p, kink in enumerate(landmarks.kinks) if kink]
    cuts = xp.asinh((landmarks.places[:, kinked] - mean[:, None] - chart.offset) / chart.scale)
    cuts = xp.where(xp.isfinite(cuts), cuts, low)
    cuts = xp.minimum(xp.maximum(cuts, low), high)
    ordered = xp.sort(cuts, -1)
    cuts = ordered if backend.name == "numpy" else ordered[0]
    return xp.concatenate([low, cuts, high], -1)


def _centre_and_scale(
    mean: Any, std: Any, landmarks: Landmarks, reach: float, backend: Backend
) -> tuple[Any, Any, Any]:
    """(c - mu, l) that resolve every landmark in reach, and where a straight map is better, (B,).

    Where none is in reach or all are wide, l is 100 standard deviations, nearly straight.
    """
    xp = backend.xp
    zero = std * 0
    if landmarks.places.shape[1] == 1:
        distance, widest = landmarks.places[:, 0] - mean, landmarks.widths[:, 0]
        near = (xp.abs(distance) <= (reach + _MARGIN) * std) & (widest > 0)
        straight = ~near | (std < _NARROW * widest)
        return (
            xp.where(straight, zero, distance),
            xp.where(straight, 100.0 * std, _SCALE * widest),
            straight,
        )
    distance = landmarks.places - mean[:, None]
    near = (xp.abs(distance) <= (reach + _MARGIN) * std[:, None]) & (landmarks.widths > 0)
    sharpness = xp.where(near, 1.0 / landmarks.widths, distance * 0)
    sharpness = xp.where(near, sharpness, zero[:, None])
    distance = xp.where(near, distance, zero[:, None])
    total = xp.sum(sharpness, -1)
    none = total == 0
    offset = xp.sum(distance * sharpness, -1) / xp.where(none, zero + 1, total)
    sharpest = xp.where(none, zero + 1, xp.amax(sharpness, -1))
    # Narrow landmarks far apart: a scale of half their distance spaces the nodes evenly in between.
    spread = xp.amax(xp.abs(distance - offset[:, None]) * sharpness, -1)
    width = xp.where(spread > 1, spread, zero + 1) / sharpest
    straight = none | (std < _NARROW * width)
    return (
        xp.where(straight, zero, offset),
        xp.where(straight, 100.0 * std, _SCALE * width),
        straight,
    )
