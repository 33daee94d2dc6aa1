"""Which points of a map surfaces tell, and which units."""

from __future__ import annotations

import numpy as np
import pytest

from rnnmft import Inputs, cells, phase_diagram
from rnnmft.solvers.sampled.sampled_map import SampledMap

GROWTH = ["gradient_growth", "second_moment"]
VARY = {("e", "sigma_w"): [0.0, 6.0, 7.0]}


def asked(quantities=GROWTH, cell=None, **options):
    cell = cell or cells.minimal()
    vary = {(cell.preactivations[0].name, "sigma_w"): VARY["e", "sigma_w"]}
    inputs = options.pop("inputs", Inputs(R=0.5))
    return phase_diagram(cell, None, inputs, vary, quantities, **options)


@pytest.fixture
def units_refuse(monkeypatch):
    def refuse(*_):
        raise AssertionError("units were asked")

    monkeypatch.setattr(SampledMap, "completed", refuse)


@pytest.mark.usefixtures("units_refuse")
def test_cells_that_are_linear_given_their_gate_need_no_units():
    done = []
    found = asked(progress=lambda *count: done.append(count))
    assert (found.status == "OK").all()
    assert done[-1] == (3, 3)
    assert found.predicted.values.tolist() == [0, 1, 1]
    # E[h^2] R of a shut network, and more with weights.
    assert np.all(np.diff(found.second_moment.values.ravel()) > 0)


@pytest.mark.usefixtures("units_refuse")
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"quantities": [*GROWTH, "xi_q"]}, id="timescales"),
        pytest.param({"quantities": ["second_moment"]}, id="moments alone"),
        pytest.param({"start": 1.0}, id="a start of its own"),
        pytest.param({"inputs": Inputs(R=0.5, temporal="constant")}, id="constant inputs"),
        pytest.param({"cell": cells.gru()}, id="another cell"),
    ],
)
def test_units_are_asked_for_the_rest(options):
    with pytest.raises(AssertionError, match="units were asked"):
        asked(**options)


def test_what_surfaces_do_not_tell_units_do():
    """Gates that forget too slowly for them; units say what they can in a few steps."""
    cell = cells.minimal()
    vary = {("e", "sigma_w"): [6.0, 7.0], ("e", "mu_b"): [1.0, 14.0]}
    effort = {"tolerance": 0.02, "settle_within": 64}
    found = phase_diagram(cell, None, Inputs(R=0.5), vary, GROWTH, **effort)
    assert found.predicted.values.tolist() == [[1, 0], [1, 0]]
    status = found.status.sel(quantity="gradient_growth").values
    assert status.tolist() == [["OK", "MAX_STEPS"]] * 2
    assert np.isfinite(found.gradient_growth.values).all()
