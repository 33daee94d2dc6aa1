"""T steps: the equations with matrices over time, against products of random matrices.

A unit's entries of tau are drawn for both steps together, correlated, and independently of the
weights: tied weights then differ from fresh ones, and from the free product. Statistical tests:
NETWORKS at widths N and 2N, 2 f(2N) - f(N), Student's law, FALSE_ALARM for the whole file.
"""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy import stats
from scipy.optimize import brentq

from rnnmft import cells, derive
from rnnmft.theory.many_steps import transfer_over
from tests.theory.matrices import weight_matrix

FALSE_ALARM = 1e-3
WIDTH, NETWORKS, Z = 60, (200, 100), -2.0
CASES = [
    ("minimal", "gaussian"),
    ("minimal", "orthogonal"),
    ("gru", "gaussian"),
    ("vanilla", "orthogonal"),
]
COMPARISONS = 4 * len(CASES)
SIGMA = 1.1


def entries(name, width, horizon):
    """{symbol of tau_T: (width,)} in four kinds of unit, correlated between the steps."""
    unit = derive(cells.get(name)).jacobian
    kinds = np.arange(width) % 4
    found = {}
    for i, symbol in enumerate(unit.names.values()):
        table = 0.4 + 0.35 * np.sin(np.arange(4) * (i + 1) + i)
        for t in range(1, horizon + 1):
            mark = sp.Symbol(f"{symbol.name}^{t}", real=True)
            found[mark] = (table + (0.1 * t) * np.cos(np.arange(4) * t))[kinds]
    return unit, found


def jacobian(unit, values, horizon, kind, tied, rng):
    """The product of T one-step Jacobians with the same or with fresh weights."""
    width, m = len(next(iter(values.values()))), len(unit.cell.states)
    total, weights = np.eye(m * width), {}
    for t in range(1, horizon + 1):
        at = {s: values[sp.Symbol(f"{s.name}^{t}", real=True)] for s in unit.names.values()}
        tau = [
            [at[x] if x in at else np.full(width, float(x)) for x in unit.named_transfer[i, :]]
            for i in range(unit.transfer.rows)
        ]
        answers = [total[i * width : (i + 1) * width] for i in range(m)]
        for k in range(len(unit.recurrent)):
            if not tied or k not in weights:
                weights[k] = weight_matrix(rng, kind, SIGMA, width)
            seen = sum(tau[m + k][j][:, None] * a for j, a in enumerate(answers))
            answers.append(weights[k] @ seen)
        total = np.concatenate(
            [sum(tau[i][j][:, None] * a for j, a in enumerate(answers)) for i in range(m)]
        )
    return total


def measured(name, horizon, kind, tied):
    """(mean, standard error) of 2 G(2N) - G(N) at Z."""
    rng, found = np.random.default_rng(5), []
    for width, networks in zip((WIDTH, 2 * WIDTH), NETWORKS, strict=True):
        unit, values = entries(name, width, horizon)
        rows = []
        for _ in range(networks):
            j = jacobian(unit, values, horizon, kind, tied, rng)
            rows.append(np.trace(np.linalg.inv(Z * np.eye(len(j)) - j @ j.T)) / len(j))
        found.append((np.mean(rows), np.std(rows, ddof=1) / np.sqrt(networks)))
    (small, small_sem), (large, large_sem) = found
    return 2 * large - small, np.hypot(2 * large_sem, small_sem) + 1e-12


def predicted(unit, values, horizon, kind, tied):
    """G(Z) by the equations of `many_step_equations`, from large z, where the branch begins.

    With the matrix X of Delta_T, d log Delta = tr X^-1 dX gives every slope as an entry:
    -d/da = (tau^T Q X^-1 tau)^T, -d/db = (X^-1 tau P tau^T)^T, P = diag(1, a), Q = diag(1, b).
    """
    m, kinds = len(unit.cell.states), len(unit.recurrent)
    size, one = m + kinds * horizon, np.eye(horizon)
    function = sp.lambdify(list(values), transfer_over(unit, horizon), "numpy")
    tau = np.array([function(*row) for row in zip(*values.values(), strict=True)], dtype=float)
    turned = tau.swapaxes(1, 2)
    places = [slice(m + k * horizon, m + (k + 1) * horizon) for k in range(kinds)]
    p, q = np.eye(size), np.eye(size)
    for place in places:
        p[place, place] = q[place, place] = 0.0
    for z in (100 * Z, 10 * Z, 3 * Z, Z):
        left = np.diag([z] * m + [1.0] * (size - m))
        for _ in range(400):
            inverse = np.linalg.inv(left - tau @ p @ turned @ q)
            at_e, at_y = turned @ q @ inverse @ tau, inverse @ tau @ p @ turned
            for place in places:
                u, v = (x[:, place, place].mean(0).T for x in (at_e, at_y))
                u, v = (u, v) if tied else (u * one, v * one)
                phi = SIGMA**2 * one
                if kind == "orthogonal":
                    phi = 2 * SIGMA**2 * np.linalg.inv(one + _root(one + 4 * SIGMA**2 * v @ u))
                p[place, place] = 0.5 * (p[place, place] + phi @ v)
                q[place, place] = 0.5 * (q[place, place] + u @ phi)
    return np.trace(inverse[:, :m, :m].mean(0)) / m


def _root(matrix):
    """The principal square root, by diagonalisation."""
    values, vectors = np.linalg.eig(matrix)
    return (vectors @ np.diag(np.sqrt(values)) @ np.linalg.inv(vectors)).real


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_two_steps_against_products_of_matrices(name, kind):
    """Each tying's data agree with its own equations, and reject the other's where they differ."""
    setting = entries(name, 4, 2)
    prediction = {tied: predicted(*setting, 2, kind, tied) for tied in (True, False)}
    level = FALSE_ALARM / COMPARISONS
    for tied in (True, False):
        mean, sem = measured(name, 2, kind, tied)
        own, other = (
            2 * stats.t.sf(abs(mean - prediction[t]) / sem, min(NETWORKS) - 1)
            for t in (tied, not tied)
        )
        assert own > level
        assert bool(other < level) is (name != "vanilla")
    if name == "vanilla":
        assert prediction[True] == pytest.approx(prediction[False], abs=1e-13)


@pytest.mark.parametrize("kind", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_vanilla_is_the_free_product(horizon, kind):
    """S_T = S^T where every step has the same law of D: z = (1 + M) / (M S(M)^T), to rounding."""
    unit, values = entries("vanilla", 4, horizon)
    d = values[sp.Symbol("B^1", real=True)] ** 2
    m = Z * predicted(unit, dict.fromkeys(values, np.sqrt(d)), horizon, kind, tied=True) - 1
    # At z < 0 is M < 0, and y < 0 with M_{D^2}(y) = M.
    y = brentq(lambda at: np.mean(d / (at - d)) - m, -1e6, -1e-9, xtol=1e-16, rtol=1e-15)
    s = (1 + m) / (m * y) / SIGMA**2 / (1 + m if kind == "gaussian" else 1)
    assert (1 + m) / (m * s**horizon) == pytest.approx(Z, rel=1e-10)


def test_the_recursion_of_tau():
    """A_2 A_1 and A_2 B_1 in the state's row; what y^2 sees of s^0 and e^1."""
    tau = transfer_over(derive(cells.minimal()).jacobian, 2)
    a1, a2, b1, b2 = sp.symbols("A^1 A^2 B^1 B^2", real=True)
    assert tau == sp.Matrix([[a1 * a2, a2 * b1, b2], [1, 0, 0], [a1, b1, 0]])
