"""Averages over units, sampled: against finite networks, tied and untied, and against theory.

Every comparison fails by chance with probability FALSE_ALARM; a control moved by what the sample
resolves must fail.
"""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from rnnmft import (
    Cell,
    Inputs,
    MeanField,
    Preactivation,
    State,
    Status,
    cells,
    sigmoid,
    simulate,
    tanh,
)
from rnnmft.cells import Average, RandomParameter, Uniform
from rnnmft.sampling import Sampling
from rnnmft.solvers.closed.closed_moments import ClosedMoments
from rnnmft.solvers.sampled.sampled_units import SampledUnits
from rnnmft.units.particles import UnitProcess
from tests.simulation.false_alarms import FALSE_ALARM, p_value
from tests.solvers.sampled_errors import CONTROL, agree

INPUTS = Inputs(R=1.0, correlation=0.5)
LAW = {"sigma_w": 1.7, "sigma_v": 0.5, "mu_b": 0.3, "sigma_b": 0.2}
# Of second moments and correlations: what 32 networks resolve.
MOVED = {"second_moment": 1.1, "correlation": 1.35}


def attentive() -> Cell:
    """A state that enters nonlinearly, weighed by a mean over units of what it is."""
    h, e = State("h"), Preactivation("e", State("h"))
    weight = Average("weight", sp.exp(h))
    value = Average("value", sp.exp(h) * sigmoid(e) / weight)
    return Cell("attentive", update={h: tanh(h) / 2 + tanh(e) * (1 - value)})


CELLS = {
    "rms": cells.get("rms_norm_rnn"),
    "layer norm": cells.get("layer_norm_minimal"),
    "attentive": attentive(),
}


@pytest.mark.parametrize("tying", ["untied", "tied"])
@pytest.mark.parametrize("name", CELLS)
def test_networks_agree_with_the_theory(name: str, tying: str) -> None:
    """Second moment and correlation over steps, 32 networks of 400 units."""
    cell, steps = CELLS[name], 8
    ensemble = cell.ensemble(e=LAW)
    sampling = Sampling(1 << 15, 16, device="cpu")
    field = MeanField(cell, ensemble, INPUTS, tying=tying, device="cpu").evolve(steps)
    if name == "attentive":
        field = SampledUnits(cell, ensemble, INPUTS, tying, sampling).evolve(steps)
    networks = simulate(
        cell, ensemble, INPUTS, width=400, networks=32, steps=steps, tying=tying, device="cpu"
    )
    for kind, factor in MOVED.items():
        predicted, error = getattr(field, kind)["h"], field.error[kind]["h"]
        samples = getattr(networks, kind)["h"].samples
        assert p_value(samples, predicted, error) > FALSE_ALARM, kind
        assert p_value(samples, factor * predicted, error) < FALSE_ALARM, kind


@pytest.mark.parametrize("name", ["rms", "layer norm"])
def test_sampled_units_agree_with_closed_moments(name: str) -> None:
    """Moments, correlations and m_1(T), untied."""
    cell = CELLS[name]
    ensemble, steps = cell.ensemble(e=LAW), 6
    units = SampledUnits(cell, ensemble, INPUTS, "untied", Sampling(1 << 15, 16, device="cpu"))
    exact = ClosedMoments(cell, ensemble, INPUTS)
    found, truth = units.evolve(steps), exact.evolve(steps)
    for kind in MOVED:
        value, error = getattr(found, kind)["h"], found.error[kind]["h"]
        assert agree(value, error, getattr(truth, kind)["h"]), kind
        assert not agree(value, error, CONTROL * getattr(truth, kind)["h"]), kind
    for m in truth.average:
        assert agree(found.average[m], found.error["average"][m], truth.average[m]), m
    stationary = units.fixed_point()
    for m, value in exact.fixed_point().average.items():
        assert agree(stationary.average[m], stationary.errors["average"][m], value), m
    at = units.jacobian_means(3, 40)
    assert agree(at.value, at.error, np.array(exact.jacobian_means(3, 40).value))


def test_a_part_of_rank_one_is_an_average() -> None:
    """h' = tanh(u m + e) with m = E[u h] and no W: m' = E[u tanh(u m + e)], by quadrature."""
    h, u = State("h"), RandomParameter("u")
    e = Preactivation("e", 0)
    overlap = Average("overlap", u * h)
    cell = Cell("low rank", update={h: tanh(u * overlap + e)})
    law = {"sigma_v": 0.6, "mu_b": 0.4}
    ensemble = cell.ensemble(e=law, parameters={"u": Uniform(0.5, 2.5)})
    x, weight = np.polynomial.hermite_e.hermegauss(60)
    y, other = np.polynomial.legendre.leggauss(60)
    units, weights = 1.5 + y[:, None], other[:, None] / 2 * weight / weight.sum()
    m, second = 0.0, []
    for _ in range(5):
        new = np.tanh(units * m + 0.4 + 0.6 * x)
        m = float((weights * units * new).sum())
        second.append(float((weights * new**2).sum()))
    sampling = Sampling(1 << 15, 16, device="cpu")
    for tying in ("untied", "tied"):
        found = SampledUnits(cell, ensemble, INPUTS, tying, sampling).evolve(5)
        value, error = found.second_moment["h"], found.error["second_moment"]["h"]
        # Tied, too: nothing but white input and a constant unit is left of e.
        assert agree(value, error, np.array(second)), tying
        assert not agree(value, error, CONTROL * np.array(second)), tying


def test_each_trajectory_has_its_own_averages() -> None:
    cell = cells.get("layer_norm_minimal")
    process = UnitProcess(
        cell, cell.ensemble(e=LAW), INPUTS, "tied", Sampling(256, 2, device="cpu")
    )
    for _ in range(3):
        process.step()
    e = process.e["e"]
    centre, spread = process.averages.values()
    assert centre.shape == (2, 2, 1)
    assert np.allclose(centre[..., 0], e.mean(2))
    assert np.allclose(spread[..., 0], e.var(2, correction=0), rtol=1e-6)
    assert (centre[:, 0] != centre[:, 1]).all()


@pytest.mark.parametrize("tying", ["tied", "untied"])
def test_what_is_no_number_is_not_taken_for_zero(tying: str) -> None:
    """0 / 0 at the zero state: networks have no state from there on, nor has the theory."""
    h = State("h")
    size = sp.sqrt(Average("square", h**2))
    cell = Cell("c", update={h: tanh(Preactivation("e", h / size))})
    ensemble = cell.ensemble(e=LAW)
    sampling = Sampling(1 << 10, 4, device="cpu")
    found = SampledUnits(cell, ensemble, INPUTS, tying, sampling).evolve(3)
    assert found.status is Status.DIVERGES
    assert np.isnan(found.second_moment["h"]).all()
    away = SampledUnits(cell, ensemble, INPUTS, tying, sampling, {"h": 1.0}).evolve(3)
    assert away.status is Status.OK


def test_a_copy_goes_on_as_the_units_would() -> None:
    cell = attentive()
    process = UnitProcess(
        cell, cell.ensemble(e=LAW), INPUTS, "tied", Sampling(256, 2, device="cpu")
    )
    process.step()
    other = process.copy()
    for _ in range(2):
        process.step()
        other.step()
    assert (process.states["h"] == other.states["h"]).all()
