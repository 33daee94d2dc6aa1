"""Widths in the Jacobian: its moments against series, and against matrices of their real shapes.

The units of the random matrices are atoms in exact proportions, so only the weights are random;
2 f(2N) - f(N) removes the bias of order 1/N. FALSE_ALARM is the rate of the file, shared by its
comparisons (Bonferroni, Student's law). Control: m_1 and m_2 of the same cell with all widths alike
are rejected.
"""

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from rnnmft import Cell, Preactivation, State, cells, derive, sigmoid, tanh
from rnnmft.cells import WeightEnsemble, register_weights
from rnnmft.errors import ParameterError
from rnnmft.language.widths import units
from rnnmft.theory.determining_series import rectangular_function, rectangular_series
from rnnmft.theory.moments import moment_theory
from tests.theory.matrices import spectral_moments
from tests.theory.series import AtomicTheory, atoms_of, series_moments, sigmas
from tests.theory.test_generating_function import ENSEMBLES, exact_moments, kinds_of

FALSE_ALARM, COMPARISONS, NETWORKS, N = 1e-4, 9, 120, 48


def bottleneck(quarter="1/4", half="1/2"):
    """A gated state of N units fed through N/4, and a state of N/2 units that feeds it."""
    h, k = State("h"), State("k", half)
    p = Preactivation("p", h, input=None, width=quarter)
    e, f = Preactivation("e", tanh(p)), Preactivation("f", k)
    g = Preactivation("g", sigmoid(f) * h, width=half)
    return Cell("bottleneck", {h: sigmoid(e) * h + tanh(f), k: tanh(g) + k / 2})


def theory_of(cell):
    return AtomicTheory(cell, moment_theory(cell))


@pytest.mark.parametrize(
    "weights", ["mixed", *(pytest.param(w, marks=pytest.mark.slow) for w in ENSEMBLES)]
)
def test_the_expansion_in_1_over_z_gives_the_moments(weights):
    """Two routes, in exact fractions; the series counts averages by unit, the program by N."""
    theory = theory_of(bottleneck())
    kinds = kinds_of(theory, weights)
    assert series_moments(theory, kinds, 3) == exact_moments(theory, kinds, 3)


def jacobian(theory, width, kinds, rng):
    """J of one network: D's repeat the atoms, W's have their real shapes."""
    cell, m = theory.cell, len(theory.cell.states)
    sigma = {p: float(sigmas(theory)[theory.theory.notation.sigma_w[p]]) for p in theory.recurrent}
    probabilities, values = zip(*atoms_of(theory), strict=True)

    def diagonal(i, j, size):
        if (i, j) not in theory.entries:
            return np.full(size, float(theory.transfer[i, j]))
        at = list(theory.entries).index((i, j))
        return np.repeat([float(v[at]) for v in values], [int(p * size) for p in probabilities])

    sizes = [units(s.width, width) for s in cell.states]
    answers = np.split(np.eye(sum(sizes)), np.cumsum(sizes)[:-1])

    def row(i, size):
        held = [j for j in range(len(answers)) if theory.transfer[i, j] != 0]
        return sum(diagonal(i, j, size)[:, None] * answers[j] for j in held)

    for k, p in enumerate(theory.recurrent):
        rows, columns = units(p.width, width), units(cell.seen_widths[p], width)
        matrix = rng.standard_normal((rows, columns)) / np.sqrt(columns)
        if kinds[p.name] == "orthogonal":
            left, _, right = np.linalg.svd(matrix, full_matrices=False)
            matrix = left @ right * np.sqrt(max(rows, columns) / columns)
        answers.append(sigma[p] * matrix @ row(m + k, columns))
    return np.concatenate([row(i, size) for i, size in enumerate(sizes)])


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal", "mixed"])
def test_moments_are_those_of_matrices_of_their_shapes(weights):
    """m_1, m_2, m_3: 120 networks at N = 48 and 96, atoms in proportion at every width."""
    theory = theory_of(bottleneck())
    kinds, rng = kinds_of(theory, weights), np.random.default_rng(11)
    near, far = (
        np.array([spectral_moments(jacobian(theory, n, kinds, rng), 3) for _ in range(NETWORKS)])
        for n in (N, 2 * N)
    )
    measured = 2 * far - near
    wanted = np.array([float(x) for x in exact_moments(theory, kinds, 3)])

    def alarms(moments):
        gap = np.abs(measured.mean(0) - moments) / (measured.std(0, ddof=1) / np.sqrt(NETWORKS))
        return 2 * stats.t.sf(gap, NETWORKS - 1) < FALSE_ALARM / COMPARISONS

    assert not alarms(wanted).any()
    alike = theory_of(bottleneck(1, 1))
    assert alarms(np.array([float(x) for x in exact_moments(alike, kinds, 3)]))[:2].all()


def test_m_1_of_the_projection_lstm_counts_units():
    """c has 4 of 5 units, and nothing but h's own part is left where c is cut off."""
    moment = derive(cells.get("projection_lstm")).jacobian.moment(1)
    squares = {s: 0 for s in moment.free_symbols if s.name.startswith("sigma_w")}
    (gate,) = (squares and moment.subs(squares).args[1:]) or (moment,)
    assert moment.subs(squares) == sp.Rational(4, 5) * gate


def test_a_square_of_fewer_units_is_that_ensembles_square():
    s, x, w = sp.Symbol("s"), sp.Symbol("x"), sp.Rational(1, 3)
    for kind in ("gaussian", "orthogonal"):
        series, square = (rectangular_series(kind, n, n) for n in (w, sp.S.One))
        for order in range(4):  # Phi'(x') = Phi(x'/w^2)/w
            assert series(s, order) == square(s, order) / w ** (2 * order + 1)
    closed = rectangular_function("orthogonal", s, x, w, 2 * w)
    found = sp.series(closed, x, 0, 3).removeO()
    series = rectangular_series("orthogonal", w, 2 * w)
    assert all(sp.simplify(found.coeff(x, n) - series(s, n)) == 0 for n in range(3))


def test_an_ensemble_of_squares_has_no_rectangle():
    register_weights(WeightEnsemble("two gaussians", (1, 1)))
    rectangular_series("two gaussians", sp.S.Half, sp.S.Half)
    with pytest.raises(ParameterError, match="'two gaussians' is a law of square matrices"):
        rectangular_series("two gaussians", sp.S.Half, sp.S.One)
