"""`simulate`: reproducible, independent of how it is dealt out, honest about what went wrong."""

import json

import numpy as np
import pytest

from rnnmft import Cell, Inputs, Preactivation, State, Status, cells, relu, simulate
from rnnmft.cells import Normal, RandomParameter
from tests.simulation.false_alarms import FALSE_ALARM, p_value

ROUNDING = 2.0**-20  # of float32 after a few contracting steps of width 40


def run(cell=None, ensemble=None, inputs=None, **options):
    cell = cell or cells.minimal()
    law = ensemble or cell.ensemble(**{p.name: {"sigma_b": 0.3} for p in cell.preactivations})
    small = {"width": 40, "networks": 5, "steps": 4, "device": "cpu"}
    return simulate(cell, law, inputs or Inputs(), **(small | options))


def arrays(simulation):
    """Every array of samples, by a name."""
    found = {}
    for kind in ("first_moment", "second_moment", "cross_moment", "preactivation_variance"):
        for name, estimate in getattr(simulation, kind).items():
            found[kind, name] = estimate.samples
    for horizon, j in simulation.jacobian.items():
        found["jacobian", horizon] = j.moments.samples
    return found


@pytest.mark.parametrize("tying", ["tied", "untied"])
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_the_same_seed_gives_the_same_numbers_however_chunked(tying, weights):
    cell = cells.lstm()
    law = cell.ensemble(weights=weights, i={"sigma_b": 0.3})
    options = {"tying": tying, "jacobian_horizons": (1, 3), "seed": 11}
    once, again, chunked = (
        arrays(run(cell, law, **options, **more)) for more in ({}, {}, {"memory": 1})
    )
    other = arrays(run(cell, law, **(options | {"seed": 12})))
    for name, samples in once.items():
        assert np.array_equal(samples, again[name])
        assert np.allclose(samples, chunked[name], rtol=ROUNDING, atol=ROUNDING)
        assert not np.allclose(samples, other[name], rtol=1e-3, atol=0.0)


def test_more_networks_steps_or_horizons_keep_the_first():
    base = arrays(run(tying="untied"))
    more = run(tying="untied", networks=7, steps=6, jacobian_horizons=(2,), jacobian_networks=3)
    assert more.jacobian[2].moments.samples.shape == (3, 3)
    for name, samples in arrays(more).items():
        if name in base:
            assert np.allclose(samples[:5, :4], base[name], rtol=ROUNDING)


def test_float32_and_float64_run_the_same_networks():
    """Control: another seed's networks are far away."""
    single, double, other = (
        run(dtype=dtype, seed=seed, jacobian_horizons=(1,))
        for dtype, seed in (("float32", 1), ("float64", 1), ("float64", 2))
    )
    for name, samples in arrays(double).items():
        assert np.allclose(arrays(single)[name], samples, rtol=ROUNDING, atol=ROUNDING)
        assert not np.allclose(arrays(other)[name], samples, rtol=1e-3)


def test_element_t_is_after_t_plus_1_updates():
    """From the zero state e = V x + b alone: E[(e - mu_b)^2] = sigma_v^2 R + sigma_b^2.

    2048 networks. Control: the value one step later, and 3 % off.
    """
    cell = cells.minimal()
    law = cell.ensemble(e={"sigma_w": 4.0, "sigma_v": 1.2, "mu_b": 0.5, "sigma_b": 0.3})
    found = run(cell, law, Inputs(R=0.8), width=64, networks=2048, steps=2)
    expected = 1.2**2 * 0.8 + 0.3**2
    variance = found.preactivation_variance["e"].samples
    covariance = found.preactivation_covariance["e"].samples[:, 0]
    assert p_value(variance[:, 0], expected) > FALSE_ALARM
    assert p_value(covariance, 1.2**2 * 0.8 * 0.5 + 0.3**2) > FALSE_ALARM
    assert p_value(variance[:, 0], expected * 1.03) < FALSE_ALARM
    assert p_value(variance[:, 1], expected) < FALSE_ALARM


@pytest.mark.parametrize("tying", ["tied", "untied"])
def test_autocovariance_of_a_linear_network_with_constant_input(tying):
    """h' = e with W = 0 and constant input: e^t = V x + b.

    Tied, V and b stay: every lag has sigma_v^2 R + sigma_b^2. Untied, only lag 0 has.
    2048 networks. Control: 4 % of that more.
    """
    h = State("h")
    e = Preactivation("e", h)
    cell = Cell("linear", update={h: e})
    law = cell.ensemble(e={"sigma_w": 0.0, "sigma_b": 0.5})
    found = run(
        cell, law, Inputs(R=2.0, temporal="constant"), width=32, networks=2048, steps=6,
        tying=tying, autocovariance_lags=range(4),
    )  # fmt: skip
    lagged = {"tied": 2.25, "untied": 0.0}
    for name in ("h", "e"):
        samples = found.autocovariance[name].samples
        assert np.allclose(samples[:, 0], found.second_moment["h"].samples[:, -1], rtol=ROUNDING)
        assert p_value(samples, [2.25] + 3 * [lagged[tying]]) > FALSE_ALARM
        assert p_value(samples, [2.25] + 3 * [lagged[tying] + 0.09]) < FALSE_ALARM
    assert found.lags == (0, 1, 2, 3)


def test_elementwise_parameters_are_fixed_in_time_also_where_weights_are_not():
    """h' = p + V x, p ~ N(1, 0.5^2), white x: lag 0 has 1.25 + R, lag 1 has 1.25 (1024 networks).

    Control: 4 % more.
    """
    h, p = State("h"), RandomParameter("p")
    e = Preactivation("e", h)
    cell = Cell("diagonal", update={h: p + e})
    law = cell.ensemble(parameters={"p": Normal(1.0, 0.5)}, e={"sigma_w": 0.0, "sigma_v": 1.0})
    for tying in ("tied", "untied"):
        found = run(
            cell, law, Inputs(R=0.5), width=64, networks=1024, tying=tying,
            autocovariance_lags=(0, 1), jacobian_horizons=(1,),
        )  # fmt: skip
        samples = found.autocovariance["h"].samples
        assert p_value(samples, [1.25 + 0.5, 1.25]) > FALSE_ALARM
        assert p_value(samples[:, 1], 1.25 * 1.04) < FALSE_ALARM
        assert not found.jacobian[1].moments.samples.any()


def test_correlation_is_that_of_each_network():
    found = run(jacobian_horizons=())
    ratio = found.cross_moment["h"].samples / found.second_moment["h"].samples
    assert np.array_equal(found.correlation["h"].samples, ratio)
    same = run(inputs=Inputs(correlation=1.0))
    assert np.allclose(same.correlation["h"].samples, 1.0, rtol=1e-12)


def test_a_correlation_of_nothing_is_undefined():
    cell = cells.vanilla()
    found = run(cell, cell.ensemble(), Inputs(R=0.0))
    assert found.status is Status.OK
    assert not found.second_moment["h"].mean.any()
    assert found.correlation["h"].status is Status.UNDEFINED
    assert "second moment is 0" in found.correlation["h"].reason


def test_a_diverging_network_says_when():
    """relu with sigma_w = 100 grows by 50^(1/2) a step: beyond float32's 3.4e38 after 45 steps."""
    cell = cells.vanilla(relu)
    law = cell.ensemble(e={"sigma_w": 100.0})
    found = run(cell, law, steps=60, jacobian_horizons=(1,), autocovariance_lags=(0,))
    assert found.status is Status.DIVERGES
    assert all(10 < step < 60 for step in found.diverged_at)
    assert f"network 0 at step {found.diverged_at[0]}" in found.reason
    first = min(found.diverged_at) - 1
    for estimate in (found.second_moment["h"], found.preactivation_variance["e"]):
        assert estimate.status is Status.DIVERGES
        assert np.isfinite(estimate.mean[:first]).all()
        assert np.isnan(estimate.mean[first:]).all()
    assert found.jacobian[1].status is Status.DIVERGES
    assert found.autocovariance["h"].status is Status.DIVERGES
    assert "DIVERGES" in repr(found.second_moment["h"])
    # Control: the same cell in float64 has room enough.
    assert run(cell, law, steps=60, dtype="float64").status is Status.OK


def test_only_what_is_asked_for_is_kept():
    nothing = run()
    assert (nothing.jacobian, nothing.autocovariance) == ({}, {})
    points = (2.0 + 1j, -0.5)
    found = run(jacobian_horizons=(1,), resolvent_points=points).jacobian[1]
    assert found.singular_values is None
    whole = run(jacobian_horizons=(1,), resolvent_points=points, spectrum=True).jacobian[1]
    by_hand = np.mean(
        1 / (np.array(points)[:, None] - whole.singular_values[:, None] ** 2), axis=-1
    )
    assert np.allclose(found.resolvent.samples, by_hand, rtol=1e-12)


def test_progress_counts_every_step_of_every_network():
    seen = []
    run(jacobian_horizons=(2, 3), jacobian_networks=2, memory=1, progress=lambda *a: seen.append(a))
    total = 2 * (4 + 3) + 3 * 4
    assert seen == [(done, total) for done in range(1, total + 1)]


@pytest.mark.parametrize("cell", [cells.get(name) for name in cells.names()], ids=cells.names())
@pytest.mark.parametrize("tying", ["tied", "untied"])
def test_every_cell_of_the_zoo_runs_and_writes_json(cell, tying):
    laws = {p.name: Normal(0.0, 0.5) for p in cell.parameters}
    found = run(
        cell, cell.ensemble(parameters=laws), width=1, networks=1, tying=tying,
        jacobian_horizons=(1,), spectrum=True, resolvent_points=(1j,), autocovariance_lags=(1,),
    )  # fmt: skip
    assert found.status is Status.OK
    text = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    last = cell.states[-1].name
    assert text["second_moment"][last]["sem"] == ["inf"] * 4
    assert text["status"] == Status.OK.value
    assert cell.name in repr(found)
