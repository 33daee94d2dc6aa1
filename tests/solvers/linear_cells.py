"""Linear cells with memory, solved exactly: the reference for what is sampled.

    h^{t+1} = p h^t + e^t + g x^t,     e^t = W h^t + V x^t + b,

p a number or a random parameter. Everything is Gaussian given p, so the two-time covariances obey a
recursion in finite sums. Typed by hand from that equation; shares no code with the package.
"""

from __future__ import annotations

import numpy as np

from rnnmft import Cell, Input, Preactivation, State
from rnnmft.cells import RandomParameter


def linear_cell(gain, feed=0.0):
    """The cell: `gain` is p, a number or a law's name; `feed` is g."""
    h, x = State("h"), Input("x")
    p = RandomParameter("p") if isinstance(gain, str) else gain
    update = p * h + Preactivation("e", h)
    return Cell("linear", update={h: update + feed * x if feed else update})


def second_moments(steps, power, law, inputs, feed=0.0):
    """E[h^t_a h^s_b], t, s = 0 .. steps, and Cov(e^t_a, e^s_b) for (a, a) and (a, b).

    `power(n)` is E[p^n]; h^t = sum_{i < t} p^{t-1-i} (e^i + g x^i).
    """
    states = np.zeros((2, steps + 1, steps + 1))
    drives = np.zeros((2, steps, steps))
    for side, share in enumerate((1.0, inputs.correlation)):
        x = np.array(
            [[inputs.R * share * inputs.kappa(t - s) for s in range(steps)] for t in range(steps)]
        )
        e, h = drives[side], states[side]
        for t in range(steps):
            for s in range(t + 1):
                value = law.sigma_w**2 * h[t, s] + law.sigma_v**2 * x[t, s] + law.sigma_b**2
                e[t, s] = e[s, t] = value
            for s in range(t + 2):
                h[t + 1, s] = h[s, t + 1] = sum(
                    power((t - i) + (s - 1 - j)) * (e[i, j] + feed**2 * x[i, j])
                    for i in range(t + 1)
                    for j in range(s)
                )
    return states, drives


def gradient_means(horizon, power, sigma_w):
    """m_1(T), T = 1 .. horizon: the same without drive, from a perturbation of variance 1."""
    d = np.zeros((horizon + 1, horizon + 1))
    d[0, 0] = 1.0
    for t in range(horizon):
        for s in range(t + 2):
            total = power(t + 1 + s)
            total += sum(
                power((t - i) + (s - 1 - j)) * sigma_w**2 * d[i, j]
                for i in range(t + 1)
                for j in range(s)
            )
            d[t + 1, s] = d[s, t + 1] = total
    return np.diag(d)[1:]
