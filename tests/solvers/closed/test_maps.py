"""Whole maps of closed moments: fixed points, which is reached, correlations, all with errors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from rnnmft import cells
from rnnmft.activations import identity
from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.parameter_grid import ParameterGrid
from rnnmft.analysis.phase_diagram import phase_diagram
from rnnmft.errors import ConvergenceError, Status
from rnnmft.language import Inputs

R, SIGMA_V = 0.4616, 1.39
AROUND = {("e", "sigma_w"): np.linspace(6.4, 7.4, 40), ("e", "mu_b"): np.linspace(4.45, 4.75, 40)}


def map_around(*quantities: str):
    cell = cells.minimal()
    ensemble = cell.ensemble(e={"sigma_v": SIGMA_V})
    return phase_diagram(cell, ensemble, Inputs(R=R), AROUND, quantities, "untied")


def drivers_by_scan(mu: float, sigma_w: np.ndarray) -> list[np.ndarray]:
    """Every Q* of every sigma_w, from one curve: at a given q both Q and sigma_w are explicit.

    Q(q) = R E[(1 - u)^2] / (1 - E[u^2]),   sigma_w^2 = (q - sigma_v^2 R) / Q(q).
    """
    z, w = np.polynomial.hermite_e.hermegauss(80)
    w = w / w.sum()
    q = SIGMA_V**2 * R + np.geomspace(1e-4, 60.0, 6000)
    u = 1.0 / (1.0 + np.exp(-(mu + np.sqrt(q)[:, None] * z)))
    square = R * ((1.0 - u) ** 2 @ w) / (1.0 - (u * u) @ w)
    curve = np.sqrt((q - SIGMA_V**2 * R) / square)
    found = []
    for wanted in sigma_w:
        k = np.flatnonzero((curve[:-1] < wanted) != (curve[1:] < wanted))
        part = (wanted - curve[k]) / (curve[k + 1] - curve[k])
        found.append(square[k] + part * (square[k + 1] - square[k]))
    return found


def test_all_three_fixed_points_are_found_wherever_they_are() -> None:
    found = map_around("fixed_points", "second_moment")
    assert found.attrs["points_one_by_one"] == 0
    counts = found.fixed_point_count.values
    assert set(np.unique(counts)) == {1, 3}
    for j, mu in enumerate(AROUND["e", "mu_b"]):
        for i, scanned in enumerate(drivers_by_scan(float(mu), AROUND["e", "sigma_w"])):
            assert counts[i, j] == len(scanned), (i, j)
            got = found.fixed_points.values[0, : len(scanned), i, j]
            # The scan is linear between its points, 4e-6 apart in the middle.
            np.testing.assert_allclose(got, np.sort(scanned), rtol=1e-4)
    # Of three the middle one is unstable, and zero reaches the lowest: Q' grows with Q here.
    stable = found.fixed_point_stable.values[:, counts == 3].T
    assert (stable == [1, 0, 1]).all()
    np.testing.assert_array_equal(found.second_moment[0], found.fixed_points[0, 0])


SETTINGS: Mapping[str, tuple] = {
    "minimal": (
        cells.minimal(),
        {("e", "sigma_w"): [0.0, 2.0, 9.0], ("e", "mu_b"): [-1.0, 3.3, 5.6]},
        Inputs(R=R),
    ),
    "gru": (
        cells.gru(),
        {("z", "sigma_w"): [0.5, 4.0], ("z", "mu_b"): [0.0, 3.0], ("n", "sigma_w"): [0.7, 3.0]},
        Inputs(),
    ),
    "leaky_rnn": (cells.leaky_rnn(), {("e", "sigma_w"): [0.5, 3.0], "R": [0.1, 1.0]}, Inputs()),
    "mgu": (cells.mgu(), {("f", "mu_b"): [0.0, 2.0], "correlation": [-0.5, 0.9]}, Inputs()),
    "identity": (
        cells.vanilla(identity),
        {("e", "sigma_w"): [0.0, 0.5], ("e", "mu_b"): [0.0, 1.0]},
        Inputs(),
    ),
    "vanilla": (cells.vanilla(), {("e", "sigma_w"): [0.6, 2.5]}, Inputs(R=1.0, correlation=1.0)),
}


@pytest.mark.parametrize("which", SETTINGS)
def test_a_map_agrees_with_single_points_within_both_errors(which: str) -> None:
    """Tables and series against quadrature at every point: two ways that share no integral."""
    cell, vary, inputs = SETTINGS[which]
    names = ["second_moment", "preactivation_variance", "chi_1", "gradient_growth", "xi_q", "m_2"]
    names += ["correlation", "xi_c"]
    found = phase_diagram(cell, None, inputs, vary, names, tying="untied")
    assert found.attrs["points_one_by_one"] == 0
    assert found.attrs["integrals"] == "tables"
    grid = ParameterGrid.of(MeanField(cell, None, inputs, tying="untied"), vary)
    for i in range(grid.size):
        point = MeanField(cell, *grid.setting(i), tying="untied")
        at, pair, times = point.fixed_point(), point.correlation_fixed_point(), point.timescales()
        second_jacobian = point.jacobian(1).moments(2)
        growth = point.gradient_growth()
        scalar = {
            "second_moment": (at.second_moment["h"], at.errors["second_moment"]["h"]),
            "chi_1": (times.chi_1, times.error["chi_1"]),
            "gradient_growth": (float(growth), growth.error),
            "xi_q": (times.xi_q, times.error["xi_q"]),
            "xi_c": (times.xi_c, times.error["xi_c"]),
            "correlation": (pair.correlation["h"], pair.errors["correlation"]["h"]),
            "m_2": (float(second_jacobian.value[-1]), float(second_jacobian.error[-1])),
        }
        for name, (value, error) in scalar.items():
            got, own = (found[n].values.reshape(-1)[i] for n in (name, f"{name}_error"))
            assert got == value or abs(got - value) <= own + error, (name, i)
            assert not own > 1e-6 * abs(value) + 1e-9, (name, i)


def test_an_autonomous_cell_rests_at_zero_stable_or_not() -> None:
    found = phase_diagram(
        cells.vanilla(),
        None,
        Inputs(R=0.0),
        {("e", "sigma_w"): [0.5, 2.0]},
        ["second_moment", "chi_1", "correlation", "fixed_points"],
        "untied",
    )
    assert found.attrs["points_one_by_one"] == 0
    assert found.status.values.T.tolist() == [
        ["OK", "OK", "UNDEFINED"],
        ["UNSTABLE", "OK", "UNDEFINED"],
    ]
    assert found.second_moment.values.tolist() == [[0.0, 0.0]]
    np.testing.assert_allclose(found.chi_1.values, [0.25, 4.0], rtol=1e-12)
    # Beyond the threshold the active state is there as well.
    assert found.fixed_point_count.values.tolist() == [1, 2]
    assert found.fixed_point_stable.values.T.tolist() == [[1, 0], [0, 1]]


def test_a_start_beyond_the_middle_root_reaches_the_upper_one() -> None:
    cell = cells.minimal()
    ensemble = cell.ensemble(e={"sigma_w": 6.88, "sigma_v": SIGMA_V})
    low, high = (
        phase_diagram(
            cell,
            ensemble,
            Inputs(R=R),
            {("e", "mu_b"): [4.6]},
            ["fixed_points", "second_moment"],
            "untied",
            start=start,
        )
        for start in (0.0, 2.0)
    )
    assert low.second_moment.item() == low.fixed_points.values[0, 0, 0]
    assert high.second_moment.item() == high.fixed_points.values[0, 2, 0]


def test_where_moments_leave_every_bound_the_whole_map_says_so() -> None:
    """A rectified proposal behind a gate has two moments: mean and second; both grow at once."""
    cell = cells.loads("""
    name = "rectified"
    states = ["h"]
    [preactivations]
    z = { sees = "h" }
    g = { sees = "h" }
    [update]
    h = "(1 - sigmoid(z)) * h + sigmoid(z) * relu(g)"
    """)
    vary = {("g", "sigma_w"): [0.5, 1.2, 1.7, 2.5], ("z", "mu_b"): [-1.0, 1.0]}
    found = phase_diagram(cell, None, Inputs(R=0.5), vary, ["gradient_growth"], "untied")
    assert found.attrs["points_one_by_one"] == 0
    grid = ParameterGrid.of(MeanField(cell, None, Inputs(R=0.5), tying="untied"), vary)
    seen = found.status.values.reshape(-1).tolist()
    assert set(seen) == {"OK", "DIVERGES"}
    for i, status in enumerate(seen):
        point = MeanField(cell, *grid.setting(i), tying="untied")
        if status == "OK":
            assert point.gradient_growth().status is Status.OK
        else:
            with pytest.raises(ConvergenceError) as failure:
                point.gradient_growth()
            assert failure.value.status is Status.DIVERGES
