"""M(z) and S(z): exact expansion against the moments, random matrices, closed laws, steps.

The units of the random matrices are a few atoms in exact proportions, so only the weights are
random. Statistical tests: NETWORKS at two widths N and 2N; 2 f(2N) - f(N) removes the bias of order
1/N. FALSE_ALARM is the rate of the whole file, shared by all its comparisons (Bonferroni, Student's
law). Controls: 2 % off m_1, and the other ensemble's m_2, must be rejected.
"""

from __future__ import annotations

import itertools
import json
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from rnnmft import Cell, Preactivation, State, cells, derive, tanh
from rnnmft.activations import (
    erf,
    hard_sigmoid,
    hard_tanh,
    identity,
    leaky_relu,
    relu,
    sigmoid,
    softplus,
)
from rnnmft.errors import ParameterError
from rnnmft.numerics.compile import compile_elementwise, compile_program
from rnnmft.theory.determining_series import DETERMINING_SERIES, determining_function
from rnnmft.theory.jacobian import jacobian_theory
from rnnmft.theory.law_expectation import LawExpectation
from rnnmft.theory.moments import moment_theory
from rnnmft.theory.squared_factor import SquaredFactor
from tests.theory.matrices import spectral_moments, weight_matrix
from tests.theory.series import AtomicTheory, atoms_of, series_moments, sigmas
from tests.theory.test_derivation import balanced

h = State("h")
ENSEMBLES = ("gaussian", "orthogonal")


def two_states():
    a, b = State("a"), State("b")
    e = Preactivation("e", a)
    f = Preactivation("f", sigmoid(e) * b)
    return Cell("two", update={a: sigmoid(e) * a + (1 - sigmoid(e)) * b, b: tanh(f) + a / 2})


def atomic(name):
    cell = two_states() if name == "two states" else cells.get(name)
    return AtomicTheory(cell, moment_theory(cell))


def kinds_of(theory, weights):
    """{preactivation: ensemble}; "mixed" alternates."""
    names = [p.name for p in theory.cell.preactivations]
    if weights == "mixed":
        return {n: ENSEMBLES[i % 2] for i, n in enumerate(names)}
    return dict.fromkeys(names, weights)


def exact_moments(theory, kinds, highest):
    """m_1..m_highest of `moment`, as fractions."""
    program, values = theory.program(highest, kinds), sigmas(theory)
    for symbol, value in (*program.averages.items(), *program.self_energies.items()):
        values[symbol] = value.xreplace(values)
    found = [m.xreplace(values) for m in program.moments]
    return [Fraction(int(m.p), int(m.q)) for m in found]


# --- the equations are those of the moments ------------------------------------------------------


@pytest.mark.parametrize("weights", [*ENSEMBLES, "mixed"])
@pytest.mark.parametrize(
    ("name", "highest"),
    [
        ("vanilla", 6),
        ("minimal", 6),
        ("gru_torch", 4),
        ("ugrnn", 4),
        pytest.param("gru", 4, marks=pytest.mark.slow),
        pytest.param("two states", 4, marks=pytest.mark.slow),
        pytest.param("lstm", 4, marks=pytest.mark.slow),
    ],
)
def test_the_expansion_in_1_over_z_gives_the_moments(name, highest, weights):
    """Two routes, in exact fractions: the characteristic function's series, and `moment`."""
    theory = atomic(name)
    kinds = kinds_of(theory, weights)
    assert series_moments(theory, kinds, highest) == exact_moments(theory, kinds, highest)


@pytest.mark.parametrize("name", [n for n in cells.names() if n != "peephole_lstm"])
def test_the_factors_are_those_of_the_determinant(name):
    """The product against the determinant of numbers; the slopes against finite quotients.

    Of several widths log Delta is a sum over them, each times its width.
    """
    of = derive(cells.get(name)).jacobian.generating_function.characteristic
    symbols = sorted(of.matrix.free_symbols, key=str)
    values = {s: sp.Rational(2 * i + 3, 7 + i) for i, s in enumerate(symbols)}

    assert of.polynomial.xreplace(values) == sp.Matrix(of.matrix.xreplace(values)).det()
    step = sp.Rational(1, 10**8)
    for by in (of.z, *of.a.values(), *of.b.values()):
        quotient = 0.0
        for width, part in of.parts.items():
            sides = [
                sp.Matrix(part.xreplace({**values, by: values[by] + s})).det()
                for s in (step, -step)
            ]
            change = float(sp.log(sides[0] / sides[1]).evalf(40)) / float(2 * step)
            quotient += float(width) * change
        assert float(of.log_slope(by).xreplace(values)) == pytest.approx(quotient, rel=1e-9)


@pytest.mark.parametrize("name", ["gru", "two states", "lstm"])
def test_two_stages_and_several_matrices_in_one_cell(name):
    """The same to m_2 where it is slow to m_4."""
    theory = atomic(name)
    kinds = kinds_of(theory, "mixed")
    assert series_moments(theory, kinds, 2) == exact_moments(theory, kinds, 2)


@pytest.mark.parametrize("kind", ENSEMBLES)
def test_the_closed_determining_function_has_the_coefficients(kind):
    s, x = sp.symbols("s x", positive=True)
    series = sp.series(determining_function(kind, s, x), x, 0, 6).removeO()
    for n in range(6):
        assert sp.expand(series.coeff(x, n) - DETERMINING_SERIES[kind](s, n)) == 0


def test_an_ensemble_of_ones_own_enters_by_its_series(monkeypatch):
    """The sum of two Haar matrices: determining series add, and the law is arcsine on [0, 4]."""
    monkeypatch.setitem(
        DETERMINING_SERIES,
        "two haars",
        lambda sigma_w, n: 2 * DETERMINING_SERIES["orthogonal"](sigma_w, n),
    )
    theory = jacobian_theory(cells.vanilla(identity))
    (sigma_w,) = theory.theory.notation.sigma_w.values()
    for k in range(1, 5):
        wanted = sp.binomial(2 * k, k) * sigma_w ** (2 * k)
        assert sp.expand(theory.moment(k, "two haars") - wanted) == 0
    *_, a, _, _ = theory.generating_function.system("two haars")
    assert a.rhs.has(sp.Sum)
    assert theory.generating_function.block_equation("tied", "two haars")


# --- random matrices -----------------------------------------------------------------------------

FALSE_ALARM = 1e-3
HIGHEST, WIDTH, NETWORKS, Z = 6, 48, (400, 200), -3.0
SETTINGS = [
    ("vanilla", "gaussian"),
    ("vanilla", "orthogonal"),
    ("minimal", "gaussian"),
    ("minimal", "orthogonal"),
    pytest.param("gru", "mixed", marks=pytest.mark.slow),
    pytest.param("lstm", "gaussian", marks=pytest.mark.slow),
]
COMPARISONS = (HIGHEST + 1) * len(SETTINGS)


def random_jacobian(theory, kinds, width, rng):
    """J (mN x mN) of units that are `atoms_of(theory)`, in proportions that width divides."""
    tau = np.zeros((*theory.transfer.shape, width))
    for place in np.ndindex(theory.transfer.shape):
        if place not in theory.entries:
            tau[place] = float(theory.transfer[place])
    at = 0
    for probability, values in atoms_of(theory):
        count = int(probability * width)
        for place, value in zip(theory.entries, values, strict=True):
            tau[place][at : at + count] = float(value)
        at += count
    assert at == width
    m, scale = len(theory.cell.states), list(sigmas(theory).values())
    answers = [np.eye(m * width)[i * width : (i + 1) * width] for i in range(m)]
    for k, p in enumerate(theory.recurrent):
        seen = sum(tau[m + k, j][:, None] * a for j, a in enumerate(answers))
        answers.append(weight_matrix(rng, kinds[p.name], float(scale[k]), width) @ seen)
    return np.concatenate(
        [sum(tau[i, j][:, None] * a for j, a in enumerate(answers)) for i in range(m)]
    )


def measured(theory, kinds):
    """(mean, standard error) of 2 f(2N) - f(N), f = (m_1..m_HIGHEST, G(Z))."""
    rng, found = np.random.default_rng(71), []
    for width, networks in zip((WIDTH, 2 * WIDTH), NETWORKS, strict=True):
        rows = []
        for _ in range(networks):
            jacobian = random_jacobian(theory, kinds, width, rng)
            gram = jacobian @ jacobian.T
            resolvent = np.trace(np.linalg.inv(Z * np.eye(len(gram)) - gram)) / len(gram)
            rows.append([*spectral_moments(jacobian, HIGHEST), resolvent])
        found.append((np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / np.sqrt(networks)))
    (small, small_sem), (large, large_sem) = found
    value = 2 * large - small
    # Orthogonal weights and these units leave nothing random in the vanilla cell but rounding.
    return value, np.hypot(np.hypot(2 * large_sem, small_sem), 1e-12 * np.abs(value))


def resolvent_at(theory, kinds, z):
    """G(z) off the spectrum, by iterating `system` with averages over the atoms."""
    of, names = theory.generating_function, list(theory.names.values())
    system = of.system(kinds)
    unknowns = [e.lhs for e in system[:-1]]

    def over_atoms(node):
        terms = (
            p * node.integrand.xreplace(dict(zip(names, v, strict=True)))
            for p, v in atoms_of(theory)
        )
        return sp.Add(*terms)

    sides = [
        e.rhs.replace(lambda part: isinstance(part, LawExpectation), over_atoms).xreplace(
            sigmas(theory)
        )
        for e in system
    ]
    spectral = of.characteristic.z
    step = compile_elementwise(sides, [*unknowns, spectral])
    values = np.zeros(len(unknowns))
    for at in (100 * z, 10 * z, z):  # the branch connected to large z
        for _ in range(500):
            *new, found = (float(v) for v in step(*values, at))
            change = np.abs(np.array(new) - values).max()
            values = 0.5 * (values + np.array(new))
        assert change < 1e-13
    return found


def p_values(prediction, mean, sem):
    return 2 * stats.t.sf(np.abs(mean - prediction) / sem, min(NETWORKS) - 1)


@pytest.mark.parametrize(("name", "weights"), SETTINGS)
def test_random_matrices_have_these_moments_and_this_resolvent(name, weights):
    """m_1..m_6 and G(-3) against explicit matrices."""
    theory = atomic(name)
    kinds = kinds_of(theory, weights)
    moments = [float(m) for m in exact_moments(theory, kinds, HIGHEST)]
    prediction = np.array([*moments, resolvent_at(theory, kinds, Z)])
    mean, sem = measured(theory, kinds)
    assert (p_values(prediction, mean, sem) > FALSE_ALARM / COMPARISONS).all()
    moved = p_values(1.02 * prediction, mean, sem)
    assert moved[0] < FALSE_ALARM / COMPARISONS
    assert moved[-1] < FALSE_ALARM / COMPARISONS
    if weights != "mixed":
        other = kinds_of(theory, ENSEMBLES[weights == "gaussian"])
        wrong = float(exact_moments(theory, other, 2)[1])
        assert p_values(wrong, mean, sem)[1] < FALSE_ALARM / COMPARISONS


# --- closed laws of a factor ---------------------------------------------------------------------

e, q, mu, x, y = sp.symbols("e q mu x y", real=True)
POINT = {q: 0.8, mu: 0.3}
FACTORS = {
    "linear": identity,
    "relu": relu,
    "relu, moved and scaled": lambda v: relu(3 - 2 * v),
    "hard_tanh": hard_tanh,
    "leaky_relu": leaky_relu,
    "hard_sigmoid": hard_sigmoid,
    "erf": erf,
    "erf, scaled": lambda v: erf(sp.sqrt(sp.pi) * v / 2),
    "tanh": tanh,
    "softplus": softplus,
}


def factor_of(name):
    return SquaredFactor(sp.diff(FACTORS[name](e), e), e, mu, q)


def number(expression):
    """A number with its error bound, at POINT; series and special functions by mpmath."""
    if expression.has(sp.Sum, sp.lerchphi):
        return float(expression.subs(POINT).evalf(20)), 1e-14
    found = compile_program([], [expression], list(POINT))(*POINT.values())
    assert found.ok
    return float(found.values[0]), float(found.errors[0]) + 1e-13


@pytest.mark.parametrize("name", FACTORS)
def test_moments_and_generating_function_of_a_factor(name):
    """Closed or not, they are those of E over e by quadrature; k as a symbol where closed."""
    law = factor_of(name)
    k = sp.Symbol("k", integer=True, positive=True)
    square = law.factor**2
    for power in (1, 2, 3):
        closed = law.moment(k).subs(k, power) if name not in ("tanh", "softplus") else None
        value, error = number(law.moment(sp.Integer(power)) if closed is None else closed)
        wanted, slack = _direct(square**power)
        assert abs(value - wanted) <= error + slack
    at = sp.Integer(40)  # beyond the largest value of d^2: 4 for the scaled ReLU
    value, error = number(law.generating_function(at))
    wanted, slack = _direct(square / (at - square))
    assert abs(value - wanted) <= error + slack


def _direct(integrand):
    """(E[integrand], error) by Gauss-Legendre between the kinks: independent of the package."""
    function = sp.lambdify(e, integrand, [_NUMPY, "numpy"])
    values = []
    for nodes in (60, 80):
        points, weights = np.polynomial.legendre.leggauss(nodes)
        total = 0.0
        std = np.sqrt(POINT[q])
        edges = sorted({-9.0, -3.0, -1.0, 0.0, 1.0, 1.5, 3.0, 9.0})
        for left, right in itertools.pairwise(edges):
            at = (left + right) / 2 + (right - left) / 2 * points
            density = np.exp(-((at - POINT[mu]) ** 2) / (2 * POINT[q])) / (std * np.sqrt(2 * np.pi))
            total += (right - left) / 2 * np.sum(weights * density * function(at))
        values.append(total)
    return values[1], abs(values[1] - values[0]) + 1e-12


_NUMPY = {
    "step": lambda v: np.heaviside(v, 0.5),
    "hard_tanh_prime": lambda v: (np.abs(v) < 1).astype(float),
    "hard_sigmoid_prime": lambda v: (np.abs(v) < 3) / 6,
    "leaky_relu_prime": lambda v: np.where(v > 0, 1.0, 0.01),
    "tanh_prime": lambda v: 1 / np.cosh(v) ** 2,
    "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
}


@pytest.mark.parametrize("name", [n for n in FACTORS if factor_of(n).is_closed])
def test_a_closed_s_transform_inverts_the_generating_function(name):
    """M(y) = x at y = (1 + x) / (x S(x)), for x where the series converges."""
    law = factor_of(name)
    for at in (0.01, 0.1, 0.3):
        s, _ = number(law.s_transform(sp.Float(at)))
        found, error = number(law.generating_function(sp.Float((1 + at) / (at * s))))
        assert abs(found - at) < 1e-11 + error


def test_which_s_transforms_are_closed():
    closed = {n for n in FACTORS if factor_of(n).is_closed}
    assert closed == set(FACTORS) - {"erf", "erf, scaled", "tanh", "softplus"}
    assert factor_of("tanh").s_transform(x) is None
    assert factor_of("hard_tanh").at_mean(sp.S.Zero).values.keys() == {sp.S.One}


# --- chains --------------------------------------------------------------------------------------


def test_a_product_of_matrices_is_a_chain():
    """h' = tanh(W_3 relu'(..) W_1 h): three factors, in the order in which they act."""
    first = Preactivation("e", h)
    second = Preactivation("f", relu(first))
    of = jacobian_theory(Cell("deep", update={h: 2 * second})).generating_function
    assert of.chain is not None
    assert [str(f) for f in of.chain.factors] == ["1", "step(e)", "2"]
    assert of.powers_are_exact
    (equation,) = of.s_transform({"e": "orthogonal"})
    assert "gaussian_cdf(mu_b_e/sqrt(q_e))" in str(equation.rhs)


@pytest.mark.parametrize("name", ["minimal", "gru", "gru_torch", "lstm", "leaky_rnn", "min_gru"])
def test_gated_cells_are_none_and_powers_are_not_exact(name):
    of = derive(cells.get(name)).jacobian.generating_function
    assert not of.powers_are_exact
    if name != "min_gru":
        assert of.chain is None
        assert of.s_transform() == (of.s_definition,)


def test_touching_diagonals_are_not_free():
    """J = tanh'(e) W sigmoid'(h): one step is a chain, but D_0 of a step meets D_1 of the last."""
    of = jacobian_theory(
        Cell("touching", update={h: tanh(Preactivation("e", sigmoid(h)))})
    ).generating_function
    assert of.chain is not None
    assert not of.powers_are_exact


@pytest.mark.parametrize("weights", ENSEMBLES)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_master_equation_has_the_moments_of_the_power(weights, steps):
    """hard_tanh: M from the master equation at small 1/z; m_1 and variance of T steps from it."""
    of = derive(cells.vanilla(hard_tanh)).jacobian.generating_function
    master = of.over_steps(weights)[-1]
    symbols = {s.name: s for s in master.free_symbols}
    values = {symbols["sigma_w"]: 1.2, symbols["mu_b"]: 0.0, symbols["q"]: 0.5}
    residual = sp.lambdify(
        [symbols["M"], symbols["z"]],
        (master.lhs - master.rhs).xreplace({**values, symbols["T"]: sp.Integer(steps)}),
        [{"gaussian_cdf": stats.norm.cdf}, "math"],
    )
    p = 2 * stats.norm.cdf(1 / np.sqrt(0.5)) - 1
    m_1, ratio = 1.44 * p, (1 / p - 1) + (weights == "gaussian")  # ratio: sigma^2 / m_1^2
    wanted = [m_1**steps, m_1 ** (2 * steps) * (1 + steps * ratio)]
    far = np.array([2e5, 4e5]) * m_1**steps
    from scipy.optimize import brentq

    found = [
        brentq(residual, 0.5 * m_1**steps / z, 2 * m_1**steps / z, args=(z,), xtol=1e-18)
        for z in far
    ]
    # M = m_1/z + m_2/z^2 + O(z^-3): two points give both, m_2 to O(1/z).
    second = (found[0] * far[0] - found[1] * far[1]) / (1 / far[0] - 1 / far[1])
    first = found[0] * far[0] - second / far[0]
    assert first == pytest.approx(wanted[0], rel=1e-8)
    assert second == pytest.approx(wanted[1], rel=1e-3)


# --- writing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.slow] * (n not in ("minimal", "gru", "vanilla")))
        for n in cells.names()
    ],
)
def test_every_step_prints(name):
    of = derive(cells.get(name)).jacobian.generating_function
    assert len(of.steps) >= 6
    for step in of.steps:
        assert step.reason.endswith(".")
        assert step.citation
        assert balanced(step.latex())
    text = of.to_markdown()
    assert all(step.name in text for step in of.steps)
    assert json.loads(json.dumps(of.to_dict()))["cell"] == name
    assert balanced(of._repr_latex_())
    approximate = "An approximation" in next(
        s.assumption for s in of.steps if s.name == "T steps as a free product"
    )
    assert approximate is not of.powers_are_exact


def test_a_gate_called_z_does_not_take_the_spectral_parameter():
    of = derive(cells.gru()).jacobian.generating_function
    assert of.characteristic.z.name == "zhat"
    names = [s.name for e in of.system() for s in e.free_symbols]
    assert "z" not in names


def test_averages_over_the_law_where_a_state_enters():
    """written_out: Gaussian for vanilla, over (e, h, x) for minimal."""
    for name, lawless in (("vanilla", True), ("minimal", False)):
        system = derive(cells.get(name)).jacobian.generating_function.system(written_out=True)
        held = [e for e in system if e.rhs.has(LawExpectation)]
        assert bool(held) is not lawless


def test_moments_over_a_law_are_written_down():
    """The LSTM's m_1 needs the law of c only where tanh(c') enters."""
    m_1 = derive(cells.lstm()).jacobian.moment(1)
    nodes = m_1.atoms(LawExpectation)
    assert {str(v) for node in nodes for v in node.variables} == {"c", "f", "i", "g"}
    parameter = derive(cells.get("indrnn")).jacobian.moment(1)
    assert {str(v) for n in parameter.atoms(LawExpectation) for v in n.variables} == {"e", "h", "u"}


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [("haar", "weights must be one of"), ({"f": "orthogonal"}, "no preactivation 'f'")],
)
def test_bad_weights(weights, sentence):
    of = derive(cells.minimal()).jacobian.generating_function
    for call in (of.system, lambda w: of.block_equation("tied", w)):
        with pytest.raises(ParameterError, match=sentence):
            call(weights)
    with pytest.raises(ParameterError, match="tying must be"):
        of.block_equation("loose")
