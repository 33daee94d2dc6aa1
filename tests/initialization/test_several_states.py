"""Critical for untied weights is growth 0, also where a cell has several states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
import torchrecurrent
from scipy.optimize import brentq

import rnnmft as mft
from rnnmft import Cell, Preactivation, State, cells, tanh
from rnnmft.language import Ensemble

CELLS = {
    "lstm": cells.lstm,
    "scrn": lambda: cells.from_torch(torchrecurrent.SCRNCell(16, 32)),
    "lem": lambda: cells.from_torch(torchrecurrent.LEMCell(16, 32)),
}


@pytest.mark.parametrize("name", sorted(CELLS))
def test_gradients_do_not_grow(name: str) -> None:
    init = mft.critical(CELLS[name](), tying="untied")
    growth = init.growth()
    assert abs(float(growth)) <= max(1e-9, 2 * float(growth.error))


def _traced() -> Cell:
    """h is read out of a leaky c and written into it: [[.81, .44], [sigma_w^2 E[tanh'^2], 0]]."""
    c, h = State("c"), State("h")
    e = Preactivation("e", c)
    return Cell("traced", update={h: tanh(e), c: sp.Rational(9, 10) * c + sp.Rational(2, 3) * h})


def _growth(cell: Any, ensemble: Any) -> tuple[float, float]:
    """(1/20) log m_1(30) / m_1(10) of networks with fresh weights, and its error over networks."""
    run = mft.simulate(
        cell,
        ensemble,
        mft.Inputs(),
        width=200,
        networks=8,
        steps=20,
        tying="untied",
        jacobian_horizons=(10, 30),
        seed=3,
    )
    first, last = (run.jacobian[t].moments.samples[:, 0] for t in (10, 30))
    rates = np.log(last / first) / 20
    return float(rates.mean()), float(rates.std(ddof=1) / np.sqrt(len(rates)))


def test_networks_do_not_grow_and_would_where_one_step_is_critical() -> None:
    """Growth is of the eigenvalue of a step of second moments, m_1(1) of the sum of its entries."""
    cell = _traced()
    law = mft.critical(cell, tying="untied").ensemble["e"]

    def drawn(sigma_w: float) -> Ensemble:
        return cell.ensemble(e={"sigma_w": sigma_w, "sigma_v": law.sigma_v})

    def of_one_step(sigma_w: float) -> float:
        field = mft.MeanField(cell, drawn(sigma_w), mft.Inputs(), tying="untied")
        return float(field.jacobian(1).mean) - 1.0

    rate, error = _growth(cell, drawn(law.sigma_w))
    # What is left of width 200 is of its order, 1 / N.
    assert abs(rate) < 6 * error + 1 / 200
    # The control: the answer of m_1(1) = 1.
    other = float(brentq(of_one_step, law.sigma_w, 3.0 * law.sigma_w, xtol=1e-3))
    rate, error = _growth(cell, drawn(other))
    assert rate > 6 * error + 1 / 200


@pytest.mark.slow
def test_networks_agree_and_would_tell_one_steps_criticality() -> None:
    """Student's t of 7 degrees of freedom exceeds 6 by chance once in 1,800 times."""
    cell = CELLS["scrn"]()
    init = mft.critical(cell, tying="untied")
    rate, error = _growth(cell, init.ensemble)
    # What is left of width 200 is of its order, 1 / N.
    assert abs(rate) < 6 * error + 1 / 200
    # The control: where m_1(1) = 1 was solved for instead, gradients grew by .48 a step.
    laws = {n: vars(init.ensemble[n]) for n in init.ensemble}
    wide = {n: {k: v for k, v in law.items() if k != "weights"} for n, law in laws.items()}
    wide["new"]["sigma_w"] *= 1.65
    rate, error = _growth(cell, cell.ensemble(**wide))
    assert rate > 6 * error + 1 / 200
