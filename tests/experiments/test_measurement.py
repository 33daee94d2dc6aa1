"""Measurements of trainees against Jacobians by automatic differentiation, and against theory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rnnmft import cells
from rnnmft.experiments.measurement import (
    Horizon,
    current_ensemble,
    input_scale,
    measured,
    noises,
    predicted,
    redrawn,
)
from rnnmft.experiments.trainees import Trainees

AT = Horizon(burn_in=3, steps=4, inputs=2)


def networks(name: str, count: int = 2, width: int = 6, **laws: Any) -> Trainees:
    cell = getattr(cells, name)()
    ensembles = [cell.ensemble(**laws)] * count
    settings: dict[str, Any] = {"width": width, "features": width, "classes": 3}
    return Trainees(cell, ensembles, **settings, dtype=torch.float64)


def jacobian(trainees: Trainees, network: int, sequence: int) -> Tensor:
    """Of all states after the horizon with respect to all states before it."""
    xs = [x[sequence : sequence + 1] for x in noises(trainees, AT, seed=5)]
    count, width = len(trainees.cell.states), trainees.shapes.width
    states = trainees.start(1)
    for x in xs[: AT.burn_in]:
        states = trainees.step(states, x)

    def onward(flat: Tensor) -> Tensor:
        now = [s.detach().clone() for s in states]
        for s, part in zip(now, flat.reshape(count, width), strict=True):
            s[network, 0] = part
        for x in xs[AT.burn_in :]:
            now = trainees.step(now, x)
        return torch.cat([s[network, 0] for s in now])

    flat = torch.cat([s[network, 0] for s in states]).detach()
    return torch.autograd.functional.jacobian(onward, flat)  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["vanilla", "minimal", "gru", "lstm"])
def test_jacobians_are_those_of_the_steps_that_train(name: str) -> None:
    trainees = networks(name)
    found = measured(trainees, AT, seed=5)
    for network in range(2):
        each = [jacobian(trainees, network, s) for s in range(AT.inputs)]
        m_1 = np.mean([float(j.square().sum()) / len(j) for j in each])
        top = np.mean([float(torch.linalg.svdvals(j)[0]) for j in each])
        assert found["m_1"][network] == pytest.approx(m_1, rel=1e-10)
        assert found["top"][network] == pytest.approx(top, rel=1e-10)


def test_q_is_that_of_the_preactivations() -> None:
    """Linear in x alone: without W the vanilla RNN's e is V x + b."""
    trainees = networks("vanilla", e={"sigma_w": 0.0, "sigma_b": 0.5})
    found = measured(trainees, AT, seed=5)
    v, b = (trainees.parameters[f"{kind}_e"].detach()[1] for kind in "Vb")
    late = torch.stack(noises(trainees, AT, seed=5)[AT.burn_in :])
    expected = float((late @ v.T + b).square().mean())
    assert found["q"]["e"][1] == pytest.approx(expected, rel=1e-6)


def test_moments_of_fresh_weights_are_those_they_were_drawn_with() -> None:
    """320 networks' worth of entries: 4 x 64 x 64 of each matrix, 4 x 64 of a bias."""
    law = {"sigma_w": 1.7, "sigma_v": 0.4, "mu_b": -0.3, "sigma_b": 0.2}
    trainees = networks("gru", count=4, width=64, z=law)
    found = current_ensemble(trainees)["z"]
    of_matrix, of_bias = 5 / np.sqrt(2 * 4 * 64 * 64), 5 / np.sqrt(4 * 64)
    assert found.sigma_w == pytest.approx(1.7, rel=of_matrix)
    assert found.sigma_v == pytest.approx(0.4, rel=of_matrix)
    assert found.mu_b == pytest.approx(-0.3, abs=0.2 * of_bias)
    assert found.sigma_b == pytest.approx(0.2, rel=of_bias)
    assert input_scale(trainees) == 1.0


def test_redrawn_networks_agree_with_theory_and_planted_structure_does_not() -> None:
    """log m_1 over 8 networks, 5 standard errors and 1 / N; W = rank one has the same moments."""
    trainees = networks("vanilla", count=8, width=64, e={"sigma_w": 1.1, "sigma_v": 0.5})
    with torch.no_grad():
        # u v^T with |W|^2 as before: one direction carries all that sigma_w says.
        w = trainees.parameters["W_e"]
        u, v = torch.linalg.svd(w)[0][..., :1], torch.linalg.svd(w)[2][:, :1]
        w.copy_(w.square().sum((1, 2), keepdim=True).sqrt() * u @ v)
    at, ensemble = Horizon(10, 5, 2), current_ensemble(trainees)
    fresh = measured(redrawn(trainees, ensemble, 1, 3), at, seed=0)["m_1"]
    theory = predicted(trainees.cell, ensemble, 1.0, at)
    logs = np.log(fresh)
    error = logs.std(ddof=1) / np.sqrt(len(logs))
    gap = float(abs(logs.mean() - np.log(theory["m_1"])))
    assert gap < 5 * error + at.steps / 64
    planted = np.log(measured(trainees, at, seed=0)["m_1"])
    assert abs(planted.mean() - np.log(theory["m_1"])) > 5 * error + at.steps / 64


def test_an_embedding_stays_and_sets_the_scale_of_inputs() -> None:
    trainees = networks("minimal", width=64)
    fresh = redrawn(trainees, current_ensemble(trainees), 2, 1)
    for name, alike in (("embedding", True), ("W_e", False)):
        one, two = fresh.parameters[name], trainees.parameters[name]
        assert len(one) == 2 * len(two)
        assert torch.equal(one[2], two[1]) == torch.equal(one[3], two[1]) == alike
    # 64 x 64 entries of variance 1/64, summed over features.
    assert input_scale(trainees) == pytest.approx(1.0, rel=5 * np.sqrt(2 / 64**2))
