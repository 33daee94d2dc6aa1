"""`simulate`: run finite networks from t = 0 on and measure them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch

from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.simulation.estimates import Simulation
from rnnmft.simulation.inputs import InputSequence
from rnnmft.simulation.jacobians import JacobianSample, measure
from rnnmft.simulation.lyapunov import GrowthRates, random_directions
from rnnmft.simulation.network import Network
from rnnmft.simulation.parameters import Generators, TiedParameters, UntiedParameters
from rnnmft.simulation.plan import NetworkBatch, SimulationPlan, checked_plan
from rnnmft.simulation.recorder import Recorder
from rnnmft.simulation.summary import BatchResult, gather

__all__ = ["run_batch", "simulate"]

Progress = Callable[[int, int], object]


def simulate(
    cell: Cell,
    ensemble: Ensemble,
    inputs: Inputs,
    width: int = 1024,
    networks: int = 8,
    steps: int = 30,
    tying: str = "tied",
    jacobian_horizons: Iterable[int] = (),
    jacobian_networks: int | None = None,
    spectrum: bool = False,
    eigenvalues: bool = False,
    lyapunov: int = 0,
    lyapunov_steps: int = 400,
    resolvent_points: Iterable[complex] = (),
    autocovariance_lags: Iterable[int] = (),
    device: str | torch.device = "auto",
    dtype: str = "float32",
    seed: int = 0,
    memory: int | None = None,
    progress: Progress | None = None,
    start: float | Mapping[str, float] = 0.0,
) -> Simulation:
    """Draw random networks, run two trajectories a and b, and measure.

        e_k = W_k y_k + V_k x + b_k        s_a' = F_a(s, x, e)

    Args:
        cell: the cell.
        ensemble: the law of its W, V, b: `cell.ensemble(...)`.
        inputs: the law of x; N_in = N, or the width of what it stands beside where it enters
            elementwise. Data (`Inputs.from_data`) is fed to all networks as it is,
            N_in being its number of features, of which 2 T are as good as more.
        width: N, at least 1. Of what has a width w, the nearest whole number to w N.
        networks: how many independent networks; all errors are over them.
        steps: updates from t = 0.
        tying: "tied" (one W, V, b at every step: a real RNN) or "untied" (fresh at every step).
        jacobian_horizons: T of the Jacobians d s^{steps + T} / d s^{steps} along trajectory a.
        jacobian_networks: only so many networks are used for Jacobians and exponents; all by
            default.
        spectrum: whether to keep all singular values.
        eigenvalues: whether to keep all eigenvalues of the Jacobians.
        lyapunov: how many of the largest Lyapunov exponents to measure along trajectory a.
        lyapunov_steps: for how many steps, after all others; a quarter sorts the directions.
        resolvent_points: complex z at which to give (1/n) tr (z - J J^T)^{-1}, J being n x n.
        autocovariance_lags: lags below `steps` for E[v^T v^{T-lag}] at the last step T.
        device: "auto" (CUDA where there is one), "cpu", "cuda", or a torch device.
        dtype: "float32" or "float64", of weights, states and Jacobians. One seed draws the same
            networks in both. Averages and spectra are always float64.
        seed: a whole number >= 0. The same seed gives the same networks whatever the number of
            networks, steps, horizons or the memory; on CPU and on CUDA they differ.
        memory: bytes that a batch of networks may take, 1 GiB on a CPU by default. Results
            depend on it by rounding only.
        progress: called as progress(done, total), in steps of networks.
        start: standard deviation of the states at t = 0, a number for all or {state: number}:
            Gaussians of zero mean, independent over units and states; 0 is the zero state. The two
            trajectories start with the correlation of their inputs, E[s_a s_b] = c_x start^2.

    Returns:
        `Simulation`: arrays over steps, whose element t is after t + 1 updates.

    Raises:
        ParameterError: an argument outside its domain, or an ensemble of another cell.

    >>> from rnnmft.cells import Inputs, minimal
    >>> cell = minimal()
    >>> run = simulate(cell, cell.ensemble(), Inputs(), width=64, networks=2, steps=3, device="cpu")
    >>> run.second_moment["h"].mean.shape, run.status.name
    ((3,), 'OK')
    """
    plan = checked_plan(
        cell,
        ensemble,
        inputs,
        width=width,
        networks=networks,
        steps=steps,
        tying=tying,
        jacobian_horizons=jacobian_horizons,
        jacobian_networks=jacobian_networks,
        spectrum=spectrum,
        eigenvalues=eigenvalues,
        lyapunov=lyapunov,
        lyapunov_steps=lyapunov_steps,
        resolvent_points=resolvent_points,
        autocovariance_lags=autocovariance_lags,
        device=device,
        dtype=dtype,
        seed=seed,
        memory=memory,
        start=start,
    )
    batches = list(plan.batches())
    total = sum(batch.count * plan.steps_of(batch) for batch in batches)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    return gather(plan, [run_batch(plan, batch, advance) for batch in batches])


@torch.no_grad()
def run_batch(
    plan: SimulationPlan, batch: NetworkBatch, advance: Callable[[int], object] = int
) -> BatchResult:
    """What some of the networks do; `advance` is told of each step how many took it."""
    generators = Generators(plan.seed, batch.first, batch.count, plan.device)
    width, dtype = plan.width, plan.torch_dtype
    network = Network(plan.cell, width, plan.device, dtype)
    drawn, fed = generators.parameters, plan.input_width
    if plan.tying == "tied":
        parameters = TiedParameters(plan.cell, plan.ensemble, width, drawn, dtype, fed)
    else:
        parameters = UntiedParameters(plan.cell, plan.ensemble, width, drawn, dtype, fed)
    embedded = plan.cell.input is not None
    x = InputSequence(plan.inputs, plan.steps_of(batch), generators.inputs, fed, dtype, embedded)
    recorder = Recorder(plan.cell, plan.ensemble, plan.lags)
    states = network.start_state(plan.start, plan.inputs.correlation, generators.states)
    for _ in range(plan.steps):
        states, preactivations = network.step(states, x.advance(), parameters)
        recorder.record(states, preactivations)
        advance(batch.count)
    jacobians: dict[int, JacobianSample] = {}
    tangent = network.tangent(batch.count) if batch.jacobians else None
    for horizon in range(1, plan.longest_horizon + 1 if batch.jacobians else 1):
        states, _ = network.step(states, x.advance(), parameters, tangent)
        if tangent is not None and horizon in plan.horizons:
            jacobians[horizon] = measure(
                tangent, plan.spectrum, bool(plan.points), plan.eigenvalues
            )
        advance(batch.count)
    rates = None
    if batch.jacobians and plan.lyapunov:
        size = sum(network.sizes.values())
        directions = random_directions(generators.states, size, plan.lyapunov, dtype)
        growth = GrowthRates(network.tangent(batch.count, directions), plan.lyapunov_steps)
        for _ in range(plan.lyapunov_steps):
            states, _ = network.step(states, x.advance(), parameters, growth.tangent)
            growth.record()
            advance(batch.count)
        rates = growth.rates()
    autocovariance = recorder.autocovariance() if plan.lags else None
    return BatchResult(recorder.moments(), autocovariance, jacobians, rates)
