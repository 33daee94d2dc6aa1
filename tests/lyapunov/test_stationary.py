"""The stationary bath: against closed forms, plain algebra, and networks of gated cells."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from rnnmft import Cell, DerivationError, Inputs, MeanField, ParameterError, Status, cells, simulate
from rnnmft.lyapunov.responses import Bath, Responses
from rnnmft.lyapunov.stationary import solve_baths
from rnnmft.lyapunov.unit_steps import UnitSteps, sampled_steps
from rnnmft.sampling import Sampling
from rnnmft.spectra.sampled_transfer import sampled_transfer
from rnnmft.units.particles import UnitProcess
from tests.simulation.false_alarms import FALSE_ALARM, p_value
from tests.stand_in_device import GPU


def process(cell: Cell, units: int, weights: str = "gaussian", tying: str = "tied") -> UnitProcess:
    """Sampled units after twenty steps."""
    recurrent = [p.name for p in cell.preactivations if p.is_recurrent]
    ensemble = cell.ensemble(weights=weights, **{name: {"sigma_w": 2.0} for name in recurrent})
    sampling = Sampling(units=units, repetitions=2, seed=5, device="cpu")
    found = UnitProcess(cell, ensemble, Inputs(), tying, sampling, trajectories=1)
    for _ in range(20):
        found.step()
    return found


def vanilla_steps(weights: str, tying: str) -> tuple[UnitSteps, MeanField]:
    made = process(cells.vanilla(), 4096, weights, tying)
    return sampled_steps(made, 8), MeanField(made.cell, made.ensemble, Inputs(), tying="untied")


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("tying", ["tied", "untied"])
def test_a_memoryless_network_has_its_closed_form(weights: str, tying: str) -> None:
    """4096 units, read at four steps: 0.01 is three of their standard errors, times 1.5.

    Control: psi of the other ensemble.
    """
    units, field = vanilla_steps(weights, tying)
    at = [-0.4, -1.0]
    found = [p.above for p in solve_baths(units, at)]
    wanted = field.lyapunov_spectrum().fraction_above(at).value
    assert found == pytest.approx(wanted, abs=0.01)
    cell, other = field.cell, "orthogonal" if weights == "gaussian" else "gaussian"
    moved = cell.ensemble(weights=other, e={"sigma_w": 2.0})
    control = MeanField(cell, moved, tying="untied").lyapunov_spectrum()
    assert found != pytest.approx(control.fraction_above(at).value, abs=0.02)


@pytest.mark.parametrize("name", ["minimal", "gru", "lstm", "peephole_lstm"])
def test_answers_are_those_of_the_plain_inverse(name: str) -> None:
    """g_v = E (1 + R S_u R^T S_v)^-1 R S_u R^T with R = dy/de in time, and the same for g_u.

    R comes from the transfer of the T-step Jacobian, shrunk by e^-mu a step. The GRU and the
    peephole LSTM have preactivations that see others of their step. Control: another mu.
    """
    window, mu = 8, -0.2
    cell = cells.get(name)
    units = sampled_steps(process(cell, 64), window)
    transfer = sampled_transfer(process(cell, 64), window)
    kinds, m = len(transfer.sigma_w), transfer.states
    times = np.arange(window)
    shrink = np.exp(-mu * (times[:, None] - times[None, :]))
    plain = transfer.tau[:, m:, m:] * np.tile(shrink, (kinds, kinds))
    rng = np.random.default_rng(2)
    profile = 0.5 ** np.arange(window) * rng.uniform(0.2, 0.6, (2, kinds, 1))
    dense = [np.zeros((kinds * window,) * 2) for _ in range(2)]
    lag = np.abs(times[:, None] - times[None, :])
    for side in range(2):
        for k in range(kinds):
            block = slice(k * window, (k + 1) * window)
            dense[side][block, block] = profile[side, k][lag]
    source, weight = dense
    heard = plain @ source @ plain.transpose(0, 2, 1)
    listened = plain.transpose(0, 2, 1) @ weight @ plain
    one = np.eye(kinds * window)
    g_v = (np.linalg.inv(one + heard @ weight) @ heard).mean(0)
    g_u = (np.linalg.inv(one + listened @ source) @ listened).mean(0)
    bath = Bath(*(torch.from_numpy(x.copy()) for x in profile))
    for growth, agrees in ((mu, True), (mu - 0.02, False)):
        found = Responses(units, growth)(bath)
        for mine, theirs in zip(found[:2], (g_v, g_u), strict=True):
            for k in range(kinds):
                block = theirs[k * window : (k + 1) * window, k * window : (k + 1) * window]
                expected = np.diag(block)[2:6].mean()
                assert (abs(float(mine[k, 0]) - expected) < 1e-10) == agrees


def test_largest_exponents_say_whose_they_are() -> None:
    cell = cells.minimal()
    ensemble = cell.ensemble(e={"sigma_w": 2.0})
    field = MeanField(cell, ensemble, tying="untied")
    found, growth = field.lyapunov(), field.gradient_growth()
    assert float(found) == float(growth) / 2
    assert found.error == float(growth.error) / 2
    assert "conditional on the input" in found.name
    assert found.unit == "per step"
    timed = field.lyapunov(step=0.1)
    assert float(timed) == pytest.approx(10 * float(found))
    assert timed.unit == "per unit of time"
    assert "autonomous" in MeanField(cell, ensemble, Inputs(R=0.0), tying="untied").lyapunov().name


@pytest.mark.parametrize(
    ("leak_gain", "published"),
    [(2.0, 0.1077886), pytest.param(5.0, 0.3788908, marks=pytest.mark.slow)],
)
def test_the_rate_network_per_unit_of_time(leak_gain: float, published: float) -> None:
    """Steps of d = 0.5; published to seven digits."""
    cell = cells.rate(leak=0.5)
    field = MeanField(cell, cell.ensemble(e={"sigma_w": leak_gain}), Inputs(R=0.0), start=1.0)
    found = field.lyapunov(step=0.5)
    assert found.status is Status.OK
    assert float(found) == pytest.approx(published, abs=2e-7)


def test_bad_questions_are_refused() -> None:
    field = MeanField(cells.minimal(), tying="untied")
    with pytest.raises(ParameterError, match="step must be"):
        field.lyapunov(step=0.0)
    with pytest.raises(ParameterError, match="burn_in must be"):
        field.lyapunov_spectrum(burn_in=-1)
    for ask in ("lyapunov", "lyapunov_spectrum"):
        with pytest.raises(DerivationError, match="no recurrent weights"):
            getattr(MeanField(cells.min_gru()), ask)()


@pytest.mark.parametrize("sigma_w", [pytest.param(1.0, marks=pytest.mark.slow), 3.0])
def test_the_zero_state_of_a_gru(sigma_w: float) -> None:
    """J = (1 + sigma_w W / 2) / 2: the edge of a disc, (1/2 + sigma_w / 4)."""
    cell = cells.gru()
    laws = {p.name: {"sigma_w": sigma_w} for p in cell.preactivations}
    found = MeanField(cell, cell.ensemble(**laws), Inputs(R=0.0), device="cpu").lyapunov()
    wanted = math.log(0.5 + sigma_w / 4)
    assert abs(float(found) - wanted) <= 3 * found.error + 1e-9
    assert found.error < 0.01
    assert "autonomous" in found.name


@pytest.mark.cuda
def test_cuda_and_cpu_solve_the_same_bath() -> None:
    """The same units, moved to another device."""
    units = sampled_steps(process(cells.gru(), 64), 8)
    moved = replace(units, **{name: getattr(units, name).to(GPU) for name in "abcd"})
    mine, theirs = (solve_baths(u, [-0.5])[0].above for u in (units, moved))
    assert theirs == pytest.approx(mine, abs=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["minimal", "gru", "lstm"])
def test_networks_of_gated_cells_agree(name: str) -> None:
    """Widths 96 and 192 (m N exponents), extrapolated in 1/N; 6 networks each.

    Quantiles within 2 % or three standard errors of both; the largest exponent is part of the curve
    and compared apart. Control: the theory of weights 5 % larger has another largest exponent.
    """
    cell = cells.get(name)
    laws = {p.name: {"sigma_w": 2.0} for p in cell.preactivations}
    field = MeanField(cell, cell.ensemble(**laws), device="cpu")
    theory = field.lyapunov_spectrum()
    assert theory.status is Status.OK
    at = np.array([0.1, 0.25, 0.5, 0.75])
    fractions, largest = [], []
    exponents = theory.quantiles(1.0 - at).value
    for width in (96, 192):
        run = simulate(
            cell, field.ensemble, Inputs(), width=width, networks=6, steps=60,
            lyapunov=width * len(cell.states), lyapunov_steps=300, device="cpu",
        )  # fmt: skip
        assert run.lyapunov is not None
        samples = run.lyapunov.exponents.samples
        fractions.append((samples[:, :, None] > exponents).mean(1))
        largest.append(samples[:, 0])
    extrapolated = 2 * fractions[1] - fractions[0]
    error = theory.fraction_above(exponents).error
    assert p_value(extrapolated, at, np.maximum(error, 0.01 * at)) > FALSE_ALARM
    top = 2 * largest[1] - largest[0]
    assert p_value(top, theory.largest, theory.error_of("largest", None)) > FALSE_ALARM
    assert math.isfinite(theory.quantiles(0.05).value)
