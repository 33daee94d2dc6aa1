"""Gates without feedback: the minimalRNN of sigma_w = 0, whose moments are plain integrals.

    h' = u h + (1 - u) x,   u = sigmoid(V x + b): independent of h, and of its own past where x is
                            white and b has no spread; frozen where x is constant

white:     Q' = E[u^2] Q + E[(1 - u)^2] R,   C' = E[u_a u_b] C + E[(1 - u_a)(1 - u_b)] c_x R
constant:  h^T = (1 - u^T) x,  E[h^2] = E[(1 - u^T)^2] R;  m_1(T) = E[u^2T], whose growth is 0: the
           units whose gates are open decide it, and there is one for every T.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rnnmft import Inputs, cells
from validation.calibration.asked import Question
from validation.calibration.setting import Setting, Truth, Truths

__all__ = ["WEIGHTS", "gate", "gate_settings", "pair"]

_NODES = np.linspace(-10.0, 10.0, 801)
WEIGHTS = np.exp(-0.5 * _NODES**2) / np.exp(-0.5 * _NODES**2).sum()
_EARLY, _LATE, _HORIZONS, _BURN_IN, _LAG, _R = 8, 64, (5, 40), 30, 10, 0.8
# Below this E[u^2] an approach is over in a few steps, and shows no timescale to units.
_SLOW = 0.8
Array = NDArray[np.float64]

# mu_b, sigma_v, correlation of the inputs: timescales from 1 to 60 steps.
_WHITE = ((-1.0, 1.0, 0.5), (0.5, 2.0, 0.8), (1.5, 0.5, 0.0), (2.5, 1.0, 0.5), (3.5, 0.8, 0.3))
_CONSTANT = ((0.0, 1.0), (2.0, 1.5))


def gate(mu_b: float, q: float) -> Array:
    """u = sigmoid(mu_b + sqrt(q) z) at the nodes z of the rule; `WEIGHTS` are its weights."""
    return 1.0 / (1.0 + np.exp(-(mu_b + math.sqrt(q) * _NODES)))


def pair(mu_b: float, q: float, c: float) -> tuple[float, float]:
    """E[u_a u_b] and E[(1 - u_a)(1 - u_b)] at correlation c of the preactivations."""
    shared, own = _NODES[:, None], _NODES[None, :]
    e = mu_b + math.sqrt(q) * (math.sqrt(c) * shared + math.sqrt(1.0 - c) * own)
    given = (1.0 / (1.0 + np.exp(-e))) @ WEIGHTS
    return float(WEIGHTS @ given**2), float(WEIGHTS @ (1.0 - given) ** 2)


def gate_settings() -> list[Setting]:
    """White inputs tied, untied, and untied by units; constant inputs tied."""
    cell, found = cells.minimal(), []
    for mu_b, sigma_v, c in _WHITE:
        ensemble = cell.ensemble(e={"sigma_w": 0.0, "sigma_v": sigma_v, "mu_b": mu_b})
        for tying, asked in (("tied", "chosen"), ("untied", "chosen"), ("untied", "sampled")):
            name = f"open gate, mu_b = {mu_b}, white, {tying}, {asked}"
            truths = _white(mu_b, sigma_v, c, tying, asked)
            inputs = Inputs(_R, c)
            found.append(Setting(name, "exact", cell, ensemble, inputs, tying, truths, 0, (asked,)))
    for mu_b, sigma_v in _CONSTANT:
        ensemble = cell.ensemble(e={"sigma_w": 0.0, "sigma_v": sigma_v, "mu_b": mu_b})
        name = f"open gate, mu_b = {mu_b}, constant"
        inputs = Inputs(_R, 0.5, "constant")
        truths = _constant(mu_b, sigma_v)
        found.append(Setting(name, "exact", cell, ensemble, inputs, "tied", truths))
    return found


def _white(mu_b: float, sigma_v: float, c: float, tying: str, asked: str) -> Callable[[], Truths]:
    def truths() -> Truths:
        q = sigma_v**2 * _R
        u = gate(mu_b, q)
        kept, new = float(WEIGHTS @ u**2), float(WEIGHTS @ (1.0 - u) ** 2) * _R
        kept_ab, new_ab = pair(mu_b, q, c)
        found = _moments(kept, new, kept_ab, c * _R * new_ab)
        found[Question("gradient growth")] = math.log(kept)
        for T in _HORIZONS:
            found[Question("m_1(T)", at=T, burn_in=_BURN_IN)] = kept**T
        closed = (tying, asked) == ("untied", "chosen")
        if closed or kept > _SLOW:
            found[Question("chi_1")] = kept
            found[Question("xi_q")] = -1.0 / math.log(kept)
            found[Question("xi_c")] = -1.0 / math.log(kept_ab)
        if not closed:
            found[Question("preactivation variance", "e", _LATE)] = q
            found[Question("mean", "h", _LATE)] = 0.0
        if tying == "tied":
            # The gates are independent of the state, and from step to step.
            memory = float(WEIGHTS @ u) ** _LAG
            found[Question("autocorrelation C(tau)", "h", _LAG)] = new / (1.0 - kept) * memory
        return {question: Truth(value) for question, value in found.items()}

    return truths


def _moments(kept: float, new: float, kept_ab: float, new_ab: float) -> dict[Question, float]:
    """Of Q' = kept Q + new and C' = kept_ab C + new_ab, from zero and at stationarity."""
    Q, Q_ab = new / (1.0 - kept), new_ab / (1.0 - kept_ab)
    found = {Question("second moment", "h"): Q, Question("c*", "h"): Q_ab / Q}
    for T in (_EARLY, _LATE):
        found[Question("second moment", "h", T)] = Q * (1.0 - kept**T)
        found[Question("cross moment", "h", T)] = Q_ab * (1.0 - kept_ab**T)
    return found


def _constant(mu_b: float, sigma_v: float) -> Callable[[], Truths]:
    def truths() -> Truths:
        u = gate(mu_b, sigma_v**2 * _R)
        found = {
            Question("second moment", "h", T): float(WEIGHTS @ (1.0 - u**T) ** 2) * _R
            for T in (_EARLY, _LATE)
        }
        for T in _HORIZONS:
            found[Question("m_1(T)", at=T, burn_in=_BURN_IN)] = float(WEIGHTS @ u ** (2 * T))
        found[Question("gradient growth")] = 0.0
        return {question: Truth(value) for question, value in found.items()}

    return truths
