"""The curve of sampled units: baths at nodes of mu, in windows of three lengths.

The answers of a window are off by what the bath remembers beyond it, which falls geometrically with
its length: three lengths tell the ratio, and how far the longest can still be off. Independent
parts of the units tell the sampling error.

Eq. (lyapunov-stationary).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rnnmft.lyapunov.curve import ExponentCurve
from rnnmft.lyapunov.responses import Bath
from rnnmft.lyapunov.stationary import BathPoint, solve_baths
from rnnmft.lyapunov.unit_steps import UnitSteps

__all__ = ["WINDOWS", "SampledCurve", "sampled_curve"]

Real = NDArray[np.float64]
#: Steps, shortest to longest.
WINDOWS = (16, 24, 32)
#: Depth below lambda_1 of the first node, before it is fitted to the law; of every further one,
#: that of the last times ..
_FIRST, _FACTOR = 0.4, 1.5
#: .. down to where so many are above, or to where so little is left of them that e^mu is 0.
_LAST, _DEEPEST = 0.97, 8.0
#: Fractions above between which the first node lies: near enough to the edge for a cubic, ..
_NEAR = (0.02, 0.12)
#: .. looked for in so many halvings; below 1e-3 it is one exponent.
_HALVINGS = 9
#: Points of a curve drawn between its nodes.
_FINE = 200
#: A ratio above which windows do not tell the limit, and the memory at the longest time difference
#: that is read, relative to that at 0, above which they are all too short.
_SLOW, _MEMORY = 0.8, 0.3
#: A change of u from window to window that is no more than sampling of other times.
_CHANCE = 2e-3


@dataclass(frozen=True)
class SampledCurve:
    """The curve; what windows and interpolation leave possible; one a part; why not to trust it."""

    curve: ExponentCurve
    bounds: tuple[ExponentCurve, ...]
    parts: tuple[ExponentCurve, ...]
    reason: str


def sampled_curve(units: UnitSteps, largest: float) -> SampledCurve:
    """u(mu) of sampled units.

    Args:
        units: the longest of `WINDOWS` of them.
        largest: lambda_1.
    """
    short = units.shortened(WINDOWS[0])
    nodes = _nodes(short.part(0), largest)
    mu = np.array(nodes)
    parts = [solve_baths(short.part(i), nodes) for i in range(units.parts)]
    found = [solve_baths(short, nodes, _mean(parts))]
    for window in WINDOWS[1:]:
        first = [_padded(p.bath, window) for p in found[-1]]
        found.append(solve_baths(units.shortened(window), nodes, first))
    above = [np.array([p.above for p in points]) for points in found]
    error, ratio = _left(above)
    curve = _curve(mu, above[-1], largest)
    bounds = (_curve(mu, above[-1] + error, largest), _between(curve))
    each = tuple(_curve(mu, np.array([p.above for p in points]), largest) for points in parts)
    return SampledCurve(curve, bounds, each, _objection(found[-1], ratio, error))


def _nodes(units: UnitSteps, largest: float) -> list[float]:
    """mu from a little below lambda_1 down."""

    def above(depth: float) -> float:
        return solve_baths(units, [largest - depth])[0].above

    depth, found = _FIRST, above(_FIRST)
    for _ in range(_HALVINGS):
        if _NEAR[0] < found < _NEAR[1]:
            break
        depth *= 0.5 if found >= _NEAR[1] else 1.4
        found = above(depth)
    nodes = [largest - depth]
    while found < _LAST and depth < _DEEPEST:
        depth *= _FACTOR
        nodes.append(largest - depth)
        found = above(depth)
    return nodes


def _mean(parts: list[list[BathPoint]]) -> list[Bath]:
    """The mean bath of the parts at each node."""
    return [
        Bath(
            torch.stack([p.bath.source for p in points]).mean(0),
            torch.stack([p.bath.weight for p in points]).mean(0),
        )
        for points in zip(*parts, strict=True)
    ]


def _padded(bath: Bath, window: int) -> Bath:
    """The bath of a longer window, with no memory yet at the longer time differences."""

    def longer(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(x, (0, window - x.shape[1]))

    return Bath(longer(bath.source), longer(bath.weight))


def _left(above: list[Real]) -> tuple[Real, Real]:
    """How far u may still move, signed, and the ratio of its last two moves."""
    before, last = above[1] - above[0], above[2] - above[1]
    ratio = np.abs(last) / np.maximum(np.abs(before), _CHANCE)
    left = last * np.maximum(1.0, ratio / (1.0 - np.minimum(ratio, _SLOW)))
    return left, ratio


def _curve(mu: Real, above: Real, largest: float) -> ExponentCurve:
    """A monotonic curve that ends at lambda_1."""
    u = np.maximum.accumulate(np.clip(above, 0.0, 1.0))
    return ExponentCurve(np.append(mu[::-1], largest), np.append(u[::-1], 0.0))


def _between(curve: ExponentCurve) -> ExponentCurve:
    """How far interpolation may be off: a third of what it changes to leave out every other node.

    (Twice the distance of the nodes makes a rule of second order four times as far off.)
    """
    kept = np.unique(np.append(np.arange(len(curve.mu) - 1, -1, -2), 0))
    fewer = ExponentCurve(curve.mu[kept], curve.above[kept])
    mu = np.linspace(curve.mu[0], curve.largest, _FINE)
    here, there = (np.array([c.fraction_above(float(m)) for m in mu]) for c in (curve, fewer))
    return ExponentCurve(mu, np.minimum.accumulate(here + (there - here) / 3.0))


def _objection(points: list[BathPoint], ratio: Real, error: Real) -> str:
    """Why the curve is not to be trusted; empty where it is."""
    if not all(p.converged for p in points):
        return (
            f"the bath did not settle at mu = {next(p.mu for p in points if not p.converged):.4g}"
        )
    slow = [p.mu for p in points if _remembers(p.bath) > _MEMORY]
    if len(slow) > 1:  # at the edge itself memory has no end
        return f"perturbations at mu = {min(slow):.4g} are remembered beyond {WINDOWS[-1]} steps"
    moving = (ratio > _SLOW) & (np.abs(error) > 2 * _CHANCE)
    if moving.any():
        return f"u still moves by {np.abs(error[moving]).max():.2g} with the window"
    return ""


def _remembers(bath: Bath) -> float:
    """The memory at the longest time difference that is read, relative to that at 0."""
    longest = bath.source.shape[1] // 2 - 1
    return max(float((x[:, longest].abs() / x[:, 0]).max()) for x in (bath.source, bath.weight))
