"""The untied solver against particle solutions and finite networks made by independent programs.

Trajectories: each of the COMPARISONS numbers is compared within its standard error (of 16
repetitions, pooled over the steps of its series), at the false-alarm rate FALSE_ALARM of the whole
file. Jacobians: 5 standard errors plus 2 % (m_1) and 6 % (m_2) for the finite width, as the
simulated networks have N of some hundreds. A prediction moved by 2 % must be rejected.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from rnnmft import Inputs, MeanField, cells

DATA = json.loads(
    (Path(__file__).parents[2] / "data" / "reference" / "untied.json").read_text(encoding="utf-8")
)
FALSE_ALARM = 1e-3
REPETITIONS = 16
QUANTITIES = ("second_moment", "cross_moment", "preactivation_variance")
COMPARISONS = sum(
    len(series["mean"])
    for d in DATA.values()
    for q in QUANTITIES
    for series in d["limit"][q].values()
)
MOST = stats.t.isf(FALSE_ALARM / COMPARISONS / 2, REPETITIONS - 1)
ROUNDING = 1e-12


def mean_field(setting, **options):
    config = DATA[setting]["config"]
    cell = cells.get(config["cell"])
    ensemble = cell.ensemble(**config["params"], weights=config["ensemble"])
    inputs = Inputs(R=config["R"], correlation=config["c_x"])
    return MeanField(cell, ensemble, inputs, **options, tying="untied")


def excess(found, reference):
    """The largest deviation in standard errors."""
    mean, sem = np.array(reference["mean"]), np.array(reference["sem"])
    pooled = np.maximum(sem, abs(mean) * np.sqrt(np.mean((sem / mean) ** 2)))
    return float(np.max(np.abs(found - mean) / (pooled + ROUNDING * abs(mean))))


@pytest.mark.parametrize("setting", DATA)
def test_trajectories(setting):
    steps = DATA[setting]["config"]["T"]
    found = mean_field(setting).evolve(steps)
    assert found.status.ok
    for quantity in QUANTITIES:
        for name, reference in DATA[setting]["limit"][quantity].items():
            values = getattr(found, quantity)[name]
            assert values.shape == (steps,)
            assert excess(values, reference) < MOST
            assert excess(1.02 * values, reference) > MOST


@pytest.mark.parametrize("setting", DATA)
def test_one_step_jacobian(setting):
    found = mean_field(setting).jacobian(1).moments(2)
    assert found.status.ok
    reference = DATA[setting]["jacobian"]["1"]["m"]
    for i, relative in enumerate((0.02, 0.06)):
        mean, sem = reference["mean"][i], reference["sem"][i]
        assert abs(found.value[i] - mean) < 5 * sem + relative * mean


@pytest.mark.parametrize("horizon", [2, 5])
@pytest.mark.parametrize("setting", DATA)
def test_mean_over_several_steps(setting, horizon):
    found = float(mean_field(setting).jacobian(horizon).mean)
    reference = DATA[setting]["jacobian"][str(horizon)]["m"]
    mean, sem = reference["mean"][0], reference["sem"][0]
    assert abs(found - mean) < 5 * sem + 0.02 * mean


@pytest.mark.parametrize("setting", ["minimal-gaussian-untied", "gru-gaussian-untied"])
def test_backends_agree(setting):
    numpy, torch = mean_field(setting), mean_field(setting, backend="torch")
    one, two = numpy.evolve(5), torch.evolve(5)
    for quantity in QUANTITIES:
        for name, values in getattr(one, quantity).items():
            assert isinstance(values, np.ndarray)
            np.testing.assert_allclose(getattr(two, quantity)[name], values, rtol=1e-10)
    fixed, other = numpy.fixed_point(), torch.fixed_point()
    assert abs(fixed.second_moment["h"] - other.second_moment["h"]) <= fixed.error + other.error
    a, b = numpy.jacobian().moments(2), torch.jacobian().moments(2)
    assert (np.abs(a.value - b.value) <= a.error + b.error).all()
