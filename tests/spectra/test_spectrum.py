"""Spectra of Jacobians: known laws, closed moments, simulated networks, bad input."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnmft.activations import hard_tanh, identity, relu
from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import (
    Inputs,
    WeightEnsemble,
    get,
    register_weights,
    vanilla,
)
from rnnmft.errors import ParameterError
from rnnmft.language import weight_ensembles
from rnnmft.spectra.branch import Branch
from rnnmft.spectra.free_power import FreePower, free_power_moments
from rnnmft.spectra.moment_expansion import expanded_moments
from tests.spectra.spectral_units import (
    MASS,
    D,
    fuss_catalan,
    fuss_catalan_resolvent,
    linear_units,
    product_units,
)

DATA = Path(__file__).parents[1] / "data" / "spectra.json"
#: Student's t with 15 degrees of freedom exceeds 6 with probability 2e-5: 3e-4 for 12 numbers.
T_15 = 6.0
#: Standard errors allowed against simulated networks, besides an allowance for their finite width.
Z = 5.0
SETTINGS = json.loads(DATA.read_text())
QUICK = ("minimal-orthogonal-tied", "vanilla-gaussian-untied")
POINTS = np.array([-3.0, -1e-4, 0.02, 1.0, 3.3, 9.0, 0.3 + 1e-6j, 1 + 1j, -0.5 + 0.01j, 40j])


def _vanilla(
    activation: Any, weights: str, sigma_w: float = 0.9, tying: str = "untied"
) -> MeanField:
    cell = vanilla(activation)
    ensemble = cell.ensemble(e={"sigma_w": sigma_w, "sigma_v": 0.5}, weights=weights)
    return MeanField(cell, ensemble, Inputs(), tying=tying)


# --- known laws -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("horizon", [1, 2, 4])
def test_linear_gaussian_products_are_fuss_catalan(horizon: int, tied: bool) -> None:
    """Moments to 1e-12; G, from a polynomial's root followed in z, to 1e-8."""
    units = linear_units(horizon, "gaussian", tied)
    assert expanded_moments(units, 5)[0] == pytest.approx(fuss_catalan(horizon, 5), rel=1e-12)
    for z in (2 + 1j, 0.1 + 0.01j, 5 + 1e-3j):
        found = Branch(units).resolve(np.array([z])).value[0]
        assert found == pytest.approx(fuss_catalan_resolvent(z, horizon), rel=1e-8)


def test_marchenko_pastur_resolvent() -> None:
    """One linear gaussian step: G = (1 - sqrt(1 - 4/z)) / 2, on the axis and off it."""
    z = np.array([-0.5, -1e-6, 1 + 0.5j, 2 + 0.05j, 6 + 0.01j, 1e-3, 2.0, 3.999, 4.001, 50.0])
    found = Branch(linear_units(1, "gaussian")).resolve(z)
    # The root that is positive far out has Im > 0 above the axis, where 1 - 4/z lies above it too.
    root = np.sqrt(1 - 4 / (np.real(z) + 1j * np.abs(np.imag(z))))
    assert found.reached.all()
    assert found.value == pytest.approx(0.5 * (1 - root), rel=1e-8)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("horizon", [1, 3])
def test_orthogonal_linear_products_have_one_singular_value(horizon: int, tied: bool) -> None:
    """Haar: all mass at 1: m_k = 1 and G = 1 / (z - 1), on the axis and off it."""
    units = linear_units(horizon, "orthogonal", tied)
    assert expanded_moments(units, 5)[0] == pytest.approx(np.ones(5), rel=1e-12)
    found = Branch(units).resolve(POINTS + (POINTS == 1.0) * 0.5)
    assert found.reached.all()
    assert found.value == pytest.approx(1 / (found.z - 1), rel=1e-8)


@pytest.mark.parametrize("sigma_w", [0.9, pytest.param(1.3, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("activation", "mass"), [(relu, 0.5), (hard_tanh, None)])
def test_piecewise_linear_orthogonal_laws(
    activation: Any, mass: float | None, sigma_w: float
) -> None:
    """D W with a projection D and orthogonal W: mass p at 0 and 1 - p at sigma_w^2.

    p = P(phi' = 0): one half, or P(|e| > 1) from the stationary variance.
    """
    theory = _vanilla(activation, "orthogonal", sigma_w)
    law = theory.jacobian()
    if mass is None:
        q = theory.fixed_point().preactivation_variance["e"]
        mass = math.erfc(1 / math.sqrt(2 * q))
    z = np.array([-1.0, 0.3, 0.5 + 0.1j, 7.0])
    exact = mass / z + (1 - mass) / (z - sigma_w**2)
    assert law.resolvent(z).value == pytest.approx(exact, rel=1e-8)
    powers = (1 - mass) * sigma_w ** (2.0 * np.arange(1, 5))
    assert law.moments(4).value == pytest.approx(powers, rel=1e-8)
    atoms = law.atoms()
    assert atoms.place == pytest.approx([0.0, sigma_w**2], abs=1e-8)
    assert atoms.mass == pytest.approx([mass, 1 - mass], rel=1e-6)
    assert len(law.support()) == 0


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_products_of_free_steps_are_free_powers(weights: str) -> None:
    """J = D_T W .. D_1 W: tied = untied = the free power of one step, whatever D does in time."""
    one = product_units(1, weights)
    mean = float(MASS @ D**2) * 1.1**2
    power = FreePower(Branch(one), 3, mean).resolve(POINTS)
    moments = free_power_moments(expanded_moments(one, 4)[0], 3)
    assert moments[0] == pytest.approx(mean**3, rel=1e-12)
    assert power.reached.all()
    for tied in (True, False):
        units = product_units(3, weights, tied, persistence=0.6)
        found = Branch(units).resolve(POINTS)
        assert found.reached.all()
        assert found.value == pytest.approx(power.value, rel=1e-8)
        assert expanded_moments(units, 4)[0] == pytest.approx(moments, rel=1e-10)


def test_the_vanilla_cell_is_its_free_power_tied_or_not() -> None:
    """Three routes to one law by the public face; a gated cell's power is an approximation."""
    z, laws = np.array([0.7 + 0.2j, 2.0, -1.0]), []
    for tying in ("untied", "tied"):
        theory = _vanilla(hard_tanh, "orthogonal", 1.5, tying)
        laws += [theory.jacobian(4), theory.jacobian(4, method="free")]
    first = laws[0].resolvent(z).value
    for law in laws:
        assert not law.approximation
        assert law.resolvent(z).value == pytest.approx(first, rel=1e-8)
        assert law.moments(3).value == pytest.approx(laws[0].moments(3).value, rel=1e-8)
    gated = MeanField(get("minimal"), tying="untied").jacobian(3, method="free", units=256)
    assert gated.approximation
    assert "approximation" in gated.resolvent(1j).name


def test_an_ensemble_of_ones_own_enters_by_its_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """W = W_1 W_2 / sigma, psi = 1 + y: one linear step has the moments of two gaussian factors."""
    # What is registered here is forgotten afterwards.
    monkeypatch.setattr(
        weight_ensembles, "WEIGHT_ENSEMBLES", dict(weight_ensembles.WEIGHT_ENSEMBLES)
    )
    name = register_weights(WeightEnsemble("two gaussian factors", (1, 1))).name
    one, two = linear_units(1, name), linear_units(2, "gaussian")
    assert expanded_moments(one, 5)[0] == pytest.approx(fuss_catalan(2, 5), rel=1e-12)
    z = np.array([1 + 1j, 0.5, -2.0, 8.0])
    found, exact = Branch(one).resolve(z), Branch(two).resolve(z)
    assert found.reached.all()
    assert found.value == pytest.approx(exact.value, rel=1e-8)
    symbolic = _vanilla(identity, name).jacobian(1).moments(3).value
    assert symbolic == pytest.approx([0.81**k * m for k, m in enumerate(fuss_catalan(2, 3), 1)])
    law = _vanilla(identity, name).jacobian(2)
    wanted = [0.81 ** (2 * k) * m for k, m in enumerate(fuss_catalan(4, 3), start=1)]
    assert law.moments(3).value == pytest.approx(wanted, rel=1e-8)
    with pytest.raises(ParameterError, match="another weight ensemble"):
        register_weights(WeightEnsemble(name, (1, 2)))


@pytest.mark.slow
def test_weights_may_be_mixed_in_one_cell() -> None:
    """A GRU with an orthogonal candidate lies off both pure ones; it expands as it resolves."""
    cell = get("gru")
    found = {}
    for key in ("gaussian", "orthogonal", "mixed"):
        weights = {"n": "orthogonal"} if key == "mixed" else key
        laws: Any = {p.name: {"sigma_w": 1.5, "sigma_v": 0.5} for p in cell.preactivations}
        law = MeanField(
            cell, cell.ensemble(weights=weights, **laws), Inputs(R=0.5), tying="untied"
        ).jacobian(units=512)
        far = 300.0 * np.exp(1j * (np.arange(16) + 0.5) * math.pi / 16)
        g = law.resolvent(far).value
        assert law.spectrum is not None
        expanded = law.spectrum.moments(2).value
        # Contour integrals of z^k G over the circle, upper half and its mirror image.
        contour = [float((g * far ** (k + 1)).real.mean()) for k in (1, 2)]
        assert contour == pytest.approx(expanded, rel=1e-6)
        found[key] = expanded[1]
    assert len({round(v, 6) for v in found.values()}) == 3


# --- against closed moments and networks ----------------------------------------------------------


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", ["minimal", "gru"])
def test_one_step_moments_agree_with_the_closed_ones(name: str, weights: str) -> None:
    """m_1..m_3 from units against quadrature, in standard errors; 30 % off is seen in m_1."""
    cell = get(name)
    parameters: Any = {p.name: {"sigma_w": 1.5, "sigma_v": 0.5} for p in cell.preactivations}
    theory = MeanField(
        cell, cell.ensemble(weights=weights, **parameters), Inputs(R=0.5), tying="untied"
    )
    law = theory.jacobian(units=8_000)
    closed, sampled = law.moments(3), law.spectrum.moments(3)  # type: ignore[union-attr]
    score = np.abs(sampled.value - closed.value) / sampled.error
    assert (score < T_15).all()
    assert abs(1.3 * sampled.value[0] - closed.value[0]) > T_15 * sampled.error[0]


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


# --- any z, any horizon ---------------------------------------------------------------------------


def test_horizon_0_is_the_identity() -> None:
    """m_k = 1, G = 1 / (z - 1), one atom at 1; the same from no horizon's solver."""
    law = MeanField(get("lstm"), tying="untied").jacobian(0)
    assert law.moments(3).value == pytest.approx([1, 1, 1], rel=1e-12)
    assert law.resolvent([2.0, 1j, 0.0]).value == pytest.approx([1, 1 / (1j - 1), -1], rel=1e-9)
    assert law.atoms().place == pytest.approx([1.0], rel=1e-9)
    assert law.atoms().mass == pytest.approx([1.0], rel=1e-6)
    assert law.condition().ratio == pytest.approx(1.0, rel=1e-6)


def test_zero_is_answered_off_the_spectrum_and_refused_on_it() -> None:
    """G(0) = -E[1 / lambda] where lambda stays off 0 ; a sentence elsewhere."""
    law = _vanilla(identity, "orthogonal").jacobian(3)
    assert complex(law.resolvent(0).value) == pytest.approx(-(0.81**-3), rel=1e-8)
    for other in (_vanilla(identity, "gaussian"), _vanilla(relu, "orthogonal")):
        with pytest.raises(ParameterError, match="z = 0 belongs to the spectrum"):
            other.jacobian().resolvent(0)


def test_the_resolvent_near_and_on_an_edge() -> None:
    """The edge 4 sigma_w^2 of one linear gaussian step: G = 2 / z there; on its two sides too."""
    law, edge = _vanilla(identity, "gaussian", 0.5).jacobian(), 1.0
    found = law.resolvent([edge, edge - 1e-6, edge + 1e-6])
    assert abs(found.value[0] - 2.0) <= max(float(found.error[0]), 1e-5)
    # 0.25 G = (1 - sqrt(1 - 1/z)) / 2.
    assert found.value[1].imag == pytest.approx(-2.0 * math.sqrt(1e-6), rel=1e-3)
    assert abs(found.value[2].imag) < 1e-8


def test_below_the_axis_the_resolvent_is_conjugate() -> None:
    """G(conj z) = conj G(z); G decays like 1/z and is bounded by the distance to the axis."""
    law = MeanField(get("minimal"), tying="untied").jacobian(units=256)
    z = np.array([0.5 + 0.3j, 2.0 + 1e-3j, 1e4j])
    above, below = law.resolvent(z).value, law.resolvent(z.conj()).value
    assert below == pytest.approx(np.conj(above), rel=1e-12)
    assert (np.imag(above) < 0).all()
    assert (np.abs(above) <= 1 / np.imag(z)).all()
    assert above[2] * z[2] == pytest.approx(1.0, abs=1e-3)


def test_bad_input_is_refused_in_a_sentence() -> None:
    """nan, a grid at 0, a negative smoothing, quantiles outside (0, 1), unknown methods."""
    theory = MeanField(get("minimal"), tying="untied")
    law = theory.jacobian(units=256)
    with pytest.raises(ParameterError, match="z must be finite"):
        law.resolvent(complex(math.nan, 0))
    with pytest.raises(ParameterError, match="positive finite"):
        law.density([0.0, 1.0])
    with pytest.raises(ParameterError, match="smoothing must be"):
        law.density([1.0], smoothing=-1.0)
    with pytest.raises(ParameterError, match="between 0 and 1"):
        _vanilla(identity, "gaussian").jacobian().quantiles([0.5, 1.0])
    with pytest.raises(ParameterError, match="method must be"):
        theory.jacobian(method="best")
    with pytest.raises(ParameterError, match="horizon must be"):
        theory.jacobian(-1)
    with pytest.raises(ParameterError, match="units must be at most"):
        MeanField(get("lstm"), tying="untied").jacobian(60, units=8_000).resolvent(1j)
