"""What a page gets of a map: the map's own numbers where they are known, and no other map's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnmft import (
    DerivationError,
    Explorer,
    Inputs,
    ParameterError,
    Status,
    cells,
    phase_diagram,
    relu,
)
from rnnmft.explorer.stored_map import described_map, stored_map

CELL = cells.vanilla()
AT = CELL.ensemble(e={"sigma_b": 0.3})
AXES = {("e", "sigma_w"): [-1.0, 0.5, 1.5], ("e", "mu_b"): [0.0, 1.0]}


@pytest.fixture(scope="module")
def diagram() -> Any:
    return stored_map(CELL, AT, vary=AXES)


def test_values_are_the_maps_own_and_missing_ones_say_why(diagram: Any) -> None:
    found = described_map(diagram, CELL, AT, Inputs(), "tied")
    assert [axis["place"] for axis in found["axes"]] == [2, 4]
    assert [axis["values"] for axis in found["axes"]] == list(AXES.values())
    assert found["held"] == [1.0, 0.5, 1.0, 1.0, 0.0, 0.3]
    # A negative deviation is outside its domain.
    assert found["status"] == ["INVALID"] * 2 + ["OK"] * 4
    assert found["meaning"]["INVALID"].lower() in Status.INVALID.value.lower()
    for ours, theirs in (("growth", "gradient_growth"), ("second", "second_moment")):
        ((row,), expected) = found[ours], diagram[theirs].values.ravel()
        assert row["values"][:2] == row["errors"][:2] == [None, None]
        np.testing.assert_allclose(row["values"][2:], expected[2:], rtol=5e-6)


def test_the_usual_map_is_over_the_first_weights_and_their_bias() -> None:
    found = stored_map(cells.vanilla(), points=(3, 2))
    assert found["e.sigma_w"].values.tolist() == pytest.approx([8 / 3, 16 / 3, 8.0])
    assert found["e.mu_b"].values.tolist() == [-5.0, 5.0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cell": cells.minimal()}, "another cell than 'minimal'"),
        ({"ensemble": CELL.ensemble(e={"sigma_b": 0.4})}, "another ensemble"),
        ({"inputs": Inputs(R=2.0)}, "another ensemble or inputs"),
        ({"tying": "untied"}, "of tied weights"),
    ],
    ids=["cell", "ensemble", "inputs", "tying"],
)
def test_a_map_of_something_else_is_refused(
    diagram: Any, change: dict[str, Any], says: str
) -> None:
    given = {"cell": CELL, "ensemble": AT, "inputs": Inputs(), "tying": "tied"} | change
    with pytest.raises(ParameterError, match=says):
        described_map(diagram, **given)


def test_what_is_varied_or_of_two_trajectories_is_not_held(diagram: Any) -> None:
    elsewhere = CELL.ensemble(e={"sigma_b": 0.3, "sigma_w": 7.0})
    found = described_map(diagram, CELL, elsewhere, Inputs(correlation=0.9), "tied")
    assert found["held"][2:] == [7.0, 1.0, 0.0, 0.3]


def test_a_map_that_is_no_plane_or_lacks_numbers_or_starts_elsewhere_is_refused() -> None:
    def refused(of: Any, says: str, **how: Any) -> None:
        made = phase_diagram(CELL, AT, vary=of, **how)
        with pytest.raises(ParameterError, match=says):
            described_map(made, CELL, AT, Inputs(), "tied")

    whole = ("gradient_growth", "xi_q", "second_moment", "preactivation_variance")
    refused({("e", "mu_b"): [0.0, 1.0]}, "two parameters", quantities=whole)
    refused(AXES, "lacks xi_q, preactivation_variance")
    refused(AXES, "start at zero", quantities=whole, start=1.0)
    with pytest.raises(ParameterError, match="two parameters, got 1"):
        stored_map(CELL, vary={("e", "mu_b"): [0.0]})


def test_the_explorer_says_what_it_needs(diagram: Any) -> None:
    with pytest.raises(DerivationError, match=r"without a stored map .*'lstm' do not close"):
        Explorer(cells.lstm())
    untied = stored_map(CELL, AT, tying="untied", vary=AXES)
    with pytest.raises(ParameterError, match="the page computes them itself"):
        Explorer(CELL, AT, untied=untied)
    with pytest.raises(ParameterError, match="none of them is the cell"):
        Explorer(CELL, AT, variants={"relu": cells.vanilla(relu)}, tied=diagram)
    with pytest.raises(ParameterError, match="Gaussian weights"):
        Explorer(CELL, CELL.ensemble(weights="orthogonal"))
    with pytest.raises(ParameterError, match="the ensemble is of e, not of r, z, n"):
        Explorer(cells.gru(), AT)


def test_a_map_without_time_is_empty_and_says_so() -> None:
    cell = cells.minimal()
    axes = {("e", "sigma_w"): [1.0, 2.0], ("e", "mu_b"): [0.0, 1.0]}
    found = described_map(
        stored_map(cell, vary=axes, seconds=0.0), cell, cell.ensemble(), Inputs(), "tied"
    )
    assert found["status"] == ["OUT_OF_TIME"] * 4
    assert found["growth"][0]["values"] == [None] * 4
