"""The branch: the same resolvent from two different paths; wrong solutions are recognised."""

import math
from typing import Any

import numpy as np
import pytest

from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import Inputs, get
from rnnmft.spectra.block_equation import BlockEquation
from rnnmft.spectra.block_solutions import Solutions
from rnnmft.spectra.branch import Branch
from rnnmft.spectra.unit_transfer import UnitTransfer
from rnnmft.spectra.walk import Walk
from tests.spectra.spectral_units import linear_units, product_units


def _sampled(name: str, weights: str, tying: str, horizon: int) -> UnitTransfer:
    cell = get(name)
    laws = {p.name: {"sigma_w": 2.0} for p in cell.preactivations}
    theory = MeanField(cell, cell.ensemble(None or weights, None, **laws), Inputs(), tying=tying)
    spectrum = theory.jacobian(horizon, units=256).spectrum
    assert spectrum is not None
    return spectrum.sampled_units(horizon)


def _walked(units: UnitTransfer, z: Any, angle: float = math.pi / 2) -> tuple[Solutions, Any]:
    """Each point by itself with all units, and which were reached."""
    return Walk(BlockEquation(units), angle).to(z)


@pytest.mark.parametrize(
    "units",
    [
        pytest.param(lambda: product_units(2, "orthogonal"), id="product"),
        pytest.param(lambda: _sampled("minimal", "gaussian", "tied", 1), id="minimal-1"),
        pytest.param(
            lambda: _sampled("minimal", "orthogonal", "tied", 2),
            id="minimal-2",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda: _sampled("gru", "orthogonal", "untied", 1), id="gru-1", marks=pytest.mark.slow
        ),
    ],
)
def test_two_paths_lead_to_one_resolvent(units: Any) -> None:
    """20 x 8 points by the imaginary direction and by the negative axis: equal, and a resolvent."""
    given = units()
    sizes, angles = np.geomspace(1e-3, 1e3, 20), np.linspace(1e-3, math.pi, 8)
    z = (sizes[:, None] * np.exp(1j * angles)).ravel()
    found, other = (_walked(given, z, angle) for angle in (math.pi / 2, math.pi))
    assert found[1].all()
    assert other[1].all()
    assert found[0].value == pytest.approx(other[0].value, rel=1e-8)
    value = found[0].value
    assert (np.imag(value) <= 1e-12 * np.abs(value)).all()
    distance = np.where(z.real > 0, np.abs(z.imag), np.abs(z))
    assert (np.abs(value) * distance <= 1 + 1e-9).all()
    far = np.abs(z) > 500
    assert value[far] * z[far] == pytest.approx(np.ones(far.sum()), abs=0.05)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_other_solutions_are_not_proper(weights: str) -> None:
    """Newton's method from random starts also finds solutions that are no resolvent: refused.

    Where it finds a proper one it is the resolvent.
    """
    equation = BlockEquation(product_units(1, weights))
    z = np.array([0.5 + 0.2j])
    right = Branch(equation.units).resolve(z).value[0]
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(30):
        guess = [rng.normal(size=(1, 1, 1, 1)) + 1j * rng.normal(size=(1, 1, 1, 1)) for _ in "abf"]
        if weights == "gaussian":
            guess[2] = equation.closure.start(1)
        found = equation.solve(z, (guess[0], guess[1], guess[2]), near=False, rounds=40)
        if not found.converged[0] or not np.isfinite(found.value[0]):
            continue
        off = abs(found.value[0] - right) > 1e-6
        wrong += off
        assert found.proper[0] != off
    # Inside of the spectrum the limit from below is such a solution, for any ensemble.
    axis = np.array([0.5 + 0j])
    equation = BlockEquation(product_units(2, weights))
    above, _ = Branch(equation.units).at(axis)
    a, b, f = (np.conj(x) for x in above.unknowns)
    below = equation.solve(axis, (a, b, f))
    assert above.value[0].imag < -0.1
    assert below.value[0] == pytest.approx(np.conj(above.value[0]), rel=1e-8)
    assert below.converged[0]
    assert not below.proper[0]
    assert wrong > 0 or weights == "orthogonal"


def test_a_thinned_walk_ends_where_all_units_walk() -> None:
    """Few units walk, all take the last step: the same as all walking, on and off the axis."""
    given = _sampled("minimal", "gaussian", "tied", 1)
    z = np.array([0.01, 0.5, 3.0, 0.2 + 0.1j, -1.0])
    quick, slow = Branch(given, scouts=32).at(z), _walked(given, z)
    assert quick[1].all()
    assert quick[0].value == pytest.approx(slow[0].value, rel=1e-8)


def test_known_points_lead_where_each_walks_alone() -> None:
    """60 points over 6 decades, on the axis and 1 % above, asked for in three parts."""
    given = _sampled("minimal", "orthogonal", "tied", 1)
    x = np.geomspace(1e-5, 10.0, 30)
    z = np.random.default_rng(0).permutation(np.concatenate([x + 0j, x * (1 + 0.01j)]))
    branch = Branch(given, scouts=32)
    parts = [branch.at(part) for part in np.array_split(z, 3)]
    alone = _walked(given, z)[0]
    for found, reached in parts:
        assert reached.all()
        assert found.proper.all()
    value, slope = (np.concatenate([getattr(f, k) for f, _ in parts]) for k in ("value", "slope"))
    assert value == pytest.approx(alone.value, rel=1e-8)
    assert slope == pytest.approx(alone.slope, rel=1e-4)


def test_slopes_are_derivatives() -> None:
    """dG/dz against a central difference, whose error is of the order of its step squared."""
    branch = Branch(linear_units(2, "gaussian"))
    z, step = np.array([0.3 + 0.4j, 2.0 + 0.1j]), 1e-4
    found = branch.resolve(z)
    ends = [branch.resolve(z + s * step).value for s in (1, -1)]
    assert found.slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)


@pytest.mark.slow
def test_standard_errors_are_the_spread_of_independent_samples() -> None:
    """The linearised error of G against the spread over 24 seeds: within a factor of 2."""
    cell, values, errors = get("minimal"), [], []
    for seed in range(24):
        theory = MeanField(cell, cell.ensemble(e={"sigma_w": 3.0}), tying="tied", seed=seed)
        found = theory.jacobian(2, units=512, burn_in=5).resolvent(-0.3)
        values.append(complex(found.value).real)
        errors.append(float(found.error))
    ratio = np.mean(errors) / np.std(values, ddof=1)
    assert 0.5 < ratio < 2.0
