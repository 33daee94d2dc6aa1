"""Points as one axis of the transport: each what it is alone; maps of laws; every fixed point."""

from __future__ import annotations

import numpy as np
import pytest

import rnnmft as mft
from rnnmft import cells
from rnnmft.solvers.transport.gauss_rules import compressed
from rnnmft.solvers.transport.law_axis import LawAxis
from rnnmft.solvers.transport.law_grid import LawGrid
from rnnmft.solvers.transport.stationary_laws import COARSE, StationaryLaws, begin

CELL = cells.get("lstm")
INPUTS = mft.Inputs(R=0.5)


def _points(quiet: bool = False) -> list[tuple[mft.Ensemble, mft.Inputs]]:
    """Gates of different widths and biases; in one the forget gate is no random number."""
    drive = {"sigma_v": 0.0} if quiet else {}
    rows = [(0.4, -1.0, 1.0), (1.0, 0.0, 3.0), (2.5, 1.5, 0.7), (0.0, 0.5, 1.3)]
    return [
        (
            CELL.ensemble(f={"sigma_w": f, "mu_b": mu, "sigma_v": 0.0}, g={"sigma_w": g, **drive}),
            INPUTS,
        )
        for f, mu, g in rows
    ]


def test_means_without_the_tensor_are_those_of_the_tensor() -> None:
    """Against the full interpolation; a point that is a node, and an odd number of nodes."""
    rng = np.random.default_rng(0)
    for size in (17, 24):
        grid = LawGrid(size, 5.0)
        nodes, weights = rng.uniform(0.0, 1.0, 7), rng.uniform(size=(3, 7))
        nodes[0] = 1.0
        gain = grid.interpolation(nodes[:, None] * grid.nodes)
        noise = grid.interpolation(nodes[:, None] + grid.nodes)
        for found, tensor in (
            (grid.gain_means(nodes, weights), gain),
            (grid.noise_means(nodes, weights), noise),
        ):
            assert np.allclose(found, np.tensordot(weights, tensor, axes=1), atol=1e-13)
        assert (gain[0].argmax(1) == np.arange(size))[2:-2].all()


def test_rules_of_many_measures_are_those_of_each() -> None:
    """Also of a measure of three points, whose rule ends before the others'."""
    rng = np.random.default_rng(1)
    values = rng.uniform(-1.0, 2.0, (3, 40))
    values[1] = np.resize([0.1, 0.5, 0.9], 40)
    weights = rng.uniform(size=(3, 40))
    many = compressed(values, weights, 6)
    for i in range(3):
        one = compressed(values[i], weights[i], 6)
        assert len(one.nodes) == (3 if i == 1 else 6)
        for power in range(6):
            exact = float(weights[i] @ values[i] ** power)
            assert float(one.weights @ one.nodes**power) == pytest.approx(exact, rel=1e-12)
            moment = float(many.weights[i] @ many.nodes[i] ** power)
            assert moment == pytest.approx(exact, rel=1e-12)


def test_an_axis_of_points_is_the_points() -> None:
    """The gap of E[h^2] at many points and values, against one model at a time."""
    points = _points()
    axis = LawAxis(CELL, points, LawGrid(COARSE[0], 20.0), COARSE[1])
    which = np.array([0, 1, 2, 3, 2, 0])
    values = np.array([0.0, 0.1, 0.1, 0.2, 0.7, 1e-4])
    found = axis.gaps("h", which, values)
    for i, v, gap in zip(which, values, found, strict=True):
        laws = StationaryLaws(CELL, *points[i])
        model = type(laws.model(COARSE))(CELL, *points[i], axis.grid, axis.nodes)
        alone = model.stationary({"h": float(v), "c": 0.0}).second["h"] - v
        assert gap == pytest.approx(alone, abs=1e-12)


def test_points_at_rest_are_at_rest_on_an_axis() -> None:
    """Where nothing drives, E[h^2] = 0 gives 0, not the grid's rounding."""
    points = [(CELL.ensemble(**{n: {"sigma_v": 0.0} for n in "ifgo"}), mft.Inputs(R=0.0))] * 2
    axis = LawAxis(CELL, points, LawGrid(COARSE[0], 5.0), COARSE[1])
    gaps = axis.gaps("h", np.array([0, 1]), np.array([0.0, 0.01]))
    assert gaps[0] == 0.0
    assert gaps[1] != 0.0


def test_a_search_together_finds_what_a_search_alone_finds() -> None:
    """All fixed points, to the precision of a start."""
    together = [StationaryLaws(CELL, *point) for point in _points()]
    begin(together)
    for laws, point in zip(together, _points(), strict=True):
        alone = StationaryLaws(CELL, *point)
        assert len(laws.starts) == len(alone.starts) == 1
        assert laws.starts[0] == pytest.approx(alone.starts[0], rel=1e-5)


@pytest.mark.slow
def test_a_map_of_laws_is_its_points() -> None:
    """Every quantity of the map against the theory of each point, both within their errors."""
    vary = {("f", "sigma_w"): [0.3, 2.0], ("f", "mu_b"): [-1.0, 2.0]}
    quantities = ["second_moment", "preactivation_variance", "gradient_growth", "xi_q", "xi_c"]
    found = mft.phase_diagram(CELL, None, INPUTS, vary, quantities, "untied")
    assert (found.points_one_by_one, set(found.status.values.ravel())) == (0, {"OK"})
    names = found.state.values.tolist()
    for i, j in np.ndindex(2, 2):
        law = {"sigma_w": vary["f", "sigma_w"][i], "mu_b": vary["f", "mu_b"][j]}
        field = mft.MeanField(CELL, CELL.ensemble(f=law), INPUTS, "untied")
        at, times = field.fixed_point(), field.timescales()
        alone = {
            "second_moment": ([at.second_moment[n] for n in names], at.error),
            "gradient_growth": (float(field.gradient_growth()), field.gradient_growth().error),
            "xi_q": (float(times.quantity("xi_q")), times.quantity("xi_q").error),
            "xi_c": (float(times.quantity("xi_c")), times.quantity("xi_c").error),
        }
        for name, (value, error) in alone.items():
            here = found[name].values[..., i, j]
            slack = found[f"{name}_error"].values[..., i, j] + np.asarray(error) + 1e-12
            assert (np.abs(here - np.asarray(value)) <= slack).all(), name


def test_a_map_of_laws_names_what_has_no_law() -> None:
    """A forget gate that is shut open: c grows without end; the other point is as ever."""
    vary = {("f", "mu_b"): [0.0, 60.0]}
    found = mft.phase_diagram(CELL, None, INPUTS, vary, ["second_moment"], "untied")
    assert found.status.values.ravel().tolist() == ["OK", "DIVERGES"]
    assert np.isfinite(found.second_moment.values[:, 0]).all()
