"""Phase diagrams: the batch against one point at a time, and a status where there is no value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnnmft import cells
from rnnmft.activations import relu
from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.parameter_grid import ParameterGrid
from rnnmft.analysis.phase_diagram import QUANTITIES, phase_diagram
from rnnmft.cells import Inputs
from rnnmft.deadline import deadline
from rnnmft.errors import ParameterError, Status
from rnnmft.language import Cell, Ensemble

# Both sides solve their equations to rounding and differ by what conditioning makes of it.
ROUNDING = 1e-9

SWEEPS = {
    "minimal": (cells.minimal(), {("e", "sigma_w"): [3.0], ("e", "mu_b"): [0.5, 4.0]}),
    "gru": (cells.gru(), {("z", "mu_b"): [1.0], ("n", "sigma_w"): [2.0]}),
    "vanilla, R": (cells.vanilla(), {"R": [0.2, 0.5], "correlation": [0.2]}),
}


def scalar(field: MeanField, name: str) -> list[float]:
    if name in ("second_moment", "preactivation_variance"):
        return list(getattr(field.fixed_point(), name).values())
    if name == "correlation":
        return list(field.correlation_fixed_point().correlation.values())
    if name.startswith("m_"):
        return [float(field.jacobian(1).moments(int(name[2:])).value[-1])]
    if name == "gradient_growth":
        return [float(field.gradient_growth())]
    return [getattr(field.timescales(), name)]


@pytest.mark.parametrize("which", SWEEPS)
def test_the_batch_agrees_with_one_point_at_a_time(which: str) -> None:
    cell, vary = SWEEPS[which]
    found = phase_diagram(cell, None, None, vary, QUANTITIES, tying="untied")
    assert (found.status == "OK").all()
    grid = ParameterGrid.of(MeanField(cell, tying="untied"), vary)
    for i in range(grid.size):
        field = MeanField(cell, *grid.setting(i), tying="untied")
        for name in QUANTITIES:
            got = found[name].values.reshape(-1, grid.size)[:, i]
            np.testing.assert_allclose(got, scalar(field, name), rtol=ROUNDING, atol=ROUNDING)


def test_a_memoryless_cell_is_solved_at_once_tied_or_not() -> None:
    """Tied is the default; at one time both theories of the vanilla RNN are the same numbers."""
    cell, vary = cells.vanilla(), {("e", "sigma_w"): [0.5, 1.5], "R": [0.3]}
    points: list[tuple[int, int]] = []
    options = {"progress": lambda *at: points.append(at)}
    for temporal in ("white", "constant"):
        inputs = Inputs(temporal=temporal)
        tied = phase_diagram(cell, None, inputs, vary, QUANTITIES, **options)
        untied = phase_diagram(cell, None, inputs, vary, QUANTITIES, "untied", **options)
        assert (tied.attrs["tying"], untied.attrs["tying"]) == ("tied", "untied")
        assert points == []
        for name in QUANTITIES:
            np.testing.assert_array_equal(tied[name].values, untied[name].values)
            np.testing.assert_array_equal(tied.status.values, untied.status.values)
        field = ParameterGrid.of(MeanField(cell, None, inputs), vary).at(1)
        assert field.method == "two-time kernel"
        for name in ("second_moment", "correlation", "gradient_growth"):
            got = tied[name].values.ravel()[1]
            np.testing.assert_allclose(got, scalar(field, name), rtol=ROUNDING, atol=ROUNDING)


def test_a_gated_cell_is_solved_by_its_own_theory() -> None:
    """Tied: what sampled units give, with their statuses; not the untied numbers."""
    cell, vary = cells.minimal(), {("e", "sigma_w"): [4.0], "R": [1.0]}
    points: list[tuple[int, int]] = []
    options = {"progress": lambda *at: points.append(at)}
    found = phase_diagram(cell, None, None, vary, ["second_moment"], **options)
    assert points == [(1, 1)]
    at = MeanField(cell, cell.ensemble(e={"sigma_w": 4.0})).fixed_point()
    value, error = found.second_moment.item(), found.second_moment_error.item()
    assert abs(value - at.second_moment["h"]) < 4 * (error + at.error)
    assert (found.status.item(), found.points_one_by_one) == ("OK", 0)
    untied = phase_diagram(cell, None, None, vary, ["second_moment"], tying="untied")
    assert abs(value - untied.second_moment.item()) > 5 * error


def test_states_stand_in_the_order_of_their_names() -> None:
    """The LSTM's law gives h before c, the cell has c before h; |h| < |c| always."""
    cell = cells.lstm()
    found = phase_diagram(
        cell, vary={("f", "mu_b"): [0.5]}, quantities=["second_moment"], tying="untied"
    )
    ensemble = cell.ensemble(f={"mu_b": 0.5})
    expected = MeanField(cell, ensemble, tying="untied").fixed_point().second_moment
    for state, value in expected.items():
        assert found.second_moment.sel(state=state).item() == value
    assert expected["h"] < expected["c"]


def test_points_for_which_there_is_no_time_say_so() -> None:
    cell, vary = cells.minimal(), {("e", "sigma_w"): [4.0, -1.0]}
    with deadline(0.0):
        found = phase_diagram(cell, None, None, vary, ["second_moment", "gradient_growth", "xi_c"])
    assert found.status.values.T.tolist() == [["OUT_OF_TIME"] * 3, ["INVALID"] * 3]
    assert np.isnan(found.gradient_growth).all()


def test_the_fixed_point_is_the_one_that_the_zero_state_reaches() -> None:
    # Near mu_b = 4.6 this cell has three fixed points: the branch reached from zero jumps.
    cell = cells.minimal()
    ensemble = cell.ensemble(e={"sigma_w": 6.88, "sigma_v": 1.39})
    vary = {("e", "mu_b"): [4.5, 4.6, 4.7]}
    found = phase_diagram(cell, ensemble, Inputs(R=0.4616), vary, ["second_moment"], tying="untied")
    field = MeanField(cell, ensemble, Inputs(R=0.4616), tying="untied")
    grid = ParameterGrid.of(field, vary)
    counts = []
    for i, value in enumerate(found.second_moment.values[0]):
        every = MeanField(cell, *grid.setting(i), tying="untied").fixed_points()
        counts.append(len(every))
        # Q' grows with Q here, so the moments rise from zero to the lowest fixed point.
        assert value == pytest.approx(every[0].second_moment["h"], rel=ROUNDING)
    assert counts == [1, 3, 1]


def test_an_element_without_a_value_says_why() -> None:
    vary = {("e", "sigma_w"): [1.0, 2.0, -1.0, float("nan")]}
    found = phase_diagram(
        cells.vanilla(relu), None, None, vary, ["second_moment", "xi_c"], tying="untied"
    )
    assert found.status.sel(quantity="second_moment").values.tolist() == [
        "OK",
        "DIVERGES",
        "INVALID",
        "INVALID",
    ]
    assert np.isfinite(found.second_moment.values[0]).tolist() == [True, False, False, False]
    assert found.status.attrs["DIVERGES"] == Status.DIVERGES.value


def test_a_correlation_of_nothing_is_undefined() -> None:
    vary = {("e", "sigma_w"): [0.5]}
    found = phase_diagram(
        cells.vanilla(), None, Inputs(R=0.0), vary, ["correlation", "chi_1"], tying="untied"
    )
    assert found.status.values[:, 0].tolist() == ["UNDEFINED", "OK"]
    assert found.chi_1.item() == pytest.approx(0.25)  # sigma_w^2 tanh'(0)^2


def test_every_value_that_is_nan_has_a_status() -> None:
    names = ["second_moment", "xi_q", "gradient_growth", "m_2"]
    vary = {("e", "sigma_w"): [0.5, 1.5], "R": [0.0, 1.0]}
    found = phase_diagram(cells.vanilla(relu), None, None, vary, names, tying="untied")
    for name in names:
        nan = np.isnan(found[name].values).reshape(-1, 2, 2).any(axis=0)
        # Without input the zero state stays zero, unstable beyond criticality: a value, and known.
        known = np.isin(found.status.sel(quantity=name).values, ["OK", "UNSTABLE"])
        assert (nan == ~known).all(), name
    # Without input E[h^2] = 0; with it, E[h^2] diverges beyond criticality alone.
    assert np.isnan(found.second_moment.values).reshape(2, 2).any()
    assert np.isfinite(found.second_moment.values).reshape(2, 2).any()


@pytest.mark.parametrize(
    ("vary", "quantities", "sentence"),
    [
        ({}, ["chi_1"], "vary must name"),
        ({("x", "sigma_w"): [1]}, ["chi_1"], r"no x\.sigma_w"),
        ({("e", "sigma"): [1]}, ["chi_1"], r"no e\.sigma"),
        ({"Q": [1]}, ["chi_1"], "neither 'R'"),
        ({"R": []}, ["chi_1"], "no values"),
        ({"R": ["a"]}, ["chi_1"], "must be numbers"),
        ({"R": [1]}, ["chi_2"], "unknown quantity"),
        ({"R": [1]}, [], "at least one"),
    ],
)
def test_what_is_refused(vary: dict, quantities: list[str], sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        phase_diagram(cells.minimal(), None, None, vary, quantities, tying="untied")


def test_a_matrix_that_is_absent_cannot_vary() -> None:
    with pytest.raises(ParameterError, match="no matrix for sigma_w"):
        phase_diagram(cells.gru_torch(), None, None, {("n_x", "sigma_w"): [1.0]}, tying="untied")


@pytest.mark.slow
def test_laws_of_parameters_vary_point_by_point() -> None:
    """Each point is the theory of the ensemble with that law, from the same sampled units."""
    cell = cells.indrnn()
    ensemble = cell.ensemble(parameters={"u": cells.Uniform(0.0, 0.5)})
    vary = {("u", "high"): [0.3, 0.8], ("e", "sigma_b"): [0.2]}
    found = phase_diagram(cell, ensemble, Inputs(R=1.0), vary, ["second_moment"], tying="untied")
    for i, high in enumerate((0.3, 0.8)):
        own = cell.ensemble(e={"sigma_b": 0.2}, parameters={"u": cells.Uniform(0.0, high)})
        alone = MeanField(cell, own, Inputs(R=1.0), tying="untied").fixed_point()
        got = float(found["second_moment"][0, i, 0])
        assert got == pytest.approx(alone.second_moment["h"], rel=ROUNDING)


@pytest.mark.parametrize(
    ("axis", "sentence"),
    [(("u", "std"), "its arguments are low, high"), (("v", "high"), r"no v\.high")],
    ids=["argument", "parameter"],
)
def test_laws_have_their_own_arguments(axis: tuple[str, str], sentence: str) -> None:
    cell = cells.indrnn()
    ensemble = cell.ensemble(parameters=cells.typical_laws("indrnn"))
    with pytest.raises(ParameterError, match=sentence):
        phase_diagram(cell, ensemble, None, {axis: [0.5]}, ["second_moment"], tying="untied")


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (cells.stack(cells.vanilla(), 2), "e_2_below"),
        pytest.param(cells.two_populations(), "e_1_2", marks=pytest.mark.slow),
    ],
)
def test_a_map_varies_any_preactivation_of_a_joined_cell(cell: Cell, name: str) -> None:
    """One that a stack or populations make, by its own name: within four errors of single answers.

    Eight numbers: by chance one is not with 5e-4. Control: neither is the other point's.
    """
    given = cell.ensemble(e={"sigma_w": 0.7, "sigma_v": 0.6})
    vary = {(name, "sigma_w"): [0.3, 1.5]}
    found = phase_diagram(cell, given, Inputs(), vary, ["second_moment"])
    values, errors = found.second_moment, found.second_moment_error
    for i, sigma in enumerate((0.3, 1.5)):
        laws = {**given, name: replace(given[name], sigma_w=sigma)}
        single = MeanField(cell, Ensemble(laws), Inputs(), found.tying).fixed_point()
        for state, value in single.second_moment.items():
            off = abs(values.sel(state=state).values[i] - value)
            own = errors.sel(state=state).values[i]
            assert off < 4.0 * np.hypot(own, single.errors["second_moment"][state]) + ROUNDING
    assert np.ptp(values.values, axis=values.dims.index(f"{name}.sigma_w")).max() > 0.05
