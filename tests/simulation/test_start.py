"""States at t = 0: their law, their seeds, and that a zero state draws nothing."""

import numpy as np

from rnnmft import Cell, Inputs, Preactivation, State, cells, identity, simulate
from tests.simulation.false_alarms import FALSE_ALARM, p_value

A, B = State("a"), State("b")
# Both states stay what they are; their sum is seen by W, so that it can be measured.
KEEP = Cell("keep", update={A: A, B: B + 0 * identity(Preactivation("e", A))})


def run(cell=KEEP, inputs=None, **options):
    small = {"width": 64, "networks": 6, "steps": 3, "device": "cpu", "seed": 5}
    return simulate(cell, cell.ensemble(), inputs or Inputs(), **(small | options))


def test_states_have_their_standard_deviation_and_the_inputs_correlation():
    """2048 networks of width 64; controls 3 % off, c and the mean by 0.02."""
    found = run(inputs=Inputs(correlation=0.3), start={"a": 0.5, "b": 2.0}, width=64, networks=2048)
    for name, std in (("a", 0.5), ("b", 2.0)):
        second, cross = (
            getattr(found, kind)[name].samples[:, -1] for kind in ("second_moment", "cross_moment")
        )
        mean = found.first_moment[name].samples[:, -1]
        assert p_value(second, std**2) > FALSE_ALARM
        assert p_value(cross, 0.3 * std**2) > FALSE_ALARM
        assert p_value(mean, 0.0) > FALSE_ALARM
        assert p_value(second, 1.03 * std**2) < FALSE_ALARM
        assert p_value(cross, 0.32 * std**2) < FALSE_ALARM
        assert p_value(mean, 0.02 * std) < FALSE_ALARM
    assert found.start == found.to_dict()["start"] == {"a": 0.5, "b": 2.0}


def test_states_are_independent_of_each_other_and_of_the_inputs():
    """h' = s + V x + g with g another state: variances add. 2048 networks; control 3 % off."""
    g, h = State("g"), State("h")
    cell = Cell("sum", update={g: g, h: g + h + Preactivation("e", 0)})
    found = simulate(
        cell, cell.ensemble(), Inputs(R=0.5), width=64, networks=2048, steps=1, device="cpu",
        start={"g": 1.0, "h": 0.7},
    )  # fmt: skip
    second = found.second_moment["h"].samples[:, 0]
    assert p_value(second, 1.0 + 0.7**2 + 0.5) > FALSE_ALARM
    assert p_value(second, 1.03 * (1.0 + 0.7**2 + 0.5)) < FALSE_ALARM


def test_equal_starts_of_an_autonomous_network_stay_equal():
    cell = cells.gru()
    law = cell.ensemble(**{n: {"sigma_w": 3.0} for n in "rzn"})
    options = {"width": 32, "networks": 2, "steps": 20, "device": "cpu", "start": 1.0}
    same, apart = (simulate(cell, law, Inputs(0.0, c), **options) for c in (1.0, 0.9))
    assert np.array_equal(same.cross_moment["h"].samples, same.second_moment["h"].samples)
    assert (apart.correlation["h"].samples < 0.999).all()


def test_a_zero_start_is_the_zero_state():
    plain, zero = run(cells.minimal()), run(cells.minimal(), start={"h": 0.0})
    assert plain.start == zero.start == {"h": 0.0}
    for name in ("second_moment", "cross_moment"):
        first, second = (getattr(found, name)["h"].samples for found in (plain, zero))
        assert np.array_equal(first, second)


def test_the_start_changes_neither_weights_nor_inputs():
    """h' = e with W = 0: what comes in is the same from any start, to the last digit."""
    h = State("h")
    cell = Cell("reader", update={h: identity(Preactivation("e", h))})
    law = cell.ensemble(e={"sigma_w": 0.0, "sigma_b": 0.3})
    options = {"width": 16, "networks": 3, "steps": 3, "device": "cpu"}
    found = [simulate(cell, law, Inputs(), start=s, **options) for s in (0.0, 1.0)]
    samples = [f.second_moment["h"].samples for f in found]
    assert np.array_equal(*samples)


def test_the_same_seed_gives_the_same_states_however_chunked():
    once, chunked = run(start=1.0), run(start=1.0, memory=1)
    single, double = run(start=1.0), run(start=1.0, dtype="float64")
    other = run(start=1.0, seed=6)
    for name in ("a", "b"):
        samples = once.second_moment[name].samples
        assert np.array_equal(samples, chunked.second_moment[name].samples)
        np.testing.assert_allclose(
            single.second_moment[name].samples, double.second_moment[name].samples, rtol=2.0**-20
        )
        assert not np.allclose(samples, other.second_moment[name].samples, rtol=1e-3)
    # The two states draw numbers of their own.
    assert not np.allclose(once.second_moment["a"].samples, once.second_moment["b"].samples)
