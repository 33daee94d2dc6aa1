"""A state without variance has no correlation: the same rule in every solver, network and map."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from rnnmft import ConvergenceError, Inputs, MeanField, Status, cells, phase_diagram, simulate
from rnnmft.analysis.correlation_map import correlation_map
from rnnmft.cli.app import main
from rnnmft.correlation import correlation, correlation_error, defined, require_variance

SILENT = Inputs(R=0.0)
SAMPLED: dict[str, Any] = {"particles": 1 << 12, "repetitions": 4, "device": "cpu"}
# One cell for each method: (cell, tying, its name).
METHODS = {
    "closed moments": (cells.minimal, "untied"),
    "two-time kernel, memoryless": (cells.vanilla, "tied"),
    "two-time kernel, gaussian states": (cells.rate, "tied"),
    "transport of the law": (cells.lstm, "untied"),
    "sampled units": (cells.minimal, "tied"),
}


def silent(method: str) -> MeanField:
    make, tying = METHODS[method]
    cell = make()
    weights = {p.name: {"sigma_w": 0.3} for p in cell.preactivations if p.is_recurrent}
    field = MeanField(cell, cell.ensemble(**weights), SILENT, tying, **SAMPLED)
    assert field.method == method.split(",")[0]
    return field


@pytest.mark.parametrize("method", METHODS)
def test_the_trajectory_of_a_zero_state(method: str) -> None:
    path = silent(method).evolve(3)
    assert path.status is Status.UNDEFINED
    for state in path.second_moment:
        assert (np.asarray(path.second_moment[state]) == 0.0).all()
        second, c = (path.quantity(kind, state) for kind in ("second_moment", "correlation"))
        assert second.status is Status.OK
        assert c.status is Status.UNDEFINED
        assert np.isnan(np.asarray(c)).all()
        assert np.shape(c.error) == (3,)


@pytest.mark.parametrize("method", METHODS)
def test_the_stationary_zero_state(method: str) -> None:
    field = silent(method)
    with pytest.raises(ConvergenceError, match="is zero") as caught:
        field.correlation_fixed_point()
    assert caught.value.status is Status.UNDEFINED
    times = field.timescales()
    assert times.status is Status.UNDEFINED
    found = times.quantities()
    assert {n: q.status for n, q in found.items()} == {
        "xi_q": Status.OK,
        "xi_c": Status.UNDEFINED,
        "chi_1": Status.OK,
    }
    assert math.isnan(times.xi_c)
    assert 0.0 < times.chi_1 < 1.0
    assert math.isfinite(times.xi_q)


def test_networks_at_zero() -> None:
    cell = cells.vanilla()
    found = simulate(cell, cell.ensemble(), SILENT, width=16, networks=3, steps=2, device="cpu")
    assert found.quantity("correlation", "h").status is Status.UNDEFINED
    assert found.quantity("second_moment", "h").status is Status.OK


def test_maps_at_zero() -> None:
    cell = cells.vanilla()
    ensemble = cell.ensemble(e={"sigma_w": 0.3})
    with pytest.raises(ConvergenceError, match="is zero") as caught:
        correlation_map(MeanField(cell, ensemble, SILENT), [0.0, 0.5])
    assert caught.value.status is Status.UNDEFINED
    quantities = ["correlation", "xi_q", "xi_c", "chi_1"]
    found = phase_diagram(cell, None, SILENT, {("e", "sigma_w"): [0.3]}, quantities)
    assert found.status.values[:, 0].tolist() == ["UNDEFINED", "OK", "UNDEFINED", "OK"]


def test_the_command_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evolve", "vanilla", "-R", "0", "--steps", "2", "--tying", "untied"]
    assert main(arguments) == 0
    assert str(Status.UNDEFINED) in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert Status.UNDEFINED.value in json.dumps(data)


# --- the rule -------------------------------------------------------------------------------------


def test_a_trajectory_is_undefined_where_it_has_no_variance_alone() -> None:
    """The second state repeats the first one step late: zero after one update, not after two."""
    from rnnmft import Cell, Preactivation, State, tanh

    a, b = State("a"), State("b")
    cell = Cell("late", update={a: tanh(Preactivation("e", a)), b: a})
    for tying in ("untied", "tied"):
        path = MeanField(cell, cell.ensemble(), tying=tying, **SAMPLED).evolve(3)
        statuses = list(path.quantity("correlation", "b").status)
        assert statuses == [Status.UNDEFINED, Status.OK, Status.OK]
        assert path.quantity("correlation", "a").status is Status.OK
        # All of it is right from where there is something to correlate.
        assert path.status is Status.OK
        short = MeanField(cell, cell.ensemble(), tying=tying, **SAMPLED).evolve(1)
        assert short.status is Status.UNDEFINED


def test_a_moment_within_its_error_is_zero() -> None:
    assert defined([1e-3, 1e-3], [1e-4, 1e-2]).tolist() == [True, False]
    with pytest.raises(ConvergenceError, match="state b is zero"):
        require_variance({"a": 1.0, "b": 1e-9}, {"a": 0.1, "b": 1e-9})
    require_variance({"a": 1.0, "b": 1e-9}, {"a": 0.1, "b": 1e-10})


def test_the_error_of_a_correlation_bounds_every_ratio() -> None:
    generator = np.random.default_rng(1)
    second, cross = 1.0 + generator.random(2000), generator.random(2000) - 0.5
    e, e_ab = 0.3 * generator.random((2, 2000))
    bound = correlation_error(cross, second, e_ab, e)
    corners = [
        abs(correlation(cross + s * e_ab, second + t * e) - correlation(cross, second))
        for s in (-1, 1)
        for t in (-1, 1)
    ]
    worst = np.max(corners, axis=0)
    assert (worst <= bound * (1 + 1e-12)).all()
    assert (worst >= 0.5 * bound).any()  # and it is not idle
    assert math.isinf(correlation_error(0.5, 1.0, 0.1, 1.0))
    assert math.isnan(correlation_error(0.5, 0.0, 0.1, 0.1))
