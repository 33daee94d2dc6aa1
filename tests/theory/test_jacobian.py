"""Moments of J J^T: exact limits, and explicit finite random matrices.

Statistical tests: NETWORKS independent networks at two widths N and 2N; 2 m(2N) - m(N) removes the
bias of order 1/N. FALSE_ALARM is the rate of the whole file, shared by all its comparisons
(Bonferroni, Student's law with the smaller number of degrees of freedom). The control moves the
prediction of m_1 by 2 % and must be rejected.
"""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from rnnmft import Cell, Input, Preactivation, State, cells, sigmoid, tanh
from rnnmft.activations import identity
from rnnmft.errors import ParameterError
from rnnmft.numerics.compile import compile_program
from rnnmft.theory.jacobian import jacobian_theory
from tests.theory.matrices import LinearisedCell
from tests.theory.witness import isserlis

FALSE_ALARM = 1e-3
HIGHEST = 3
WIDTH, NETWORKS = 96, (240, 120)

h = State("h")


def catalan(k):
    return sp.catalan(k)


def fuss_catalan(k, factors):
    return sp.binomial((factors + 1) * k, k) / (factors * k + 1)


class TestExactLimits:
    @pytest.mark.parametrize("k", range(1, 7))
    def test_marchenko_pastur_and_haar(self, k):
        theory = jacobian_theory(cells.vanilla(identity))
        sigma = theory.theory.notation.sigma_w[theory.cell.preactivations[0]]
        assert sp.expand(theory.moment(k) - catalan(k) * sigma ** (2 * k)) == 0
        assert sp.expand(theory.moment(k, "orthogonal") - sigma ** (2 * k)) == 0

    @pytest.mark.parametrize("k", range(1, 7))
    @pytest.mark.parametrize("factors", [2, 3])
    def test_products_are_fuss_catalan(self, factors, k):
        """h' = W_3 W_2 W_1 h: each preactivation sees the one before it."""
        seen = h
        for i in range(factors):
            seen = Preactivation(f"e{i}", seen)
        theory = jacobian_theory(Cell("product", update={h: seen}))
        sigmas = theory.theory.notation.sigma_w.values()
        scale = sp.Mul(*(s ** (2 * k) for s in sigmas))
        assert sp.expand(theory.moment(k) - fuss_catalan(k, factors) * scale) == 0
        names = [p.name for p in theory.cell.preactivations]
        kinds = dict.fromkeys(names, "orthogonal") | {names[0]: "gaussian"}
        assert sp.expand(theory.moment(k, kinds) - catalan(k) * scale) == 0

    @pytest.mark.parametrize("k", range(1, 7))
    def test_sum_of_two_matrices(self, k):
        """Gaussian variances add; two Haar matrices give the arcsine law on [0, 4]."""
        e, f = Preactivation("e", h), Preactivation("f", h)
        theory = jacobian_theory(Cell("sum", update={h: e + f}))
        s, t = theory.theory.notation.sigma_w.values()
        assert sp.expand(theory.moment(k) - catalan(k) * (s**2 + t**2) ** k) == 0
        at_one = theory.moment(k, "orthogonal").subs({s: 1, t: 1})
        assert sp.expand(at_one - sp.binomial(2 * k, k)) == 0

    @pytest.mark.parametrize("k", range(1, 7))
    def test_identity_plus_haar_is_the_arcsine_law(self, k):
        theory = jacobian_theory(Cell("residual", update={h: h + Preactivation("e", h)}))
        (s,) = theory.theory.notation.sigma_w.values()
        assert sp.expand(theory.moment(k, "orthogonal").subs(s, 1) - sp.binomial(2 * k, k)) == 0

    @pytest.mark.parametrize("k", range(1, 7))
    def test_two_states_that_exchange(self, k):
        """J = [[0, W_e], [W_f, 0]]: half the singular values are those of each matrix."""
        g = State("g")
        e, f = Preactivation("e", g), Preactivation("f", h)
        theory = jacobian_theory(Cell("exchange", update={h: e, g: f}))
        s, t = (theory.theory.notation.sigma_w[p] for p in (e, f))
        expected = catalan(k) * (s ** (2 * k) + t ** (2 * k)) / 2
        assert sp.expand(theory.moment(k) - expected) == 0

    @pytest.mark.parametrize("k", range(1, 5))
    def test_a_cell_without_matrices(self, k):
        x = Input("x")
        theory = jacobian_theory(Cell("scaled", update={h: h / 2 + x}))
        assert theory.moment(k) == sp.Rational(1, 4) ** k


@pytest.mark.parametrize("k", [0, -1, 1.5, True])
def test_no_such_moment(k):
    with pytest.raises(ParameterError, match="k must be a whole number"):
        jacobian_theory(cells.vanilla()).moment(k)


def test_no_such_ensemble():
    with pytest.raises(ParameterError, match="weights must be one of"):
        jacobian_theory(cells.vanilla()).moment(1, "haar")


# --- finite matrices -----------------------------------------------------------------------------


def two_states():
    a, b = State("a"), State("b")
    e = Preactivation("e", a)
    f = Preactivation("f", sigmoid(e) * b)
    return Cell("two", update={a: sigmoid(e) * a + (1 - sigmoid(e)) * b, b: tanh(f) + a / 2})


SETTINGS = {
    "vanilla gaussian": (cells.vanilla(), "gaussian"),
    "vanilla orthogonal": (cells.vanilla(), "orthogonal"),
    "minimal gaussian": (cells.minimal(), "gaussian"),
    "minimal orthogonal": (cells.minimal(), "orthogonal"),
    "gru gaussian": (cells.gru(), "gaussian"),
    "gru orthogonal": (cells.gru(), "orthogonal"),
    "gru_torch gaussian": (cells.gru_torch(), "gaussian"),
    "gru_torch mixed": (cells.gru_torch(), {"r": "orthogonal", "n_h": "orthogonal"}),
    "two states gaussian": (two_states(), "gaussian"),
    "two states mixed": (two_states(), {"f": "orthogonal"}),
}
# One of each: exact, random slopes, a matrix within another's preactivation, several states.
FAST = ("vanilla orthogonal", "minimal gaussian", "gru_torch mixed", "two states mixed")
COMPARISONS = HIGHEST * len(SETTINGS)
R = 0.6


def laws(cell):
    """Numbers: mean and variance of each state and preactivation, sigma_w of each matrix."""
    rng = np.random.default_rng(len(cell.preactivations))
    states = {s: (0.2, 0.5 + 0.2 * i) for i, s in enumerate(cell.states)}
    inside = {p: (rng.uniform(-0.5, 0.5), rng.uniform(0.5, 1.5)) for p in cell.preactivations}
    sigma = {p.name: 0.8 + 0.3 * i for i, p in enumerate(cell.preactivations)}
    return states, inside, sigma


def kinds_of(cell, weights):
    if isinstance(weights, str):
        return {p.name: weights for p in cell.preactivations}
    return {p.name: weights.get(p.name, "gaussian") for p in cell.preactivations}


def predicted(cell, kinds):
    """m_1..m_HIGHEST at given laws: Gaussian states, whose moments are sums over pairings."""
    states, inside, sigma = laws(cell)
    theory = jacobian_theory(cell)
    program, n = theory.program(HIGHEST, kinds), theory.theory.notation
    numbers = {n.R: R, n.c_x: 1.0}
    for p, (mean, variance) in inside.items():
        numbers |= {n.mu_b[p]: mean, n.q[p]: variance, n.sigma_w[p]: sigma[p.name]}
    means = [m for m, _ in states.values()]
    covariance = np.diag([v for _, v in states.values()])
    for key, symbol in n.known().items():
        if len(key) == 1:
            numbers[symbol] = isserlis(key[0], means, covariance)
    chain = [*program.averages.items(), *program.self_energies.items()]
    found = compile_program(chain, program.moments, list(numbers))(*numbers.values())
    assert found.ok
    return np.array([float(v) for v in found.values])


def simulated(cell, kinds):
    """(mean, standard error) of 2 m(2N) - m(N), shape (HIGHEST,) each."""
    states, inside, sigma = laws(cell)
    linear = LinearisedCell(cell)
    rng = np.random.default_rng(20240 + len(cell.name))
    estimates = []
    for width, networks in zip((WIDTH, 2 * WIDTH), NETWORKS, strict=True):
        rows = []
        for _ in range(networks):
            values = {
                s: m + np.sqrt(v) * stratified(rng, width)
                for s, (m, v) in (states | inside).items()
            }
            if cell.input is not None:
                values[cell.input] = np.sqrt(R) * stratified(rng, width)
            rows.append(linear.moments(values, sigma, kinds, HIGHEST, rng))
        estimates.append((np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / np.sqrt(networks)))
    (small, small_sem), (large, large_sem) = estimates
    return 2 * large - small, np.hypot(2 * large_sem, small_sem)


def stratified(rng, width):
    """Normal numbers, one in each of `width` intervals of equal probability, in random order."""
    return stats.norm.ppf((rng.permutation(width) + rng.uniform(size=width)) / width)


def p_values(prediction, mean, sem):
    return 2 * stats.t.sf(np.abs(mean - prediction) / sem, min(NETWORKS) - 1)


@pytest.mark.parametrize(
    "setting", [pytest.param(s, marks=[] if s in FAST else pytest.mark.slow) for s in SETTINGS]
)
def test_against_finite_matrices(setting):
    cell, weights = SETTINGS[setting]
    kinds = kinds_of(cell, weights)
    prediction = predicted(cell, kinds)
    mean, sem = simulated(cell, kinds)
    assert (p_values(prediction, mean, sem) > FALSE_ALARM / COMPARISONS).all()
    moved = p_values(1.02 * prediction, mean, sem)[0]
    assert moved < FALSE_ALARM / COMPARISONS


def test_the_ensembles_differ():
    """The other ensemble's m_2 is rejected: the comparison above sees the determining series."""
    cell = cells.vanilla()
    mean, sem = simulated(cell, kinds_of(cell, "orthogonal"))
    other = predicted(cell, kinds_of(cell, "gaussian"))
    assert p_values(other, mean, sem)[1] < FALSE_ALARM / COMPARISONS
