"""Curves of units whose steps are given: against the disc, and told when windows are too short."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnnmft.language.weight_ensembles import weight_ensemble
from rnnmft.lyapunov.linear import linear_curve
from rnnmft.lyapunov.unit_steps import UnitSteps
from rnnmft.lyapunov.windows import WINDOWS, sampled_curve


def leaky(a: float, b: float, weights: str = "gaussian") -> UnitSteps:
    """h' = a h + b e, e = W h: every unit is the same."""

    def always(x: float) -> torch.Tensor:
        return torch.full((4, WINDOWS[-1], 1, 1), x, dtype=torch.float64)

    ensemble = (weight_ensemble(weights),)
    parts = (always(a), always(b), always(1.0), always(0.0))
    return UnitSteps(*parts, (1.0,), ensemble, tied=True, parts=4)


@pytest.mark.slow
def test_a_linear_network_has_its_disc() -> None:
    """a = 0.3, b = 0.5: windows end at 0.02 of u at most; control: a radius 10 % larger."""
    found = sampled_curve(leaky(0.3, 0.5), math.log(0.8))
    at = [-0.5, -0.8, -1.2]
    mine = np.array([found.curve.fraction_above(m) for m in at])
    wanted, moved = (
        np.array([linear_curve(0.3, r, "gaussian").fraction_above(m) for m in at])
        for r in (0.5, 0.55)
    )
    assert np.abs(mine - wanted).max() < 0.02
    assert np.abs(mine - moved).max() > 0.03
    allowed = sum(np.array([abs(b.fraction_above(m) - u) for m, u in zip(at, mine, strict=True)])
                  for b in found.bounds)  # fmt: skip
    assert (np.abs(mine - wanted) <= allowed + 2e-3).all()
    assert max(p.fraction_above(-0.8) for p in found.parts) - min(
        p.fraction_above(-0.8) for p in found.parts
    ) == pytest.approx(0.0, abs=1e-12)


def test_a_slow_network_is_told() -> None:
    found = sampled_curve(leaky(0.97, 0.02), math.log(0.99))
    assert found.reason
