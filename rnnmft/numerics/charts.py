"""Charts: the analytic map e = c + l sinh(u) of each law, chosen by where its integrands change fast.

A landmark is a point where an integrand changes on a scale of its own (its width): the argument of
an activation passes zero there; a landmark that is a kink also ends a piece of the integral.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rnnmft.numerics.backend import Backend

__all__ = ["Chart", "Landmarks", "make_chart"]

# A straight line, written as sinh: the map deviates from it by 1e-3 at ten standard deviations.
_STRAIGHT = 100.0
# Landmarks farther outside the range than this, in standard deviations, do not shape the map.
_MARGIN = 3.0


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
class Chart:
    """e - mu = offset + scale sinh(u) between the edges; arrays of shape (B, 1), edges (B, S + 1)."""

    offset: Any
    scale: Any
    edges: Any

    def take(self, rows: Any) -> Chart:
        """The chart of some of the laws."""
        return Chart(self.offset[rows], self.scale[rows], self.edges[rows])


def make_chart(
    mean: Any, std: Any, landmarks: Landmarks | None, reach: float, backend: Backend
) -> Chart:
    """The chart of each law over |e - mu| <= reach standard deviations.

    Args:
        mean: mu, shape (B,).
        std: sqrt(q) > 0, shape (B,).
        landmarks: what shapes the map, or None for straight lines.
        reach: the half-width of the range in standard deviations.
        backend: whose arrays these are.
    """
    xp = backend.xp
    column, std = mean[:, None], std[:, None]
    if landmarks is None:
        offset, scale = column * 0, _STRAIGHT * std
    else:
        offset, scale = _centre_and_scale(column, std, landmarks, reach, backend)
    ends = [xp.asinh((side * reach * std - offset) / scale) for side in (-1.0, 1.0)]
    if landmarks is None or not any(landmarks.kinks):
        return Chart(offset, scale, _join(xp, ends))
    cuts = []
    for p, kink in enumerate(landmarks.kinks):
        if kink:
            place = landmarks.places[:, p : p + 1]
            cut = xp.asinh((place - column - offset) / scale)
            # Outside the range, or absent: a piece of no length.
            cut = xp.where(xp.isfinite(cut), cut, ends[0])
            cuts.append(xp.minimum(xp.maximum(cut, ends[0]), ends[1]))
    return Chart(offset, scale, _sorted(xp, [ends[0], *cuts, ends[1]]))


def _centre_and_scale(
    mean: Any, std: Any, landmarks: Landmarks, reach: float, backend: Backend
) -> tuple[Any, Any]:
    """The point and the scale that resolve every landmark in reach; straight where none is narrow."""
    xp = backend.xp
    zero = mean * 0
    distance = landmarks.places - mean
    near = (xp.abs(distance) <= (reach + _MARGIN) * std) & (landmarks.widths > 0)
    sharpness = xp.where(near, 1.0 / xp.where(near, landmarks.widths, zero + 1), zero)
    total = xp.sum(sharpness, -1)[:, None]
    some = total > 0
    safe_total = xp.where(some, total, zero + 1)
    distance = xp.where(near, distance, zero)
    offset = xp.sum(distance * sharpness, -1)[:, None] / safe_total
    sharpest = _largest(xp, sharpness)
    spread = _largest(xp, xp.abs(distance - offset) * sharpness)
    narrow = xp.where(some, sharpest, zero + 1)
    # Narrow landmarks far apart: a scale of half their distance spaces the nodes evenly in between.
    scale = xp.where(spread > 1, spread, zero + 1) / narrow
    straight = ~some | (std < 0.5 * scale)
    return xp.where(straight, zero, offset), xp.where(straight, _STRAIGHT * std, scale)


def _largest(xp: Any, array: Any) -> Any:
    return xp.amax(array, -1)[:, None]


def _join(xp: Any, columns: Sequence[Any]) -> Any:
    return xp.concatenate(list(columns), -1)


def _sorted(xp: Any, columns: Sequence[Any]) -> Any:
    found = xp.sort(_join(xp, columns), -1)
    return found if not isinstance(found, tuple) else found[0]
