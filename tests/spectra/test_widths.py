"""Spectra of cells of several widths: units of atoms, of which the symbolic moments are exact.

`tests/theory/test_widths.py` holds these moments against matrices of their real shapes.
"""

import numpy as np
import pytest

from rnnmft import Inputs, MeanField, cells, simulate
from rnnmft.errors import DerivationError
from rnnmft.spectra.branch import Branch
from rnnmft.spectra.moment_expansion import expanded_moments
from rnnmft.spectra.unit_transfer import UnitTransfer
from rnnmft.spectra.width_classes import by_width
from tests.simulation.false_alarms import FALSE_ALARM, p_value
from tests.theory.series import atoms_of, sigmas
from tests.theory.test_generating_function import exact_moments, kinds_of
from tests.theory.test_widths import bottleneck, theory_of

LAW = {"sigma_w": 1.5, "sigma_v": 0.8}


def atoms(theory, kinds):
    """The units as nodes of known weight."""
    probabilities, values = zip(*atoms_of(theory), strict=True)
    places = list(theory.entries)
    size = theory.transfer.rows
    tau = np.zeros((len(values), size, size))
    for i in range(size):
        for j in range(size):
            known = (i, j) in theory.entries
            for k, v in enumerate(values):
                tau[k, i, j] = float(v[places.index((i, j))] if known else theory.transfer[i, j])
    names = [p.name for p in theory.recurrent]
    sigma = sigmas(theory)
    return UnitTransfer(
        tau,
        np.array([float(p) for p in probabilities]),
        len(theory.cell.states),
        1,
        tuple(float(sigma[theory.theory.notation.sigma_w[p]]) for p in theory.recurrent),
        tuple(kinds[n] for n in names),
        True,
        names=tuple(names),
    )


@pytest.mark.parametrize("weights", ["gaussian", "mixed"])
def test_moments_and_resolvent_are_those_of_the_symbols(weights):
    theory = theory_of(bottleneck())
    kinds = kinds_of(theory, weights)
    wanted = np.array([float(m) for m in exact_moments(theory, kinds, 3)])
    units = by_width(atoms(theory, kinds), theory.cell)
    assert units.states_a_unit == pytest.approx(1.5 / 1.75)
    moments, _ = expanded_moments(units, 3)
    assert moments == pytest.approx(wanted, rel=1e-12)
    # G = 1/z + m_1/z^2 + m_2/z^3 + m_3/z^4 + O(z^-5): what is left falls as z^-5.
    z = np.array([-200.0, -400.0], dtype=complex)
    value = Branch(units).resolve(z).value.real
    powers = sum(m * z.real ** -(k + 1) for k, m in enumerate([1.0, *wanted]))
    left = (value - powers) * z.real**5
    assert left[0] == pytest.approx(left[1], rel=0.2)
    assert abs(left[0]) < 100 * wanted[2] * wanted[2] / wanted[1]


def test_one_width_changes_nothing():
    theory = theory_of(bottleneck(1, 1))
    units = atoms(theory, kinds_of(theory, "gaussian"))
    assert by_width(units, theory.cell) is units


def test_what_is_not_known_is_refused():
    cell = cells.get("projection_lstm")
    law = {p.name: {"sigma_w": 1.0} for p in cell.preactivations}
    orthogonal = MeanField(cell, cell.ensemble("orthogonal", **law), Inputs())
    with pytest.raises(DerivationError, match="several widths, are known for gaussian weights"):
        orthogonal.eigenvalues()
    with pytest.raises(DerivationError, match="whose states have several widths, is not known"):
        MeanField(cell, cell.ensemble(**law), Inputs(), tying="untied").lyapunov_spectrum()


@pytest.mark.slow
def test_eigenvalues_within_a_circle_are_those_of_networks():
    """Of 16 projection LSTMs of width 400 the fraction within .3, untied; control: 10 % off."""
    cell = cells.get("projection_lstm")
    law = {p.name: dict(LAW) for p in cell.preactivations}
    law["p"] = {"sigma_w": 2.0}
    setting = cell, cell.ensemble(**law), Inputs(R=0.5)
    theory = MeanField(*setting, tying="untied", particles=1 << 13)
    found = theory.eigenvalues().mass(0.0, 0.3)
    run = simulate(
        *setting, width=400, networks=16, steps=20, tying="untied",
        jacobian_horizons=(1,), eigenvalues=True, seed=3, device="cpu",
    )  # fmt: skip
    measured = (np.abs(run.jacobian[1].eigenvalues) < 0.3).mean(1)
    assert found.status.ok
    # Of 500 eigenvalues one or two more or fewer are within: a bias of order 1/N.
    error = np.hypot(float(found.error), 1.5 / 500)
    assert p_value(measured, float(found), error) > FALSE_ALARM
    assert p_value(measured, 1.1 * float(found), error) < FALSE_ALARM
