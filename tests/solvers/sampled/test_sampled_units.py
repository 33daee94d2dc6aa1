"""The tied theory through its public names: references, errors that cover, wanted tolerances."""

from __future__ import annotations

import json
import math
from functools import lru_cache

import numpy as np
import pytest
from scipy import stats

from rnnmft import (
    Cell,
    ConvergenceError,
    Inputs,
    MeanField,
    ParameterError,
    Preactivation,
    State,
    Status,
    cells,
    derive,
)
from rnnmft.sampling import NORMALS, Sampling
from rnnmft.solvers.sampled.drawing import Drawing
from rnnmft.solvers.sampled.sampled_units import SampledUnits
from rnnmft.units.repetitions import calibrated_error
from tests.solvers.sampled.tied_references import NAMES, reference
from tests.solvers.sampled_errors import CONTROL, agree

KINDS = ("second_moment", "cross_moment", "preactivation_variance")
# A quarter of the default still tells a control of 2 %; the default itself is a slow test.
UNITS = (1 << 17, pytest.param(1 << 19, marks=pytest.mark.slow))
# Deterministic, one gate, several states.
FAST = ("vanilla-gaussian-tied", "minimal-gaussian-tied", "lstm-gaussian-tied")
REFERENCES = [pytest.param(n, marks=[] if n in FAST else pytest.mark.slow) for n in NAMES]


@lru_cache
def solved(name, units=UNITS[0]):
    """A reference setting's theory, its trajectory and the reference, shared by the tests."""
    cell, ensemble, inputs, data = reference(name)
    field = MeanField(cell, ensemble, inputs, tying="tied", device="cpu", particles=units)
    return field, field.evolve(data["config"]["T"]), data


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("name", REFERENCES)
def test_moments_over_thirty_steps_agree_with_the_reference(name, units):
    """All steps, states and kinds; the second moments moved by 2 % are rejected."""
    _, found, data = solved(name, units)
    assert found.status is Status.OK
    exact = found.error_kind == "bound"
    assert exact == name.startswith("vanilla")
    controls = []
    for kind in KINDS:
        for key, ref in data["limit"][kind].items():
            value = getattr(found, kind)[key]
            error = 0.0 if exact else found.error[kind][key]
            assert agree(value, error, ref["mean"], ref["sem"]), (kind, key)
            if kind == "second_moment":
                moved = CONTROL * np.array(ref["mean"])
                controls.append(not agree(value, error, moved, ref["sem"]))
    assert any(controls)


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("name", REFERENCES)
def test_gradients_agree_with_finite_networks(name, units):
    """m_1 at horizons 1, 2, 5 within 5 standard errors and the 2 % that width 640 or 1024 costs."""
    field, _, data = solved(name, units)
    found = field.jacobian_means(5)
    assert set(data["simulation"]["jacobian"]) == {"1", "2", "5"}
    for horizon, ref in data["simulation"]["jacobian"].items():
        at, m_1 = int(horizon) - 1, ref["m_1"]
        error = math.hypot(m_1["sem"], found.error[at])
        assert abs(found.value[at] - m_1["mean"]) < 5 * error + 0.02 * m_1["mean"]
        mean = field.jacobian(int(horizon)).mean
        assert float(mean) == pytest.approx(found.value[at], rel=1e-9)
    assert abs(1.3 * found.value[0] - m_1["mean"]) > 5 * error + 0.02 * m_1["mean"]


def test_the_untied_theory_is_another_one():
    """The LSTM: E[c^2] three times smaller, far outside every error."""
    field, tied, _ = solved("lstm-gaussian-tied")
    untied = MeanField(field.cell, field.ensemble, field.inputs, tying="untied").evolve(30)
    assert tied.second_moment["c"][-1] / untied.second_moment["c"][-1] > 3
    error = tied.error["second_moment"]["c"]
    assert not agree(tied.second_moment["c"], error, untied.second_moment["c"])


def test_every_moment_carries_its_error():
    found = MeanField(cells.minimal(), tying="tied", device="cpu").evolve(3)
    assert found.units == 524_288
    assert found.error_kind == "standard error"
    for kind in (*KINDS, "correlation", "mean", "preactivation_covariance"):
        for name, value in getattr(found, kind).items():
            assert value.shape == found.error[kind][name].shape == (3,)
            assert (found.error[kind][name] > 0).all()
    json.dumps(found.to_dict(), allow_nan=False)


# --- the error claims -----------------------------------------------------------------------------


def ratios(cell, ensemble, seeds, normals, steps=4):
    """(value - truth) / error of E[s^2] after a few steps, of small samples: 8 times 512 units."""
    setting = (cell, ensemble, Inputs(), "tied")
    name = cell.states[0].name
    many = SampledUnits(*setting, Sampling(1 << 20, 16, 10_000, "cpu")).evolve(steps)
    found = []
    for seed in range(seeds):
        few = SampledUnits(*setting, Sampling(1 << 12, 8, seed, "cpu", normals=normals))
        one = few.evolve(steps)
        gap = one.second_moment[name][-1] - many.second_moment[name][-1]
        found.append(gap / one.error["second_moment"][name][-1])
    return np.array(found)


def test_standard_errors_cover():
    """Over 120 seeds the ratios follow Student's t: Kolmogorov-Smirnov, false alarms 1e-4.

    The control: errors three times smaller are rejected.
    """
    cell = cells.minimal()
    found = ratios(cell, cell.ensemble(e={"sigma_w": 4.0, "sigma_b": 0.3}), 120, "sobol", steps=3)
    law = stats.t(7, scale=1 / calibrated_error(1.0, 8))
    assert stats.kstest(found, law.cdf).pvalue > 1e-4
    assert stats.kstest(3 * found, law.cdf).pvalue < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("normals", NORMALS)
@pytest.mark.parametrize("name", ["minimal", "gru", "lstm"])
def test_standard_errors_cover_for_every_cell_and_kind_of_normals(name, normals):
    """The same over 800 seeds: false alarms 1e-4 each; errors off by a factor 1.5 are rejected."""
    cell = cells.get(name)
    ensemble = cell.ensemble(**{p.name: {"sigma_w": 2.0} for p in cell.preactivations})
    found = ratios(cell, ensemble, 800, normals)
    law = stats.t(7, scale=1 / calibrated_error(1.0, 8))
    assert stats.kstest(found, law.cdf).pvalue > 1e-4
    assert stats.kstest(1.5 * found, law.cdf).pvalue < 1e-4


# --- a wanted tolerance ---------------------------------------------------------------------------


def test_a_tolerance_is_met_with_the_units_it_takes():
    cell = cells.gru()
    ensemble = cell.ensemble(n={"sigma_w": 2.0})
    units = []
    for tolerance in (2e-2, 3e-3):
        field = MeanField(cell, ensemble, tying="tied", tolerance=tolerance, device="cpu")
        found = field.evolve(5)
        second = found.second_moment["h"]
        assert found.status is Status.OK
        assert (found.error["second_moment"]["h"] <= tolerance * second).all()
        assert (found.error["cross_moment"]["h"] <= tolerance * second).all()
        assert (found.error["mean"]["h"] <= tolerance * np.sqrt(second)).all()
        units.append(found.units)
    assert units[0] == 8 * 4096
    assert units[1] > units[0]


def test_a_tolerance_out_of_reach_says_so_and_gives_its_error():
    field = MeanField(
        cells.minimal(), tying="tied", tolerance=1e-6, max_particles=1 << 17, device="cpu"
    )
    found = field.evolve(3)
    assert found.status is Status.NOT_CONVERGED
    assert found.units == 1 << 17
    assert (found.error["second_moment"]["h"] > 1e-6 * found.second_moment["h"]).all()


def test_a_deterministic_theory_needs_no_units_for_any_tolerance():
    field = MeanField(cells.vanilla(), tying="tied", tolerance=1e-9)
    assert field.method == "two-time kernel"
    assert field.evolve(3).units is None


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("inf")])
def test_a_tolerance_must_be_positive(tolerance):
    with pytest.raises(ParameterError, match="tolerance"):
        MeanField(cells.minimal(), tying="tied", tolerance=tolerance)


@pytest.mark.parametrize("name", ["particles", "max_particles"])
def test_a_message_names_the_argument_that_was_given(name):
    with pytest.raises(ParameterError, match=rf"^{name} must be a whole number >= 256, got -1"):
        MeanField(cells.minimal(), **{name: -1})
    with pytest.raises(ParameterError, match=rf"^{name} .* >= 128, got 100"):
        MeanField(cells.minimal(), repetitions=8, **{name: 100})


# --- stationary states ----------------------------------------------------------------------------


def test_a_slow_approach_is_waited_for():
    """A leaky cell of memory 50 steps, solved by hand: Q* = q / (1 - a^2) with fresh inputs."""
    h, a = State("h"), 0.98
    cell = Cell("leaky", update={h: a * h + (1 - a**2) ** 0.5 * Preactivation("e", 0)})
    units = SampledUnits(cell, cell.ensemble(), Inputs(), "tied", Sampling(1 << 13, device="cpu"))
    found = units.fixed_point()
    assert agree(found.second_moment["h"], found.errors["second_moment"]["h"], 1.0)
    assert units.drawing.stationary.steps >= 128
    memory = units.autocorrelation(60)
    truth = a ** np.arange(61.0)
    assert agree(memory.value["h"], memory.error["h"], truth)
    times = units.timescales()
    # E[h^2] approaches its limit as a^(2 t).
    assert times.xi_q == pytest.approx(-1 / (2 * math.log(a)), abs=5 * times.error["xi_q"] + 2)


@pytest.mark.parametrize("gain", [pytest.param(1.0, marks=pytest.mark.slow), 1.2])
def test_growth_without_bound_is_an_error(gain):
    h = State("h")
    cell = Cell("walk", update={h: gain * h + Preactivation("e", 0)})
    units = SampledUnits(cell, cell.ensemble(), Inputs(), "tied", Sampling(1 << 9, 4))
    with pytest.raises(ConvergenceError) as raised:
        units.fixed_point()
    assert raised.value.status is Status.DIVERGES


@pytest.mark.slow
def test_a_gate_that_forgets_in_a_million_steps_is_not_said_to_grow_without_bound():
    """In 8,192 steps its moment grows as a random walk's does; untied it is known, 6.9e-7."""
    cell = cells.minimal()
    field = MeanField(cell, cell.ensemble(e={"mu_b": 15.0}), Inputs(), particles=1 << 10)
    with pytest.raises(ConvergenceError, match="memory may be longer") as raised:
        field.fixed_point()
    assert raised.value.status is Status.MAX_STEPS


def test_a_zero_state_has_no_correlation():
    cell = cells.minimal()
    field = MeanField(cell, inputs=Inputs(R=0.0), tying="tied", particles=1 << 12)
    assert field.fixed_point().second_moment["h"] == 0.0
    with pytest.raises(ConvergenceError) as raised:
        field.correlation_fixed_point()
    assert raised.value.status is Status.UNDEFINED
    assert field.evolve(3).status is Status.UNDEFINED


def test_gradients_without_a_path_die():
    """A state that forgets everything at once: m_1 = 0, growth -inf, and no warning."""
    h, x = State("h"), Preactivation("e", 0)
    cell = Cell("reader", update={h: x})
    units = SampledUnits(cell, cell.ensemble(), Inputs(), "tied", Sampling(1 << 10, 4))
    assert float(units.gradient_growth()) == -math.inf
    assert not units.jacobian_means(3, 2).value.any()


@pytest.mark.parametrize("tying", ["tied", "untied"])
@pytest.mark.parametrize("name", ["vanilla", "minimal", "lstm"])
def test_autocorrelation_is_there_for_every_theory(name, tying):
    cell = cells.get(name)
    found = MeanField(cell, tying=tying, particles=1 << 13).autocorrelation(5)
    keys = {*(s.name for s in cell.states), *(p.name for p in cell.preactivations)}
    assert set(found.value) == set(found.error) == set(found.timescale) == keys
    for value in found.value.values():
        assert value.shape == (6,)
        assert value[0] == value.max()
    if tying == "untied":
        # Fresh weights: a preactivation is independent of its past, up to sampling noise.
        p = cell.preactivations[0].name
        assert agree(found.value[p][1:], found.error[p][1:], 0.0)
    json.dumps(found.to_dict(), allow_nan=False)
    with pytest.raises(ParameterError, match="lags"):
        MeanField(cell, tying=tying).autocorrelation(-1)


def test_one_run_gives_every_horizon(monkeypatch):
    """Asking for T = 5, 2, 1 after 5 runs the units once."""
    runs = []
    original = Drawing.drawn_tangents

    def counted(self, sampling, horizon, *rest):
        runs.append(horizon)
        return original(self, sampling, horizon, *rest)

    monkeypatch.setattr(Drawing, "drawn_tangents", counted)
    field = MeanField(cells.minimal(), tying="tied", particles=1 << 12)
    means = field.jacobian_means(5)
    again = [float(field.jacobian(T).mean) for T in (5, 2, 1)]
    assert np.allclose(again, means.value[[4, 1, 0]], rtol=1e-12)
    assert runs == [5]
    # The control: a longer horizon is another run.
    field.jacobian_means(6)
    assert runs == [5, 6]


def test_a_single_step_has_a_jacobian():
    """Horizon 1 asked for first, before a longer run knows it: the same as within that run."""
    one, more = (
        MeanField(cells.minimal(), particles=1 << 12).jacobian_means(T).value[0] for T in (1, 3)
    )
    assert one == pytest.approx(more, rel=1e-9)


def test_the_derivation_is_of_the_same_theory():
    assert derive(cells.minimal(), tying="tied").tying == "tied"
