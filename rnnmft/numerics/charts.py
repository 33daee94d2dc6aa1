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
from enum import Enum
from typing import Any

from rnnmft.numerics.backend import Backend
from rnnmft.numerics.rules import Level

__all__ = ["Chart", "Curved", "Kind", "Landmarks", "Nodes", "Straight", "make_charts"]

# The density of a standard normal at 0.
_INVERSE_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
# tanh and sigmoid have their poles at pi / 2 and pi times their width, and the map's own singular
# points are at its scale: in between. Twice or half of it gives the same to 1e-14 and costs 5 %.
_SCALE = 1.75
# Below this many widths the Gaussian alone sets the scale and a straight map needs fewer nodes; a
# matter of cost: half or twice of it gives the same to 3e-15, within 3 % of the nodes.
_NARROW = 0.3
# Landmarks farther outside the range than this, in standard deviations, do not shape the map: half
# or twice of it gives the same to rounding.
_MARGIN = 3.0
# Intervals to begin with: doubling makes up for what is missing, so these are a matter of cost.
# Half or twice as many give the same to 5e-15 (in pieces 7e-13, within its error). 16 over 19
# standard deviations are a step of 1.2, where a Gaussian alone has an error of 2 exp(-2 pi^2 /
# 1.2^2) = 2e-6.
_STRAIGHT_INTERVALS = 16
# For a curved map, by the length of its range in u: a step of at most 0.4 up to a length of 19,
# half of the strip's half-width pi / 4.
_CURVED_INTERVALS = ((0.0, 16), (5.0, 24), (9.0, 48))
# Of each double-exponential piece: a step of 0.4 over |tau| <= 3.2.
_PIECE_INTERVALS = 16
# Nodes a straight map has for each radian of a wave, on the first level: 13 a period, of which
# more than 2 see it at all. Half as many cost a fifth less, where they are enough.
_NODES_PER_RADIAN = 2.0
# In the middle of a double-exponential piece nodes are (pi / 4) 6.4 = 5 times as wide spaced as
# even ones.
_PIECE_FACTOR = 5.0
# At the ends of a curved map of the scale 1 that reaches to 9.5, nodes are
# cosh(u) u / 9.5 = 3 times as wide spaced as even ones, u = asinh(9.5).
_HIDDEN_FACTOR = 3.0
# The scale of a curved map that is as good as straight, in standard deviations: at 9.5 of them sinh
# is off by (9.5 / 100)^2 / 6 = 0.15 %, which moves nodes and costs nothing.
_NEARLY_STRAIGHT = 100.0


class Kind(Enum):
    """What is at a landmark."""

    SMOOTH = "a smooth step or bump"
    KINK = "a kink or a jump"
    WAVE = "a wave, everywhere, of frequency 1 / width"
    HIDDEN = "a kink at an unknown place"


@dataclass(frozen=True)
class Landmarks:
    """Places and widths of P landmarks for each of B laws, arrays of shape (B, P), and their kinds.

    Entries that are not finite count as absent.
    """

    places: Any
    widths: Any
    kinds: tuple[Kind, ...]

    def take(self, rows: Any) -> Landmarks:
        """The landmarks of some of the laws."""
        return Landmarks(self.places[rows], self.widths[rows], self.kinds)

    def of(self, *kinds: Kind) -> Landmarks | None:
        """The landmarks of some kinds; None where there is none."""
        chosen = [p for p, kind in enumerate(self.kinds) if kind in kinds]
        if len(chosen) == len(self.kinds):
            return self
        if not chosen:
            return None
        kept = tuple(self.kinds[p] for p in chosen)
        return Landmarks(self.places[:, chosen], self.widths[:, chosen], kept)


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
    points = None if landmarks is None else landmarks.of(Kind.SMOOTH, Kind.KINK)
    kinks = None if landmarks is None else landmarks.of(Kind.KINK)
    waves = None if landmarks is None else landmarks.of(Kind.WAVE)
    if landmarks is None:
        yield None, Straight(std, reach, intervals)
        return
    offset, scale, straight = mean * 0, _NEARLY_STRAIGHT * std, std > 0
    if points is not None:
        offset, scale, straight = _centre_and_scale(mean, std, points, reach, backend)
    wanted = _intervals_for(waves, points, std, reach, backend)
    hidden = Kind.HIDDEN in landmarks.kinds
    if hidden:
        # Kinks that repeat can be in step with equidistant nodes at every level: vary the spacing.
        offset, scale = xp.where(straight, 0 * offset, offset), xp.where(straight, std, scale)
        straight = std < 0
        wanted = None if wanted is None else _HIDDEN_FACTOR * wanted
    elif wanted is not None:
        wavy = wanted > intervals
        offset = xp.where(wavy, offset * 0, offset)
        scale, straight = xp.where(wavy, _NEARLY_STRAIGHT * std, scale), straight | wavy
    edges = [xp.asinh((side * reach * std - offset) / scale) for side in (-1.0, 1.0)]
    ends = xp.stack(edges, -1)
    begin = _begin(edges[1] - edges[0], straight, wanted, intervals, kinks is not None, backend)
    for number in backend.distinct(begin):
        here = begin == number
        for mask in (here & straight, here & ~straight) if kinks is None else (here,):
            if not bool(xp.any(mask)):
                continue
            rows = None if bool(xp.all(mask)) else mask
            pick = slice(None) if rows is None else rows
            part = std[pick]
            if kinks is None and bool(straight[mask][0]):
                yield rows, Straight(part, reach, number)
                continue
            chart = Curved(part, offset[pick, None], scale[pick, None], ends[pick], number)
            if kinks is not None:
                cut = _cut(chart, mean[pick], kinks.take(pick), backend)
                chart = Curved(part, chart.offset, chart.scale, cut, number)
            yield rows, chart


def _intervals_for(
    waves: Landmarks | None, points: Landmarks | None, std: Any, reach: float, backend: Backend
) -> Any:
    """Intervals of a straight map that resolve every wave, and every point beside it, (B,)."""
    if waves is None:
        return None
    xp = backend.xp
    sharpness = xp.where(waves.widths > 0, 1.0 / waves.widths, 0 * waves.widths)
    highest = xp.amax(sharpness, -1)
    wanted = (2.0 * reach * _NODES_PER_RADIAN) * std * highest
    if points is not None:
        finite = xp.isfinite(points.widths) & (points.widths > 0)
        steep = xp.where(finite, 1.0 / xp.where(finite, points.widths, 1.0), 0.0 * points.widths)
        beside = (2.0 * reach * _NODES_PER_RADIAN) * std * xp.amax(steep, -1)
        wanted = xp.where(wanted > _STRAIGHT_INTERVALS, xp.maximum(wanted, beside), wanted)
    return xp.where(xp.isfinite(wanted), wanted, 0 * wanted)


def _begin(
    length: Any, straight: Any, wanted: Any, intervals: int, kinked: bool, backend: Backend
) -> Any:
    """How many intervals each law begins with, (B,), as floats."""
    xp = backend.xp
    begin = length * 0 + (_PIECE_INTERVALS if kinked else intervals)
    if not kinked:
        for low, number in _CURVED_INTERVALS:
            begin = xp.where(~straight & (length > low), 0 * begin + number, begin)
    if wanted is None:
        return begin
    wanted = wanted * (_PIECE_FACTOR if kinked else 1.0)
    doublings = xp.ceil(xp.log2(xp.maximum(wanted / begin, 0 * wanted + 1)))
    return begin * 2.0**doublings


def _cut(chart: Curved, mean: Any, kinks: Landmarks, backend: Backend) -> Any:
    """The edges of the pieces between the kinks; a kink out of range makes a piece of no length."""
    xp = backend.xp
    low, high = chart.edges[:, :1], chart.edges[:, 1:]
    cuts = xp.asinh((kinks.places - mean[:, None] - chart.offset) / chart.scale)
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
            xp.where(straight, _NEARLY_STRAIGHT * std, _SCALE * widest),
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
        xp.where(straight, _NEARLY_STRAIGHT * std, _SCALE * width),
        straight,
    )
