"""Which cells are linear given their gate, and averages over the fresh part of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate
from scipy.special import expit

from rnnmft import Cell, Input, Inputs, Preactivation, State, cells, sigmoid, tanh
from rnnmft.numerics.backends import torch_backend
from rnnmft.solvers.conditional.linear_cell import (
    GateAverages,
    is_conditionally_linear,
    linear_parts,
)
from tests.solvers.linear_cells import linear_cell

H, X = State("h"), Input("x")
E = Preactivation("e", H)
BACKEND = torch_backend("cpu", "float64")


def gated(update):
    return Cell("gated", update={H: update})


@pytest.mark.parametrize(
    "cell",
    [
        cells.gru(),
        cells.lstm(),
        cells.vanilla(),
        linear_cell(0.5, feed=1.0),
        gated(sigmoid(E) * H + tanh(X)),
        gated(sigmoid(E) * H + X * H),
        gated(sigmoid(E) * tanh(H) + X),
    ],
    ids=lambda cell: cell.name,
)
def test_other_cells_are_not(cell):
    assert linear_parts(cell) is None
    ensemble, inputs = cell.ensemble(), Inputs()
    assert not is_conditionally_linear(cell, ensemble, inputs, "tied", {})


def test_what_a_setting_has_to_be():
    cell, white = cells.minimal(), Inputs()
    ensemble = cell.ensemble()
    assert is_conditionally_linear(cell, ensemble, white, "tied", {"h": 0.0})
    for other in (
        (ensemble, white, "untied", {}),
        (ensemble, white, "tied", {"h": 0.1}),
        (ensemble, Inputs(R=0.0), "tied", {}),
        (ensemble, Inputs(temporal="constant"), "tied", {}),
        (ensemble, Inputs(temporal=(1.0, 0.5)), "tied", {}),
        (cell.ensemble(e={"sigma_b": 0.1}), white, "tied", {}),
    ):
        assert not is_conditionally_linear(cell, *other)


@pytest.mark.parametrize("size", [0.0, 0.3, 1.0, 8.0])
def test_averages_are_integrals(size):
    """Against SciPy's quadrature of functions that are typed here."""
    mu, places = 0.7, np.array([-3.0, 0.2, 4.0])
    averages = GateAverages(cells.minimal(), mu, size, BACKEND)
    assert averages.is_resolved
    w = torch.as_tensor(places)
    moved, response = averages.transition(w), averages.response(w)

    def mean(f):
        if size == 0.0:
            return f(expit(places + mu))
        weight = math.sqrt(2 * math.pi)
        return np.array(
            [
                integrate.quad(
                    lambda z, p=p: f(expit(p + mu + size * z)) * np.exp(-z * z / 2) / weight,
                    -9.0,
                    9.0,
                    limit=200,
                )[0]
                for p in places
            ]
        )

    def slope(u):
        return u * (1 - u)

    for found, f in (
        (moved.a, lambda u: u),
        (moved.aa, lambda u: u**2),
        (moved.bb, lambda u: (1 - u) ** 2),
        (response.da, slope),
        (response.a_da, lambda u: u * slope(u)),
        (response.b_db, lambda u: -(1 - u) * slope(u)),
        (response.da_da, lambda u: slope(u) ** 2),
        (response.db_db, lambda u: slope(u) ** 2),
    ):
        assert np.abs(found.numpy() - mean(f)).max() < 1e-5
        # The control: the gate moved by 1 %.
        assert np.abs(found.numpy() * 1.01 - mean(f)).max() > 1e-5


def test_a_gate_that_is_too_sharp_for_the_table_is_said():
    sharp = gated(sigmoid(2000 * E) * H + X)
    assert not GateAverages(sharp, 0.0, 0.0, BACKEND).is_resolved


def test_beyond_the_table_a_gate_is_as_at_its_end():
    averages = GateAverages(cells.minimal(), 0.0, 1.0, BACKEND)
    moved = averages.transition(torch.tensor([-1e4, 1e4], dtype=torch.float64))
    assert moved.a.tolist() == pytest.approx([0.0, 1.0], abs=1e-12)
