"""Bi-invariant weight ensembles: the one table of what the spectra need to know of a law of W.

A bi-invariant W (Q W Q' has the law of W for orthogonal Q, Q') enters a spectrum only by its
determining series f(x) = x Phi(x) [nica1997]. With S the S-transform of W W^T at
sigma_w = 1, y = f(x) solves x = y (1 + y) S(y): Phi = psi(x Phi) with

    psi(y) = 1 / ((1 + y) S(y)),

a ratio of polynomials here: psi = 1 for gaussian weights, S = 1/(1 + y); psi = 1/(1 + y) for Haar
orthogonal ones, S = 1. A product of two independent gaussian matrices, S = (1 + y)^-2, has
psi = 1 + y.

Eq. (determining).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational

from rnnmft.errors import ParameterError

__all__ = ["WeightEnsemble", "register_weights", "room_of", "weight_ensemble"]


@dataclass(frozen=True)
class WeightEnsemble:
    """A bi-invariant law of W / sigma_w with E[W_ij^2] = 1/N, by psi = numerator / denominator.

    Eq. (determining).

    Args:
        name: by which `cell.ensemble(weights=...)` knows it.
        numerator, denominator: rational coefficients of 1, y, y^2, ..; both begin with 1.

    Raises:
        ParameterError: a polynomial is empty, or psi(0) is not 1 (sigma_w would not be a scale).

    >>> [str(WeightEnsemble("haar", (1,), (1, 1)).determining_coefficient(n)) for n in range(4)]
    ['1', '-1', '2', '-5']
    """

    name: str
    numerator: tuple[Fraction, ...]
    denominator: tuple[Fraction, ...]

    def __init__(
        self,
        name: str,
        numerator: Sequence[int | Fraction] = (1,),
        denominator: Sequence[int | Fraction] = (1,),
    ) -> None:
        for key, given in (("numerator", numerator), ("denominator", denominator)):
            if any(isinstance(c, bool) or not isinstance(c, (int, Fraction)) for c in given):
                raise ParameterError(f"{key} must hold whole numbers or Fractions, got {given!r}")
            if not given or given[0] != 1:
                raise ParameterError(
                    f"{key} must begin with 1: psi(0) = 1 makes sigma_w the scale, got {given!r}"
                )
            object.__setattr__(self, key, tuple(Fraction(c) for c in given))
        object.__setattr__(self, "name", name)

    @property
    def is_constant(self) -> bool:
        """Whether Phi is a constant (gaussian weights)."""
        return len(self.numerator) == len(self.denominator) == 1

    def determining_coefficient(self, order: int) -> Fraction:
        """The coefficient of x^order in Phi at sigma_w = 1, by Lagrange's inversion.

        Phi_n = [y^n] psi(y)^(n+1) / (n + 1); with sigma_w it gets a factor sigma_w^(2n+2).
        """
        power = [Fraction(1)] + [Fraction(0)] * order
        psi = self._series(order)
        for _ in range(order + 1):
            power = [
                sum((psi[i] * power[n - i] for i in range(n + 1)), Fraction(0))
                for n in range(order + 1)
            ]
        return power[order] / (order + 1)

    def polynomials(self, room: float) -> tuple[list[float], list[float]]:
        """Denominator and numerator of psi(y / room) in powers of y."""
        found = (
            [float(c) / room**n for n, c in enumerate(coefficients)]
            for coefficients in (self.denominator, self.numerator)
        )
        return next(found), next(found)

    def _series(self, order: int) -> list[Fraction]:
        """The power series of psi up to y^order."""
        found: list[Fraction] = []
        for n in range(order + 1):
            rest = self.numerator[n] if n < len(self.numerator) else Fraction(0)
            for i in range(1, min(n, len(self.denominator) - 1) + 1):
                rest -= self.denominator[i] * found[n - i]
            found.append(rest)
        return found


#: Every ensemble that a text or a setting can name; `register_weights` adds to it.
WEIGHT_ENSEMBLES = {
    "gaussian": WeightEnsemble("gaussian"),
    "orthogonal": WeightEnsemble("orthogonal", (1,), (1, 1)),
}


def weight_ensemble(name: str) -> WeightEnsemble:
    """The ensemble of a name.

    Raises:
        ParameterError: there is none.
    """
    if name not in WEIGHT_ENSEMBLES:
        raise ParameterError(f"weights must be one of {', '.join(WEIGHT_ENSEMBLES)}, got {name!r}")
    return WEIGHT_ENSEMBLES[name]


def room_of(name: str, rows: Rational, columns: Rational) -> Rational:
    """What divides the argument of Phi for a matrix of these widths. Eq. (widths).

    An orthogonal rectangle is a corner of an orthogonal matrix as wide as its longer side.

    Raises:
        ParameterError: there is no such ensemble, or it is of square matrices alone.
    """
    if rows == columns or name == "orthogonal" or weight_ensemble(name).is_constant:
        return max(rows, columns)
    raise ParameterError(
        f"weights: {name!r} is a law of square matrices, and this one is {rows} N x "
        f"{columns} N; take 'gaussian' or 'orthogonal'"
    )


def register_weights(ensemble: WeightEnsemble) -> WeightEnsemble:
    """Make a bi-invariant ensemble known by its name, for theory and spectra.

    Networks are simulated with gaussian and orthogonal weights only.

    Raises:
        ParameterError: the name is taken by another ensemble.

    >>> register_weights(WeightEnsemble("gaussian")).name
    'gaussian'
    """
    if WEIGHT_ENSEMBLES.setdefault(ensemble.name, ensemble) != ensemble:
        raise ParameterError(f"another weight ensemble is already called {ensemble.name!r}")
    return ensemble
