"""Eigenvalues of the one-step Jacobian: exact discs and rings, published edges, networks."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

import rnnmft as mft
from rnnmft import cells
from rnnmft.activations import identity
from rnnmft.eigenvalues.law import EigenvalueLaw
from rnnmft.eigenvalues.linear_units import LinearUnits
from rnnmft.eigenvalues.passage import Passage
from rnnmft.errors import DerivationError, ParameterError, Status

D, MASS = np.array([0.5, 1.0, 2.0]), np.array([0.3, 0.3, 0.4])


def units_of(a: Any, b: Any, weight: Any, sigma_w: float, weights: str) -> LinearUnits:
    """One state, J = A + B W."""
    shape = (-1, 1, 1)
    one, none = np.ones((len(weight), 1, 1)), np.zeros((len(weight), 1, 1))
    columns = (np.reshape(a, shape), np.reshape(b, shape), one, none)
    row = np.zeros(1, dtype=np.intp)
    return LinearUnits(*columns, row, np.array([sigma_w]), (weights,), np.asarray(weight), 1, 1)


def product(weights: str, sigma_w: float = 1.1) -> EigenvalueLaw:
    """J = D W."""
    return EigenvalueLaw("tied", units_of(np.zeros(3), D, MASS, sigma_w, weights))


def test_a_linear_leaky_network_fills_a_disc_evenly() -> None:
    leak, sigma_w = 0.7, 0.8
    law = EigenvalueLaw("tied", units_of([leak], [1 - leak], [1.0], sigma_w, "gaussian"))
    radius = (1 - leak) * sigma_w
    (curve,) = law.boundary()
    np.testing.assert_allclose(np.abs(curve - leak), radius, rtol=1e-8)
    assert float(law.radius) == pytest.approx(leak + radius, rel=1e-8)
    assert float(law.radius.error) < 1e-8
    inside = leak + radius * np.array([0.3, 0.5j, -0.4 + 0.6j])
    np.testing.assert_allclose(law.density(inside).value, 1 / (np.pi * radius**2), rtol=1e-5)
    assert float(law.mass(leak, radius / 2)) == pytest.approx(0.25, abs=1e-10)
    assert float(law.density(leak + 1.1 * radius)) == 0.0


def test_a_leaky_rnn_of_the_zoo_is_that_disc_through_sampled_units() -> None:
    cell = cells.leaky_rnn(leak=0.5, activation=identity)
    ensemble = cell.ensemble(weights="gaussian")
    law = mft.MeanField(cell, ensemble).eigenvalues(units=256)
    (a,), (b,) = (np.unique(x.round(12)) for x in (law.units.a, law.units.b))
    assert float(law.radius) == pytest.approx(a + b * ensemble["e"].sigma_w, rel=1e-6)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_radial_mass_of_a_product_is_that_of_the_s_transform(weights: str) -> None:
    """The fraction within r, F, solves S(F - 1) = 1 / r^2: single ring theorem."""
    law, variance = product(weights), 1.1**2

    def s_transform(x: float) -> float:
        of_d = brentq(lambda y: float(MASS @ (y * D**2 / (1 - y * D**2))) - x, -1e9, -1e-12)
        s = (1 + x) / x * of_d
        return s / variance / (1 + x if weights == "gaussian" else 1.0)

    for fraction in (0.2, 0.5, 0.8):
        r = s_transform(fraction - 1) ** -0.5
        assert float(law.mass(0.0, r)) == pytest.approx(fraction, abs=1e-9)


def test_orthogonal_weights_leave_a_hole() -> None:
    law = product("orthogonal")
    inner, outer = 1.1 * (MASS @ D**-2.0) ** -0.5, 1.1 * (MASS @ D**2.0) ** 0.5
    radii = sorted(float(np.abs(c).mean()) for c in law.boundary())
    np.testing.assert_allclose(radii, [inner, outer], rtol=1e-8)
    assert float(law.mass(0.0, 0.99 * inner)) == pytest.approx(0.0, abs=1e-10)
    assert float(law.mass(0.0, 1.01 * outer)) == pytest.approx(1.0, abs=1e-10)
    assert float(law.density(0.5 * inner)) == 0.0
    # Gaussian weights have none.
    assert len(product("gaussian").boundary()) == 1


def test_density_and_mass_are_one_law() -> None:
    """The density on a ring is what the mass of its disc grows by."""
    law = product("gaussian")
    r, h = 0.9, 1e-3
    grown = float(law.mass(0.0, r + h)) - float(law.mass(0.0, r - h))
    assert grown / (4 * np.pi * r * h) == pytest.approx(float(law.density(1j * r)), rel=1e-5)


def test_states_that_do_not_meet_have_clouds_of_their_own() -> None:
    text = """
name = "apart"
states = ["h", "k"]
[preactivations]
e = { sees = "h" }
w = { sees = "k" }
[update]
h = "0.2 * h + 0.3 * e"
k = "0.9 * k + 0.05 * w"
"""
    cell = cells.loads(text)
    ensemble = cell.ensemble(e={"sigma_w": 1.0}, w={"sigma_w": 1.0})
    law = mft.MeanField(cell, ensemble).eigenvalues(units=256)
    assert len(law.units.c[0]) == 2
    assert [len(rows) for rows in Passage(law.units).classes] == [1, 1]
    # Half of all are in each disc.
    assert float(law.mass(0.2, 0.31)) == pytest.approx(0.5, abs=1e-8)
    assert float(law.mass(0.9, 0.025)) == pytest.approx(0.125, abs=1e-6)
    assert float(law.radius) == pytest.approx(0.95, abs=1e-6)


@pytest.mark.parametrize("sigma_n", [1.9, 2.1])
def test_zero_state_of_a_gru_is_unstable_from_two_on(sigma_n: float) -> None:
    cell = cells.gru()
    laws = {p.name: {"sigma_w": sigma_n, "sigma_v": 0.0} for p in cell.preactivations}
    law = mft.MeanField(cell, cell.ensemble(**laws), mft.Inputs(R=0.0)).eigenvalues(units=256)
    assert float(law.radius) == pytest.approx(0.5 + 0.25 * sigma_n, abs=1e-8)


def test_zero_state_of_an_lstm() -> None:
    cell = cells.lstm()
    laws = {p.name: {"sigma_w": 1.7, "sigma_v": 0.0} for p in cell.preactivations}
    laws["f"]["mu_b"], laws["i"]["mu_b"] = 1.0, -0.5
    law = mft.MeanField(cell, cell.ensemble(**laws), mft.Inputs(R=0.0)).eigenvalues(units=256)
    sigmoid = [1 / (1 + math.exp(-x)) for x in (1.0, -0.5, 0.0)]
    edge = sigmoid[0] + sigmoid[2] * sigmoid[1] * 1.7
    # The cloud touches its edge on the real axis: two states, half of the eigenvalues at 0.
    assert float(law.edge(edge - 1e-6)) > 0 > float(law.edge(edge + 1e-6))
    assert float(law.radius) == pytest.approx(edge, rel=1e-6)
    assert float(law.mass(0.0, 0.01)) == pytest.approx(0.5, abs=1e-6)


def test_the_cloud_holds_everything_around_the_mean_of_a() -> None:
    cell = cells.minimal()
    law = mft.MeanField(cell, cell.ensemble(e={"sigma_w": 4.0, "mu_b": 1.0})).eigenvalues()
    assert float(law.mass(0.0, 3.0)) == pytest.approx(1.0, abs=1e-9)
    curve = max(law.boundary(), key=len)
    np.testing.assert_allclose(law.edge(curve[np.abs(curve.imag) > 0.05]), 0.0, atol=1e-6)
    assert float(law.mass(1.0, 0.1)) > 0.05


#: 6 radii in 3 cells, each against the mean of 24 networks: Student's t with 23 degrees of freedom
#: exceeds 5 by chance once in 21,000 times, so that a run of 18 alarms falsely with .0009.
_ALARM, _NETWORKS = 5.0, 24
_RADII = (0.3, 0.5, 0.7, 0.85, 0.95, 1.1)


def _cell(name: str, gain: float) -> Any:
    cell = getattr(cells, name)()
    laws = {p.name: {"sigma_w": gain} for p in cell.preactivations}
    return cell, cell.ensemble(**laws)


def _worst(name: str, gain: float, width: int) -> float:
    """The worst distance in errors between theory at `gain` and networks at gain 2."""
    law = mft.MeanField(*_cell(name, gain)).eigenvalues(units=8192)
    run = mft.simulate(
        *_cell(name, 2.0),
        mft.Inputs(),
        width=width,
        networks=_NETWORKS,
        steps=50,
        jacobian_horizons=(1,),
        eigenvalues=True,
        dtype="float64",
        seed=7,
    )
    found = run.jacobian[1].eigenvalues
    assert found is not None
    worst = 0.0
    for r in _RADII:
        samples, mass = (np.abs(found) < r).mean(axis=1), law.mass(0.0, r)
        # A finite network's edge is blurred, and a share of 1 / sqrt(N) of it is real.
        blur = 0.5 / width
        sem = samples.std(ddof=1) / math.sqrt(_NETWORKS)
        error = math.hypot(sem, float(mass.error), blur)
        worst = max(worst, abs(samples.mean() - float(mass)) / error)
    return worst


@pytest.mark.parametrize("name", ["minimal", "gru", "lstm"])
@pytest.mark.slow
def test_discs_hold_what_networks_have_in_them(name: str) -> None:
    assert _worst(name, 2.0, 400) < _ALARM


@pytest.mark.slow
def test_discs_of_a_narrow_minimal_rnn() -> None:
    assert _worst("minimal", 2.0, 200) < _ALARM
    # The control: a gain 20 % off is seen.
    assert _worst("minimal", 2.4, 200) > _ALARM


def test_simulated_eigenvalues_are_those_of_the_matrix() -> None:
    """Their squared modulus sums to less than the squared singular values', their trace is J's."""
    cell, ensemble = _cell("minimal", 2.0)
    settings: dict[str, Any] = {"width": 20, "networks": 2, "steps": 5}
    settings["jacobian_horizons"] = (1, 2)
    run = mft.simulate(
        cell, ensemble, mft.Inputs(), spectrum=True, eigenvalues=True, dtype="float64", **settings
    )
    for t in (1, 2):
        found, values = run.jacobian[t].eigenvalues, run.jacobian[t].singular_values
        assert found is not None
        assert values is not None
        np.testing.assert_allclose(np.abs(found).prod(1), values.prod(1), rtol=1e-8)
        assert (np.abs(found).max(1) <= values.max(1) * (1 + 1e-12)).all()
        np.testing.assert_allclose(found.imag.sum(1), 0.0, atol=1e-12)
    without = mft.simulate(cell, ensemble, mft.Inputs(), **settings)
    assert without.jacobian[1].eigenvalues is None


def test_refusals_and_nothing() -> None:
    law = product("gaussian")
    with pytest.raises(ParameterError, match="finite"):
        law.density(math.nan)
    with pytest.raises(ParameterError, match="positive"):
        law.mass(0.0, -1.0)
    with pytest.raises(ParameterError, match="units"):
        mft.MeanField(cells.minimal()).eigenvalues(units=0)
    cell = cells.lstm()
    orthogonal = mft.MeanField(cell, cell.ensemble(weights="orthogonal")).eigenvalues(units=256)
    assert float(orthogonal.radius) > 0.5
    with pytest.raises(DerivationError, match="do not see the same vector"):
        orthogonal.mass(0.0, 0.5)
    still = EigenvalueLaw("tied", units_of([0.4], [0.0], [1.0], 1.0, "gaussian"))
    assert (still.boundary(), float(still.radius)) == ([], pytest.approx(0.4))
    assert float(still.mass(0.4, 0.1)) == pytest.approx(1.0)


def test_a_tiny_cloud_is_found_where_it_is() -> None:
    law = EigenvalueLaw("tied", units_of([0.999], [1e-5], [1.0], 1.0, "gaussian"))
    (curve,) = law.boundary()
    np.testing.assert_allclose(np.abs(curve - 0.999), 1e-5, rtol=1e-6)


def test_dictionaries_are_json() -> None:
    found = json.loads(json.dumps(product("gaussian").to_dict()))
    assert found["radius"]["status"] == Status.OK.value
    assert len(found["boundary"][0][0]) == 2


def test_the_radius_does_not_miss_a_narrow_tip() -> None:
    """Slow units bulge around 1 in an angle of 0.01: what is on the axis counts."""
    gates, share = np.array([0.2, 0.995]), np.array([0.9, 0.1])
    law = EigenvalueLaw("tied", units_of(gates, (1 - gates) * 1.2, share, 1.0, "gaussian"))

    def excess(r: float) -> float:
        return float(share @ (((1 - gates) * 1.2 / (r - gates)) ** 2)) - 1

    tip = brentq(excess, 0.9951, 1.5)
    assert float(law.radius) == pytest.approx(tip, rel=1e-8)
