"""Support of a spectrum: the intervals where the density is positive, edge by edge.

On the real axis G is complex inside of an interval and real outside. Edges are bracketed on a grid
in log x and then found from inside, where the squared density vanishes linearly at a usual edge,
or by bisection elsewhere. What a few sampled units do by themselves is not looked at.

Eq. (density).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import Status
from rnnmft.spectra.contour import mass_below
from rnnmft.spectra.records import Support
from rnnmft.spectra.resolved import Resolver, SpectralLaw

__all__ = ["find_support"]

#: The grid in log x: its step (for sampled units, whose narrow gaps are their own, the second), and
#: how far it goes from m_1 down and beyond the last interval up. Gaps narrower than a step are
#: missed.
_STEP, _SAMPLED_STEP, _DOWN, _BEYOND = 0.1, 0.2, math.log(1e10), math.log(4.0)
#: Where the search upwards ends, in m_1: an edge beyond is answered with infinity.
_HIGHEST = math.log(1e12)
#: The first search upwards, from m_1.
_FIRST_UP = math.log(10.0)
#: Halvings of a step of 0.1 that reach 1e-13, were there no better proposal.
_ROUNDS = 40
#: Of an edge, exact or that of sampled units (whose edge scatters by far more); a thousand times as
#: much is a failure. Below `_LOWEST` of m_1 an edge's error is relative to that.
_TOLERANCE, _SAMPLED_TOLERANCE, _FAILED = 1e-9, 1e-5, 1e3
_LOWEST = 1e-3  # singular values of 3 % of the typical one
#: |Im G| above this share of |G| counts as inside, and above this share of 1 / x, which bounds what
#: rounding leaves of it near 0. Outside of the spectrum Newton's method leaves 1e-9 (`density`).
_INSIDE, _ROUNDING = 1e-7, 1e-12
#: A proposed edge is moved back inside by this part: three digits a round, and a density to see.
_INWARDS = 1e-3


def find_support(law: SpectralLaw) -> Support:
    """The support of a law."""
    if law.is_sampled:
        x, inside = _scanned(law.resolver, law.scale, _resolved_down(law), _SAMPLED_STEP)
        inside, tolerance = _without_islands(law, x, inside), _SAMPLED_TOLERANCE
    else:
        x, inside = _scanned(law.resolver, law.scale, _DOWN, _STEP)
        tolerance = _TOLERANCE
    change = np.flatnonzero(inside[1:] != inside[:-1])
    edges: list[tuple[float, float]] = []
    if inside[0]:
        edges.append((0.0, float(x[0])))
    for i in change:
        hit, miss = (x[i], x[i + 1]) if inside[i] else (x[i + 1], x[i])
        edges.append(_edge(law.resolver, float(hit), float(miss), tolerance))
    if inside[-1]:
        edges.append((float(x[-1]), math.inf))
    values = np.array(edges, dtype=float).reshape(-1, 2, 2)
    intervals, error = values[..., 0], values[..., 1]
    allowed = _FAILED * tolerance * np.maximum(intervals, _LOWEST * law.scale)
    good = bool(((error <= allowed) | (intervals == 0.0)).all())
    status = Status.OK if good else Status.NOT_CONVERGED
    return Support(intervals, error, law.is_sampled, status)


def _inside(
    resolver: Resolver, x: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Whether points of the real axis lie inside, and the density there.

    What Newton's method does not reach stands at an edge or an atom: outside.
    """
    found = resolver.resolve(x.astype(np.complex128))
    imaginary = -np.imag(found.value)
    least = np.maximum(_INSIDE * np.abs(found.value), _ROUNDING / x)
    inside = found.reached & (imaginary > least)
    return inside, np.where(inside, imaginary / math.pi, 0.0)


def _resolved_down(law: SpectralLaw) -> float:
    """How far below m_1, in log x, there is more mass than is resolved, by what few units say."""
    few, down = law.resolver.scout or law.resolver, _BEYOND
    while down < _DOWN:
        if mass_below(few, np.array([law.scale * math.exp(-down)]))[0][0] < law.resolution:
            break
        down += _BEYOND
    return down


def _scanned(
    resolver: Resolver, scale: float, down: float, step: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The grid and which of its points are inside, up to where nothing follows."""
    steps = np.arange(-down, _FIRST_UP, step)
    x = scale * np.exp(steps)
    inside = _inside(resolver, x)[0]
    beyond = np.arange(step, _BEYOND, step)
    while inside[-len(beyond) :].any() and math.log(x[-1] / scale) < _HIGHEST:
        more = x[-1] * np.exp(beyond)
        x, inside = np.concatenate([x, more]), np.concatenate([inside, _inside(resolver, more)[0]])
    return x, inside


def _without_islands(
    law: SpectralLaw, x: NDArray[np.float64], inside: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """The same without what lies beyond gaps and has less mass than is resolved."""
    ends = np.flatnonzero(inside[1:] != inside[:-1])
    # A gap lies between an end of inside and the next begin.
    gaps = [(a, b) for a, b in itertools.pairwise(ends) if inside[a]]
    found = inside.copy()
    if gaps:
        middle = np.sqrt([x[a + 1] * x[b] for a, b in gaps])
        for (a, b), mass in zip(gaps, mass_below(law.resolver, middle)[0], strict=True):
            if mass < law.resolution:
                found[: b + 1] = False
            elif mass > 1.0 - law.resolution:
                found[a + 1 :] = False
    return found


def _edge(resolver: Resolver, hit: float, miss: float, tolerance: float) -> tuple[float, float]:
    """The edge between a point inside and one outside, and its error.

    The line through the last two squared densities proposes; a proposal outside of the bracket, or
    one that does not shrink it, is replaced by the middle. (SciPy's `find_root`, to which the
    outside is a negative number, asks for two to seven times as many points, and as many of them
    outside, where Newton's method is slowest: 10 to 400 times as long, measured on three laws.)
    """
    known: list[tuple[float, float]] = []
    density = float(_inside(resolver, np.array([hit]))[1][0])
    known.append((hit, density**2))
    for _ in range(_ROUNDS):
        if abs(hit - miss) <= tolerance * abs(miss):
            break
        trial, guess = 0.5 * (hit + miss), math.nan
        if len(known) > 1:
            (x0, y0), (x1, y1) = known[-2:]
            guess = x1 - y1 * (x1 - x0) / (y1 - y0) if y1 != y0 else math.nan
        if math.isfinite(guess) and min(hit, miss) < guess < max(hit, miss):
            # From inside: the edge itself has no density to learn from.
            trial = guess + _INWARDS * (hit - guess)
            width = abs(trial - guess)
            if width <= tolerance * abs(guess):
                return guess, width
        flag, value = _inside(resolver, np.array([trial]))
        if flag[0]:
            hit = trial
            known.append((trial, float(value[0]) ** 2))
        else:
            miss = trial
            known = known[-1:]
    return 0.5 * (hit + miss), 0.5 * abs(hit - miss)
