"""Sampled units against exact theories: linear cells, closed moments, frozen gates; and limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from rnnmft import Cell, Inputs, Preactivation, State, cells, sigmoid, tanh
from rnnmft.errors import ParameterError
from rnnmft.language.laws import Uniform
from rnnmft.sampling import Sampling
from rnnmft.solvers.closed.closed_moments import ClosedMoments
from rnnmft.solvers.sampled.runs import SampledSetting
from rnnmft.solvers.sampled.sampled_units import SampledUnits
from rnnmft.units.particles import UnitProcess
from tests.solvers.linear_cells import gradient_means, linear_cell, second_moments
from tests.solvers.sampled_errors import CONTROL, agree
from tests.stand_in_device import GPU

INPUTS = {
    "white": Inputs(R=0.8, correlation=0.3),
    "constant": Inputs(R=0.8, correlation=0.3, temporal="constant"),
    "given": Inputs(R=0.8, correlation=-0.4, temporal=(1.0, 0.5, 0.2)),
}
EPS32 = torch.finfo(torch.float32).eps


def sampling(units=1 << 16, **options):
    return Sampling(units, 16, device="cpu", **options)


@pytest.mark.parametrize("inputs", INPUTS.values(), ids=INPUTS)
@pytest.mark.parametrize("gain", [0.6, "random"])
def test_linear_cells_with_memory_are_met(inputs, gain):
    """Two trajectories, a bias, an elementwise input, a random parameter: exact recursions."""
    steps, feed = 8, 0.7
    cell = linear_cell(gain, feed)
    law = Uniform(0.1, 0.7)
    options = {"parameters": {"p": law}} if gain == "random" else {}
    power = law.moment if gain == "random" else lambda n: gain**n
    ensemble = cell.ensemble(e={"sigma_w": 0.4, "sigma_v": 0.5, "sigma_b": 0.4}, **options)
    states, drives = second_moments(steps, power, ensemble["e"], inputs, feed)
    units = SampledUnits(cell, ensemble, inputs, "tied", sampling())
    found = units.evolve(steps)
    truths = {
        ("second_moment", "h"): np.diag(states[0])[1:],
        ("cross_moment", "h"): np.diag(states[1])[1:],
        ("preactivation_variance", "e"): np.diag(drives[0]),
        ("preactivation_covariance", "e"): np.diag(drives[1]),
    }
    for (kind, name), truth in truths.items():
        value, error = getattr(found, kind)[name], found.error[kind][name]
        assert agree(value, error, truth), kind
    second, error = found.second_moment["h"], found.error["second_moment"]["h"]
    assert not agree(second, error, CONTROL * truths["second_moment", "h"])
    memory = units.autocorrelation(4, burn_in=3)
    last = np.arange(8, 3, -1)
    assert agree(memory.value["h"], memory.error["h"], states[0][8, last])
    assert agree(memory.value["e"], memory.error["e"], drives[0][7, last - 1])
    assert not agree(memory.value["h"], memory.error["h"], 1.06 * states[0][8, last])


@pytest.mark.parametrize("gain", [0.6, "random"])
def test_the_tangent_process_of_linear_cells_is_met(gain):
    cell, law = linear_cell(gain), Uniform(0.1, 0.7)
    options = {"parameters": {"p": law}} if gain == "random" else {}
    power = law.moment if gain == "random" else lambda n: gain**n
    ensemble = cell.ensemble(e={"sigma_w": 0.7}, **options)
    found = SampledUnits(cell, ensemble, Inputs(), "tied", sampling()).jacobian_means(8, burn_in=2)
    truth = gradient_means(8, power, 0.7)
    assert agree(found.value, found.error, truth)
    assert not agree(found.value, found.error, CONTROL * truth)


@pytest.mark.parametrize("name", ["minimal", pytest.param("gru", marks=pytest.mark.slow)])
def test_untied_units_agree_with_closed_moments(name):
    """Sampling and quadrature of one theory: moments, gradients, and the sampled settling."""
    cell = cells.get(name)
    ensemble = cell.ensemble(**{p.name: {"sigma_w": 2.0} for p in cell.preactivations})
    exact = ClosedMoments(cell, ensemble, Inputs())
    units = SampledUnits(cell, ensemble, Inputs(), "untied", sampling())
    found, truth = units.evolve(6), exact.evolve(6)
    for kind in ("second_moment", "cross_moment", "preactivation_variance"):
        for key, value in getattr(found, kind).items():
            error = found.error[kind][key]
            assert agree(value, error, getattr(truth, kind)[key]), kind
            if kind == "second_moment":
                assert not agree(value, error, CONTROL * getattr(truth, kind)[key])
    means = units.jacobian_means(4, burn_in=30)
    assert agree(means.value, means.error, exact.jacobian_means(4, 30).value)
    at, limit = units.fixed_point(), exact.fixed_point()
    assert agree(at.second_moment["h"], at.errors["second_moment"]["h"], limit.second_moment["h"])
    pair, c = units.correlation_fixed_point(), exact.correlation_fixed_point()
    assert agree(pair.correlation["h"], pair.errors["correlation"]["h"], c.correlation["h"])
    growth = units.gradient_growth()
    assert agree(float(growth), growth.error, float(exact.gradient_growth()))


def frozen_cell():
    """Both preactivations see the input alone: with a constant input a unit's gates are frozen."""
    h = State("h")
    z, n = Preactivation("z", 0), Preactivation("n", 0)
    return Cell("frozen", update={h: sigmoid(z) * h + (1 - sigmoid(z)) * tanh(n)})


def test_a_constant_input_without_recurrent_weights_needs_one_direction():
    """h^T = (1 - sigmoid(z)^T) tanh(n) for a unit's own z, n: two Gaussian integrals."""
    cell = frozen_cell()
    ensemble = cell.ensemble(z={"sigma_v": 1.5, "mu_b": 0.5}, n={"sigma_v": 2.0, "sigma_b": 0.5})
    inputs = Inputs(R=0.5, correlation=0.2, temporal="constant")
    units = SampledUnits(cell, ensemble, inputs, "tied", sampling())
    found = units.evolve(9)

    def average(f, mean, variance):
        law = stats.norm(mean, np.sqrt(variance))
        return integrate.quad(lambda e: law.pdf(e) * f(e), mean - 15, mean + 15, epsabs=1e-12)[0]

    truth = [
        average(lambda e, t=t: (1 - (1 + np.exp(-e)) ** -float(t)) ** 2, 0.5, 1.125)
        * average(lambda e: np.tanh(e) ** 2, 0.0, 2.25)
        for t in range(1, 10)
    ]
    value, error = found.second_moment["h"], found.error["second_moment"]["h"]
    assert agree(value, error, truth)
    assert not agree(value, error, np.array(truth) * CONTROL)
    process = units.setting.process(sampling(), range(2), 2)
    process.step()
    first = process.e["z"].clone()
    process.step()
    assert torch.equal(process.e["z"], first)
    assert process.directions == 0


def test_trajectories_that_cannot_differ_are_one():
    cell = cells.minimal()
    for inputs in (Inputs(R=1.0, correlation=1.0), Inputs(R=0.0)):
        ensemble = cell.ensemble(e={"sigma_w": 6.0, "sigma_b": 0.5})
        process = UnitProcess(cell, ensemble, inputs, "tied", sampling(1 << 12), 2)
        for _ in range(30):
            process.step()
        assert process.shape[1] == 1
        moments = process.second_moments()["h"]
        assert moments.shape == (16, 2, 2)
        assert torch.equal(moments[:, 0, 1], moments[:, 0, 0])


def test_nearly_equal_trajectories_stay_apart_without_jitter():
    """c_x = 1 - 1e-9, nothing but input: the states' distance is that of the inputs.

    E[(x_a - x_b)^2] = 2 (1 - c_x); over 16 x 8,192 units chance is 4e-3, six times that allowed.
    """
    h = State("h")
    cell = Cell("reader", update={h: Preactivation("e", 0)})
    inputs = Inputs(R=1.0, correlation=1.0 - 1e-9)
    process = UnitProcess(cell, cell.ensemble(), inputs, "tied", sampling(1 << 17))
    for _ in range(3):
        process.step()
    apart = (process.states["h"][:, 0] - process.states["h"][:, 1]).square().mean()
    assert abs(float(apart) / 2e-9 - 1) < 0.024


def test_no_variance_at_all_stays_zero():
    cell = cells.lstm()
    ensemble = cell.ensemble(**{n: {"sigma_v": 0.0} for n in "ifgo"})
    units = SampledUnits(cell, ensemble, Inputs(), "tied", sampling(1 << 12))
    found = units.evolve(5)
    assert not found.second_moment["c"].any()
    assert not found.preactivation_variance["f"].any()
    assert found.status.name == "UNDEFINED"


@pytest.mark.parametrize("name", ["minimal", "lstm"])
def test_single_precision_follows_double(name):
    """The same Sobol numbers in both: moments differ by rounding only, far below their errors."""
    cell = cells.get(name)
    ensemble = cell.ensemble(**{p.name: {"sigma_w": 1.5} for p in cell.preactivations})
    double, single = (
        SampledUnits(cell, ensemble, Inputs(), "tied", sampling(dtype=dtype)).evolve(20)
        for dtype in ("float64", "float32")
    )
    for state, value in double.second_moment.items():
        other = single.second_moment[state]
        assert np.abs(other / value - 1).max() < 1e3 * EPS32
        assert np.abs(other - value).max() > 0
        assert np.abs(other - value).max() < 0.2 * double.error["second_moment"][state].max()


def test_orthogonal_weights_have_the_same_forward_theory():
    """Not one number changes: only inner products of what W sees enter."""
    cell = cells.gru()
    laws = {p.name: {"sigma_w": 1.5} for p in cell.preactivations}
    found = [
        SampledUnits(cell, cell.ensemble(**laws, weights=w), Inputs(), "tied", sampling(1 << 12))
        for w in ("gaussian", "orthogonal")
    ]
    first, second = (units.evolve(4).second_moment["h"] for units in found)
    assert np.array_equal(first, second)


def test_batches_and_longer_runs_change_nothing():
    cell = cells.lstm()
    ensemble = cell.ensemble(f={"sigma_w": 2.0, "mu_b": 1.0})
    few, many = (
        SampledUnits(cell, ensemble, Inputs(), "tied", sampling(1 << 14, memory=memory))
        for memory in (1 << 21, 1 << 29)
    )
    short, long = few.evolve(6), many.evolve(21)
    for state in ("c", "h"):
        assert np.allclose(short.second_moment[state], long.second_moment[state][:6], rtol=1e-12)
        assert np.allclose(short.cross_moment[state], long.cross_moment[state][:6], rtol=1e-12)


def test_the_estimate_of_memory_covers_what_is_kept():
    """Every kept column counted by hand: 3 preactivations and 2 things seen, 2 trajectories."""
    cell = cells.gru()
    setting = SampledSetting(cell, cell.ensemble(), INPUTS["white"], "tied")
    plan = sampling(1 << 12)
    process = setting.process(plan, range(16), 2)
    for _ in range(32):
        process.step()
    kept = 0
    for weights in process.weights.values():
        for columns in (weights.basis.columns, *weights.zeta.values()):
            kept += sum(b.nbytes for b in columns.blocks)
    predicted = setting.unit_bytes(plan, 32, 2) * plan.total
    assert kept == 32 * 2 * 5 * 8 * plan.total
    assert kept < predicted < 1.5 * kept


def test_gates_that_see_the_same_share_one_history():
    cell = cells.lstm()
    process = UnitProcess(cell, cell.ensemble(), Inputs(), "tied", sampling(1 << 10), 1)
    for _ in range(6):
        process.step()
    (weights,) = process.weights.values()
    # The zero state shows nothing.
    assert weights.basis.count == 5
    assert set(weights.zeta) == {"i", "f", "g", "o"}


def test_untied_units_keep_no_history():
    cell = cells.lstm()
    process = UnitProcess(cell, cell.ensemble(), Inputs(), "untied", sampling(1 << 10), 2)
    for _ in range(5):
        process.step()
    assert process.directions == 0
    assert all(not w.zeta for w in process.weights.values())


def test_an_ensemble_of_another_cell_is_refused():
    with pytest.raises(ParameterError, match="made for another cell"):
        SampledUnits(cells.lstm(), cells.minimal().ensemble(), Inputs(), "tied", sampling())


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [pytest.param("float64", marks=pytest.mark.slow), "float32"])
def test_a_gpu_follows_the_cpu(dtype):
    """Other numbers are drawn there: both precisions agree with double on the CPU within errors.

    17 steps of one moment, 16 repetitions each; false alarms below 1e-3 at 8 standard errors.
    """
    cell = cells.minimal()
    ensemble = cell.ensemble(e={"sigma_w": 4.0, "mu_b": 0.5, "sigma_b": 0.3})
    plans = (
        Sampling(1 << 16, 16, device=GPU, dtype=dtype),
        Sampling(1 << 16, 16, seed=1, device="cpu"),
    )
    found = [SampledUnits(cell, ensemble, Inputs(), "tied", plan).evolve(17) for plan in plans]
    value, error = (
        [np.asarray(f) for f in column]
        for column in zip(
            *((t.second_moment["h"], t.error["second_moment"]["h"]) for t in found), strict=True
        )
    )
    spread = np.hypot(*error)
    assert (np.abs(value[0] - value[1]) < 8 * spread).all()
    assert (np.abs(1.02 * value[0] - value[1]) > 8 * spread).any()
