"""Slopes by Bonnet's and Price's rules against central differences of the recursions themselves.

The difference is taken at two steps; Richardson's change bounds its error.
"""

from __future__ import annotations

import numpy as np
import pytest

from rnnmft import Cell, Inputs, Preactivation, State, cells, sigmoid, tanh
from rnnmft.activations import hard_sigmoid, hard_tanh, leaky_relu, relu
from rnnmft.solvers.closed.closed_moments import ClosedMoments


def two_states():
    a, b = State("a"), State("b")
    e = Preactivation("e", a)
    f = Preactivation("f", sigmoid(e) * b)
    return Cell("two", update={a: sigmoid(e) * a + (1 - sigmoid(e)) * b, b: tanh(f) + a / 2})


def hard_gated():
    h = State("h")
    e = Preactivation("e", h)
    return Cell("hard", update={h: hard_sigmoid(e) * h + (1 - hard_sigmoid(e)) * hard_tanh(e)})


CELLS = {
    "vanilla": cells.vanilla(),
    "relu": cells.vanilla(relu),
    "leaky_relu": cells.vanilla(leaky_relu),
    "hard_tanh": cells.vanilla(hard_tanh),
    "hard gates": hard_gated(),
    "minimal": cells.minimal(),
    "gru": cells.gru(),
    "two states": two_states(),
}


def solver(name, temporal="white"):
    cell = CELLS[name]
    laws = {
        p.name: {"sigma_w": 0.9 + 0.1 * i, "mu_b": 0.3 - 0.2 * i, "sigma_b": 0.2}
        for i, p in enumerate(cell.preactivations)
    }
    return ClosedMoments(cell, cell.ensemble(**laws), Inputs(0.8, 0.4, temporal))


def differences(function, at):
    """(slope matrix, error): central differences at h and h / 2, extrapolated."""
    columns, errors = [], []
    for i in range(len(at)):
        found = []
        for h in (2e-3, 1e-3):
            step = np.zeros_like(at)
            step[i] = h * max(abs(at[i]), 0.1)
            found.append((function(at + step) - function(at - step)) / (2 * step[i]))
        columns.append((4 * found[1] - found[0]) / 3)
        errors.append(np.abs(found[1] - found[0]) + 1e-8)
    return np.stack(columns, axis=1), np.stack(errors, axis=1)


def states_of(name, temporal):
    """A point beside the path: moments after a few steps."""
    of = solver(name, temporal)
    moments, cross = (
        np.zeros((len(of.recursion.keys), 1)),
        np.zeros((len(of.recursion.cross_keys), 1)),
    )
    for _ in range(3):
        cross = of.recursion.cross_step(cross, moments, of.point)[0]
        moments = of.recursion.step(moments, of.point)[0]
    return of, moments[:, 0], cross[:, 0]


@pytest.mark.parametrize("temporal", ["white", "constant"])
@pytest.mark.parametrize("name", CELLS)
def test_slope_of_the_moments(name, temporal):
    if temporal == "constant" and CELLS[name].input is None:
        temporal = "white"
    of, moments, _ = states_of(name, temporal)
    expected, error = differences(
        lambda m: of.recursion.step(m[:, None], of.point)[0][:, 0], moments
    )
    found = of.recursion.slope(moments[:, None], of.point)[0]
    assert (np.abs(found - expected) <= error).all()
    assert error.max() < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("name", CELLS)
def test_slope_of_the_cross_moments(name):
    of, moments, cross = states_of(name, "white")
    expected, error = differences(
        lambda c: of.recursion.cross_step(c[:, None], moments[:, None], of.point)[0][:, 0], cross
    )
    found = of.recursion.cross_slope(cross[:, None], moments[:, None], of.point)[0]
    assert (np.abs(found - expected) <= error).all()
    assert error.max() < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("name", CELLS)
def test_at_one_the_cross_slope_is_the_tangent_operator(name):
    """E[(s_a - s_b)(t_a - t_b)] of nearly equal trajectories moves as the tangent process does."""
    of, moments, _ = states_of(name, "white")
    recursion, n = of.recursion, of.recursion.derivation.notation
    point = of.point | {n.c_x: np.ones(1)}
    same = [
        recursion.keys.index((tuple(map(sum, zip(*k, strict=True))),)) for k in recursion.cross_keys
    ]
    at_one = moments[same]
    slope = recursion.cross_slope(at_one[:, None], moments[:, None], point)[0]
    tangent = recursion.tangent(moments[:, None], point)[0]
    one, two = (np.sort(np.abs(np.linalg.eigvals(m)))[::-1] for m in (slope, tangent))
    np.testing.assert_allclose(one[: len(two)], two[: len(one)], rtol=1e-7)
