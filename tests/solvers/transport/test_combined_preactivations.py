"""Preactivations that enter only through a sum: one Gaussian, and the law is still transported."""

from __future__ import annotations

import pytest
import sympy as sp

from rnnmft.activations import sigmoid, tanh
from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import Cell, Inputs, Preactivation, State, get
from rnnmft.errors import DerivationError
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.sampled_units import SampledUnits
from rnnmft.solvers.transport.accumulated import TransportedLaw
from rnnmft.theory.accumulator import single_combination

#: |z| below 5 for 14 compared numbers: a false-alarm rate of 8e-6.
Z = 5.0
_C, _H = State("c"), State("h")


def _ensemble(cell: Cell):
    gates = {name: {"sigma_w": 1.5, "sigma_v": 0.8, "sigma_b": 0.2} for name in "ig"}
    open_gate = {"f": {"sigma_w": 1.2, "mu_b": 1.0}, "o": {"sigma_w": 1.6, "mu_b": 0.3}}
    onto_c = {name: {"sigma_w": 0.9} for name in ("i_c", "f_c", "o_c")}
    return cell.ensemble(**gates, **open_gate, **onto_c)


@pytest.fixture(scope="module")
def peephole() -> TransportedLaw:
    """The dense peephole LSTM by transport, shared by the tests."""
    cell = get("peephole_lstm")
    return TransportedLaw(cell, _ensemble(cell), Inputs(R=1.0, correlation=0.6))


def _halves() -> Cell:
    """The LSTM with f = f_1 + f_2 / 2, i = 2 i_1 - i_2, o = o_1 + 3 o_2; all see h."""
    names = ("f_1", "f_2", "i_1", "i_2", "g", "o_1", "o_2")
    f1, f2, i1, i2, g, o1, o2 = (Preactivation(name, _H) for name in names)
    new = sigmoid(f1 + f2 / 2) * _C + sigmoid(2 * i1 - i2) * tanh(g)
    return Cell("halves", update={_C: new, _H: sigmoid(o1 + 3 * o2) * tanh(new)})


def test_one_preactivation_in_two_parts_is_the_same_cell() -> None:
    """sigma^2 of a combination is the sum of a_k^2 sigma_k^2: every answer to rounding."""
    inputs = Inputs(R=0.8, correlation=0.4)
    weights = {"sigma_w": 1.3, "sigma_v": 0.7, "sigma_b": 0.3}

    def part(squared_share: float, coefficient: float) -> dict[str, float]:
        return {k: v * squared_share**0.5 / abs(coefficient) for k, v in weights.items()}

    shares = {"f": ((0.4, 1.0), (0.6, 0.5)), "i": ((0.7, 2.0), (0.3, -1.0))}
    shares["o"] = ((0.5, 1.0), (0.5, 3.0))
    halves = {f"{n}_{k + 1}": part(*s) for n, both in shares.items() for k, s in enumerate(both)}
    halves["f_2"]["mu_b"], halves["i_2"]["mu_b"] = 2.0, 0.4
    split = _halves()
    one = TransportedLaw(split, split.ensemble(g=weights, **halves), inputs)
    whole = {n: dict(weights) for n in "ifgo"}
    whole["f"]["mu_b"], whole["i"]["mu_b"] = 1.0, -0.4
    lstm = TransportedLaw(get("lstm"), get("lstm").ensemble(**whole), inputs)
    found, exact = one.fixed_point(), lstm.fixed_point()
    assert found.second_moment == pytest.approx(exact.second_moment, rel=1e-12)
    at, truth = one.correlation_fixed_point(), lstm.correlation_fixed_point()
    assert at.correlation == pytest.approx(truth.correlation, rel=1e-10)
    growth = float(lstm.gradient_growth())
    assert float(one.gradient_growth()) == pytest.approx(growth, rel=1e-10)
    # Without the coefficients the variances, and with them the answers, are others.
    halves["o_2"] = part(0.5, 1.0)
    other = TransportedLaw(split, split.ensemble(g=weights, **halves), inputs).fixed_point()
    assert other.second_moment["h"] != pytest.approx(exact.second_moment["h"], rel=1e-3)


def test_the_peephole_lstm_is_transported_and_resolved(peephole: TransportedLaw) -> None:
    """The engine chooses the transport; twice the grid moves no second moment by 1e-8."""
    assert MeanField(get("peephole_lstm"), tying="untied").method == "transport of the law"
    at = peephole.fixed_point()
    law = peephole.model_at(192, 32).stationary(at.second_moment)
    for name, value in at.second_moment.items():
        assert law.second[name] == pytest.approx(value, rel=1e-8)


def test_sampled_units_agree_with_the_transport(peephole: TransportedLaw) -> None:
    """Moments over time and m_1 of the Jacobian: two solvers of one theory; 5 % off is rejected."""
    sampling = Sampling(units=64_000, seed=5)
    units = SampledUnits(peephole.cell, peephole.ensemble, peephole.inputs, "untied", sampling)
    sampled, exact = units.evolve(8), peephole.evolve(8)
    controls = []
    for kind in ("second_moment", "cross_moment"):
        for name in ("c", "h"):
            value = getattr(sampled, kind)[name][[0, 2, 7]]
            error = sampled.error[kind][name][[0, 2, 7]]
            truth = getattr(exact, kind)[name][[0, 2, 7]]
            assert (abs(value - truth) < Z * error).all()
            controls.append((abs(value - 1.05 * truth) > Z * error).any())
    for horizon in (1, 3):
        found = units.jacobian_moments(horizon, 30).mean
        value, error = found.value, found.error
        truth = float(peephole.jacobian_moments(horizon, 0).mean)
        assert abs(value - truth) < Z * error
        controls.append(abs(value - 1.05 * truth) > Z * error)
    assert all(controls)


def test_combinations_are_recognised() -> None:
    f, g = sp.symbols("f g")
    reduced, u, slopes = single_combination(
        tanh(f - 2 * g + 1) ** 2 * sigmoid(f - 2 * g + 1), [f, g]
    )
    assert reduced == tanh(u + 1) ** 2 * sigmoid(u + 1)
    assert slopes == {f: 1, g: -2}
    for other in (tanh(f * g), sigmoid(f + g) * tanh(f), tanh(f + g) + f, sigmoid(f + sigmoid(g))):
        assert single_combination(other, [f, g]) is None


def test_a_preactivation_in_two_combinations_is_refused() -> None:
    names = "figop"
    f, i, g, o, p = (Preactivation(name, _H) for name in names)
    new = sigmoid(f) * _C + sigmoid(i + g) * tanh(g)
    shared = Cell("shared", update={_C: new, _H: sigmoid(o) * tanh(new)})
    with pytest.raises(DerivationError, match="one combination of preactivations each"):
        TransportedLaw(shared, shared.ensemble(), Inputs())
    new = sigmoid(f) * _C + sigmoid(i) * tanh(g)
    read = sigmoid(o) * tanh(new) + sigmoid(o + p) * sp.S.One * new
    twice = Cell("twice", update={_C: new, _H: read})
    with pytest.raises(DerivationError, match="in two combinations"):
        TransportedLaw(twice, twice.ensemble(), Inputs())
