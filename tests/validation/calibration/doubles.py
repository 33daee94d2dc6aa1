"""Small solvers with a planted fault, and without: what the tally must and must not reject.

A repetition is M units of one process with tied weights, W y drawn from its law given what W has
seen before. By a Cholesky factor of the kernel of what it has seen (the fault: nearly parallel y
square the condition number, and the drawn rows come out too long), or through an orthonormal basis
of it. `DrawnTangents` draws the perturbations of a linear cell, `DrawnRates` the states of a rate
network. Only what the tests ask is there.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
from scipy.linalg import solve_triangular
from scipy.signal import lfilter

from rnnmft import Status
from rnnmft.records import Quantity

REPETITIONS = 16


class CholeskyWeights:
    """W y, each y in turn, from the conditional Gaussian law: one more row of a factor.

    What the past determines to rounding gets no column of its own.
    """

    def __init__(self, sigma_w, units, steps, rng):
        self.sigma_w, self.rng = sigma_w, rng
        self.seen, self.normals = np.zeros((2, steps, units))
        self.factor, self.count = np.zeros((steps, steps)), 0

    def __call__(self, y):
        n, L = self.count, self.factor
        kernel = self.seen[:n] @ y / len(y)
        row = solve_triangular(L[:n, :n], kernel, lower=True) if n else kernel
        drawn, variance = row @ self.normals[:n], y @ y / len(y)
        rest = variance - row @ row
        if rest > 64 * np.finfo(float).eps * variance:
            L[n, :n], L[n, n] = row, math.sqrt(rest)
            self.seen[n], self.normals[n] = y, self.rng.standard_normal(len(y))
            drawn = drawn + L[n, n] * self.normals[n]
            self.count += 1
        return self.sigma_w * drawn


class BasisWeights:
    """The same law through an orthonormal basis of what was seen: Bessel's inequality bounds it."""

    def __init__(self, sigma_w, units, steps, rng):
        self.sigma_w, self.rng = sigma_w, rng
        self.basis, self.normals = np.zeros((2, steps, units))
        self.count = 0

    def __call__(self, y):
        rest, drawn = y.copy(), np.zeros_like(y)
        for _ in range(2):
            known = self.basis[: self.count] @ rest / len(y)
            rest -= known @ self.basis[: self.count]
            drawn += known @ self.normals[: self.count]
        length = math.sqrt(rest @ rest / len(y))
        if length > 1e-12 * math.sqrt(y @ y / len(y)):
            self.basis[self.count] = rest / length
            self.normals[self.count] = self.rng.standard_normal(len(y))
            drawn += length * self.normals[self.count]
            self.count += 1
        return self.sigma_w * drawn


def mean_and_error(samples):
    return samples.mean(0), samples.std(0, ddof=1) / math.sqrt(len(samples))


class DrawnTangents:
    """Perturbations of h' = a h + b W h: growth is the slope of log m_1 over the last half."""

    method = "sampled units"

    def __init__(self, a, b, sigma_w, weights=CholeskyWeights, units=512, horizon=128, seed=0):
        self.horizon = horizon
        self.samples = np.array([
            self._run(a, b, weights(sigma_w, units, horizon, rng), units, rng)
            for rng in np.random.default_rng(seed).spawn(REPETITIONS)
        ])  # fmt: skip

    def _run(self, a, b, weights, units, rng):
        h, found = rng.standard_normal(units), []
        first = h @ h
        for _ in range(self.horizon):
            h = a * h + b * weights(h)
            found.append(h @ h / first)
        return found

    def jacobian_means(self, horizon, burn_in):
        value, error = mean_and_error(self.samples[:, :horizon])
        return Quantity("m_1", value, error, error_kind="standard error")

    def gradient_growth(self):
        def slope(samples):
            late = np.log(samples.mean(0)[self.horizon // 2 :])
            return np.polyfit(np.arange(len(late)), late, 1)[0]

        without = [slope(np.delete(self.samples, i, 0)) for i in range(REPETITIONS)]
        error = np.std(without) * math.sqrt(REPETITIONS - 1)
        return Quantity("growth", slope(self.samples), error, error_kind="standard error")


class AveragedTangents:
    """The same perturbations averaged instead of drawn: their two-time second moments, exactly.

    K(t, s) = E[dh^t dh^s], C = sigma_w^2 K, X(s, t) = E[dh^s de^t]; m_1(T) = K(T, T). The growth is
    fitted with a power, log m_1 = c + g T - p log T + d / T; its bound is what
    d and the earlier half of these horizons change.
    """

    method = "averaged tangents"

    def __init__(self, a, b, sigma_w, horizon=128):
        K = np.zeros((horizon + 1, horizon + 1))
        K[0, 0] = 1.0
        for t in range(horizon):
            # X(s + 1, t) = a X(s, t) + b C(t, s), s = 0, .., t, is a first-order filter.
            X = np.append(0.0, lfilter([b * sigma_w**2], [1.0, -a], K[t, : t + 1]))
            K[t + 1, : t + 1] = K[: t + 1, t + 1] = a * K[t, : t + 1] + b * X[:-1]
            K[t + 1, t + 1] = a * K[t + 1, t] + b * X[t + 1]
        self.means = np.diag(K)[1:]

    def jacobian_means(self, horizon, burn_in):
        value = self.means[:horizon]
        return Quantity("m_1", value, 1e-12 * value)

    def gradient_growth(self):
        def fitted(corrections, first):
            T = np.arange(first, len(self.means) + 1.0)
            terms = [np.ones_like(T), T, np.log(T), 1 / T][: 3 + corrections]
            late = np.log(self.means[first - 1 :])
            return np.linalg.lstsq(np.stack(terms, 1), late, rcond=None)[0][1]

        half, quarter = len(self.means) // 2, len(self.means) // 4
        value = fitted(1, half)
        return Quantity(
            "growth", value, abs(value - fitted(0, half)) + abs(value - fitted(1, quarter))
        )


class DrawnRates:
    """h' = (1 - d) h + d e, e = W tanh(h) + b without input, from zero: the moments over time."""

    method = "sampled units"

    def __init__(self, step, law, weights=CholeskyWeights, units=1024, seed=0):
        self.step, self.law, self.weights, self.units = step, law, weights, units
        self.seed = seed

    def evolve(self, steps):
        runs = [
            self._run(steps, rng) for rng in np.random.default_rng(self.seed).spawn(REPETITIONS)
        ]
        pairs = [mean_and_error(np.array(samples)) for samples in zip(*runs, strict=True)]
        kinds = {"second_moment": "h", "mean": "h", "preactivation_variance": "e"}
        moved = list(zip(kinds.items(), pairs, strict=True))
        return SimpleNamespace(
            **{kind: {name: value} for (kind, name), (value, _) in moved},
            error={kind: {name: error} for (kind, name), (_, error) in moved},
            error_kind="standard error",
            status=Status.OK,
        )

    def _run(self, steps, rng):
        weights = self.weights(self.law["sigma_w"], self.units, steps, rng)
        bias = self.law["mu_b"] + self.law["sigma_b"] * rng.standard_normal(self.units)
        h, found = np.zeros(self.units), []
        for _ in range(steps):
            e = weights(np.tanh(h)) + bias if h.any() else bias
            h = (1 - self.step) * h + self.step * e
            found.append(((h**2).mean(), h.mean(), ((e - self.law["mu_b"]) ** 2).mean()))
        return np.array(found).T
