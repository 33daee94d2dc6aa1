"""Recurrent networks and their infinite width in plain NumPy: what make_networks.py measures.

Nothing of the package is used. A cell is typed here as what each preactivation sees and how the
states move; derivatives are complex steps; W is drawn and multiplied. `simulate` runs one network
of finite width, `limit` one set of particles: units of an infinitely wide network, whose
preactivations are Gaussian with covariance sigma_w^2 E[y_s y_t] + sigma_v^2 E[x_s x_t] + sigma_b^2
over the two trajectories, and with tied weights over time too (W is the same at every step, and a
new direction that it meets is independent of the earlier ones, Gaussian and orthogonal W alike).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

HORIZONS = (1, 2, 5)
POINTS = np.array([-0.5, -5.0, 1.0 + 0.5j])
NUDGE = 1e-30


def sigmoid(e):
    return 0.5 * (1.0 + np.tanh(0.5 * e))


@dataclass(frozen=True)
class PlainCell:
    """States and preactivations by one letter each; what p sees; the new states."""

    states: str
    preactivations: str
    sees: Callable
    update: Callable


def _vanilla(s, x, e):
    return {"h": np.tanh(e["e"])}


def _minimal(s, x, e):
    u = sigmoid(e["e"])
    return {"h": u * s["h"] + (1 - u) * x}


def _gru(s, x, e):
    z = sigmoid(e["z"])
    return {"h": z * s["h"] + (1 - z) * np.tanh(e["n"])}


def _lstm(s, x, e):
    c = sigmoid(e["f"]) * s["c"] + sigmoid(e["i"]) * np.tanh(e["g"])
    return {"c": c, "h": sigmoid(e["o"]) * np.tanh(c)}


def _sees_h(p, s, e):
    return s["h"]


def _sees_reset(p, s, e):
    return sigmoid(e["r"]) * s["h"] if p == "n" else s["h"]


CELLS = {
    "vanilla": PlainCell("h", "e", _sees_h, _vanilla),
    "minimal": PlainCell("h", "e", _sees_h, _minimal),
    "gru": PlainCell("h", "rzn", _sees_reset, _gru),
    "lstm": PlainCell("ch", "ifgo", _sees_h, _lstm),
}


@dataclass(frozen=True)
class Setting:
    """One cell, its laws {preactivation: sigma_w, sigma_v, mu_b, sigma_b}, and its input."""

    cell: str
    laws: dict[str, dict[str, float]]
    weights: str
    tied: bool
    width: int
    networks: int = 8
    steps: int = 30
    R: float = 1.0
    correlation: float = 0.5


def inputs(setting, units, rng):
    """x of two trajectories, (units, 2): white, of variance R, correlated across trajectories."""
    first, other = np.sqrt(setting.R) * rng.standard_normal((2, units))
    c = setting.correlation
    return np.stack([first, c * first + np.sqrt(1 - c * c) * other], 1)


def matrix(kind, width, rng):
    """W of unit sigma_w: Gaussian of variance 1/N, or Haar orthogonal."""
    drawn = rng.standard_normal((width, width))
    if kind == "gaussian":
        return drawn / np.sqrt(width)
    q, r = np.linalg.qr(drawn)
    return q * np.sign(np.diag(r))


def parameters(setting, rng):
    """{p: (W, V, b)}, b about mu_b and a column."""
    n = setting.width
    return {
        p: (
            law["sigma_w"] * matrix(setting.weights, n, rng),
            law["sigma_v"] * matrix("gaussian", n, rng),
            law["sigma_b"] * rng.standard_normal((n, 1)),
        )
        for p, law in setting.laws.items()
    }


def simulate(setting, rng):
    """{(quantity, name): number or array} of one network: moments by step, Jacobians by horizon."""
    cell, drawn = CELLS[setting.cell], parameters(setting, rng)
    states = {n: np.zeros((setting.width, 2)) for n in cell.states}
    tangent, found = None, {}
    for t in range(1, setting.steps + max(HORIZONS) + 1):
        if not setting.tied:
            drawn = parameters(setting, rng)
        x = inputs(setting, setting.width, rng)
        e, seen = {}, {}
        for p in cell.preactivations:
            W, V, b = drawn[p]
            seen[p] = W @ cell.sees(p, states, e) + V @ x + b
            e[p] = seen[p] + setting.laws[p]["mu_b"]
        if t > setting.steps:
            tangent = push(setting, drawn, states, x, e, tangent)
            if t - setting.steps in HORIZONS:
                found |= singular(tangent, t - setting.steps)
        states = cell.update(states, x, e)
        if t <= setting.steps:
            _measure(found, states, {p: np.mean(v**2) for p, v in seen.items()})
    return {key: np.array(value) for key, value in found.items()}


def push(setting, drawn, states, x, e, tangent):
    """The first trajectory's Jacobian after this step from the one before it, {state: rows}."""
    cell, n = CELLS[setting.cell], setting.width
    if tangent is None:
        identity = np.split(np.eye(n * len(cell.states)), len(cell.states))
        tangent = dict(zip(cell.states, identity, strict=True))
    s, x, e = ({k: v[:, 0] for k, v in d.items()} for d in (states, {"x": x}, e))
    moved = {}

    def along(function):
        """D of function(s, e) applied to the tangent of s and of those e that are known."""
        total = 0.0
        for of, rows in [(s, tangent), (e, moved)]:
            for name in rows:
                kept, of[name] = of[name], of[name] + 1j * NUDGE
                slope = np.imag(function(s, e)) / NUDGE
                of[name] = kept
                total = total + slope[:, None] * rows[name]
        return total

    for p in cell.preactivations:
        moved[p] = drawn[p][0] @ along(lambda s, e, p=p: cell.sees(p, s, e))
    return {n: along(lambda s, e, n=n: cell.update(s, x["x"], e)[n]) for n in cell.states}


def singular(tangent, horizon):
    """m_1, m_2, m_3, the resolvent and the largest eigenvalue of J J^T."""
    J = np.concatenate(list(tangent.values()))
    law = np.linalg.eigvalsh(J @ J.T)
    return {
        ("m", horizon): [np.mean(law**k) for k in (1, 2, 3)],
        ("resolvent", horizon): [np.mean(1 / (z - law)) for z in POINTS],
        ("max", horizon): law[-1],
    }


def limit(setting, units, rng):
    """The moments by step of `units` particles, keyed as `simulate` has them."""
    cell = CELLS[setting.cell]
    history = {p: ParticleHistory(setting, law) for p, law in setting.laws.items()}
    states, found = {n: np.zeros((units, 2)) for n in cell.states}, {}
    for _ in range(setting.steps):
        x, e, variance = inputs(setting, units, rng), {}, {}
        for p in cell.preactivations:
            about, variance[p] = history[p].draw(cell.sees(p, states, e), rng)
            e[p] = setting.laws[p]["mu_b"] + about
        states = cell.update(states, x, e)
        _measure(found, states, variance)
    return {key: np.array(value) for key, value in found.items()}


class ParticleHistory:
    """One preactivation's Gaussian process over the steps and the two trajectories."""

    def __init__(self, setting, law):
        self.setting, self.law = setting, law
        self.y, self.z, self.factor = [], [], np.zeros((0, 0))

    def draw(self, y, rng):
        """e about mu_b, (units, 2), given all earlier e, and its variance."""
        law, setting, units = self.law, self.setting, len(y)
        if not setting.tied:
            self.y, self.z, self.factor = [], [], np.zeros((0, 0))
        self.y += [y[:, 0], y[:, 1]]
        self.z += list(rng.standard_normal((2, units)))
        rows = np.stack([[new @ old for old in self.y] for new in self.y[-2:]]) / units
        rows = law["sigma_w"] ** 2 * rows + law["sigma_b"] ** 2
        c = setting.correlation
        rows[:, -2:] += law["sigma_v"] ** 2 * setting.R * np.array([[1, c], [c, 1]])
        # The next two rows of the Cholesky factor of the covariance.
        old, new = rows[:, :-2], rows[:, -2:]
        left = np.linalg.solve(self.factor, old.T).T
        corner = np.linalg.cholesky(new - left @ left.T)
        below = np.hstack([left, corner])
        top = np.hstack([self.factor, np.zeros((len(self.factor), 2))])
        self.factor = np.vstack([top, below])
        e = sum(weight[:, None] * z for weight, z in zip(below.T, self.z, strict=True))
        return e.T, np.trace(new) / 2


def _measure(found, states, variances):
    for n, s in states.items():
        found.setdefault(("second_moment", n), []).append(np.mean(s**2))
        found.setdefault(("cross_moment", n), []).append(np.mean(s[:, 0] * s[:, 1]))
    for p, v in variances.items():
        found.setdefault(("preactivation_variance", p), []).append(v)
