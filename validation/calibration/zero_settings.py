"""Cells without input or bias at the zero state: gradients there are those of a linear cell.

GRU (z keeps the old state, reset before the product): J = z + (1 - z) r W with the gates at their
means, and so on for each cell; growth 2 log(a + b sigma_w), m_1(T) = sum_q C(T, q)^2 a^2(T-q)
(b sigma_w)^2q. All states here are stable: growth < 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from rnnmft import Inputs, cells
from validation.calibration.asked import Question
from validation.calibration.linear import LinearCell
from validation.calibration.setting import Setting, Truth, Truths

__all__ = ["zero_settings"]

_HORIZONS, _BURN_IN = (5, 40), 10
Laws = dict[str, dict[str, float]]


def _open(mu_b: float) -> float:
    return 1.0 / (1.0 + math.exp(-mu_b))


# cell, laws, (A, b, y) and sigma_w of the linear cell that it is at zero.
def _gru(mu_z: float, mu_r: float, sigma_w: float) -> tuple[str, Laws, LinearCell]:
    z, r = _open(mu_z), _open(mu_r)
    laws = {"z": {"mu_b": mu_z}, "r": {"mu_b": mu_r}, "n": {"sigma_w": sigma_w}}
    return "gru", laws, LinearCell(((z,),), ((1 - z) * r,), (1.0,), sigma_w)


def _gru_torch(mu_z: float, mu_r: float, sigma_w: float) -> tuple[str, Laws, LinearCell]:
    _, laws, linear = _gru(mu_z, mu_r, sigma_w)
    return "gru_torch", {"z": laws["z"], "r": laws["r"], "n_h": laws["n"]}, linear


def _mgu(mu_f: float, sigma_w: float) -> tuple[str, Laws, LinearCell]:
    f = _open(mu_f)
    laws = {"f": {"mu_b": mu_f}, "g": {"sigma_w": sigma_w}}
    return "mgu", laws, LinearCell(((1 - f,),), (f * f,), (1.0,), sigma_w)


def _ugrnn(mu_g: float, sigma_w: float) -> tuple[str, Laws, LinearCell]:
    g = _open(mu_g)
    laws = {"g": {"mu_b": mu_g}, "c": {"sigma_w": sigma_w}}
    return "ugrnn", laws, LinearCell(((g,),), (1 - g,), (1.0,), sigma_w)


def _leaky(sigma_w: float) -> tuple[str, Laws, LinearCell]:
    return "leaky_rnn", {"e": {"sigma_w": sigma_w}}, LinearCell(((0.8,),), (0.2,), (1.0,), sigma_w)


def _lstm(mu_f: float, mu_i: float, mu_o: float, sigma_w: float) -> tuple[str, Laws, LinearCell]:
    f, i, o = (_open(m) for m in (mu_f, mu_i, mu_o))
    laws = {"f": {"mu_b": mu_f}, "i": {"mu_b": mu_i}, "o": {"mu_b": mu_o}, "g": {}}
    laws["g"] = {"sigma_w": sigma_w}
    return "lstm", laws, LinearCell(((f, 0.0), (o * f, 0.0)), (i, o * i), (0.0, 1.0), sigma_w)


_CASES = (
    _gru(0.0, 0.0, 0.5),
    _gru(2.0, 1.0, 1.2),
    _gru(-1.0, 0.0, 1.5),
    _gru_torch(0.0, 0.0, 0.5),
    _gru_torch(1.5, 2.0, 1.0),
    _mgu(0.0, 1.0),
    _mgu(-2.0, 2.0),
    _ugrnn(1.0, 0.9),
    _ugrnn(3.0, 0.6),
    _leaky(0.7),
    _lstm(1.0, 0.0, 0.0, 0.8),
    _lstm(3.0, -1.0, 1.0, 0.2),
)


def zero_settings() -> list[Setting]:
    """One setting a case: no input, no bias but the gates' means."""
    return [_setting(f"zero state of {case[0]} {i}", *case) for i, case in enumerate(_CASES)]


def _setting(name: str, cell_name: str, laws: Laws, linear: LinearCell) -> Setting:
    cell = cells.get(cell_name)
    return Setting(
        name, "exact", cell, cell.ensemble(**laws), Inputs(R=0.0), "tied", _truths(cell, linear)
    )


def _truths(cell: cells.Cell, linear: LinearCell) -> Callable[[], Truths]:
    def truths() -> Truths:
        means = linear.jacobian_means(max(_HORIZONS))
        found = {
            Question("m_1(T)", at=T, burn_in=_BURN_IN): Truth(float(means[T - 1]))
            for T in _HORIZONS
        }
        found[Question("gradient growth")] = Truth(linear.growth)
        for state in cell.states:
            found[Question("second moment", state.name)] = Truth(0.0)
        return found

    return truths
