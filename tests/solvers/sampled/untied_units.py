"""Sampled units of the untied theory, by NumPy alone: an independent witness of the recursions.

Fresh weights at every step: each unit's preactivations are new Gaussian pairs (trajectories a, b),
independent of its past, with covariances averaged over the units themselves.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from tests.theory.witness import NUMPY


def sampled_moments(cell, ensemble, inputs, steps, units, rng):
    """{(quantity, state): (steps,)} of one set of units from the zero state."""
    symbols = [*cell.states, *cell.preactivations, *([cell.input] if cell.input else [])]
    update = {s: sp.lambdify(symbols, f, [NUMPY, "numpy"]) for s, f in cell.update.items()}
    sees = {p: sp.lambdify(symbols, f, [NUMPY, "numpy"]) for p, f in cell.sees.items()}
    state = [{s: np.zeros(units) for s in cell.states} for _ in range(2)]
    drawn = input_pair(inputs, units, rng)
    found: dict = {}
    for _ in range(steps):
        if inputs.temporal == "white":
            drawn = input_pair(inputs, units, rng)
        values = [dict(side) for side in state]
        for side, x in zip(values, drawn, strict=True):
            side.update(dict.fromkeys(cell.preactivations, 0.0))
            if cell.input:
                side[cell.input] = x
        for p in cell.preactivations:
            seen = [np.broadcast_to(sees[p](*(v[s] for s in symbols)), units) for v in values]
            law = ensemble[p.name]
            drive = inputs.R * np.array([1.0, inputs.correlation]) * law.sigma_v**2 * p.has_input
            second = np.mean(seen[0] ** 2), np.mean(seen[1] ** 2), np.mean(seen[0] * seen[1])
            w, b = law.sigma_w**2, law.sigma_b**2
            q_a, q_b = (w * second[i] + drive[0] + b for i in (0, 1))
            pair = gaussian_pair(q_a, w * second[2] + drive[1] + b, q_b, units, rng)
            for side, e in zip(values, pair, strict=True):
                side[p] = law.mu_b + e
        state = [
            {s: np.broadcast_to(update[s](*(v[k] for k in symbols)), units) for s in cell.states}
            for v in values
        ]
        for s in cell.states:
            a, b = state[0][s], state[1][s]
            record(found, "second_moment", s, (np.mean(a**2) + np.mean(b**2)) / 2)
            record(found, "cross_moment", s, np.mean(a * b))
            record(found, "mean", s, (np.mean(a) + np.mean(b)) / 2)
    return {key: np.array(series) for key, series in found.items()}


def record(found, quantity, state, value):
    found.setdefault((quantity, state.name), []).append(value)


def input_pair(inputs, units, rng):
    c = inputs.correlation
    return gaussian_pair(inputs.R, c * inputs.R, inputs.R, units, rng)


def gaussian_pair(q_a, q_ab, q_b, units, rng):
    one, two = rng.standard_normal((2, units))
    first = np.sqrt(q_a) * one
    if q_a == 0:
        return first, np.sqrt(q_b) * two
    rest = max(q_b - q_ab**2 / q_a, 0.0)
    return first, q_ab / q_a * first + np.sqrt(rest) * two
