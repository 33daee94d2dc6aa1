"""What a phase diagram comes in: errors, units, provenance, files, figures, own functions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rnnmft import cells
from rnnmft.activations import relu
from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.phase_dataset import PhaseDataset, open_phase_diagram
from rnnmft.analysis.phase_diagram import phase_diagram
from rnnmft.errors import ParameterError
from rnnmft.language import Inputs
from rnnmft.records import Quantity

VARY = {("e", "sigma_w"): np.geomspace(4.0, 12.0, 12), ("e", "mu_b"): np.linspace(2.0, 6.5, 10)}
QUANTITIES = ["second_moment", "gradient_growth", "xi_c", "fixed_points"]


@pytest.fixture(scope="module")
def diagram() -> PhaseDataset:
    cell = cells.minimal()
    ensemble = cell.ensemble(e={"sigma_v": 1.39})
    return phase_diagram(cell, ensemble, Inputs(R=0.4616), VARY, QUANTITIES, "untied")


def test_every_number_has_a_unit_an_error_and_a_status(diagram: PhaseDataset) -> None:
    for name, unit in (
        ("second_moment", "dimensionless"),
        ("gradient_growth", "per step"),
        ("xi_c", "steps"),
    ):
        assert diagram[name].attrs["units"] == unit
        error = diagram[f"{name}_error"]
        assert error.dims == diagram[name].dims
        assert ((error > 0) == (diagram.status.sel(quantity=name) == "OK")).all()
    assert diagram.attrs["error_kind"] == "bound"


def test_a_diagram_says_what_it_is_of(diagram: PhaseDataset) -> None:
    assert cells.loads(diagram.attrs["definition"]) == cells.minimal()
    assert json.loads(diagram.attrs["ensemble"])["e"]["sigma_v"] == 1.39
    assert json.loads(diagram.attrs["inputs"])["R"] == 0.4616
    assert diagram.attrs["points_one_by_one"] == 0


def test_a_file_gives_back_what_was_written(diagram: PhaseDataset, tmp_path: Path) -> None:
    diagram.save(tmp_path / "map.nc")
    found = open_phase_diagram(tmp_path / "map.nc")
    assert isinstance(found, PhaseDataset)
    assert found.identical(diagram)
    # Of a file that is cut short nothing is read.
    whole = (tmp_path / "map.nc").read_bytes()
    (tmp_path / "short.nc").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ParameterError, match=r"short\.nc cannot be read"):
        open_phase_diagram(tmp_path / "short.nc")
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".part"] == []


def test_what_is_no_file_or_no_diagram_is_refused(diagram: PhaseDataset, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="No such file"):
        open_phase_diagram(tmp_path / "nothing.nc")
    with pytest.raises(ParameterError, match="cannot be written"):
        diagram.save(tmp_path / "no" / "map.nc")
    diagram.drop_attrs().to_netcdf(tmp_path / "other.nc")
    with pytest.raises(ParameterError, match="holds no phase diagram"):
        open_phase_diagram(tmp_path / "other.nc")


def test_a_plot_has_its_lines_hatches_and_scales(diagram: PhaseDataset, tmp_path: Path) -> None:
    figure = diagram.plot(path=tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    (axes, _) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    labels = [t.get_text() for t in figure.legends[0].get_texts()]
    assert [label[:8] for label in labels] == ["critical", r"$6\,\xi_", "stable s"]
    # No second state, no hatches; no growth, no critical line.
    ordered = diagram.isel({"e.sigma_w": slice(0, 3)})
    assert "stable states coexist" not in [
        t.get_text() for legend in ordered.plot().legends for t in legend.get_texts()
    ]
    diagram.isel({"e.mu_b": 4}).plot("xi_c", path=tmp_path / "curve.svg")
    assert "<svg" in (tmp_path / "curve.svg").read_text(encoding="utf-8")
    diagram.plot("fixed_points", select={"e.mu_b": 5.0})


def test_a_plot_says_why_there_is_no_value() -> None:
    vary = {("e", "sigma_w"): [1.0, 1.2, 2.0], ("e", "mu_b"): [0.0, 0.5]}
    found = phase_diagram(cells.vanilla(relu), None, None, vary, ["second_moment"], "untied")
    (label,) = (t.get_text() for t in found.plot().legends[0].get_texts())
    assert label == "no value: DIVERGES"


def test_a_plot_that_is_none_says_why(diagram: PhaseDataset, tmp_path: Path) -> None:
    for arguments, sentence in (
        ({"quantity": "beauty"}, "no quantity 'beauty'"),
        ({"select": {"e.mu_b": 3.0, "e.sigma_w": 5.0}}, "one or two parameters"),
        ({"path": tmp_path / "map.xyz"}, r"\.png, \.svg or \.pdf"),
        ({"path": tmp_path / "no" / "map.png"}, "cannot be written"),
    ):
        with pytest.raises(ParameterError, match=sentence):
            diagram.plot(**arguments)


def test_the_plots_of_xarray_are_still_there(diagram: PhaseDataset) -> None:
    assert callable(diagram.plot.scatter)


def test_a_function_of_a_point_is_a_quantity() -> None:
    def gain(field: MeanField) -> float:
        return field.fixed_point().second_moment["h"] / field.inputs.R

    def growth(field: MeanField) -> Quantity:
        return field.gradient_growth()

    vary = {("e", "sigma_w"): [0.5, 2.0], "R": [0.5, -1.0]}
    asked = ["second_moment", gain, growth]
    found = phase_diagram(cells.vanilla(), None, None, vary, asked, "untied")
    known = found.second_moment.values[0, :, 0] / 0.5
    np.testing.assert_allclose(found.gain.values[:, 0], known, rtol=1e-9)
    assert found.status.sel(quantity="gain").values.tolist() == [["OK", "INVALID"]] * 2
    # A plain number says nothing of its error; a quantity brings its own.
    assert np.isnan(found.gain_error.values).all()
    assert (found.growth_error.values[:, 0] > 0).all()
    assert found.attrs["points_one_by_one"] == 2
    named = phase_diagram(cells.vanilla(), None, None, vary, {"a": gain, "chi_1": None}, "untied")
    np.testing.assert_array_equal(named.a.values, found.gain.values)
    with pytest.raises(ParameterError, match="a name of its own"):
        phase_diagram(cells.vanilla(), None, None, vary, {"chi_1": gain}, "untied")
