"""Perturbations of one state alone: their sum is that of all, for states that are unlike."""

from __future__ import annotations

import pytest
import torch

from rnnmft import Inputs, cells
from rnnmft.sampling import Sampling
from rnnmft.units.averaged_tangent import AveragedTangent
from rnnmft.units.particles import UnitProcess


@pytest.mark.parametrize("tying", ["tied", "untied"])
def test_perturbations_of_all_states_add_up(tying: str) -> None:
    """The tangent is linear in Gaussians that are independent: equal to rounding."""
    cell = cells.stack([cells.lstm(), cells.gru()])
    process = UnitProcess(cell, cell.ensemble(), Inputs(), tying, Sampling(256, 2), 1)
    count = len(cell.states)
    whole = AveragedTangent(process)
    parts = [AveragedTangent(process, perturbed=[b]) for b in range(count)]
    for _ in range(10):
        process.step()
        for tangent in (whole, *parts):
            tangent.step()
        blocks = torch.stack([part.state_mean_squares() for part in parts])
        together = whole.state_mean_squares()
        assert torch.allclose(blocks.sum(0), together, rtol=1e-12)
        assert torch.allclose(together.mean(1), whole.mean_square(), rtol=1e-12)
    assert not blocks[2, :, :2].any()  # the second layer does not reach the first
