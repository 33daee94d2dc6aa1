"""The block equation over sampled units: known laws, the closed one-step moments, simulation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnmft.activations import identity
from rnnmft.analysis.block_equation import BlockEquation
from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.unit_transfer import UnitTransfer
from rnnmft.cells import Inputs, get, vanilla
from rnnmft.errors import ParameterError

DATA = Path(__file__).parents[1] / "data" / "spectra.json"
#: Student's t with 7 degrees of freedom exceeds 8 with probability 9e-5: 1e-3 for 12 numbers.
T_7 = 8.0
#: Standard errors allowed against simulated networks, besides an allowance for their finite width.
Z = 5.0
SETTINGS = json.loads(DATA.read_text())
QUICK = ("minimal-orthogonal-tied", "vanilla-gaussian-untied")


def _linear(horizon: int, weights: str) -> BlockEquation:
    """A linear network: every unit is alike, y^t = s^{t-1} = e^{t-1}; exact with one unit."""
    size = 1 + horizon
    tau = np.zeros((2, 1, size, size))
    tau[:, :, 0, horizon] = 1.0
    tau[:, :, 1, 0] = 1.0
    for t in range(1, horizon):
        tau[:, :, 1 + t, t] = 1.0
    return BlockEquation(UnitTransfer(tau, 1, horizon, (1.0,), (weights,), tied=True))


@pytest.mark.parametrize("horizon", [1, 2, 4])
def test_linear_gaussian_products_are_fuss_catalan(horizon: int) -> None:
    """m_k of a product of T Ginibre matrices: binom(k (T + 1), k) / (k T + 1)."""
    found = _linear(horizon, "gaussian").moments(4)[0]
    exact = [math.comb(k * (horizon + 1), k) / (k * horizon + 1) for k in range(1, 5)]
    assert found == pytest.approx(exact, rel=1e-12)


def test_marchenko_pastur_resolvent() -> None:
    """One linear gaussian step: G = (1 - sqrt(1 - 4/z)) / 2, everywhere off the spectrum."""
    equation = _linear(1, "gaussian")
    for z in (-0.5, -5.0, 1 + 0.5j, 2 + 0.05j, 6 + 0.01j):
        value, _, status = equation.resolvent(complex(z))
        exact = 0.5 * (1 - np.sqrt(1 - 4 / complex(z)))
        assert status.ok
        assert value[0] == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("horizon", [1, 3])
def test_orthogonal_linear_products_have_one_singular_value(horizon: int) -> None:
    """Haar: all mass at 1, m_k = 1 and G = 1 / (z - 1)."""
    equation = _linear(horizon, "orthogonal")
    assert equation.moments(4)[0] == pytest.approx(np.ones(4), rel=1e-12)
    value, _, _ = equation.resolvent(-2.0 + 0.3j)
    assert value[0] == pytest.approx(1 / (-3.0 + 0.3j), rel=1e-8)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", ["minimal", "gru"])
def test_one_step_moments_agree_with_the_closed_ones(name: str, weights: str) -> None:
    """m_1..m_3 from units against quadrature, in standard errors; 30 % off is seen in m_1."""
    cell = get(name)
    parameters = {p.name: {"sigma_w": 1.5, "sigma_v": 0.5} for p in cell.preactivations}
    theory = MeanField(cell, cell.ensemble(weights=weights, **parameters), Inputs(R=0.5))
    law = theory.jacobian(units=8_000)
    closed, sampled = law.moments(3), law.spectrum.moments(3)  # type: ignore[union-attr]
    score = np.abs(sampled.value - closed.value) / sampled.error
    assert (score < T_7).all()
    assert abs(1.3 * sampled.value[0] - closed.value[0]) > T_7 * sampled.error[0]


@pytest.mark.parametrize(
    "setting",
    [
        pytest.param(s, id=s["id"], marks=[] if s["id"] in QUICK else pytest.mark.slow)
        for s in SETTINGS
    ],
)
def test_spectra_agree_with_simulated_networks(setting: dict[str, Any]) -> None:
    """Resolvents at horizons 1 and 2 of eight networks: 5 s.e. plus 0.6 % for their finite width.

    Control: the resolvent of the point moved by 20 % is rejected.
    """
    cell = get(setting["cell"])
    ensemble = cell.ensemble(weights=setting["weights"], **setting["params"])
    inputs = Inputs(R=setting["R"], correlation=0.5)
    theory = MeanField(cell, ensemble, inputs, tying=setting["tying"])
    for horizon, points in setting["resolvent"].items():
        law = theory.jacobian(horizon=int(horizon), units=2_000)
        for re, im, mean_re, mean_im, sem in points:
            mean = complex(mean_re, mean_im)
            found = law.resolvent(complex(re, im))
            allowed = Z * math.hypot(sem, float(found.error)) + 0.006 * abs(mean)
            assert abs(complex(found.value) - mean) < allowed
            assert abs(complex(law.resolvent(1.2 * complex(re, im)).value) - mean) > allowed


def test_the_density_has_the_mass_and_mean_of_the_law() -> None:
    """Its integral and first moment over a grid that covers the spectrum, within its own errors."""
    cell = vanilla(identity)
    theory = MeanField(cell, cell.ensemble(e={"sigma_w": 0.8}), Inputs())
    grid = np.linspace(0.002, 4.0, 120)
    law = theory.jacobian(units=256).density(grid, smoothing=0.02)
    weights = np.gradient(grid)
    # The density diverges like 1/sqrt at 0: the mass below the grid is 2 sqrt(x) / (pi sigma_w).
    below = 2 * math.sqrt(grid[0]) / (math.pi * 0.8)
    slack = float(law.error @ weights)
    assert float(law.value @ weights) + below == pytest.approx(1.0, abs=slack)
    assert float((grid * law.value) @ weights) == pytest.approx(0.64, abs=slack)


def test_a_point_on_the_spectrum_is_refused() -> None:
    """z on the non-negative axis, nan, a grid at 0: a sentence that says what to do."""
    law = MeanField(get("minimal")).jacobian(units=256)
    for z in (1.0, 0.0, complex(math.nan, 0)):
        with pytest.raises(ParameterError, match="off the non-negative real axis"):
            law.resolvent(z)
    with pytest.raises(ParameterError, match="positive finite"):
        law.density([0.0, 1.0])
