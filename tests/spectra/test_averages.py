"""Spectra of cells with averages over units: of the Jacobian at held averages, and named so."""

from __future__ import annotations

import numpy as np
import pytest

from rnnmft import Inputs, MeanField, cells, simulate
from tests.simulation.false_alarms import FALSE_ALARM, p_value

LAW = {"sigma_w": 1.7, "sigma_v": 0.5, "mu_b": 0.3, "sigma_b": 0.2}
INPUTS = Inputs(R=1.0, correlation=0.5)
HELD = ", averages over units held"


@pytest.mark.parametrize("name", ["rms_norm_rnn", "minimal"])
def test_the_names_of_the_jacobians_numbers_say_what_is_held(name: str) -> None:
    cell = cells.get(name)
    field = MeanField(cell, cell.ensemble(e=LAW), INPUTS, tying="untied", device="cpu")
    law = field.jacobian()
    numbers = [law.mean, law.variance, law.moments(1), law.moments(3), law.resolvent(-1.0)]
    numbers += [field.gradient_growth(), field.jacobian_means(2)]
    assert all(q.name.endswith(HELD) is bool(cell.averages) for q in numbers)


@pytest.mark.parametrize("tying", ["tied", "untied"])
def test_networks_agree_with_the_spectrum_at_held_averages(tying: str) -> None:
    """(1/N) tr (z - J J^T)^-1 over two steps, 40 networks of 200 units that differentiate it all.

    It is moved by O(1/N) by what an average adds. The control is moved by 5 %.
    """
    cell, z = cells.get("layer_norm_minimal"), (-0.05, -0.5)
    ensemble = cell.ensemble(e=LAW)
    field = MeanField(cell, ensemble, INPUTS, tying=tying, device="cpu")
    found = field.jacobian(2).resolvent(np.array(z))
    networks = simulate(
        cell, ensemble, INPUTS, width=200, networks=40, steps=20, tying=tying, device="cpu",
        jacobian_horizons=(2,), resolvent_points=z,
    )  # fmt: skip
    measured = networks.jacobian[2].resolvent
    assert measured is not None
    samples, predicted = np.real(measured.samples), np.real(found.value)
    assert p_value(samples, predicted, found.error) > FALSE_ALARM
    assert p_value(samples, 1.05 * predicted, found.error) < FALSE_ALARM
