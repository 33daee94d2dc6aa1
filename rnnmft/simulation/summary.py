"""From what the batches of networks gave to the record of the simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rnnmft.correlation import correlation
from rnnmft.errors import Status
from rnnmft.simulation.estimates import (
    Estimate,
    JacobianEstimate,
    LyapunovEstimate,
    Simulation,
    describe_divergence,
    estimate_over_networks,
)
from rnnmft.simulation.jacobians import JacobianSample
from rnnmft.simulation.lyapunov import lyapunov_estimate
from rnnmft.simulation.plan import SimulationPlan

__all__ = ["BatchResult", "gather"]


@dataclass(frozen=True)
class BatchResult:
    """What one batch gave: the recorder's arrays, Jacobian samples by horizon, Lyapunov rates."""

    moments: np.ndarray
    autocovariance: np.ndarray | None
    jacobians: dict[int, JacobianSample]
    rates: np.ndarray | None = None


def gather(plan: SimulationPlan, runs: list[BatchResult]) -> Simulation:
    """The estimates over all networks; a network counts as nan from the step of its divergence."""
    moments = np.concatenate([run.moments for run in runs], axis=1)
    diverged_at = _divergence(moments)
    for network, step in enumerate(diverged_at):
        if step:
            moments[:, network, :, step - 1 :] = np.nan
    status = Status.DIVERGES if any(diverged_at) else Status.OK
    reason = describe_divergence(diverged_at)
    states = [s.name for s in plan.cell.states]
    names = states + [p.name for p in plan.cell.preactivations]

    def by_name(wanted: list[str], order: int) -> dict[str, Estimate]:
        rows = {name: moments[names.index(name), :, order] for name in wanted}
        return {n: estimate_over_networks(row, status, reason) for n, row in rows.items()}

    second, cross = by_name(states, 1), by_name(states, 2)
    preactivations = names[len(states) :]
    return Simulation(
        cell=plan.cell.name,
        ensemble=plan.ensemble.to_dict(),
        inputs=plan.inputs.to_dict(),
        start=dict(plan.start),
        width=plan.width,
        networks=plan.networks,
        steps=plan.steps,
        tying=plan.tying,
        seed=plan.seed,
        device=str(plan.device),
        dtype=plan.dtype,
        first_moment=by_name(states, 0),
        second_moment=second,
        cross_moment=cross,
        correlation={name: _correlation(second[name], cross[name]) for name in states},
        preactivation_variance=by_name(preactivations, 1),
        preactivation_covariance=by_name(preactivations, 2),
        autocovariance=_autocovariance(plan, runs, names, diverged_at),
        lags=plan.lags,
        jacobian={T: _jacobian(plan, runs, T, diverged_at) for T in plan.horizons},
        lyapunov=_lyapunov(plan, runs),
        diverged_at=diverged_at,
    )


def _divergence(moments: np.ndarray) -> tuple[int | None, ...]:
    """For each network the first step with a number that is not finite, counted from 1."""
    lost = np.any(~np.isfinite(moments), axis=(0, 2))
    first = lost.argmax(axis=1) + 1
    return tuple(int(t) if lost[i].any() else None for i, t in enumerate(first))


def _correlation(second: Estimate, cross: Estimate) -> Estimate:
    ratio = correlation(cross.samples, second.samples)
    if not second.status.ok:
        return estimate_over_networks(ratio, second.status, second.reason)
    return _estimate(ratio, Status.UNDEFINED, "The second moment is 0")


def _autocovariance(
    plan: SimulationPlan,
    runs: list[BatchResult],
    names: list[str],
    diverged_at: tuple[int | None, ...],
) -> dict[str, Estimate]:
    arrays = [run.autocovariance for run in runs if run.autocovariance is not None]
    if not arrays:
        return {}
    samples = np.concatenate(arrays, axis=1)
    samples[:, [bool(step) for step in diverged_at]] = np.nan
    status = Status.DIVERGES if any(diverged_at) else Status.OK
    reason = describe_divergence(diverged_at)
    return {
        name: estimate_over_networks(row, status, reason)
        for name, row in zip(names, samples, strict=True)
    }


def _jacobian(
    plan: SimulationPlan, runs: list[BatchResult], horizon: int, diverged_at: tuple[int | None, ...]
) -> JacobianEstimate:
    found = [run.jacobians[horizon] for run in runs if horizon in run.jacobians]
    lost = np.array(diverged_at[: plan.jacobian_networks], dtype=bool)

    def finite(parts: list[torch.Tensor]) -> np.ndarray:
        samples = torch.cat(parts).cpu().numpy()
        samples[lost] = np.nan
        return np.where(np.isfinite(samples), samples, np.nan)

    moments = _estimate(
        finite([sample.moments for sample in found]),
        Status.DIVERGES,
        f"Overflow of J or of its moments by step {plan.steps + horizon}",
    )
    blocks = _estimate(
        finite([sample.blocks for sample in found]),
        Status.DIVERGES,
        f"Overflow of J by step {plan.steps + horizon}",
    )
    values = resolvent = None
    kept = [sample.singular_values for sample in found if sample.singular_values is not None]
    if kept:
        values = finite(kept)
        if plan.points:
            resolvent = _resolvent(values, plan.points)
    if not plan.spectrum:
        values = None
    clouds = [sample.eigenvalues for sample in found if sample.eigenvalues is not None]
    cloud = finite(clouds) if clouds else None
    return JacobianEstimate(horizon, moments, blocks, values, resolvent, plan.points, cloud)


def _lyapunov(plan: SimulationPlan, runs: list[BatchResult]) -> LyapunovEstimate | None:
    found = [run.rates for run in runs if run.rates is not None]
    return lyapunov_estimate(np.concatenate(found)) if found else None


def _resolvent(values: np.ndarray, points: tuple[complex, ...]) -> Estimate:
    difference = np.array(points, dtype=complex)[None, :, None] - values[:, None, :] ** 2
    difference[difference == 0] = np.nan
    samples = (1.0 / difference).mean(axis=-1)
    return _estimate(samples, Status.UNDEFINED, "J is not finite, or z is an eigenvalue of J J^T")


def _estimate(samples: np.ndarray, status: Status, what: str) -> Estimate:
    """The estimate, with that status and the networks it is about where a sample is nan."""
    bad = np.flatnonzero(np.isnan(samples).reshape(len(samples), -1).any(axis=1))
    if not bad.size:
        return estimate_over_networks(samples)
    return estimate_over_networks(samples, status, f"{what} in {_name_networks(bad)}.")


def _name_networks(which: np.ndarray) -> str:
    more = f" and {len(which) - 3} more" if len(which) > 3 else ""
    return f"network {', '.join(map(str, which[:3]))}{more}"
