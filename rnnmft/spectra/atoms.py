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

#: Smaller masses are not told from a steep density.
_LEAST = 1e-3
#: A peak is looked at where this angle's Poisson kernel has so much of the mass in it.
_ANGLE = 0.05
_DESCENTS = 4


def find_atoms(of: SpectralLaw) -> Atoms:
    """The atoms of a law."""
    few = of.resolver.scout if of.is_sampled else None
    found = [_at_zero(of.resolver, of.scale), *_elsewhere(of.resolver, few, of.scale)]
    rows = sorted(row for row in found if row[1] >= _LEAST)
    status = Status.OK if all(e <= 0.1 * m for _, m, e in rows) else Status.NOT_CONVERGED
    place, mass, error = np.array(rows, dtype=float).reshape(-1, 3).T
    return Atoms(place, mass, error, status)


def _at_zero(of: Resolver, scale: float) -> tuple[float, float, float]:
    """lim z G(z), z -> 0 from below; zG - p falls like a power of |z|, so it is extrapolated."""
    sizes = scale * 10.0 ** np.arange(-2.0, -13.0, -1.0)
    found = of.resolve(-sizes.astype(np.complex128))
    mass = np.real(found.value * found.z)[found.reached]
    if len(mass) < 4:
        return 0.0, 0.0, 0.0
    limits = [_aitken(*mass[i : i + 3]) for i in range(len(mass) - 2)]
    best = int(np.argmin(np.abs(np.diff(limits)))) + 1
    error = abs(limits[best] - limits[best - 1])
    value = min(max(limits[best], 0.0), 1.0)
    # A power law that is not yet seen to end in a mass is none.
    if error > 0.2 * value:
        return 0.0, 0.0, 0.0
    return 0.0, value, error


def _aitken(first: float, second: float, third: float) -> float:
    """The limit of a geometric approach."""
    step, change = third - second, (third - second) - (second - first)
    return third if abs(change) < 1e-13 * abs(third) else third - step * step / change


def _elsewhere(
    of: Resolver, few: Resolver | None, scale: float
) -> list[tuple[float, float, float]]:
    """Atoms at positive places: peaks that keep their mass as the law is smoothed less."""
    x = scale * np.exp(np.arange(math.log(1e-6), math.log(1e4), _ANGLE))
    z = x * np.exp(1j * _ANGLE)
    smooth = (few or of).resolve(z)
    inside = -(smooth.value * z).imag * _ANGLE
    higher = (inside[1:-1] > inside[:-2]) & (inside[1:-1] >= inside[2:])
    peaks = np.flatnonzero(higher & (inside[1:-1] > 0.5 * _LEAST)) + 1
    found: list[tuple[float, float, float]] = []
    for i in peaks:
        atom = _descended(of, complex(z[i]), complex(smooth.value[i]), complex(smooth.slope[i]))
        if atom is not None and not any(abs(atom[0] / a[0] - 1) < 1e-3 for a in found):
            found.append(atom)
    return found


def _descended(
    of: Resolver, z: complex, value: complex, slope: complex
) -> tuple[float, float, float] | None:
    """Place, mass and error of the pole below z; None where there is none."""
    masses: list[float] = []
    place = (z + value / slope).real
    for height in abs(z.imag) * 0.1 ** np.arange(1, _DESCENTS + 1):
        if place <= 0.0:
            return None
        found = of.resolve(np.array([complex(place, height)]))
        if not found.reached[0]:
            break
        moved = (found.z + found.value / found.slope)[0]
        masses.append(float((-(found.value**2) / found.slope).real[0]))
        if abs(moved.imag) > height or not 0.1 * masses[0] <= masses[-1] <= 1.5:
            return None
        place = float(moved.real)
    if len(masses) < 3:
        return None
    change = abs(masses[-1] - masses[-2])
    return (place, masses[-1], change) if change <= 0.05 * masses[-1] else None
