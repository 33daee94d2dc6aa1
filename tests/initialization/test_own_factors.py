"""Critical at a horizon by the law of a cell's own factors, against closed forms and units."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnnmft import Cell, Inputs, State, cells, critical
from rnnmft.diagnosis import diagnose
from rnnmft.errors import InfeasibleError
from rnnmft.initialization.initialization import Initialization
from rnnmft.language import Preactivation, RandomParameter
from rnnmft.language.laws import ChronoBias, Constant, Normal, Uniform
from tests.tracing.modules import IndRNN

FEW = {"particles": 1 << 12, "repetitions": 8, "device": "cpu"}


def identity(e):
    return e


def edge(init):
    return init.ensemble.parameters["u"].high


@pytest.mark.parametrize("horizon", [5, 40])
def test_the_identity_has_a_closed_form(horizon) -> None:
    """E u^(2T) = a^(2T) / (2T + 1) for u uniform in [0, a], and E z^(2T) = (2T - 1)!!."""
    init = critical(cells.indrnn(identity), horizon=horizon, **FEW)
    exact = (2 * horizon + 1) ** (1 / (2 * horizon))
    growth = init.growth()
    # a moves as growth / 2.
    off = 0.5 * growth.error + 1e-3 / horizon
    assert abs(math.log(edge(init) / exact)) < 4.0 * off
    # The control: the paper's 2^(1/T) bounds another number.
    assert abs(math.log(2 ** (1 / horizon) / exact)) > 4.0 * off
    assert init.growth("untied") is growth


@pytest.mark.parametrize(
    ("law", "scale"),
    [(Constant(0.5), 2.0), (Normal(0, 1), 105.0 ** (-1 / 8)), (Uniform(-3, 1), None)],
    ids=["constant", "normal", "uniform"],
)
def test_the_shape_of_the_law_is_kept(law, scale) -> None:
    init = critical(cells.indrnn(identity), parameters={"u": law}, horizon=4, **FEW)
    found = init.ensemble.parameters["u"]
    assert type(found) is type(law)
    scale = scale or law.moment(8) ** (-1 / 8)
    assert found.moment(8) == pytest.approx(1.0, abs=0.1)
    assert math.sqrt(found.moment(2) / law.moment(2)) == pytest.approx(scale, rel=0.02)


@pytest.mark.slow
def test_rectified_units_are_critical_there_and_so_is_a_module_that_is_drawn_so() -> None:
    T = 20
    init = critical(cells.indrnn(), Inputs(R=1.0), horizon=T, **FEW)
    random = np.random.default_rng(0)
    u = edge(init) * random.random(200_000)
    h, m = np.zeros_like(u), np.ones_like(u)
    for t in range(init.burn_in + T):
        e = random.normal(size=u.shape) * init.ensemble["e"].sigma_v + u * h
        h = np.maximum(e, 0.0)
        if t >= init.burn_in:
            m *= u**2 * (e > 0)
    value, error = m.mean(), m.std() / math.sqrt(len(m))
    own = T * init.growth().error
    assert abs(value - 1.0) < 4.0 * math.hypot(error, own)
    assert math.hypot(error, own) < 0.05  # or an edge of 2^(1/T), where m_1 is .3, would pass
    module = init.apply_(IndRNN(16, 4096), torch.Generator().manual_seed(0))
    (layer,) = diagnose(module, T, sequences=16, particles=256, advice=False).layers
    # 4096 draws of u: m_1 scatters by (E u^(4T) / 4096)^(1/2).
    chance = math.hypot(layer.measured.at(T)[1], math.sqrt((2 * T + 1) ** 2 / (4 * T + 1) / 4096))
    assert abs(layer.log10_mean) < 4.0 * chance


def test_it_is_written_and_read_and_says_what_it_is(tmp_path) -> None:
    init = critical(cells.indrnn(), horizon=5, **FEW)
    path = tmp_path / "init.json"
    init.to_json(path)
    assert Initialization.from_json(path).to_dict() == init.to_dict()
    assert "Uniform(low=0.0" in repr(init)
    assert "there m_1(5) = 1" in init.reasons[0]
    assert "uniform" in init.source("numpy")
    assert init.correction == 1.0


@pytest.mark.slow
def test_its_report_has_all_numbers() -> None:
    report = critical(cells.indrnn(), horizon=5, **FEW).report()
    assert "m_1(5) = 1" in report
    assert "growth of m_1(T) per step" in report


@pytest.mark.slow
def test_a_diagnosis_advises_the_law() -> None:
    module = IndRNN(16, 64)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(0.1)
    options = {"sequences": 16, "particles": 256, "threshold": 1.0}
    (advice,) = diagnose(module, 10, **options).advice
    assert "Uniform(low=0.0, high=1.1" in advice.sentence
    assert abs(advice.log10_mean[0]) < 1.0


def test_what_no_scale_makes_critical_is_refused() -> None:
    with pytest.raises(InfeasibleError, match="no law of its own scales"):
        critical(cells.min_gru(), **FEW)
    with pytest.raises(InfeasibleError, match="a law without a scale"):
        critical(cells.indrnn(), parameters={"u": ChronoBias(10)}, **FEW)
    h, u, e = State("h"), RandomParameter("u"), Preactivation("e", 0)
    faint = Cell("faint", update={h: e + u * h / 1000})
    with pytest.raises(InfeasibleError, match="times the law of u"):
        critical(faint, horizon=5, **FEW)


def test_what_is_fixed_stays_and_the_input_brings_the_rest() -> None:
    fix = {"e": {"sigma_b": 0.3, "mu_b": 0.1}}
    law = critical(cells.indrnn(identity), horizon=3, fix=fix, **FEW).ensemble["e"]
    assert (law.sigma_b, law.mu_b) == (0.3, 0.1)
    assert law.sigma_v**2 == pytest.approx(1.0 - 0.09)
