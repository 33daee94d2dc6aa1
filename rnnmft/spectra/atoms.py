"""Atoms of a spectrum: squared singular values that a positive fraction of all share.

At an atom of mass p at lambda_0, G = p / (z - lambda_0) + (something smaller): z + G/G' tends to
lambda_0 and -G^2 / G' to p as z descends to it. Atoms at 0 are looked for along the negative axis,
where nothing else is near; others at the peaks of the smoothed law (of few units, where those are
sampled).

Eq. (atom).
"""

from __future__ import annotations

import math

import numpy as np

from rnnmft.errors import Status
from rnnmft.spectra.records import Atoms
from rnnmft.spectra.resolved import Resolver, SpectralLaw

__all__ = ["find_atoms"]

#: Place, mass, the error of the mass, that of the place.
Row = tuple[float, float, float, float]

#: Smaller masses are not told from a steep density: as much as the grid of a distribution leaves
#: out at either end (`distribution`).
_LEAST = 1e-3
#: The angle of the points that are looked at, and their step in log x: -Im(z G) times it is the
#: mass of an atom at that place, and four fifths of it half a step beside.
_ANGLE = 0.05
#: Where places are looked for, in m_1.
_PLACES = (1e-6, 1e4)
#: A peak of less than this part of the least mass is none: below the four fifths.
_PEAK = 0.5
#: Heights at which a peak is followed down, each a tenth of the one before, to 5e-6 of its place.
_DESCENTS = 4
#: Of two places that differ by less one is the other's: peaks of one atom are followed to it to
#: 5e-6, and places of two are looked for 5 % apart.
_SAME = 1e-3
#: What is left of a peak's mass may not be less than this, nor more than all there is and its
#: error: that of a density falls like its height, ten times a descent.
_KEPT, _ALL = 0.1, 1.5
#: The last descent may change a mass by this part: a density's falls to a tenth, a mass stays.
_STEADY = 0.05
#: -z / m_1 of the points from which the mass at zero is extrapolated.
_TOWARDS_ZERO = 10.0 ** np.arange(-2.0, -13.0, -1.0)
#: An extrapolation that is this uncertain has not been seen to end in a mass.
_UNSEEN = 0.2
#: A law whose masses are less certain than this says so.
_CERTAIN = 0.1
#: Below this relative change three points are one limit up to rounding.
_ROUNDING = 1e-13


def find_atoms(law: SpectralLaw) -> Atoms:
    """The atoms of a law."""
    few = law.resolver.scout if law.is_sampled else None
    found = [_at_zero(law.resolver, law.scale), *_elsewhere(law.resolver, few, law.scale)]
    rows = sorted(row for row in found if row[1] >= _LEAST)
    status = Status.OK if all(e <= _CERTAIN * m for _, m, e, _ in rows) else Status.NOT_CONVERGED
    place, mass, error, place_error = np.array(rows, dtype=float).reshape(-1, 4).T
    return Atoms(place, mass, error, place_error, status)


def _at_zero(resolver: Resolver, scale: float) -> Row:
    """lim z G(z), z -> 0 from below; zG - p falls like a power of |z|, so it is extrapolated."""
    sizes = scale * _TOWARDS_ZERO
    found = resolver.resolve(-sizes.astype(np.complex128))
    mass = np.real(found.value * found.z)[found.reached]
    if len(mass) < 4:  # two extrapolations, whose difference is the error, take four
        return 0.0, 0.0, 0.0, 0.0
    limits = [_aitken(*mass[i : i + 3]) for i in range(len(mass) - 2)]
    best = int(np.argmin(np.abs(np.diff(limits)))) + 1
    error = abs(limits[best] - limits[best - 1])
    # Rounding and extrapolation may leave [0, 1] by the error, which the test below bounds.
    value = min(max(limits[best], 0.0), 1.0)
    # A power law that is not yet seen to end in a mass is none.
    if error > _UNSEEN * value:
        return 0.0, 0.0, 0.0, 0.0
    return 0.0, value, error, 0.0


def _aitken(first: float, second: float, third: float) -> float:
    """The limit of a geometric approach."""
    step, change = third - second, (third - second) - (second - first)
    return third if abs(change) < _ROUNDING * abs(third) else third - step * step / change


def _elsewhere(resolver: Resolver, few: Resolver | None, scale: float) -> list[Row]:
    """Atoms at positive places: peaks that keep their mass as the law is smoothed less."""
    low, high = _PLACES
    x = scale * np.exp(np.arange(math.log(low), math.log(high), _ANGLE))
    z = x * np.exp(1j * _ANGLE)
    smooth = (few or resolver).resolve(z)
    inside = -(smooth.value * z).imag * _ANGLE
    higher = (inside[1:-1] > inside[:-2]) & (inside[1:-1] >= inside[2:])
    peaks = np.flatnonzero(higher & (inside[1:-1] > _PEAK * _LEAST)) + 1
    found: list[Row] = []
    for i in peaks:
        atom = _descended(
            resolver, complex(z[i]), complex(smooth.value[i]), complex(smooth.slope[i])
        )
        if atom is not None and not any(abs(atom[0] / a[0] - 1) < _SAME for a in found):
            found.append(atom)
    return found


def _descended(resolver: Resolver, z: complex, value: complex, slope: complex) -> Row | None:
    """The pole below z; None where there is none."""
    masses: list[float] = []
    step = math.inf
    place = (z + value / slope).real
    for height in abs(z.imag) * 0.1 ** np.arange(1, _DESCENTS + 1):
        if place <= 0.0:
            return None
        found = resolver.resolve(np.array([complex(place, height)]))
        if not found.reached[0]:
            break
        moved = (found.z + found.value / found.slope)[0]
        masses.append(float((-(found.value**2) / found.slope).real[0]))
        if abs(moved.imag) > height or not _KEPT * masses[0] <= masses[-1] <= _ALL:
            return None
        place, step = float(moved.real), abs(float(moved.real) - place)
    if len(masses) < 3:  # two changes, of which the first is still the density's around
        return None
    change = abs(masses[-1] - masses[-2])
    return (place, masses[-1], change, step) if change <= _STEADY * masses[-1] else None
