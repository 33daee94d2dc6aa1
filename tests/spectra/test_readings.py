"""Edges, atoms, quantiles, masses and moments of densities, against known laws and each other."""

import math
from typing import Any

import numpy as np
import pytest

from rnnmft.activations import hard_tanh, identity, relu, tanh
from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import Inputs, get, vanilla
from rnnmft.spectra.contour import mass_below
from rnnmft.spectra.distribution import Distribution
from rnnmft.spectra.law import JacobianLaw


def _law(activation: Any, weights: str, horizon: int, sigma_w: float = 0.9) -> JacobianLaw:
    cell = vanilla(activation)
    ensemble = cell.ensemble(e={"sigma_w": sigma_w, "sigma_v": 0.5}, weights=weights)
    return MeanField(cell, ensemble, Inputs(), tying="untied").jacobian(horizon)


def _distribution(law: JacobianLaw) -> Distribution:
    return law.spectrum.distribution


@pytest.mark.parametrize("horizon", [1, 3])
def test_the_upper_edge_of_gaussian_products(horizon: int) -> None:
    """sigma_w^(2T) (T + 1)^(T + 1) / T^T, from 0 on."""
    support = _law(identity, "gaussian", horizon).support()
    exact = 0.81**horizon * (horizon + 1) ** (horizon + 1) / horizon**horizon
    assert len(support) == 1
    assert support.lowest < 1e-9
    assert support.highest == pytest.approx(exact, rel=1e-7)
    assert support.status.ok


def test_a_gap_above_0_has_an_edge_and_an_atom() -> None:
    """D W, D a projection onto half of all: Marchenko-Pastur of ratio 1/2, mass 1/2 at 0.

    Edges sigma_w^2 (1 -+ sqrt(1/2))^2; a z in the gap is answered with a real number.
    """
    law = _law(relu, "gaussian", 1)
    support, atoms = law.support(), law.atoms()
    exact = 0.81 * (1 + np.array([-1, 1]) * math.sqrt(0.5)) ** 2
    assert support.intervals == pytest.approx(exact[None], rel=1e-7)
    assert atoms.place == pytest.approx([0.0])
    assert atoms.mass == pytest.approx([0.5], rel=1e-9)
    z = 0.5 * float(exact[0])
    g = complex(law.resolvent(z).value)
    # The other half H: sigma_w^2 z H^2 / 2 - (z - sigma_w^2 / 2) H + 1 = 0, H < 0 below its edge.
    other = (g - 0.5 / z) / 0.5
    assert abs(0.405 * z * other**2 - (z - 0.405) * other + 1) < 1e-8
    assert abs(other.imag) < 1e-10
    assert other.real < 0


@pytest.mark.slow
@pytest.mark.parametrize("horizon", [2, 3])
def test_atoms_of_products_of_projections(horizon: int) -> None:
    """T rotated projections that lose a fraction p each: p at 0, 1 - T p kept at sigma_w^(2T).

    Subspaces of codimension p in general position meet in one of codimension T p.
    """
    lost = _law(hard_tanh, "orthogonal", 1).atoms().mass[0]
    assert horizon * lost < 1
    atoms = _law(hard_tanh, "orthogonal", horizon).atoms()
    assert atoms.place == pytest.approx([0.0, 0.81**horizon], abs=1e-6)
    assert atoms.mass == pytest.approx([lost, 1 - horizon * lost], abs=1e-5)


@pytest.mark.parametrize(
    ("activation", "weights", "horizon"),
    [
        (identity, "gaussian", 1),
        (relu, "gaussian", 1),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (identity, "gaussian", 3),
                (tanh, "gaussian", 1),
                (relu, "orthogonal", 1),
            )
        ),
    ],
)
def test_density_mass_and_moments(activation: Any, weights: str, horizon: int) -> None:
    """The density has mass 1 and the expansion's moments, within its own errors, which are small.

    Moments leave out the tails: below the grid less than 1e-3 of the mass at less than x[0].
    """
    law = _law(activation, weights, horizon)
    found = _distribution(law)
    mass = found.mass
    assert mass.status.ok
    assert float(mass.error) < 1e-3
    assert abs(float(mass) - 1.0) <= float(mass.error) + 1e-9
    for k, exact in enumerate(law.moments(2).value, start=1):
        moment = found.moment(k)
        # Beyond the grid there is `above` of mass, up to the edge.
        missing = found.above * max(law.support().highest, found.x[-1]) ** k + found.x[0] ** k
        if not math.isfinite(missing):
            missing = 0.0
        assert abs(float(moment) - exact) <= float(moment.error) + missing + 1e-8 * exact


def test_a_wrong_density_fails_the_mass_check() -> None:
    """Control: a density 1 % too large is off by more than its error."""
    found = _distribution(_law(relu, "gaussian", 1))
    assert 2 * float(found.mass.error) < 0.01


def test_quantiles_of_one_gaussian_step() -> None:
    """Quarter circle: F(s) = (2/pi)(asin(y) + y sqrt(1 - y^2)), y = s / 2 sigma."""
    law = _law(identity, "gaussian", 1)
    p = np.array([0.05, 0.3, 0.5, 0.9, 0.99])
    found = law.quantiles(p)
    y = found.value / 1.8
    exact = 2 / math.pi * (np.arcsin(y) + y * np.sqrt(1 - y * y))
    assert exact == pytest.approx(p, abs=1e-4)
    assert (np.diff(found.value) > 0).all()
    condition = law.condition()
    assert condition.largest == pytest.approx(float(law.quantiles(0.99).value))
    y = 0.5 / 1.8
    near = 1 - 2 / math.pi * (math.asin(y) + y * math.sqrt(1 - y * y))
    assert condition.near_one == pytest.approx(near, abs=1e-4)


@pytest.mark.slow
def test_quantiles_see_atoms() -> None:
    """ReLU with orthogonal weights: half of the singular values are 0, half sigma_w."""
    law = _law(relu, "orthogonal", 1)
    assert law.quantiles([0.2, 0.8]).value == pytest.approx([0.0, 0.9], abs=1e-6)
    condition = law.condition()
    assert condition.ratio == math.inf
    assert condition.near_one == pytest.approx(0.5, abs=1e-6)


def test_the_mass_below_a_point_by_contour() -> None:
    """F of one gaussian step at three points, to the contour's own error; atoms are counted."""
    law = _law(identity, "gaussian", 1)
    x = np.array([0.01, 0.5, 2.0])
    mass, error, _ = mass_below(law.spectrum.resolver, x)
    y = np.sqrt(x) / 1.8
    exact = 2 / math.pi * (np.arcsin(y) + y * np.sqrt(1 - y * y))
    assert (np.abs(mass - exact) <= np.maximum(error, 1e-6)).all()
    half = _law(relu, "orthogonal", 1)
    assert half.spectrum is not None
    assert mass_below(half.spectrum.resolver, np.array([0.1]))[0] == pytest.approx([0.5], abs=1e-6)


@pytest.mark.slow
def test_sampled_laws_have_mass_and_mean_within_their_errors() -> None:
    """A tied gated cell: mass 1; the density's mean is m_1 within errors; s.e. are positive."""
    cell = get("minimal")
    theory = MeanField(cell, cell.ensemble(e={"sigma_w": 3.0, "mu_b": 1.0}), tying="tied")
    law = theory.jacobian(2, units=1_000)
    found = _distribution(law)
    assert abs(float(found.mass) - 1.0) <= float(found.mass.error)
    m_1 = law.spectrum.moments(1)
    missing = found.above * law.support().highest + found.x[0]
    mean = found.moment(1)
    assert abs(float(mean) - float(m_1[0])) <= float(mean.error) + missing + float(m_1.error[0])
    quantiles = law.quantiles([0.25, 0.75])
    assert (quantiles.error > 0).all()
    assert law.support().sampled
    assert "sampled" in repr(law.support())


def test_the_support_of_sampled_units() -> None:
    """J = (1 - a) 1 + a D W of a leaky RNN has a gap above 0, of which no unit falls short.

    2,048 units of two seeds place edges 3e-4 apart at most (four seeds were tried); 3e-3 is asked.
    """
    cell = get("leaky_rnn")
    ensemble = cell.ensemble(e={"sigma_w": 0.6, "sigma_v": 0.5})
    first, second = (
        MeanField(cell, ensemble, Inputs(), seed=seed, tying="untied").jacobian(1, units=2048)
        for seed in (0, 1)
    )
    support = first.support()
    assert support.sampled
    assert support.status.ok
    assert len(support) == 1
    assert support.intervals == pytest.approx(second.support().intervals, rel=3e-3)
    low, high = first.quantiles([0.01, 0.99]).value ** 2
    assert support.lowest < low < high < support.highest
    assert low < 1.1 * support.lowest
    outside = first.density([0.8 * support.lowest, 1.2 * support.highest], smoothing=1e-6)
    assert outside.value == pytest.approx([0.0, 0.0], abs=1e-4)


def test_a_few_sampled_units_are_no_support() -> None:
    """Of a law that reaches down to 0 the lowest edge is 0, its error where ten units begin."""
    cell = get("minimal")
    law = MeanField(cell, cell.ensemble(), Inputs(), tying="untied").jacobian(2, units=1024)
    support = law.support()
    assert support.lowest == 0.0
    start = np.array([support.error[0, 0], 16.0 * support.error[0, 0]])
    below, above = mass_below(law.spectrum.resolver, start)[0]
    assert below < 2 * law.spectrum.resolution < 2 * above
