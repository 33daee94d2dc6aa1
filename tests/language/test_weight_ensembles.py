"""Bi-invariant ensembles: their determining series against the equation that defines it."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from rnnmft.errors import ParameterError
from rnnmft.language.weight_ensembles import WeightEnsemble, register_weights, weight_ensemble

ORDER = 7
ENSEMBLES = [
    weight_ensemble("gaussian"),
    weight_ensemble("orthogonal"),
    WeightEnsemble("two gaussian factors", (1, 1)),
    WeightEnsemble("a ratio", (1, Fraction(1, 2)), (1, Fraction(-1, 3), 2)),
]


def product(a: list[Fraction], b: list[Fraction]) -> list[Fraction]:
    """Of two power series, up to the order."""
    return [sum((a[i] * b[n - i] for i in range(n + 1)), Fraction(0)) for n in range(ORDER)]


def composed(coefficients: tuple[Fraction, ...], y: list[Fraction]) -> list[Fraction]:
    """A polynomial of a power series."""
    found = [Fraction(0)] * ORDER
    for c in reversed(coefficients):
        found = product(found, y)
        found[0] += c
    return found


@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=lambda e: e.name)
def test_the_series_solves_its_equation(ensemble: WeightEnsemble) -> None:
    """Phi = psi(x Phi): exactly, as Phi D(x Phi) = N(x Phi), order by order."""
    phi = [ensemble.determining_coefficient(n) for n in range(ORDER)]
    y = [Fraction(0), *phi[:-1]]
    left = product(phi, composed(ensemble.denominator, y))
    assert left == composed(ensemble.numerator, y)
    # The control: another coefficient does not.
    wrong = [*phi[:-1], phi[-1] + 1]
    assert product(wrong, composed(ensemble.denominator, y)) != left


def test_known_series() -> None:
    """Gaussian: 1. Haar: (-1)^n times Catalan's numbers. Two gaussian factors: 1 / (1 - x)."""
    for n in range(ORDER):
        gaussian, haar, factors, _ = (e.determining_coefficient(n) for e in ENSEMBLES)
        assert gaussian == (n == 0)
        assert haar == Fraction((-1) ** n * comb(2 * n, n), n + 1)
        assert factors == 1
    assert [e.is_constant for e in ENSEMBLES] == [True, False, False, False]


def test_a_name_means_one_ensemble() -> None:
    with pytest.raises(ParameterError, match="already called 'orthogonal'"):
        register_weights(WeightEnsemble("orthogonal", (1, 1)))
    same = register_weights(WeightEnsemble("orthogonal", (1,), (1, 1)))
    assert same == weight_ensemble("orthogonal")
    with pytest.raises(ParameterError, match=r"one of gaussian, orthogonal.*got 'sparse'"):
        weight_ensemble("sparse")


@pytest.mark.parametrize("given", [(), (2,), (0, 1), (1, 0.5), (1, True)])
def test_what_is_no_scale_is_refused(given: tuple) -> None:
    for key in ("numerator", "denominator"):
        with pytest.raises(ParameterError, match=f"^{key}"):
            WeightEnsemble("w", **{key: given})
