"""Moment recursions: which close, their form, and constant inputs against brute-force algebra."""

from __future__ import annotations

import pytest
import sympy as sp

import rnnmft as mft
from rnnmft import Cell, Input, Preactivation, State, cells, sigmoid, tanh
from rnnmft.cells import RandomParameter
from rnnmft.errors import DerivationError
from rnnmft.expectation import gaussian_expectation
from rnnmft.theory.equality import same_expression
from rnnmft.theory.moments import moment_theory

CLOSED = ["vanilla", "minimal", "gru", "gru_torch", "mgu", "ugrnn", "min_gru", "leaky_rnn"]
OPEN = ["lstm", "min_lstm"]


def two_states():
    a, b = State("a"), State("b")
    e = Preactivation("e", a)
    f = Preactivation("f", sigmoid(e) * b)
    return Cell("two", update={a: sigmoid(e) * a + (1 - sigmoid(e)) * b, b: tanh(f) + a / 2})


@pytest.mark.parametrize("name", CLOSED)
def test_affine_cells_close(name):
    theory = moment_theory(cells.get(name))
    n = theory.notation
    for trajectories in (1, 2):
        keys = [n.state_key(s, s, trajectories=trajectories) for s in theory.cell.states]
        closed = theory.closure(keys)
        symbols = {n.moment(k) for k in closed}
        laws = {*n.q.values(), *n.q_ab.values(), *n.mu_b.values(), n.R, n.c_x}
        for update in closed.values():
            assert update.free_symbols <= symbols | laws


def test_moments_of_any_degree_close():
    theory = moment_theory(two_states())
    a, b = theory.cell.states
    key = theory.notation.state_key(a, a, a, b, b, b)
    closed = theory.closure([key])
    assert key in closed
    assert all(sum(k[0]) <= 6 for k in closed)


def test_a_cell_that_is_not_affine_does_not_close():
    h = State("h")
    cell = Cell("cubic", update={h: tanh(Preactivation("e", h)) + tanh(h)})
    theory = moment_theory(cell)
    with pytest.raises(DerivationError, match="needs the law of the state"):
        theory.closure([theory.notation.state_key(h, h)])


def test_a_power_of_the_state_does_not_close():
    h = State("h")
    cell = Cell("power", update={h: tanh(Preactivation("e", h)) + h**2})
    theory = moment_theory(cell)
    with pytest.raises(DerivationError, match="do not close"):
        theory.closure([theory.notation.state_key(h, h)])


def test_a_parameter_fixed_in_time_does_not_close():
    h, d = State("h"), RandomParameter("d")
    cell = Cell("diagonal", update={h: tanh(Preactivation("e", h)) + d * h})
    theory = moment_theory(cell)
    with pytest.raises(DerivationError, match="'d' is fixed in time"):
        theory.update(theory.notation.state_key(h, h))


def test_fourth_moment_of_the_minimal_cell():
    """E[h^4] is a fixed point of H = E[u^4] H + 6 Q R E[u^2 (1 - u)^2] + 3 R^2 E[(1 - u)^4]."""
    theory = moment_theory(cells.minimal())
    n, (h,), (p,) = theory.notation, theory.cell.states, theory.cell.preactivations
    key = n.state_key(h, h, h, h)
    Q, H = n.moment(n.state_key(h, h)), n.moment(key)
    e = sp.Symbol("e", real=True)
    u = sigmoid(e)

    def E(f):
        return gaussian_expectation(f, e, n.mu_b[p], n.q[p])

    stationary = (6 * Q * n.R * E(u**2 * (1 - u) ** 2) + 3 * n.R**2 * E((1 - u) ** 4)) / (
        1 - E(u**4)
    )
    assert same_expression(sp.diff(theory.update(key), H), E(u**4))
    rest = theory.update(key).subs(H, 0)
    assert same_expression(rest, stationary * (1 - E(u**4)))


class TestConstantInput:
    """h' = u h + (1 - u) x with x fixed: x is followed as a state whose update is x' = x."""

    cell = cells.minimal()

    def test_couples_to_the_input(self):
        theory = moment_theory(self.cell, True)
        n, (h,) = theory.notation, theory.cell.states
        closed = theory.closure([n.state_key(h, h)])
        assert len(closed) == 2
        (other,) = (k for k in closed if k != n.state_key(h, h))
        assert other == ((1, 1),)

    @pytest.mark.parametrize("steps", [1, 2, 4])
    def test_against_the_sum_over_paths(self, steps):
        """From h = 0 the coefficient of x is a polynomial in the gates: average it outright."""
        theory = moment_theory(self.cell, True)
        n, (h,) = theory.notation, theory.cell.states
        gates = sp.symbols(f"u_1:{steps + 1}")
        moments = sp.symbols("g_1:9")  # E[u^k], the same at every step
        weight = sp.S.Zero
        for u in gates:
            weight = sp.expand(u * weight + 1 - u)
        expected = n.R * averaged(sp.expand(weight**2), gates, moments)
        values = {n.moment(k): sp.S.Zero for k in theory.closure([n.state_key(h, h)])}
        closed = theory.closure([n.state_key(h, h)])
        for _ in range(steps):
            values = {
                n.moment(k): as_moments(update.xreplace(values), n, moments)
                for k, update in closed.items()
            }
        assert sp.expand(values[n.moment(n.state_key(h, h))] - expected) == 0

    def test_white_input_forgets(self):
        white, constant = moment_theory(self.cell), moment_theory(self.cell, True)
        key = white.notation.state_key(*white.cell.states * 2)
        assert len(white.closure([key])) == 1
        assert len(constant.closure([((2, 0),)])) == 2


def averaged(polynomial, gates, moments):
    total = sp.S.Zero
    for exponents, coefficient in sp.Poly(polynomial, *gates).terms():
        total += coefficient * sp.Mul(*(moments[k - 1] for k in exponents if k))
    return total


def as_moments(expression, n, moments):
    """Every node E[f(u)] as a polynomial in E[u^k]."""
    from rnnmft.expectation import GaussianExpectation

    u = sp.Symbol("u")

    def value(node):
        inside = sp.expand(node.integrand.replace(sigmoid, lambda _: u))
        return averaged(inside, [u], moments)

    found = expression.replace(lambda p: isinstance(p, GaussianExpectation), value)
    return sp.expand(found)


def test_names_that_run_together_stay_apart():
    a, bc, ab, c = (State(name) for name in ("a", "bc", "ab", "c"))
    e = Preactivation("e", a)
    cell = Cell("names", update=dict.fromkeys((a, bc, ab, c), tanh(e)))
    n = moment_theory(cell).notation
    assert n.moment(n.state_key(a, bc)) != n.moment(n.state_key(ab, c))


def test_an_input_seen_by_a_function_is_averaged():
    h, x = State("h"), Input("x")
    e = Preactivation("e", h)
    cell = Cell("squashed", update={h: sigmoid(e) * h + tanh(x) * x})
    theory = moment_theory(cell)
    n, (p,) = theory.notation, cell.preactivations
    found = theory.update(n.state_key(h, h))
    z = sp.Symbol("z", real=True)
    gate = gaussian_expectation(sigmoid(z), z, n.mu_b[p], n.q[p])
    gate_2 = gaussian_expectation(sigmoid(z) ** 2, z, n.mu_b[p], n.q[p])
    drive, drive_2 = (gaussian_expectation((tanh(z) * z) ** k, z, 0, n.R) for k in (1, 2))
    m, Q = n.moment(n.state_key(h)), n.moment(n.state_key(h, h))
    assert same_expression(found, Q * gate_2 + 2 * m * gate * drive + drive_2)


def test_public_name():
    assert mft.derive(cells.minimal()).second_moment["h"].rhs.has(sigmoid)
