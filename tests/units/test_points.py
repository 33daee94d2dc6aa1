"""Points that move together: each is what it would be alone, with the random numbers of all."""

from __future__ import annotations

import pytest
import torch

from rnnmft import cells
from rnnmft.cells import Inputs
from rnnmft.errors import ParameterError
from rnnmft.language.laws import Uniform
from rnnmft.sampling import Sampling
from rnnmft.units.averaged_tangent import AveragedTangent
from rnnmft.units.particles import UnitProcess
from tests.solvers.linear_cells import linear_cell

PLAN = Sampling(units=2 * 64, repetitions=2, device="cpu")
# Sums over 64 units and a few hundred directions in another order: rounding, which the tangents and
# the gates multiply.
ROUNDING = 1e-8
MINIMAL, LSTM, GRU = cells.minimal(), cells.lstm(), cells.gru()
SETTINGS = {
    "minimal": (
        MINIMAL,
        [
            (MINIMAL.ensemble(e={"sigma_w": w, "mu_b": mu, "sigma_b": b}), Inputs(R=r))
            for w, mu, b, r in ((2.0, 0.0, 0.1, 1.0), (6.0, 1.0, 0.5, 0.3), (0.5, -1.0, 0.1, 2.0))
        ],
        {},
    ),
    "lstm": (
        LSTM,
        [
            (LSTM.ensemble(f={"mu_b": mu}, g={"sigma_w": w}), Inputs(temporal=(1.0, 0.5)))
            for w, mu in ((1.0, 0.0), (3.0, 1.0))
        ],
        {},
    ),
    "gru, from a random start": (
        GRU,
        [
            (GRU.ensemble(z={"mu_b": mu}, n={"sigma_v": v, "sigma_w": 3.0}), Inputs())
            for v, mu in ((1.0, 0.0), (0.5, 1.0))
        ],
        {"h": 0.5},
    ),
}


def run(cell, points, start, plan=PLAN, tying="tied", steps=20, horizon=12):
    """States, variances, log m_1: (repetitions, points, ..)."""
    process = UnitProcess(cell, *points[0], tying, plan, 1, None, start, points)
    for _ in range(steps):
        process.step()
    tangent = AveragedTangent(process)
    logs = []
    for _ in range(horizon):
        process.step()
        tangent.step()
        logs.append(tangent.log_mean_square())
    found = [*process.states.values(), *process.prescribed.values(), torch.stack(logs, 1)]
    return [v.reshape(plan.repetitions, len(points), -1) for v in found]


@pytest.mark.parametrize("tying", ["tied", "untied"])
@pytest.mark.parametrize("which", SETTINGS)
def test_a_point_among_others_is_what_it_is_alone(which, tying):
    cell, points, start = SETTINGS[which]
    together = run(cell, points, start, tying=tying)
    for b, point in enumerate(points):
        alone = run(cell, [point], start, tying=tying)
        for whole, own in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[:, b], own[:, 0], rtol=ROUNDING, atol=ROUNDING)
    # Control: other points, of the same numbers, are told apart by far more.
    assert (together[0][:, 0] - together[0][:, 1]).abs().max() > 1e4 * ROUNDING


def test_directions_that_turn_apart_stay_those_of_each_point(monkeypatch):
    """Numbers are shared until directions are dropped, each point's in its own way."""
    monkeypatch.setattr("rnnmft.units.recent_span.KEPT", 40)
    cell, points, start = SETTINGS["minimal"]
    together = run(cell, points[:2], start, steps=60, horizon=1)
    for b, point in enumerate(points[:2]):
        alone = run(cell, [point], start, steps=60, horizon=1)
        torch.testing.assert_close(together[0][:, b], alone[0][:, 0], rtol=1e-6, atol=1e-6)


def test_what_a_point_lacks_is_zero_there():
    """Others draw numbers for a bias, an input and weights, which it does not feel."""
    points = [
        (MINIMAL.ensemble(e={"sigma_w": w, "sigma_b": b}), Inputs(R=r))
        for w, b, r in ((2.0, 0.5, 1.0), (0.0, 0.0, 0.0), (0.0, 0.1, 1.0))
    ]
    h, variance, _ = run(MINIMAL, points, {})
    assert (h[:, 1] == 0.0).all()
    assert (variance[:, 1] == 0.0).all()
    assert (h[:, [0, 2]].abs().mean(2) > 0.1).all()
    torch.testing.assert_close(variance[:, 2], torch.full_like(variance[:, 2], 1.01))


def test_elementwise_parameters_are_those_of_the_repetition():
    cell = linear_cell("random")
    laws = {"parameters": {"p": Uniform(0.1, 0.7)}}
    points = [(cell.ensemble(e={"sigma_w": w}, **laws), Inputs()) for w in (0.1, 0.3)]
    process = UnitProcess(cell, *points[0], "tied", PLAN, 1, None, None, points)
    p = process.parameters["p"].reshape(2, 2, -1)
    assert torch.equal(p[:, 0], p[:, 1])
    assert not torch.equal(p[0], p[1])


def test_points_with_other_kinds_of_inputs_are_refused():
    ensemble = MINIMAL.ensemble()
    points = [(ensemble, Inputs()), (ensemble, Inputs(temporal="constant"))]
    with pytest.raises(ParameterError, match="same kind of inputs"):
        UnitProcess(MINIMAL, *points[0], "tied", PLAN, 1, None, None, points)


def test_points_may_have_numbers_of_their_own():
    """Row r B + b is repetition r of point b, whoever is beside it; points share no numbers."""
    cell, points, _ = SETTINGS["minimal"]
    same = [points[0], points[0]]

    def logs(numbers, points):
        process = UnitProcess(cell, *points[0], "tied", PLAN, 1, numbers, points=points, apart=True)
        for _ in range(8):
            process.step()
        tangent = AveragedTangent(process)
        process.step()
        tangent.step()
        return tangent.log_mean_square().reshape(-1, len(points))

    both, alone = logs([0, 5, 1, 6], same), logs([5, 6], same[1:])
    torch.testing.assert_close(both[:, 1:], alone, atol=ROUNDING, rtol=0)
    assert (both[:, 0] - both[:, 1]).abs().min() > 1e-3
    _, _, shared = run(cell, same, {}, steps=8, horizon=1)
    assert (shared[:, 0] - shared[:, 1]).abs().max() < ROUNDING
