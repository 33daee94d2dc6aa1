"""States of a given variance: against what is exact, against sampled units, and their noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnnmft import Cell, Input, Inputs, MeanField, Preactivation, State, cells, sigmoid
from rnnmft.numerics.backends import torch_backend
from rnnmft.solvers.conditional.held_variance import needed_weights, solve_held
from rnnmft.solvers.conditional.linear_cell import GateAverages
from tests.stand_in_device import GPU

R, SIGMA_V, RESOLUTION = 0.4616, 1.39, 0.0005
# False alarms of each comparison: one in 10^4; the controls move rates and moments by so much.
ALARM, MOVED, LARGER = 4.0, 0.05, 1.2


def averages_of(cell, mu, dtype="float32"):
    return GateAverages(cell, mu, SIGMA_V * R**0.5, torch_backend("cpu", dtype))


def solved(size, mu, seed=0, steps=1 << 15, dtype="float32", cell=None):
    averages = averages_of(cell or cells.minimal(), mu, dtype)
    return solve_held(averages, size, steps, seed, torch_backend("cpu", dtype), RESOLUTION)


def test_without_weights_a_perturbation_is_kept_by_the_state_alone():
    """g = log <a^2>, sigma_w^2 R = s^2 (1 - <a^2>) / <b^2>."""
    found = solved(1e-6, 1.0)
    moved = averages_of(cells.minimal(), 1.0).transition(torch.zeros(()))
    aa, bb = float(moved.aa), float(moved.bb)
    assert found is not None
    assert found.growth == pytest.approx(math.log(aa), abs=4 * RESOLUTION)
    assert found.log_scale == pytest.approx(math.log(1e-6 * (1 - aa) / bb), abs=1e-4)


SETTINGS = [
    pytest.param("minimal", 4.0, 0.5, id="chaotic"),
    pytest.param("minimal", 1.0, 3.4, marks=pytest.mark.slow, id="slow"),
    pytest.param("minimal", 0.3, 1.3, marks=pytest.mark.slow, id="kept by the state"),
    pytest.param("minimal", 40.0, -0.4, marks=pytest.mark.slow, id="large weights"),
    pytest.param("own", 2.0, -1.0, marks=pytest.mark.slow, id="a cell of one's own"),
]


def own():
    """The gate shuts instead, and the input comes at half its size: h' = (1 - s) h + s x / 2."""
    h, x = State("h"), Input("x")
    e = Preactivation("e", h)
    return Cell("own", update={h: (1 - sigmoid(e)) * h + sigmoid(e) * x / 2})


@pytest.mark.parametrize(("name", "size", "mu"), SETTINGS)
def test_units_with_the_weights_that_it_needs_say_the_same(name, size, mu):
    cell = cells.minimal() if name == "minimal" else own()
    found = solved(size, mu, steps=1 << 18, cell=cell)
    assert found is not None
    sigma_w = math.exp(found.log_scale / 2) / R**0.5
    ensemble = cell.ensemble(e={"sigma_v": SIGMA_V, "sigma_w": sigma_w, "mu_b": mu})
    field = MeanField(cell, ensemble, Inputs(R=R), seed=5, particles=1 << 17)
    growth, moment = field.gradient_growth(), field.fixed_point().quantity("second_moment", "h")
    noise = math.hypot(found.covariance[1, 1] ** 0.5, float(growth.error))
    assert abs(found.growth - float(growth)) < ALARM * noise
    assert abs(found.growth + MOVED - float(growth)) > ALARM * noise
    wanted = size / sigma_w**2
    noise = math.hypot(wanted * found.covariance[0, 0] ** 0.5, float(moment.error))
    # The weights' own noise moves the state again: by up to three times as much next to a jump.
    assert abs(wanted - float(moment)) < ALARM * 3 * noise
    assert abs(LARGER * wanted - float(moment)) > ALARM * 3 * noise


def test_errors_are_those_of_other_seeds():
    """Sixteen seeds: the spread of weights and of rates is what each says of itself."""
    each = [solved(4.0, 4.0, seed=s) for s in range(16)]
    values = np.array([(f.log_scale, f.growth) for f in each])
    told = np.mean([np.diag(f.covariance) for f in each], 0)
    chi = 15 * values.var(0, ddof=1) / told
    # 15 degrees of freedom, one false alarm in 10^4 at either end; the error of a rate holds what
    # is not noise, and is larger than the spread.
    assert 2.5 < chi[0] < 44.0
    assert 0.5 < chi[1] < 44.0


def test_single_and_double_precision_agree():
    """Far below the noise: they have the same paths."""
    single, double = (solved(4.0, 0.0, dtype=d) for d in ("float32", "float64"))
    assert single is not None
    assert double is not None
    error = np.sqrt(np.diag(double.covariance))
    assert single.growth == pytest.approx(double.growth, abs=0.3 * error[1])
    assert single.log_scale == pytest.approx(double.log_scale, abs=0.3 * error[0])


@pytest.mark.cuda
def test_a_gpu_finds_the_same_state():
    """The same random numbers; sums in another order."""
    here = solved(4.0, 1.0)
    backend = torch_backend(GPU, "float32")
    averages = GateAverages(cells.minimal(), 1.0, SIGMA_V * R**0.5, backend)
    there = solve_held(averages, 4.0, 1 << 15, 0, backend, RESOLUTION)
    assert here is not None
    assert there is not None
    error = np.sqrt(np.diag(here.covariance))
    assert there.log_scale == pytest.approx(here.log_scale, abs=0.1 * error[0])
    assert there.growth == pytest.approx(here.growth, abs=max(RESOLUTION, 0.1 * error[1]))


def test_roughly_needed_weights_are_those_of_the_state():
    found = solved(1.0, 3.0)
    backend = torch_backend("cpu", "float32")
    rough = needed_weights(averages_of(cells.minimal(), 3.0), 1.0, 1 << 13, 1, backend, 16)
    assert found is not None
    assert rough is not None
    assert rough.log_scale == pytest.approx(found.log_scale, abs=0.3)
    assert 64 <= rough.lags <= 512


def test_gates_that_hold_for_ever_or_blow_up_have_no_state():
    h, x = State("h"), Input("x")
    e = Preactivation("e", h)
    growing = Cell("growing", update={h: 2 * sigmoid(e) * h + x})
    assert solved(1.0, 2.0, cell=growing) is None
    assert solved(1.0, 14.0) is None
