"""Exponents of J = D W: published numbers, known laws, the determinant, and networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate

from rnnmft import Inputs, MeanField, Status, cells, relu, simulate
from rnnmft.activations import identity
from rnnmft.language.weight_ensembles import WeightEnsemble, weight_ensemble
from rnnmft.lyapunov.memoryless import memoryless_curve
from tests.simulation.false_alarms import FALSE_ALARM, p_value

ONE = np.ones(1)


def chaotic(sigma_w: float, weights: str = "gaussian") -> MeanField:
    """Vanilla tanh without input, away from the zero state."""
    cell = cells.vanilla()
    ensemble = cell.ensemble(e={"sigma_w": sigma_w}, weights=weights)
    return MeanField(cell, ensemble, Inputs(R=0.0), start=1.0)


@pytest.mark.parametrize(("sigma_w", "published"), [(1.25, 0.0235347), (3.0, 0.3102493)])
def test_the_largest_exponent_of_the_autonomous_network(sigma_w: float, published: float) -> None:
    """Published to seven digits, for the rate network of one step."""
    found = chaotic(sigma_w).lyapunov()
    assert found.status is Status.OK
    assert float(found) == pytest.approx(published, abs=5e-8)
    assert "autonomous" in found.name
    assert chaotic(sigma_w).lyapunov_spectrum().largest == pytest.approx(float(found), abs=1e-9)


def test_the_spectrum_of_the_autonomous_network() -> None:
    """A published simulation at N = 4096: .1526, .2872, .0251; control: sigma_w 2 % off."""
    wanted = {"positive_fraction": 0.1526, "dimension": 0.2872, "entropy": 0.0251}
    found, other = chaotic(3.0).lyapunov_spectrum(), chaotic(3.06).lyapunov_spectrum()
    assert found.status is Status.OK
    for name, value in wanted.items():
        assert getattr(found, name) == pytest.approx(value, rel=0.01)
    assert other.entropy != pytest.approx(wanted["entropy"], rel=0.02)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_the_sum_of_all_is_the_determinant(weights: str) -> None:
    """(1/N) log |det D W| = E log |D| + log sigma_w, and for gaussian weights less 1/2."""
    found = chaotic(3.0, weights) if weights == "gaussian" else driven(weights)
    q = found.fixed_point().preactivation_variance["e"]
    std = math.sqrt(q)

    def weighed(x: float) -> float:
        return math.exp(-x * x / 2) * -2.0 * (abs(std * x) + np.log1p(np.exp(-2 * abs(std * x))))

    mean = integrate.quad(weighed, -12, 12, epsabs=1e-12)[0] / math.sqrt(2 * math.pi)
    expected = mean + 2 * math.log(2.0) + math.log(found.ensemble["e"].sigma_w)
    expected -= 0.5 if weights == "gaussian" else 0.0
    curve = found.lyapunov_spectrum().curve
    lowest = float(curve.mu[0])
    total = curve.excess(lowest) + lowest * float(curve.above[0])
    assert total == pytest.approx(expected, abs=1e-4)  # a millionth of exponents of -25 is left out


def driven(weights: str) -> MeanField:
    """Vanilla tanh under input, whose q* is known without sampling."""
    cell = cells.vanilla()
    ensemble = cell.ensemble(e={"sigma_w": 3.0}, weights=weights)
    return MeanField(cell, ensemble, tying="untied")


def test_known_laws() -> None:
    """D = 1: gaussian (1/2) log(1 - u), orthogonal 0, two gaussians log(1 - u)."""
    two = WeightEnsemble("two gaussians", (1, 1))
    u = np.linspace(0.05, 0.95, 7)
    for ensemble, known in (
        (weight_ensemble("gaussian"), 0.5 * np.log(1 - u)),
        (weight_ensemble("orthogonal"), 0 * u),
        (two, np.log(1 - u)),
    ):
        curve = memoryless_curve(ONE, ONE, 2.0, ensemble)
        found = [curve.exponent(float(v)) for v in u]
        assert found == pytest.approx(known + math.log(2.0), abs=1e-8)


def test_units_that_are_off_have_no_exponent() -> None:
    """ReLU: half of D is 0, lambda(u) = (1/2) log[sigma_w^2 (1/2 - u)] and -inf beyond."""
    cell = cells.vanilla(relu)
    found = MeanField(cell, cell.ensemble(e={"sigma_w": 1.2})).lyapunov_spectrum()
    quantiles = found.quantiles([0.25, 0.6, 0.9])
    assert quantiles.value[0] == -math.inf
    wanted = 0.5 * np.log(1.44 * (0.5 - np.array([0.4, 0.1])))
    assert (np.abs(quantiles.value[1:] - wanted) <= quantiles.error[1:]).all()
    assert found.status is Status.OK
    assert found.dimension == 0.0
    assert found.fraction_above(-50.0).value == pytest.approx(0.5, abs=1e-5)


def test_one_exponent_of_a_linear_orthogonal_network() -> None:
    cell = cells.vanilla(identity)
    ensemble = cell.ensemble(e={"sigma_w": 0.9}, weights="orthogonal")
    found = MeanField(cell, ensemble, tying="untied").lyapunov_spectrum()
    assert found.quantiles([0.1, 0.9]).value == pytest.approx([math.log(0.9)] * 2, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_networks_agree(weights: str) -> None:
    """Widths 128 and 256, extrapolated in 1/N; 8 networks each. Control: sigma_w 2.6, not 2."""
    cell = cells.vanilla()
    theory, other = (
        MeanField(
            cell, cell.ensemble(e={"sigma_w": s}, weights=weights), Inputs(R=1.0)
        ).lyapunov_spectrum()
        for s in (2.0, 2.6)
    )
    at = [0.05, 0.2, 0.5]
    samples = []
    for width in (128, 256):
        run = simulate(
            cell, cell.ensemble(e={"sigma_w": 2.0}, weights=weights), Inputs(R=1.0), width=width,
            networks=8, steps=30, lyapunov=width // 2 + 20, lyapunov_steps=400, device="cpu",
        )  # fmt: skip
        assert run.lyapunov is not None
        fraction = (np.arange(width // 2 + 20) + 0.5) / width
        samples.append([np.interp(at, fraction, x) for x in run.lyapunov.exponents.samples])
    extrapolated = 2 * np.array(samples[1]) - np.array(samples[0])
    upper = [1.0 - u for u in at]
    assert p_value(extrapolated, theory.quantiles(upper).value, 2e-3) > FALSE_ALARM
    assert p_value(extrapolated, other.quantiles(upper).value, 2e-3) < FALSE_ALARM
