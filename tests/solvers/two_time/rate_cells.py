"""Cells with Gaussian states for the tests, and plain networks of them as witnesses."""

from __future__ import annotations

import numpy as np

from rnnmft import Cell, Inputs, Preactivation, State, tanh
from rnnmft.solvers.two_time.gaussian_states import GaussianStates

SILENT = Inputs(R=0.0)
H = State("h")


def rate_cell(f=tanh, leak=0.1):
    """h' = (1 - leak) h + leak e, e = W f(h) + V x + b."""
    return Cell("rate", update={H: (1 - leak) * H + leak * Preactivation("e", f(H))})


def rate_theory(f=tanh, leak=0.1, inputs=SILENT, start=0.0, **law):
    """Its tied theory; `start` is the standard deviation of h at t = 0."""
    cell = rate_cell(f, leak)
    return GaussianStates(cell, cell.ensemble(e=law), inputs, {"h": start})


def rate_networks(f, leak, steps, width, networks, inputs, start=0.0, seed=0, **law):
    """E[h_a^2] and E[h_a h_b] after each update, (networks, steps, 2), over the units of networks.

    Drawn with numpy alone; white inputs of correlation c, one Gaussian start of correlation c.
    """
    draw = np.random.default_rng(seed)
    sigma_w, sigma_v = law.get("sigma_w", 1.0), law.get("sigma_v", 1.0)
    c = inputs.correlation
    mix = np.array([[1.0, c], [0.0, np.sqrt(1.0 - c * c)]])
    found = np.zeros((networks, steps, 2))
    for network in range(networks):
        w = sigma_w * draw.normal(size=(width, width)) / np.sqrt(width)
        v = sigma_v * draw.normal(size=(width, width)) / np.sqrt(width)
        b = law.get("mu_b", 0.0) + law.get("sigma_b", 0.0) * draw.normal(size=(width, 1))
        h = start * draw.normal(size=(width, 2)) @ mix
        for t in range(steps):
            x = np.sqrt(inputs.R) * draw.normal(size=(width, 2)) @ mix
            h = (1 - leak) * h + leak * (w @ f(h) + v @ x + b)
            found[network, t] = (h[:, 0] ** 2).mean(), (h[:, 0] * h[:, 1]).mean()
    return found
