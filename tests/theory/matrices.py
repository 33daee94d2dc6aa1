"""Explicit finite random matrices: the moments of J J^T of a linearised cell, by NumPy alone.

A unit's factors are evaluated at independent draws of its states and preactivations; J is put
together from diagonals and weight matrices: ds' = A ds + B de, dy = C ds + D de, de = W dy.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from tests.theory.witness import NUMPY


def weight_matrix(rng, kind, sigma, width):
    gaussian = rng.standard_normal((width, width))
    if kind == "gaussian":
        return sigma / np.sqrt(width) * gaussian
    q, r = np.linalg.qr(gaussian)
    return sigma * q * np.sign(np.diag(r))


class LinearisedCell:
    """The diagonals of a cell as functions of its symbols, compiled once."""

    def __init__(self, cell):
        self.cell = cell
        self.symbols = [*cell.states, *cell.preactivations, *([cell.input] if cell.input else [])]
        self.slopes = {}
        for name, expressions in (("update", cell.update), ("sees", cell.sees)):
            for of, expression in expressions.items():
                for by in (*cell.states, *cell.preactivations):
                    slope = sp.diff(expression, by)
                    if slope != 0:
                        function = sp.lambdify(self.symbols, slope, [NUMPY, "numpy"])
                        self.slopes[name, of, by] = function

    def moments(self, values, sigma, kinds, highest, rng):
        """(1/mN) tr (J J^T)^k, k = 1..highest; `values`: arrays (N,) by symbol."""
        cell, width = self.cell, len(next(iter(values.values())))
        diagonals = {
            key: np.broadcast_to(np.asarray(f(*(values[s] for s in self.symbols)), float), width)
            for key, f in self.slopes.items()
        }
        size = len(cell.states) * width
        # Each row of blocks is N x mN: how a quantity answers all states at once.
        state = {s: np.eye(size)[i * width : (i + 1) * width] for i, s in enumerate(cell.states)}
        answers = dict(state)
        for p in cell.preactivations:
            if not p.is_recurrent:
                continue
            seen = self._combined("sees", p, answers, diagonals, size)
            answers[p] = weight_matrix(rng, kinds[p.name], sigma[p.name], width) @ seen
        rows = [self._combined("update", s, answers, diagonals, size) for s in cell.states]
        return spectral_moments(np.concatenate(rows), highest)

    def _combined(self, name, of, answers, diagonals, size):
        total = 0.0
        for by, answer in answers.items():
            if (name, of, by) in diagonals:
                total = total + diagonals[name, of, by][:, None] * answer
        return total


def spectral_moments(jacobian, highest):
    """(1/n) tr (J J^T)^k for k = 1..highest, as inner products of powers up to half the highest."""
    gram = jacobian @ jacobian.T
    powers = [np.eye(len(gram)), gram]
    while 2 * (len(powers) - 1) < highest:
        powers.append(powers[-1] @ gram)
    found = [np.sum(powers[k // 2] * powers[k - k // 2]) for k in range(1, highest + 1)]
    return np.array(found) / len(gram)
