"""Averaged tangents: linear cells, the Gaussian functional by brute force, networks, pairs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from rnnmft import Cell, Inputs, MeanField, Preactivation, State, cells, simulate
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.runs import SampledSetting
from rnnmft.solvers.sampled.sampled_units import SampledUnits
from rnnmft.units.averaged_tangent import AveragedTangent
from rnnmft.units.local_derivatives import LocalDerivatives
from rnnmft.units.particles import UnitProcess
from tests.solvers.sampled_errors import CONTROL, agree
from tests.stand_in_device import GPU
from tests.units.fluctuating_slopes import WHITE, Slopes

#: The fewest units that there may be: 16 in each of two repetitions.
FEWEST = Sampling(32, 2, device="cpu")
SILENT = Inputs(R=0.0)


def process_of(cell, laws, inputs, plan, tying="tied", trajectories=1, warm=0):
    process = UnitProcess(cell, cell.ensemble(**laws), inputs, tying, plan, trajectories)
    for _ in range(warm):
        process.step()
    return process


def followed(process, steps, sides=(0, 0)):
    """m_1(T), T = 1, .., (steps, R), and the tangent."""
    tangent, found = AveragedTangent(process, sides), []
    for _ in range(steps):
        process.step()
        tangent.step()
        found.append(tangent.mean_square().cpu().numpy())
    return np.array(found), tangent


# --- linear cells --------------------------------------------------------------------------------


def linear(a, b):
    h = State("h")
    return Cell("linear", update={h: a * h + b * Preactivation("e", h)})


def binomial_means(a, w, horizon):
    """m_1(T) = sum_q C(T, q)^2 a^(2 (T - q)) w^(2 q)."""
    return [
        sum(math.comb(T, q) ** 2 * a ** (2 * (T - q)) * w ** (2 * q) for q in range(T + 1))
        for T in range(1, horizon + 1)
    ]


@pytest.mark.parametrize(
    ("a", "b", "sigma_w"), [(0.5, 0.5, 0.5), (0.95, 0.04, 1.0), (-0.3, 0.4, 2)]
)
def test_linear_cells_are_exact_with_the_fewest_units(a, b, sigma_w):
    process = process_of(linear(a, b), {"e": {"sigma_w": sigma_w}}, SILENT, FEWEST)
    found, tangent = followed(process, 40)
    truth = np.array(binomial_means(a, b * sigma_w, 40))
    assert np.abs(found / truth[:, None] - 1).max() < 1e-10
    w = b * sigma_w
    sums = [((a + w) ** (2 * n + 2) - (a - w) ** (2 * n + 2)) / (2 * w) for n in range(20)]
    logs = np.log(np.abs(sums) * sigma_w**2)
    assert np.abs(tangent.log_kernel_sums().numpy() - logs).max() < 1e-10


def test_two_linear_states_are_exact():
    """J = A + B W per pair of states: (A + B w)^T is a polynomial in w, m_1 its coefficients'.

    (1/N) tr W^q (W^T)^q' = sigma_w^(2 q) for q = q', 0 otherwise.
    """
    a, b, seen = np.array([[0.6, 0.3], [-0.2, 0.7]]), np.array([0.5, 0.2]), np.array([0.4, 1.0])
    h, g = State("h"), State("g")
    e = Preactivation("e", seen[0] * h + seen[1] * g)
    states = np.array([h, g], dtype=object)
    update = dict(zip((h, g), a @ states + b * e, strict=True))
    process = process_of(Cell("two", update=update), {"e": {"sigma_w": 0.8}}, SILENT, FEWEST)
    found, _ = followed(process, 20)
    powers = [np.eye(2)]
    for T in range(20):
        longer = [*[a @ p for p in powers], np.zeros((2, 2))]
        for q, p in enumerate(powers):
            longer[q + 1] = longer[q + 1] + np.outer(b, seen) @ p
        powers = longer
        truth = sum(0.8 ** (2 * q) * (p**2).sum() for q, p in enumerate(powers)) / 2
        assert np.abs(found[T] / truth - 1).max() < 1e-10


def test_what_dies_beyond_the_range_of_numbers_is_still_known():
    """log m_1 = -900 by the binomial law."""
    horizon = 200
    process = process_of(linear(0.07, 0.03), {"e": {"sigma_w": 1.0}}, SILENT, FEWEST)
    found, tangent = followed(process, horizon)
    assert found[-1].max() == 0.0
    logs = 2 * stats.binom.logpmf(np.arange(horizon + 1), horizon, 0.3)
    truth = 2 * horizon * math.log(0.1) + logs.max() + math.log(np.exp(logs - logs.max()).sum())
    assert np.abs(tangent.log_mean_square().numpy() - truth).max() < 1e-8


def sampled(horizon, units, seed):
    """log m_1(T) of h' = .5 h + .5 e, sigma_w = .5, for a perturbation drawn unit by unit.

    Each de^t is drawn given the unit's own past, by one more row of a Cholesky factor of the kernel
    of all units; a pivot at the rounding of the kernel is none.
    """
    random = torch.Generator().manual_seed(seed)
    factor, owned, seen, drawn, found = np.zeros((horizon, horizon)), [], [], [], []
    ds = torch.randn(units, generator=random, dtype=torch.float64)
    for t in range(horizon):
        seen.append(ds)
        kernel = (0.25 * torch.stack(seen) @ ds / units).numpy()
        n = len(owned)
        row = np.linalg.solve(factor[:n, :n], kernel[owned]) if n else np.zeros(0)
        left = kernel[t] - row @ row
        if left > 64 * np.finfo(float).eps * kernel[t]:
            row = np.append(row, math.sqrt(left))
            factor[n, : n + 1] = row
            owned.append(t)
            drawn.append(torch.randn(units, generator=random, dtype=torch.float64))
        ds = 0.5 * ds + 0.5 * torch.tensor(row) @ torch.stack(drawn)
        found.append(math.log(float(ds.square().mean())))
    return np.array(found)


def test_a_sampled_perturbation_turns_round_where_the_limit_decays():
    """The planted control: right for ten steps, then it grows; the growth is 2 log .75."""
    horizon = 150
    process = process_of(linear(0.5, 0.5), {"e": {"sigma_w": 0.5}}, SILENT, FEWEST)
    found, _ = followed(process, horizon)
    truth = np.log(binomial_means(0.5, 0.25, horizon))
    assert np.abs(np.log(found) - truth[:, None]).max() < 1e-10
    for units in (256, 4096):
        gap = sampled(horizon, units, seed=0) - truth
        assert np.abs(gap[:10]).max() < 0.5
        assert gap[-1] > 20.0


# --- the Gaussian functional ---------------------------------------------------------------------


def dense(process, side):
    """A, B, C, D as arrays (rows, columns, R, M)."""
    zeros = np.zeros(process.shape[::2])
    return [
        np.array([[zeros if v is None else v.numpy() for v in row] for row in matrix])
        for matrix in LocalDerivatives(process, side)()
    ]


def by_covariances(process, steps, sides):
    """m_1 by definition: every ds and dy as a combination of ds^0 and all de_k^t, unit by unit."""
    states, names = len(process.cell.states), [p.name for p in process.cell.preactivations]
    variance = [
        process.ensemble[p.name].sigma_w ** 2 if p.is_recurrent else 0.0
        for p in process.cell.preactivations
    ]
    repetitions, _, units = process.shape
    size = states + len(names) * steps
    covariance = np.zeros((repetitions, size, size))
    covariance[:, range(states), range(states)] = 1.0
    start = np.zeros((states, repetitions, units, size))
    start[range(states), ..., range(states)] = 1.0
    ds, dy, found = [start, start.copy()], [{}, {}], []
    for t in range(steps):
        process.step()
        slopes = [dense(process, side) for side in sides]
        here = states + len(names) * t
        for k in range(len(names)):
            for side, (_, _, c, d) in enumerate(slopes):
                y = np.einsum("arm,armn->rmn", c[k], ds[side])
                y[..., here : here + k] += np.moveaxis(d[k, :k], 0, -1)
                dy[side][k, t] = y
            for s in range(0 if process.tied else t, t + 1):
                for left, right in ((t, s), (s, t)):
                    pair = dy[0][k, left], covariance, dy[1][k, right]
                    value = variance[k] * np.einsum("rmi,rij,rmj->r", *pair) / units
                    i, j = (states + len(names) * time + k for time in (left, right))
                    covariance[:, i, j] = value
        for side, (a, b, _, _) in enumerate(slopes):
            moved = np.einsum("abrm,brmn->armn", a, ds[side])
            moved[..., here : here + len(names)] += np.moveaxis(b, 1, -1)
            ds[side] = moved
        found.append(np.einsum("armi,rij,armj->r", ds[0], covariance, ds[1]) / units / states)
    return np.array(found)


SETTINGS = {
    "minimal": {"e": {"sigma_w": 4.0, "sigma_b": 0.3}},
    "gru": {"r": {"sigma_w": 2.0}, "n": {"sigma_w": 1.5, "sigma_b": 0.3}},
    "mgu": {},
    "lstm": {"f": {"sigma_w": 2.0}, "o": {"sigma_w": 0.0}},
    "peephole_lstm": {},
    "gru_torch": {},
}


@pytest.mark.parametrize("tying", ["tied", "untied"])
@pytest.mark.parametrize("sides", [(0, 0), (1, 1), (0, 1), (1, 0)], ids=str)
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n == "peephole_lstm")) for n in SETTINGS],
)
def test_moments_are_those_of_the_gaussian_functional(name, sides, tying):
    """Nested preactivations, several states, one trajectory or two: past a block of steps."""
    cell, inputs, steps = cells.get(name), Inputs(correlation=0.4), 10
    options = (cell, SETTINGS[name], inputs, FEWEST, tying, 2, 2)
    truth = by_covariances(process_of(*options), steps, sides)
    found, tangent = followed(process_of(*options), steps, sides)
    assert np.abs(found / truth - 1).max() < 1e-10
    logs = tangent.log_mean_square().numpy()
    assert np.abs(logs - np.log(np.abs(truth[-1]))).max() < 1e-10
    assert (tangent.log_kernel_sums() is None) == (tying == "untied")


def test_a_second_perturbation_starts_where_the_first_one_ended():
    """In the same units: it is the one that starts so much later."""
    slopes = Slopes(0.6, 0.4, 1.0, 0.2, 0.1)
    cell, ensemble = slopes.cell()
    setting = SampledSetting(cell, ensemble, WHITE, "tied")
    plan = Sampling(128, 2, device="cpu")
    both = setting.tangents(plan, range(2), 3, 5, windows=2)
    for start, window in ((3, 0), (8, 1)):
        alone = setting.tangents(plan, range(2), start, 5)
        for name in ("log_m_1", "log_sums", "check/effective"):
            assert both[name].shape == (2, 2, alone[name].shape[1])
            assert (both[name][:, window] == alone[name]).all()


def test_exactly_fluctuating_slopes_are_met():
    """Averages over units of slopes that are independent in time: an exact recursion."""
    slopes = Slopes(0.6, 0.4, 1.0, 0.2, 0.1)
    cell, ensemble = slopes.cell()
    setting = SampledSetting(cell, ensemble, WHITE, "tied")
    plan = Sampling(1 << 16, 16, device="cpu", normals="random")
    found = setting.tangents(plan, range(16), 0, 12)
    means, sums = slopes.series(12)
    for value, truth in ((found["log_m_1"], means), (found["log_sums"], sums)):
        truth = truth if value.shape[1] == 12 else truth + 2 * math.log(slopes.sigma_w)
        middle, error = value.mean(0), value.std(0, ddof=1) / 4
        assert agree(middle, error, truth)
        assert not agree(middle, error, truth + math.log(1.1))
    assert np.allclose(np.exp(found["log_m_1"]), found["m_1"], rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gru", "lstm", "minimal"])
def test_networks_of_finite_width_have_these_gradients(name):
    """16 networks of width 400: their error, and 1 / width for what a finite width does.

    4.5 standard errors, 9 comparisons: false alarms below 1e-3 (15 degrees of freedom).
    """
    cell, horizons, width = cells.get(name), (1, 3, 6), 400
    ensemble = cell.ensemble(**SETTINGS[name])
    networks = simulate(
        cell, ensemble, Inputs(), width=width, networks=16, steps=30, tying="tied", device="cpu",
        jacobian_horizons=horizons, seed=1,
    )  # fmt: skip
    units = SampledUnits(cell, ensemble, Inputs(), "tied", Sampling(1 << 16, 16, device="cpu"))
    means = units.jacobian_means(6, burn_in=30)
    for T in horizons:
        moment = networks.jacobian[T].moments
        value, error = float(moment.mean[0]), float(moment.sem[0])
        allowed = 4.5 * math.hypot(error, means.error[T - 1]) + 4 * value / width
        assert abs(means.value[T - 1] - value) < allowed
        assert abs(1.5 * means.value[T - 1] - value) > allowed


# --- two trajectories ----------------------------------------------------------------------------


def test_the_response_of_cross_moments_of_a_vanilla_rnn_is_chi():
    """E[ds_a ds_b] grows by chi(c*) = sigma_w^2 E[phi' phi'] a step, whatever c*."""
    cell = cells.vanilla()
    inputs = Inputs(R=0.5, correlation=0.5)
    laws = {"e": {"sigma_w": 1.3, "sigma_b": 0.2}}
    field = MeanField(cell, cell.ensemble(**laws), inputs, tying="untied")
    truth = field.correlation_fixed_point().slope
    setting = SampledSetting(cell, cell.ensemble(**laws), inputs, "tied")
    plan = Sampling(1 << 15, 16, device="cpu")
    found = setting.tangents(plan, range(16), 30, 8, 2)["log_m_1"]
    rate = (found[:, -1] - found[:, 0]) / 7
    error = rate.std(ddof=1) / 4
    assert agree(rate.mean(), error, math.log(truth))
    assert not agree(rate.mean(), error, math.log(CONTROL * truth))
    one = setting.tangents(plan, range(16), 30, 8)["log_m_1"]
    assert not agree(np.diff(one[:, [0, -1]]).mean() / 7, error, math.log(truth))


def test_independent_inputs_of_a_minimal_rnn_forget_through_their_gates_alone():
    """c* = 0: what W returns averages to zero, and E[ds_a ds_b] = E[prod u]^2, E over a unit."""
    cell = cells.minimal()
    options = ({"e": {"sigma_w": 2.0, "mu_b": 1.0}}, Inputs(correlation=0.0))
    plan = Sampling(1 << 16, 16, device="cpu")
    process = process_of(cell, *options, plan, trajectories=2, warm=20)
    tangent, gates = AveragedTangent(process, (0, 1)), 1.0
    for _ in range(6):
        process.step()
        tangent.step()
        gates = gates * torch.sigmoid(process.e["e"])
    kept = gates.mean(2).numpy()
    found = tangent.mean_square().numpy()
    value, error = found.mean(), found.std(ddof=1) / 4
    truth, own = kept.mean() ** 2, 2 * kept.mean() * kept.mean(1).std(ddof=1) / 4
    assert agree(value, error, truth, own)
    assert not agree(value, error, 1.1 * truth, own)


# --- devices, precision, memory ------------------------------------------------------------------


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_gpu_averages_the_same(dtype):
    """Sobol units are the same numbers on every device: the same moments, up to rounding."""
    cell, plan = cells.gru(), Sampling(1 << 12, 4, device="cpu")
    other = replace(plan, device=GPU, dtype=dtype)
    setting = SampledSetting(cell, cell.ensemble(**SETTINGS["gru"]), Inputs(), "tied")
    on_cpu, on_gpu = (setting.tangents(p, range(4), 3, 10, 2) for p in (plan, other))
    rounding = 1e-9 if dtype == "float64" else 1e-3
    # The basis is as orthonormal as its own precision allows.
    assert max(of.pop("check/defect").max() for of in (on_cpu, on_gpu)) < rounding
    for name, value in on_cpu.items():
        assert (np.abs(on_gpu[name] - value) <= rounding * np.abs(value)).all(), name


@pytest.mark.parametrize("sides", [(0, 0), (0, 1)], ids=str)
@pytest.mark.parametrize("name", ["minimal", "gru", "lstm"])
def test_the_memory_of_a_run_is_foreseen(name, sides):
    """Tensors alive at the end of a run, in bytes a unit, are what was predicted or less."""
    cell, steps = cells.get(name), 40
    plan = Sampling(1 << 11, 2, device="cpu")
    process = process_of(cell, {}, Inputs(), plan, trajectories=2)
    setting = SampledSetting(cell, cell.ensemble(), Inputs(), "tied")
    before = setting.unit_bytes(plan, steps, 2)
    predicted = setting.unit_bytes(plan, steps, 2, steps, sides) - before
    _, tangent = followed(process, steps, sides)
    held = {v.untyped_storage().data_ptr(): v.untyped_storage().nbytes() for v in tensors(tangent)}
    assert 0.4 * predicted < sum(held.values()) / plan.total <= predicted


def tensors(value, seen=None):
    """Every tensor that an object holds, but for the process's own."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, UnitProcess):
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for v in value.values():
            yield from tensors(v, seen)
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from tensors(v, seen)
    elif hasattr(value, "__dict__") and type(value).__module__.startswith("rnnmft.units"):
        yield from tensors(vars(value), seen)


def test_untied_tangents_keep_no_history():
    tied, untied = (
        followed(process_of(cells.lstm(), {}, Inputs(), FEWEST, tying), 20)[1]
        for tying in ("tied", "untied")
    )
    sizes = [sum(v.untyped_storage().nbytes() for v in tensors(t)) for t in (tied, untied)]
    assert 4 * sizes[1] < sizes[0]
