"""Exponents of J = a + b W: the moduli of eigenvalues."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnnmft import Cell, Inputs, MeanField, Preactivation, State
from rnnmft.lyapunov.linear import linear_curve


def leaky() -> Cell:
    h = State("h")
    e = Preactivation("e", h)
    return Cell("leaky", update={h: 0.5 * h + 0.25 * e})


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("centre", [0.5, 0.2])
def test_eigenvalues_of_a_matrix(weights: str, centre: float) -> None:
    """Width 400, one matrix: eigenvalues are rigid, fractions are right to 8 of them.

    Control: a radius 15 % larger.
    """
    rng = np.random.default_rng(3)
    w = rng.standard_normal((400, 400)) / 20
    if weights == "orthogonal":
        q, r = np.linalg.qr(w)
        w = q * np.sign(np.diag(r))  # Haar
    moduli = np.log(np.abs(np.linalg.eigvals(centre * np.eye(400) + 0.3 * w)))
    curve, other = (linear_curve(centre, r, weights) for r in (0.3, 0.345))
    for u in (0.1, 0.25, 0.5, 0.75):
        assert np.mean(moduli > curve.exponent(u)) == pytest.approx(u, abs=0.02)
    assert np.mean(moduli > other.exponent(0.1)) != pytest.approx(0.1, abs=0.03)
    assert curve.largest == pytest.approx(math.log(centre + 0.3), abs=1e-14)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_the_linear_leaky_cell(weights: str) -> None:
    cell = leaky()
    ensemble = cell.ensemble(e={"sigma_w": 1.2}, weights=weights)
    field = MeanField(cell, ensemble, Inputs(R=1.0))
    spectrum = field.lyapunov_spectrum()
    assert spectrum.method == "eigenvalues of a linear network"
    assert spectrum.largest == pytest.approx(math.log(0.8), abs=1e-12)
    assert spectrum.positive_fraction == 0.0
    if weights == "gaussian":
        assert float(field.lyapunov()) == pytest.approx(math.log(0.8), abs=1e-6)
    median = spectrum.quantiles(0.5)
    points = np.exp(2j * np.pi * np.random.default_rng(0).random(200_000))
    if weights == "gaussian":
        points *= np.sqrt(np.random.default_rng(1).random(200_000))
    drawn = np.median(np.log(np.abs(0.5 + 0.3 * points)))
    assert float(median) == pytest.approx(drawn, abs=5e-3)
    assert float(median.error) < 1e-5
