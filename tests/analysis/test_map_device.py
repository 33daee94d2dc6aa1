"""Maps on a device: closed moments by quadrature there, units of tied maps sampled there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnnmft as mft
from rnnmft import cells
from rnnmft.solvers.closed.closed_grid import ClosedGrid
from rnnmft.solvers.closed.recursion import point_of, untied_recursion
from tests.stand_in_device import GPU

VARY = {("e", "sigma_w"): [1.0, 4.0, 8.0], ("e", "mu_b"): [0.0, 2.0]}
QUANTITIES = ["second_moment", "preactivation_variance", "chi_1", "gradient_growth", "xi_q"]


def close(found: Any, exact: Any, quantities: list[str]) -> None:
    """Within both errors; and these are small enough to tell one point from the next."""
    for name in quantities:
        here, there = found[name].values, exact[name].values
        slack = found[f"{name}_error"].values + exact[f"{name}_error"].values
        assert (np.abs(here - there) <= slack + 1e-12).all(), name
        assert np.ptp(there) > 10.0 * slack.max(), name


def test_a_map_by_torch_is_the_map_by_numpy() -> None:
    cell = cells.get("minimal")
    drawn = cell.ensemble(e={"sigma_v": 1.39})
    exact = mft.phase_diagram(cell, drawn, mft.Inputs(R=0.5), VARY, QUANTITIES, "untied")
    recursion = untied_recursion(cell, False, "torch")
    n, p = recursion.derivation.notation, cell.preactivations[0]
    point = point_of(recursion.derivation, drawn, mft.Inputs(R=0.5))
    point = {s: np.reshape(v, (1, 1)) for s, v in point.items()}
    point[n.sigma_w[p]] = np.array(VARY["e", "sigma_w"])[:, None]
    point[n.mu_b[p]] = np.array(VARY["e", "mu_b"])[None, :]
    by_torch = ClosedGrid(recursion, point, (3, 2), {"e": "gaussian"})
    assert by_torch.method == "quadrature"
    for name in QUANTITIES:
        values, errors = by_torch.quantities[name]()
        there, slack = (exact[n].values.reshape(-1, 6) for n in (name, f"{name}_error"))
        assert (np.abs(values - there) <= errors + slack + 1e-12).all(), name


@pytest.mark.cuda
@pytest.mark.slow
def test_an_untied_map_on_a_device_is_that_of_numpy() -> None:
    cell = cells.get("minimal")
    given = (cell, cell.ensemble(e={"sigma_v": 1.39}), mft.Inputs(R=0.5), VARY, QUANTITIES)
    on_device = mft.phase_diagram(*given, "untied", device=GPU)
    assert on_device.attrs["points_one_by_one"] == 0
    assert set(on_device.status.values.ravel()) == {"OK"}
    close(on_device, mft.phase_diagram(*given, "untied"), QUANTITIES)


@pytest.mark.cuda
@pytest.mark.slow
def test_a_tied_map_on_a_device_is_that_of_the_cpu() -> None:
    """The same random points on both; single precision and another order of sums apart."""
    cell = cells.get("minimal")
    vary = {("e", "sigma_w"): [1.0, 4.0]}
    given = (cell, None, None, vary, ["second_moment", "gradient_growth"])
    on_device, on_cpu = (
        mft.phase_diagram(*given, tolerance=0.05, device=device) for device in (GPU, "cpu")
    )
    assert set(on_device.status.values.ravel()) == {"OK"}
    for name in ("second_moment", "gradient_growth"):
        here, there = on_device[name].values, on_cpu[name].values
        errors = np.hypot(on_device[f"{name}_error"].values, on_cpu[f"{name}_error"].values)
        assert (np.abs(here - there) <= 5.0 * errors).all(), name
        assert np.ptp(there) > 5.0 * errors.max(), name


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(mft.ParameterError, match="no such device"):
        mft.phase_diagram(cells.get("minimal"), vary=VARY, tying="untied", device="cuda:99")


@pytest.mark.cuda
@pytest.mark.slow
def test_what_a_device_leaves_open_is_solved_by_tables() -> None:
    """Near three fixed points a start's way is slow: no point is left to be solved by itself."""
    cell = cells.get("minimal")
    vary = {("e", "sigma_w"): [6.88, 7.2], ("e", "mu_b"): [4.6]}
    given = (cell, cell.ensemble(e={"sigma_v": 1.39}), mft.Inputs(R=0.4616), vary)
    on_device = mft.phase_diagram(*given, ["second_moment", "chi_1"], "untied", device=GPU)
    exact = mft.phase_diagram(*given, ["second_moment", "chi_1"], "untied")
    assert on_device.attrs["points_one_by_one"] == 0
    assert (on_device.status.values == exact.status.values).all()
    close(on_device, exact, ["second_moment", "chi_1"])
