"""The numbers that cells are sorted by, against integrals, finer maps and plain counting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from rnnmft import Inputs, MeanField, cells
from rnnmft.errors import Status
from rnnmft.gallery.merits import Merits, matrices, of_spectrum
from rnnmft.gallery.region import FACTOR, SPAN, region_around
from rnnmft.records import Quantity
from rnnmft.report.singular_values import MomentRow, Spectra

BOUND = 2 * math.log(FACTOR) / SPAN


@pytest.mark.parametrize(
    ("name", "module"), [("gru_torch", torch.nn.GRU), ("lstm", torch.nn.LSTM)], ids=["gru", "lstm"]
)
def test_matrices_are_those_of_a_module(name: str, module: type[torch.nn.RNNBase]) -> None:
    for layers in (1, 2):
        cell = cells.get(",".join([name] * layers))
        layer = module(3, 3, num_layers=layers)
        weights = sum(p.numel() for n, p in layer.named_parameters() if n.startswith("weight"))
        assert matrices(cell) == weights / 9


def test_equal_parameters_are_counted_in_units() -> None:
    """A module of N units and one of N_vanilla with as many weights: memory N / N_vanilla."""
    memory = Quantity("memory", 12.0, 0.5, unit="steps")
    found = Merits.of(cells.lstm(), memory, {}, None).at_equal_parameters
    assert found is not None
    lstm, vanilla = torch.nn.LSTM(100, 100, bias=False), torch.nn.RNN(200, 200, bias=False)
    count = [sum(p.numel() for p in m.parameters()) for m in (lstm, vanilla)]
    assert count[0] == count[1]
    assert (float(found), found.error) == pytest.approx((12.0 * 100 / 200, 0.5 * 100 / 200))


def spectra(m_1: float, m_2: float) -> Spectra:
    rows: list[Any] = [
        MomentRow(10, k, {}, {}, {}, {"tied": {"theory": (m, 0.0), "error_kind": "bound"}})
        for k, m in ((1, m_1), (2, m_2))
    ]
    return Spectra([], rows, [])


def test_isometry_keeps_all_directions_and_one_direction_its_share() -> None:
    values = np.zeros(50)
    values[0] = 3.0
    for sample, share in ((np.full(50, 1.7), 1.0), (values, 1 / 50)):
        found = of_spectrum(spectra(np.mean(sample**2), np.mean(sample**4)), 10)
        assert float(found["kept"]) == pytest.approx(share)
    assert of_spectrum(None, 10) == {}
    assert of_spectrum(spectra(1.0, 1.0), 5) == {}


def around() -> MeanField:
    cell = cells.vanilla()
    ensemble = cell.ensemble(e={"sigma_w": 1.1, "sigma_v": 0.2})
    return MeanField(cell, ensemble, Inputs(R=0.5))


def test_the_region_is_what_its_points_say() -> None:
    field = around()
    region = region_around(field)
    assert region.growth.status is Status.OK
    assert float(region.growth) == pytest.approx(float(field.gradient_growth()), abs=1e-9)
    assert float(region.trainable) == np.mean(np.abs(region.z) < BOUND)
    # A point of the corner, asked for by itself.
    law = {"sigma_w": region.x[-1], "sigma_v": 0.2, "mu_b": region.y[0]}
    corner = MeanField(field.cell, field.cell.ensemble(e=law), field.inputs).gradient_growth()
    assert region.z[-1, 0] == pytest.approx(float(corner), abs=1e-6)
    assert abs(float(corner)) > BOUND


def test_the_share_of_a_finer_map_is_the_same() -> None:
    """Along mu_b = 0 the rate is log(sigma_w^2 E[phi'^2]), here by 80 points of Gauss and Hermite.

    A map of 25 columns knows where the region's two ends are to half a column each.
    """
    region = region_around(around())
    row = region.z[:, region.z.shape[1] // 2]
    x, w = np.polynomial.hermite_e.hermegauss(80)
    fine = np.linspace(region.x[0], region.x[-1], 401)[:, None]
    q = np.ones_like(fine)
    for _ in range(300):
        q = fine**2 * (np.tanh(np.sqrt(q) * x) ** 2 @ w)[:, None] / w.sum() + 0.2**2 * 0.5
    rates = np.log(fine[:, 0] ** 2 * (np.cosh(np.sqrt(q) * x) ** -4.0 @ w) / w.sum())
    share = np.mean(np.abs(rates) < BOUND)
    assert np.mean(np.abs(row) < BOUND) == pytest.approx(share, abs=1 / 24)
    assert 0 < share < 1
