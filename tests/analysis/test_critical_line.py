"""The critical line of a map: against exact zeros, and the tied one beside an untied map."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rnnmft import cells
from rnnmft.analysis.critical_line import crossings
from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.phase_dataset import PhaseDataset, open_phase_diagram
from rnnmft.analysis.phase_diagram import phase_diagram
from rnnmft.cells import Inputs
from rnnmft.errors import ParameterError
from tests.solvers.linear_cells import linear_cell


def test_zeros_of_known_functions_are_within_their_errors() -> None:
    """No noise: what remains is interpolation, which its error covers, and which halves fall."""
    errors = []
    for points in (12, 24, 48):
        x = np.linspace(0.2, 6.0, points)
        found = crossings(x, np.sin(x) - 0.3 * x, np.zeros(points))
        ((zero, error),) = found
        truth = 2.3561945 + (math.sin(2.3561945) - 0.3 * 2.3561945) / (0.3 + math.sqrt(0.5))
        for _ in range(5):
            truth -= (math.sin(truth) - 0.3 * truth) / (math.cos(truth) - 0.3)
        assert abs(zero - truth) <= error
        errors.append(error)
    assert errors[2] < errors[1] < errors[0]


def test_noise_moves_a_zero_as_its_error_says() -> None:
    """2000 lines of the same noise: the mean square of z is 1 within 4 of its standard errors."""
    random, x = np.random.default_rng(0), np.linspace(0.0, 4.0, 9)
    z = []
    for noise in random.normal(0.0, 0.05, 2000):
        ((zero, error),) = crossings(x, x - 1.7 + noise, np.full(9, 0.05))
        z.append((zero - 1.7) / error)
    assert abs(np.mean(np.square(z)) - 1.0) < 4 * math.sqrt(2 / 2000)


def test_lines_come_and_go() -> None:
    x = np.arange(5.0)
    nan = math.nan
    assert crossings(x, np.array([1.0, 2.0, nan, 3.0, 1.0]), np.zeros(5)) == []
    several = crossings(x, np.array([-1.0, 1.0, nan, 1.0, -1.0]), np.zeros(5))
    (low, _), (high, _) = several
    assert 0.0 < low < 1.0
    assert high == pytest.approx(4.0 - low)
    assert crossings(x[:1], np.array([1.0]), np.zeros(1)) == []


def test_a_linear_cell_is_critical_where_its_eigenvalues_reach_the_circle() -> None:
    """h' = a h + W h: sigma_w = 1 - a, tied; the map is three points wide."""
    vary = {("e", "sigma_w"): [0.3, 0.45, 0.6], "R": [0.0]}
    found = phase_diagram(linear_cell(0.5), None, None, vary, ["gradient_growth"])
    line = found.critical_line("e.sigma_w")
    zero, error = line["e.sigma_w"].item(), line["e.sigma_w_error"].item()
    assert abs(zero - 0.5) < 3 * error < 0.05


@pytest.fixture(scope="module")
def both() -> tuple[PhaseDataset, list[PhaseDataset]]:
    seen: list[PhaseDataset] = []
    cell = cells.minimal()
    found = phase_diagram(
        cell,
        cell.ensemble(e={"sigma_v": 1.39}),
        Inputs(R=0.4616),
        {("e", "sigma_w"): [6.0, 7.0], ("e", "mu_b"): [2.0, 3.0]},
        ["gradient_growth"],
        tying="both",
        watch=seen.append,
    )
    return found, seen


def test_the_untied_map_comes_at_once_and_the_tied_rate_beside_it(
    both: tuple[PhaseDataset, list[PhaseDataset]], tmp_path: Path
) -> None:
    found, seen = both
    assert found.attrs["tying"] == "both"
    assert "gradient_growth_tied" not in seen[0]
    assert seen[0].gradient_growth.equals(found.gradient_growth)
    assert (found.status == "OK").all()
    gap = np.abs(found.gradient_growth_tied - found.gradient_growth)
    assert (gap > 3 * found.gradient_growth_tied_error).any()
    labels = found.plot(path=tmp_path / "map.svg").legends[0].get_texts()
    assert "critical, tied weights" in [t.get_text() for t in labels]
    found.save(tmp_path / "map.nc")
    assert open_phase_diagram(tmp_path / "map.nc").equals(found)


def test_what_is_no_line_is_refused(both: tuple[PhaseDataset, list[PhaseDataset]]) -> None:
    with pytest.raises(ParameterError, match=r"along must be one of e\.sigma_w, e\.mu_b"):
        both[0].critical_line("R")
    with pytest.raises(ParameterError, match="has no xi_c"):
        both[0].critical_line("e.mu_b", "xi_c")


@pytest.mark.slow
def test_the_tied_line_is_where_single_points_are_critical(
    both: tuple[PhaseDataset, list[PhaseDataset]],
) -> None:
    """A single point on the line has rate 0 within both errors; one beside it has not (control)."""
    cell = cells.minimal()
    line = both[0].critical_line("e.sigma_w", "gradient_growth_tied").isel(crossing=0)
    assert np.isfinite(line["e.sigma_w"]).any()
    for mu in line["e.mu_b"].values:
        at = line.sel({"e.mu_b": mu})
        zero, error = at["e.sigma_w"].item(), at["e.sigma_w_error"].item()
        if math.isnan(zero):
            continue
        slope = float(both[0].gradient_growth_tied.sel({"e.mu_b": mu}).diff("e.sigma_w").item())
        rates = []
        for sigma_w in (zero, zero + 0.3):
            ensemble = cell.ensemble(e={"sigma_w": sigma_w, "sigma_v": 1.39, "mu_b": mu})
            field = MeanField(cell, ensemble, Inputs(R=0.4616), seed=1, tolerance=0.005)
            rates.append(field.gradient_growth())
        spread = [math.hypot(float(g.error), slope * error) for g in rates]
        assert abs(float(rates[0])) < 4 * spread[0]
        assert abs(float(rates[1])) > 4 * float(rates[1].error)
