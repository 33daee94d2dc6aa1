"""Transfer matrices of sampled units: their local factors along their own trajectories.

A unit's factors keep every correlation in time, and between preactivations that see each other.

Eq. (many-steps).
"""

from __future__ import annotations

import numpy as np
import torch

from rnnmft.numerics.backends import numpy_backend, torch_backend
from rnnmft.spectra.unit_transfer import UnitTransfer
from rnnmft.units.local_derivatives import LocalDerivatives
from rnnmft.units.particles import UnitProcess

__all__ = ["sampled_transfer"]


def sampled_transfer(process: UnitProcess, horizon: int) -> UnitTransfer:
    """Step a process `horizon` times and collect every unit's transfer matrix.

    Args:
        process: at the time at which the Jacobian starts; it is stepped.
        horizon: T >= 0.
    """
    cell = process.cell
    derivatives = LocalDerivatives(process)
    used = [
        k
        for k, p in enumerate(cell.preactivations)
        if p.is_recurrent and process.ensemble[p.name].sigma_w > 0.0
    ]
    states, total = len(cell.states), len(cell.states) + len(used) * horizon
    repetitions, _, units = process.shape
    tau = process.like.new_zeros((repetitions, units, total, total))
    ds = process.like.new_zeros((states, repetitions, units, total))
    for a in range(states):
        ds[a, ..., a] = 1.0
    for t in range(horizon):
        process.step()
        local = derivatives()
        place = {k: states + i * horizon + t for i, k in enumerate(used)}
        for k, row in place.items():
            tau[:, :, row] = _row(local[2][k], local[3][k], ds, place)
        ds = torch.stack([_row(a, b, ds, place) for a, b in zip(local[0], local[1], strict=True)])
    for a in range(states):
        tau[:, :, a] = ds[a]
    names = [cell.preactivations[k].name for k in used]
    count, device = repetitions * units, str(process.like.device)
    return UnitTransfer(
        tau.double().cpu().numpy().reshape(count, total, total),
        np.full(count, 1.0 / count),
        states,
        horizon,
        tuple(process.ensemble[n].sigma_w for n in names),
        tuple(process.ensemble[n].weights for n in names),
        process.tied,
        repetitions,
        numpy_backend() if device == "cpu" else torch_backend(device),
        tuple(names),
    )


def _row(
    by_state: list[torch.Tensor | None],
    by_preactivation: list[torch.Tensor | None],
    ds: torch.Tensor,
    place: dict[int, int],
) -> torch.Tensor:
    """sum_b (d/ds_b) ds_b + sum_l (d/de_l) de_l, as rows over the columns of tau."""
    row = torch.zeros_like(ds[0])
    for factor, values in zip(by_state, ds, strict=True):
        if factor is not None:
            row = row + factor[..., None] * values
    for k, column in place.items():
        factor = by_preactivation[k]
        if factor is not None:
            row[..., column] = row[..., column] + factor
    return row
