"""Cells with slopes that an input makes fluctuate: the growth of their gradients, exactly.

    h' = (a + alpha x) h + (b + beta x) e,      e = W h,      x white with E[x^2] = 1

At h = 0 the slopes A = a + alpha x, B = b + beta x are independent in time. The averages
K(t, s) = E[dh^t dh^s], C(t, s) = sigma_w^2 K(t, s), p(s; t) = E[dh^s de^t] obey, for s <= t,

    p(s + 1; t) = a p(s; t) + b C(t, s),       K(t + 1, s) = a K(t, s) + b p(s; t),
    K(t + 1, t + 1) = E[A^2] K(t, t) + 2 E[AB] p(t; t) + E[B^2] C(t, t).

Off the diagonal K(t, s) is a sum of waves y^t z^s with (y - a) (z - a) = (b sigma_w)^2. One that
decays in t - s and fits the last equation is a bound state, whose y z is the growth factor; without
one the growth is that of the widest wave, (a + b sigma_w)^2. Typed by hand from these equations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, signal

from rnnmft import Cell, Input, Inputs, Preactivation, State

__all__ = ["WHITE", "Slopes"]

WHITE = Inputs(R=1.0)


@dataclass(frozen=True)
class Slopes:
    """The cell's numbers, and the weights' standard deviation."""

    a: float
    b: float
    sigma_w: float
    alpha: float = 0.0
    beta: float = 0.0

    @property
    def squares(self):
        """E[A^2], E[AB], E[B^2]."""
        a, b, alpha, beta = self.a, self.b, self.alpha, self.beta
        return a**2 + alpha**2, a * b + alpha * beta, b**2 + beta**2

    @property
    def edge(self):
        """2 log(a + b sigma_w): the growth of free waves."""
        return 2 * math.log(self.a + self.b * self.sigma_w)

    @property
    def growth(self):
        """lim (1/T) log m_1(T)."""
        square, cross, driven = self.squares

        def excess(factor):
            total = (factor + self.a**2 - (self.b * self.sigma_w) ** 2) / self.a
            inner = (total - math.sqrt(max(total**2 - 4 * factor, 0.0))) / 2
            response = (inner - self.a) / self.b
            return square + 2 * cross * response + driven * self.sigma_w**2 - factor

        low = math.exp(self.edge) * (1 + 1e-13)
        if excess(low) <= 0:
            return self.edge
        high = 2 * low
        while excess(high) > 0:
            high *= 2
        return math.log(optimize.brentq(excess, low, high, xtol=1e-15, rtol=1e-14))

    def series(self, horizon):
        """log m_1(T), T = 1, .., and log |sum_{t + s = 2 n + 1} K(t, s)|, n = 0, .., once."""
        # Numbers are kept near 1: slopes are divided by exp(growth / 2).
        scale = math.exp(self.growth / 2)
        a, b = self.a / scale, self.b / scale
        square, cross, driven = (v / scale**2 for v in self.squares)
        kernel = np.zeros((horizon + 1, horizon + 1))
        kernel[0, 0] = 1.0
        for t in range(horizon):
            drive = self.sigma_w**2 * kernel[t, : t + 1]
            response = np.append(0.0, signal.lfilter([b], [1.0, -a], drive))
            kernel[t + 1, : t + 1] = a * kernel[t, : t + 1] + b * response[: t + 1]
            kernel[: t + 1, t + 1] = kernel[t + 1, : t + 1]
            kernel[t + 1, t + 1] = (
                square * kernel[t, t] + 2 * cross * response[t] + driven * drive[t]
            )
        means = np.log(np.diag(kernel)[1:]) + self.growth * np.arange(1, horizon + 1)
        totals = np.arange(1, horizon, 2)
        sums = [abs(np.trace(kernel[: n + 1, : n + 1][:, ::-1])) for n in totals]
        return means, np.log(sums) + self.growth / 2 * totals

    def cell(self):
        """The cell, and its ensemble."""
        h, x = State("h"), Input("x")
        e = Preactivation("e", h, input=None)
        update = (self.a + self.alpha * x) * h + (self.b + self.beta * x) * e
        cell = Cell("fluctuating", update={h: update})
        return cell, cell.ensemble(e={"sigma_w": self.sigma_w})
