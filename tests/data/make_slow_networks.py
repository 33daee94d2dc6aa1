"""Make slow_networks.json beside this file: plain networks of slow, autonomous and driven cells.

    OMP_NUM_THREADS=1 python tests/data/make_slow_networks.py        (about 10 minutes of one core)

NumPy and loops, and nothing of the package: every cell is typed here, W is drawn and multiplied.
Two trajectories share a network and differ in the input. Every number is the a of a + b/N, fitted
to the means over networks of three widths, with its standard error. m_1(T) of the T-step Jacobian
that starts after BURN_IN updates is the mean over networks of |J v|^2 / |v|^2 over random
directions v, moved by central differences; its logarithm is fitted, for its tails are heavy. `bend`
is what a parabola in 1/N would change in a fit through the two wider widths, in standard errors: a
check that 1/N is all that these widths see.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np

WIDTHS, NETWORKS = (256, 512, 1024), (240, 120, 60)
STEPS, AT, BURN_IN, HORIZONS = 150, (10, 40, 150), 100, (5, 20)
DIRECTIONS, NUDGE, SEED = 24, 1e-5, 20260415


def sigmoid(e):
    return 1.0 / (1.0 + np.exp(-e))


def law(sigma_w, sigma_v=1.0, mu_b=0.0, sigma_b=0.0):
    return {"sigma_w": sigma_w, "sigma_v": sigma_v, "mu_b": mu_b, "sigma_b": sigma_b}


# A cell: new states from (old states, elementwise input x, e), e(name, y) = W y + V x + b.


def leaky(s, x, e):
    return {"h": 0.8 * s["h"] + 0.2 * np.tanh(e("e", s["h"]))}


def rate_slow(s, x, e):
    return {"h": 0.9 * s["h"] + 0.1 * e("e", np.tanh(s["h"]))}


def rate(s, x, e):
    return {"h": 0.8 * s["h"] + 0.2 * e("e", np.tanh(s["h"]))}


def minimal(s, x, e):
    u = sigmoid(e("e", s["h"]))
    return {"h": u * s["h"] + (1 - u) * x}


def gru(s, x, e):
    r, z = sigmoid(e("r", s["h"])), sigmoid(e("z", s["h"]))
    return {"h": z * s["h"] + (1 - z) * np.tanh(e("n", r * s["h"]))}


def gru_torch(s, x, e):
    r, z = sigmoid(e("r", s["h"])), sigmoid(e("z", s["h"]))
    return {"h": z * s["h"] + (1 - z) * np.tanh(e("n_x", None) + r * e("n_h", s["h"]))}


def mgu(s, x, e):
    f = sigmoid(e("f", s["h"]))
    return {"h": (1 - f) * s["h"] + f * np.tanh(e("g", f * s["h"]))}


def ugrnn(s, x, e):
    g = sigmoid(e("g", s["h"]))
    return {"h": g * s["h"] + (1 - g) * np.tanh(e("c", s["h"]))}


def lstm(s, x, e):
    i, f, o = (sigmoid(e(name, s["h"])) for name in "ifo")
    c = f * s["c"] + i * np.tanh(e("g", s["h"]))
    return {"c": c, "h": o * np.tanh(c)}


# name: update, states, laws, R, correlation of the two inputs, temporal
SETTINGS = {
    "rate network of leak .1, autonomous": (
        rate_slow, "h", {"e": law(2.0, 0.0, sigma_b=0.1)}, 0.0, 1.0, "white",
    ),
    "rate network of leak .2, constant input": (
        rate, "h", {"e": law(1.5, 0.7, mu_b=0.3)}, 1.0, 0.5, "constant",
    ),
    "leaky RNN of leak .2, constant input": (
        leaky, "h", {"e": law(1.6, 0.5, sigma_b=0.2)}, 1.0, 0.5, "constant",
    ),
    "gru_torch, constant input": (
        gru_torch, "h",
        {"r": law(1.0, sigma_b=0.1), "z": law(1.0, mu_b=2.0, sigma_b=0.1),
         "n_x": law(0.0, sigma_b=0.1), "n_h": law(3.0, 0.0, sigma_b=0.1)},
        1.0, 0.5, "constant",
    ),
    "gru_torch, autonomous": (
        gru_torch, "h",
        {"r": law(1.0, 0.0, sigma_b=0.1), "z": law(1.0, 0.0, mu_b=1.0, sigma_b=0.1),
         "n_x": law(0.0, 0.0, sigma_b=0.3), "n_h": law(3.0, 0.0, sigma_b=0.1)},
        0.0, 1.0, "white",
    ),
    "lstm, constant input": (
        lstm, "ch",
        {"i": law(1.0), "f": law(1.0, mu_b=1.0), "g": law(1.5), "o": law(1.0)},
        1.0, 0.5, "constant",
    ),
    "minimal, constant input": (
        minimal, "h", {"e": law(2.0, mu_b=1.0, sigma_b=0.3)}, 1.0, 0.5, "constant",
    ),
    "minimal, white input": (
        minimal, "h", {"e": law(4.0, mu_b=2.0, sigma_b=0.3)}, 1.0, 0.5, "white",
    ),
    "gru, constant input": (
        gru, "h",
        {"r": law(1.0), "z": law(1.0, mu_b=1.5), "n": law(2.0, sigma_b=0.2)},
        0.5, 0.5, "constant",
    ),
    "gru, white input": (
        gru, "h",
        {"r": law(1.0), "z": law(2.0, mu_b=2.0), "n": law(1.5, sigma_b=0.2)},
        1.0, 0.5, "white",
    ),
    "mgu, constant input": (
        mgu, "h", {"f": law(1.0, mu_b=-1.0), "g": law(2.0, sigma_b=0.1)}, 1.0, 0.5, "constant",
    ),
    "ugrnn, autonomous": (
        ugrnn, "h",
        {"g": law(1.0, 0.0, mu_b=1.0, sigma_b=0.2), "c": law(2.0, 0.0, sigma_b=0.3)},
        0.0, 1.0, "white",
    ),
}  # fmt: skip


class Network:
    """One draw of the parameters, its two input sequences, and what its preactivations were."""

    def __init__(self, setting, width, rng):
        self.update, self.names, self.laws, self.R, self.correlation, self.temporal = setting
        self.width, self.rng = width, rng
        self.W = {n: p["sigma_w"] * self.draw() for n, p in self.laws.items()}
        self.V = {n: p["sigma_v"] * self.draw() if self.R else None for n, p in self.laws.items()}
        self.b = {
            n: p["mu_b"] + p["sigma_b"] * rng.standard_normal((width, 1))
            for n, p in self.laws.items()
        }
        self.x = None

    def draw(self):
        return self.rng.standard_normal((self.width, self.width)) / np.sqrt(self.width)

    def next_input(self):
        """x, (width, 2), and V x of every preactivation."""
        if self.x is None or self.temporal == "white":
            first, other = self.rng.standard_normal((2, self.width, 1))
            c = self.correlation
            second = c * first + np.sqrt(1 - c * c) * other
            self.x = np.sqrt(self.R) * np.hstack([first, second])
            self.Vx = {n: 0.0 if V is None else V @ self.x for n, V in self.V.items()}
        return self.x, self.Vx

    def step(self, states, x, Vx):
        """The new states, and the preactivations about mu_b, by name."""
        seen = {}

        def e(name, y):
            found = self.b[name] + Vx[name]
            if y is not None and self.laws[name]["sigma_w"]:
                found = found + self.W[name] @ y
            seen[name] = found - self.laws[name]["mu_b"]
            return found

        return self.update(states, x, e), seen


def run(setting, width, rng):
    """All the numbers of one network, by name."""
    network = Network(setting, width, rng)
    states = {n: np.zeros((width, 2)) for n in network.names}
    tangent, grown, found = None, 1.0, {}
    for t in range(1, STEPS + 1):
        x, Vx = network.next_input()
        if t == BURN_IN + 1:
            tangent = {n: rng.standard_normal((width, DIRECTIONS)) for n in network.names}
            first = sum((v**2).sum() for v in tangent.values())
        if tangent is not None and t <= BURN_IN + max(HORIZONS):
            tangent = push(network, states, tangent, x, Vx)
            if t - BURN_IN in HORIZONS:
                grown = sum((v**2).sum() for v in tangent.values()) / first
                found["m_1", "", t - BURN_IN] = grown
        states, seen = network.step(states, x, Vx)
        if t in AT:
            for n, s in states.items():
                found["second_moment", n, t] = (s**2).mean()
                found["cross_moment", n, t] = (s[:, 0] * s[:, 1]).mean()
                found["mean", n, t] = s.mean()
            for n, e in seen.items():
                found["preactivation_variance", n, t] = np.mean(e**2)
    return found


def push(network, states, tangent, x, Vx):
    """J v for every direction: the step from states moved to and fro by a small multiple of v."""
    size = np.sqrt(np.mean([np.mean(v**2) for v in tangent.values()]))
    nudge = NUDGE / size
    moved = []
    for sign in (1, -1):
        near = {n: states[n][:, :1] + sign * nudge * tangent[n] for n in states}
        one = {n: v if np.isscalar(v) else v[:, :1] for n, v in Vx.items()}
        moved.append(network.step(near, x[:, :1], one)[0])
    return {n: (moved[0][n] - moved[1][n]) / (2 * nudge) for n in states}


def extrapolate(means, errors):
    """a, its standard error, its degrees of freedom (Welch, Satterthwaite), and the bend."""
    means, errors = np.array(means), np.array(errors)
    if not errors.any():
        return means[-1], 0.0, None, 0.0
    design = np.stack([np.ones(3), 1.0 / np.array(WIDTHS)], 1)
    weights = 1.0 / np.maximum(errors, 1e-3 * errors.max()) ** 2
    rows = np.linalg.solve(design.T @ (weights[:, None] * design), design.T * weights)
    parts = (rows[0] * errors) ** 2
    degrees = parts.sum() ** 2 / (parts**2 / (np.array(NETWORKS) - 1)).sum()
    # The contrast that a + b/N does not see: the second divided difference in 1/N.
    inverse = 1.0 / np.array(WIDTHS)
    contrast = np.array([
        1.0 / np.prod([inverse[i] - inverse[j] for j in range(3) if j != i]) for i in range(3)
    ])  # fmt: skip
    bend = contrast @ means / np.sqrt(((contrast * errors) ** 2).sum())
    return rows[0] @ means, np.sqrt(parts.sum()), degrees, bend


def collect(name, setting):
    """Run every width; the numbers of a setting as JSON has them."""
    runs = {
        width: [
            run(setting, width, np.random.default_rng([SEED, list(SETTINGS).index(name), width, i]))
            for i in range(count)
        ]
        for width, count in zip(WIDTHS, NETWORKS, strict=True)
    }
    numbers = []
    for kind, of, at in runs[WIDTHS[0]][0]:
        samples = [np.array([one[kind, of, at] for one in runs[width]]) for width in WIDTHS]
        means = [s.mean() for s in samples]
        errors = [s.std(ddof=1) / np.sqrt(len(s)) for s in samples]
        if kind == "m_1":
            means, errors = np.log(means), [e / m for e, m in zip(errors, means, strict=True)]
        a, error, degrees, bend = extrapolate(means, errors)
        numbers.append({
            "kind": "log_m_1" if kind == "m_1" else kind, "name": of, "at": at,
            "mean": float(a), "sem": float(error),
            "degrees": None if degrees is None else round(float(degrees), 1),
            "bend": round(float(bend), 2), "by_width": [float(m) for m in means],
        })  # fmt: skip
    update, states, laws, R, correlation, temporal = setting
    return {
        "cell": update.__name__, "states": list(states), "laws": laws, "R": R,
        "correlation": correlation, "temporal": temporal, "numbers": numbers,
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="names that hold this text; the others are kept")
    only, path = parser.parse_args().only, Path(__file__).with_name("slow_networks.json")
    settings = json.loads(path.read_text())["settings"] if only else {}
    for name, setting in SETTINGS.items():
        if only is None or only in name:
            started = time.process_time()
            settings[name] = collect(name, setting)
            settings[name]["seconds"] = round(time.process_time() - started, 1)
            print(name, settings[name]["seconds"], flush=True)
    document = {
        "widths": WIDTHS, "networks": NETWORKS, "steps": STEPS, "burn_in": BURN_IN,
        "horizons": HORIZONS, "directions": DIRECTIONS, "seed": SEED,
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "settings": {name: settings[name] for name in SETTINGS if name in settings},
    }  # fmt: skip
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
