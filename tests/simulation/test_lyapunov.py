"""Exponents of finite networks: exact cases, determinants, backward in time, convergence."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnnmft import Cell, Inputs, MeanField, Preactivation, State, Status, cells, simulate
from rnnmft.simulation.inputs import InputSequence
from rnnmft.simulation.lyapunov import GrowthRates, lyapunov_estimate, random_directions
from rnnmft.simulation.network import Network
from rnnmft.simulation.parameters import Generators, TiedParameters
from tests.simulation.false_alarms import FALSE_ALARM, p_value
from tests.stand_in_device import GPU

CPU = torch.device("cpu")


def linear() -> Cell:
    h = State("h")
    return Cell("linear", update={h: Preactivation("e", h)})


def test_a_linear_orthogonal_network_has_one_exponent() -> None:
    cell = linear()
    ensemble = cell.ensemble(weights="orthogonal", e={"sigma_w": 0.9})
    for tying in ("tied", "untied"):
        run = simulate(
            cell, ensemble, Inputs(), width=16, networks=2, steps=2, tying=tying,
            lyapunov=16, lyapunov_steps=40, dtype="float64", device="cpu",
        )  # fmt: skip
        assert run.lyapunov is not None
        assert run.lyapunov.exponents.samples == pytest.approx(math.log(0.9), abs=1e-12)
        assert run.lyapunov.status is Status.OK
        assert "lambda_1 = -0.10536" in repr(run)


def jacobians(width: int, steps: int) -> tuple[list[np.ndarray], np.ndarray]:
    """One-step Jacobians of one chaotic GRU along its trajectory, and all its exponents."""
    cell = cells.gru()
    ensemble = cell.ensemble(**{p.name: {"sigma_w": 3.0} for p in cell.preactivations})
    generators = Generators(1, 0, 1, CPU)
    parameters = TiedParameters(cell, ensemble, width, generators.parameters, torch.float64)
    network = Network(cell, width, CPU, torch.float64)
    x = InputSequence(Inputs(), steps, generators.inputs, width, torch.float64)
    states = network.start_state({"h": 1.0}, 0.0, generators.states)
    directions = random_directions(generators.states, width, width, torch.float64)
    rates = GrowthRates(network.tangent(1, directions), steps)
    found = []
    for _ in range(steps):
        one, now = network.tangent(1), x.advance()
        network.step(states, now, parameters, one)
        found.append((one.jacobian() * one.log_scale.exp()[:, None, None])[0].numpy())
        states, _ = network.step(states, now, parameters, rates.tangent)
        rates.record()
    return found, rates.rates()[0]


def plain(matrices: list[np.ndarray], skipped: int = 0) -> np.ndarray:
    """Exponents of a product of matrices, the first of them applied first."""
    q = np.linalg.qr(np.random.default_rng(0).standard_normal(matrices[0].shape))[0]
    grown = np.zeros(len(q))
    for i, matrix in enumerate(matrices):
        q, r = np.linalg.qr(matrix @ q)
        grown += np.log(np.abs(np.diag(r))) if i >= skipped else 0.0
    return grown / (len(matrices) - skipped)


def test_forward_backward_and_the_determinant() -> None:
    """600 steps of one network of width 12.

    The sum of all exponents is the mean of log |det J|, to rounding. Backward in time the
    transposed matrices have the same exponents and the inverse ones those of opposite sign in
    opposite order, but for what directions did before they sorted: some numbers of order 1 over
    600. Control: the singular values of single steps.
    """
    steps = 600
    matrices, halves = jacobians(12, steps)
    forward = halves.mean(0)
    measured = [np.linalg.slogdet(j)[1] for j in matrices[steps // 4 :]]
    assert forward.sum() == pytest.approx(np.mean(measured), abs=1e-9)
    assert forward == pytest.approx(plain(matrices, steps // 4), abs=0.01)
    whole = plain(matrices)
    backward = plain([j.T for j in matrices[::-1]])
    inverse = -plain([np.linalg.inv(j) for j in matrices[::-1]])[::-1]
    single = np.mean([np.log(np.linalg.svd(j)[1]) for j in matrices], axis=0)
    assert backward == pytest.approx(whole, abs=0.02)
    assert inverse == pytest.approx(whole, abs=0.02)
    assert np.abs(single - whole).max() > 0.1


def test_directions_that_are_not_sorted_are_told() -> None:
    """48 networks, 16 steps, exponents of a linear network whose directions mix slowly.

    Control: 400 steps of a network that forgets fast.
    """
    cell = cells.rate(leak=0.1)
    slow = simulate(
        cell, cell.ensemble(e={"sigma_w": 2.0}), Inputs(R=0.0), width=24, networks=48, steps=1,
        lyapunov=24, lyapunov_steps=16, device="cpu",
    )  # fmt: skip
    assert slow.lyapunov is not None
    assert slow.lyapunov.status is Status.NOT_CONVERGED
    cell = cells.vanilla()
    fast = simulate(
        cell, cell.ensemble(e={"sigma_w": 2.0}), Inputs(), width=24, networks=16, steps=20,
        lyapunov=3, lyapunov_steps=200, device="cpu",
    )  # fmt: skip
    assert fast.lyapunov is not None
    assert fast.lyapunov.status is Status.OK


def test_the_theory_of_a_memoryless_network() -> None:
    """32 networks of width 48 and of 96, extrapolated in 1/N: the largest. Control: 4 % off."""
    cell = cells.vanilla()
    ensemble = cell.ensemble(e={"sigma_w": 2.0})
    samples = []
    for width in (48, 96):
        run = simulate(
            cell, ensemble, Inputs(), width=width, networks=32, steps=20,
            lyapunov=1, lyapunov_steps=200, device="cpu",
        )  # fmt: skip
        assert run.lyapunov is not None
        samples.append(run.lyapunov.exponents.samples[:, 0])
        assert run.lyapunov.mean == pytest.approx(samples[-1].mean())
    extrapolated = 2 * samples[1] - samples[0]
    wanted = float(MeanField(cell, ensemble).lyapunov())
    # Corrections of order 1/N^2 that two widths leave: (2/48)^2 / 2.
    assert p_value(extrapolated, wanted, 1e-3) > FALSE_ALARM
    assert p_value(extrapolated, wanted + 0.04, 1e-3) < FALSE_ALARM


def test_batches_and_horizons_do_not_matter() -> None:
    """The same networks, whatever else is measured and however they are dealt out."""
    cell = cells.gru()
    options = {
        "width": 12, "networks": 3, "steps": 3, "lyapunov": 2, "lyapunov_steps": 20,
        "dtype": "float64", "device": "cpu",
    }  # fmt: skip
    one = simulate(cell, cell.ensemble(), Inputs(), **options)
    split = simulate(cell, cell.ensemble(), Inputs(), memory=1, **options)
    assert one.lyapunov is not None
    assert split.lyapunov is not None
    assert split.lyapunov.mean == pytest.approx(one.lyapunov.mean, abs=1e-12)
    few = simulate(cell, cell.ensemble(), Inputs(), jacobian_networks=2, **options)
    assert few.lyapunov is not None
    assert few.lyapunov.exponents.samples.shape == (2, 2)
    assert simulate(cell, cell.ensemble(), Inputs(), 8, 1, 2, device="cpu").lyapunov is None


def test_what_is_not_finite_is_undefined() -> None:
    halves = np.full((2, 2, 1), 0.5)
    halves[0, 0, 0] = np.inf
    found = lyapunov_estimate(halves)
    assert found.status is Status.UNDEFINED
    assert found.quantity("exponents").status is Status.UNDEFINED


@pytest.mark.cuda
def test_cuda_and_cpu_agree() -> None:
    """16 networks of width 64 on each. Control: 0.1 off."""
    cell = cells.minimal()
    on_cuda, on_cpu = (
        simulate(
            cell, cell.ensemble(e={"sigma_w": 2.0}), Inputs(), width=64, networks=16, steps=20,
            lyapunov=3, lyapunov_steps=100, device=device,
        ).lyapunov
        for device in (GPU, "cpu")
    )  # fmt: skip
    assert on_cuda is not None
    assert on_cpu is not None
    theirs = on_cpu.exponents
    assert p_value(on_cuda.exponents.samples, theirs.mean, theirs.sem) > FALSE_ALARM
    assert p_value(on_cuda.exponents.samples, theirs.mean + 0.1, theirs.sem) < FALSE_ALARM
