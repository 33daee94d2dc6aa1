"""The effective dimension: against known laws, against networks, and wrong spectra are rejected.

Numbers of networks and seeds are fixed. Another seed fails a test of a true theory with the
probability 1e-3 that its report declares, a comparison at five standard errors with less than 1e-5,
and a test that a control is rejected with at most 0.01 (the power of a design).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from rnnmft import cells
from rnnmft.activations import identity
from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import Inputs
from rnnmft.records import Quantity
from rnnmft.simulation import simulate
from rnnmft.spectra.law import JacobianLaw
from rnnmft.validation import ValidationReport, validate
from rnnmft.validation.effective_dimension import (
    measured_dimension,
    predicted_dimension,
    sensitive_point,
)

SIGMA_W = 0.9


def linear_law(horizon: int, weights: str) -> JacobianLaw:
    """J = W^T, W of size sigma_w."""
    cell = cells.vanilla(identity)
    ensemble = cell.ensemble(e={"sigma_w": SIGMA_W}, weights=weights)
    return MeanField(cell, ensemble, tying="tied").jacobian(horizon)


def fraction(squares: Any, z: float) -> Any:
    return squares / (squares - z)


# --- theory ------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [-0.05, -0.8, -30.0])
def test_one_gaussian_step_is_marchenko_pastur(z: float) -> None:
    found = predicted_dimension(linear_law(1, "gaussian"), z)
    edge = 4 * SIGMA_W**2

    # x = edge sin^2 takes the singularity at 0 out of the density sqrt((edge - x) / x).
    def integrand(t: float) -> float:
        return fraction(edge * np.sin(t) ** 2, z) * np.cos(t) ** 2

    wanted, error = quad(integrand, 0, np.pi / 2, epsabs=1e-13)
    wanted, error = 4 / np.pi * wanted, 4 / np.pi * error
    assert abs(float(found) - wanted) <= found.error + error + 1e-13
    assert found.error < 1e-9


@pytest.mark.parametrize("horizon", [2, 5])
def test_gaussian_steps_are_fuss_catalan(horizon: int) -> None:
    # u = z g solves z (u - 1) = u^(T + 1) at sigma_w = 1, and d_eff = 1 - u.
    z = -0.7
    scaled = z / SIGMA_W ** (2 * horizon)
    wanted = brentq(lambda d: -scaled * d - (1 - d) ** (horizon + 1), 0, 1, xtol=1e-14)
    found = predicted_dimension(linear_law(horizon, "gaussian"), z)
    assert abs(float(found) - wanted) <= found.error + 1e-13
    assert found.error < 1e-9


@pytest.mark.parametrize("horizon", [1, 3])
def test_orthogonal_steps_have_one_singular_value(horizon: int) -> None:
    z = -0.6
    found = predicted_dimension(linear_law(horizon, "orthogonal"), z)
    assert abs(float(found) - fraction(SIGMA_W ** (2 * horizon), z)) <= found.error + 1e-13
    assert found.error < 1e-9


# --- the choice of z ---------------------------------------------------------------------------

RNG = np.random.default_rng(7)
LAWS = {
    "one value": np.full(50, 3.7),
    "Marchenko-Pastur": np.linalg.svd(RNG.standard_normal((400, 400)) / 20)[1] ** 2,
    "over many orders of magnitude": np.exp(8 * RNG.standard_normal(4000)),
    "half of them 0": np.append(RNG.uniform(0.5, 2, 300), np.zeros(300)),
    "far apart": np.append(np.full(900, 1e-9), np.full(100, 2.0)),
}


@pytest.mark.parametrize("name", LAWS)
def test_at_z_longer_singular_values_move_it_in_proportion(name: str) -> None:
    squares = LAWS[name]
    z = sensitive_point(squares)
    assert z is not None
    step = 1e-4
    before, after = (fraction(squares * (1 + k) ** 2, z).mean() for k in (0.0, step))
    # The next z of the grid would answer by more than 1; one is at most 0.12 below the next.
    assert 0.87 < (after / before - 1) / step <= 1.0


def test_z_scales_with_the_singular_values() -> None:
    squares = LAWS["Marchenko-Pastur"]
    z = sensitive_point(squares)
    assert z is not None
    for k in (-12, -1, 3):
        assert sensitive_point(squares * 10.0**k) == pytest.approx(z * 10.0**k, rel=1e-12)


def test_a_jacobian_that_is_zero_or_overflows_has_no_z() -> None:
    assert sensitive_point(np.zeros((3, 4))) is None
    assert sensitive_point(np.full((3, 4), np.nan)) is None


def test_of_several_z_it_is_that_of_the_largest_singular_values() -> None:
    squares = np.append(np.full(9000, 1e-8), np.full(1000, 1.0))
    z = sensitive_point(squares)
    assert z is not None
    assert -1.0 <= z <= -0.5


# --- networks ----------------------------------------------------------------------------------


def test_networks_measure_it_of_their_own_singular_values() -> None:
    # With the singular values kept, and without: then by the eigenvalues of J J^T.
    cell, z = cells.lstm(), (-0.3, -2.0)
    with_values, without = (
        simulate(
            cell, cell.ensemble(), Inputs(), width=16, networks=3, steps=4, device="cpu",
            jacobian_horizons=(1, 3), resolvent_points=z, spectrum=spectrum, dtype="float64",
        )
        for spectrum in (True, False)
    )  # fmt: skip
    for horizon in (1, 3):
        values = with_values.jacobian[horizon].singular_values
        assert values is not None
        assert without.jacobian[horizon].singular_values is None
        for each in z:
            wanted = fraction(values**2, each).mean(axis=1)
            for run_ in (with_values, without):
                found = measured_dimension(horizon, each)(run_)
                assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("horizon", [1, 4])
def test_it_averages_itself_where_moments_do_not(horizon: int) -> None:
    # Over linear networks, whose one-step law has no randomness but that of W.
    cell = cells.vanilla(identity)
    ensemble = cell.ensemble(e={"sigma_w": SIGMA_W})
    z = -1.0
    found = simulate(
        cell, ensemble, Inputs(), width=64, networks=400, steps=1, tying="untied",
        jacobian_horizons=(horizon,), resolvent_points=(z,), device="cpu", seed=4,
    )  # fmt: skip
    samples = measured_dimension(horizon, z)(found)
    theory = float(predicted_dimension(linear_law(horizon, "gaussian"), z))
    second = found.jacobian[horizon].moments.samples[:, 1]
    scatter, of_moment = (s.std() / s.mean() for s in (samples, second))
    assert scatter < of_moment / 2
    # The bias is O(1/N); a theory off by 2 % is told apart at this width already.
    sem = samples.std(ddof=1) / 20
    assert abs(samples.mean() - theory) < 5 * sem + theory / 64
    assert abs(samples.mean() - 1.02 * theory) > 5 * sem


# --- validation --------------------------------------------------------------------------------


def run(**options: Any) -> ValidationReport:
    cell = cells.vanilla()
    ensemble = cell.ensemble(e={"sigma_w": 1.2, "sigma_v": 0.8, "sigma_b": 0.3})
    given = {"widths": (24, 48, 96), "steps": 9, "seed": 3, "device": "cpu", "gap": False}
    given |= {"tyings": ("untied",), "horizons": (1,), "lags": ()} | options
    return validate(cell, ensemble, Inputs(R=0.7, correlation=0.6), **given)


def test_without_a_number_of_networks_every_claim_is_decided() -> None:
    # A control of 5 % takes a sixth of the networks.
    found = run(horizons=(1, 3), control=0.05)
    assert {"d_eff", "d_eff(3)"} < {c.name for c in found.claims}
    assert {c.verdict.outcome for c in found.claims} == {"accepted"}, found
    assert all(c.verdict.control_rejected for c in found.claims)
    assert found.resolvent_points.keys() == {1, 3}
    assert all(z < 0 for z in found.resolvent_points.values())


class Stretched:
    """A spectrum whose singular values are all longer, or shorter, by one factor."""

    def __init__(self, spectrum: Any, factor: float) -> None:
        self.spectrum, self.square = spectrum, factor**2

    def __getattr__(self, name: str) -> Any:
        return getattr(self.spectrum, name)

    def resolvent(self, z: Any) -> Quantity:
        found = self.spectrum.resolvent(np.asarray(z) / self.square)
        return dataclasses.replace(found, value=found.value / self.square)


@pytest.mark.parametrize("factor", [1.05, 0.95])
def test_longer_or_shorter_singular_values_are_rejected(
    factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(MeanField):
        def jacobian(self, horizon: int = 1, **rest: Any) -> JacobianLaw:
            law = super().jacobian(horizon, **rest)
            return dataclasses.replace(law, spectrum=Stretched(law.spectrum, factor))

    monkeypatch.setattr("rnnmft.validation.theories.MeanField", Broken)
    found = run(networks=300)
    assert {c.name for c in found.outcomes("rejected")} == {"d_eff"}


@pytest.mark.parametrize(("method", "rejected"), [("exact", []), ("free", ["d_eff(4)"])])
def test_the_free_power_of_a_gated_cell_is_rejected(
    method: str, rejected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Right in m_1, wrong in how the singular values spread: what the claim is there to see.
    class Chosen(MeanField):
        def jacobian(self, horizon: int = 1, **rest: Any) -> JacobianLaw:
            return super().jacobian(horizon, method=method, **rest)

    monkeypatch.setattr("rnnmft.validation.theories.MeanField", Chosen)
    cell = cells.minimal()
    ensemble = cell.ensemble(e={"sigma_w": 2.0, "mu_b": 0.5, "sigma_b": 0.3})
    options: dict[str, Any] = {"networks": 150, "steps": 20, "horizons": (4,), "lags": ()}
    found = validate(
        cell, ensemble, None, (24, 48, 96), tyings=("untied",), gap=False, device="cpu", **options
    )
    assert [c.name for c in found.outcomes("rejected")] == rejected
