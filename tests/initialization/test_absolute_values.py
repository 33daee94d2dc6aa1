"""A cell of exp(-|e|), as liquid networks in closed form have it, is made critical.

Its average has no elementary closed form, and the largest sigma_w of the search lie far out.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rnnmft import Status, critical
from rnnmft.cells import from_torch


class Decaying(nn.Module):
    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.sums = nn.Linear(inputs + units, units)
        self.rate, self.level = (nn.Parameter(torch.randn(units)) for _ in range(2))

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        e = self.sums(torch.cat([x, h], 1))
        return self.level * (1 - e * torch.exp(-self.rate.abs() - e.abs()))


@pytest.mark.slow
def test_it_has_a_critical_initialization():
    found = critical(from_torch(Decaying(16, 32)))
    assert "nan" not in str(found)
    growth = found.growth()
    assert growth.status is Status.OK
    assert abs(growth.value) < 3.0 * growth.error < 0.2
