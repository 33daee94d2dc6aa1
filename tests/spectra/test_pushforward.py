"""One orthogonal step of J = D W: the law of sigma_w^2 phi'(e)^2, against its density by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from rnnmft import Cell, Inputs, MeanField, Preactivation, State, erf, sin, tanh

SIGMA_W = 1.2


def law(function):
    h = State("h")
    e = Preactivation("e", h)
    cell = Cell("one_factor", update={h: function(e)})
    parameters = {"sigma_w": SIGMA_W, "sigma_v": 0.5, "sigma_b": 0.1}
    field = MeanField(
        cell, cell.ensemble(e=parameters, weights="orthogonal"), Inputs(), tying="untied"
    )
    return field.jacobian(1), field.fixed_point().preactivation_variance["e"]


def place(x):
    """The e > 0 with sigma_w^2 sech(e)^4 = x."""
    return np.arccosh(np.sqrt(SIGMA_W / np.sqrt(x)))


def test_the_density_of_tanh_is_that_of_a_change_of_variables():
    jacobian, q = law(tanh)
    x = np.linspace(0.02, 1.43, 40)
    e = place(x)
    slope = 4 * SIGMA_W**2 * np.tanh(e) / np.cosh(e) ** 4
    exact = 2 * norm.pdf(e, scale=math.sqrt(q)) / slope
    found = jacobian.density(x)
    assert found.status.ok
    assert (np.abs(found.value - exact) <= 1e-7 * exact).all()
    assert (np.abs(1.01 * found.value - exact) > 1e-3 * exact).all()


def test_quantiles_are_those_of_the_preactivation():
    jacobian, q = law(tanh)
    p = np.array([0.1, 0.5, 0.9])
    e = math.sqrt(q) * norm.isf(p / 2)
    found = jacobian.quantiles(p)
    assert (np.abs(found.value - SIGMA_W / np.cosh(e) ** 2) <= found.error).all()
    assert found.error.max() < 1e-3


@pytest.mark.parametrize(
    ("function", "highest"),
    [(tanh, 1.0), (sin, 1.0), (erf, 4 / math.pi)],
    ids=("tanh", "sin", "erf"),
)
def test_support_mass_and_moments(function, highest):
    """The support is the image of X; the density holds the law's mass and moments."""
    jacobian, _ = law(function)
    support = jacobian.support()
    assert len(jacobian.atoms()) == 0
    assert support.lowest == 0.0
    assert abs(support.highest - highest * SIGMA_W**2) < 1e-10
    distribution = jacobian.spectrum.distribution
    # At either end about a thousandth is left out.
    assert abs(float(distribution.mass) - 1.0) < 2e-4
    m_1, m_2 = jacobian.moments(2).value
    assert abs(float(distribution.moment(1)) - m_1) < 2e-4 * m_1
    assert abs(float(distribution.moment(2)) - m_2) < 2e-4 * m_2


def test_the_resolvent_near_the_axis_is_that_far_from_it_continued():
    """G at a circle around a point of the axis averages to G there, poles outside: Cauchy."""
    jacobian, _ = law(tanh)
    centre, radius = 0.7 + 0.1j, 0.09
    circle = centre + radius * np.exp(2j * np.pi * np.arange(64) / 64)
    mean = complex(jacobian.resolvent(circle).value.mean())
    assert abs(mean - complex(jacobian.resolvent(np.array([centre])).value[0])) < 1e-9
