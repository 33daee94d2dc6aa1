"""Compiled expressions: elementwise functions, programs, nesting, propagated errors, statuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnmft.activations import (
    Activation,
    define_activation,
    gaussian_cdf,
    hard_tanh,
    relu,
    sigmoid,
    sigmoid_prime,
    softsign,
    tanh,
    tanh_prime,
)
from rnnmft.errors import CompileError, Status
from rnnmft.expectation import gaussian_expectation
from rnnmft.numerics.average import GaussianAverage
from rnnmft.numerics.backends import get_backend, numpy_backend
from rnnmft.numerics.compile import compile_elementwise, compile_program
from tests.stand_in_device import GPU

e, f, r, s = sp.symbols("e f r s", real=True)
mu, q, q_ab, q_b = sp.symbols("mu q q_ab q_b", real=True)
x, y = sp.symbols("x y", real=True)

# --- elementwise ---------------------------------------------------------------------------------


def _combined(parts):
    return st.one_of(
        st.builds(lambda a, b: a + b, parts, parts),
        st.builds(lambda a, b: a * b, parts, parts),
        st.builds(lambda a: a**2 / (1 + a**2), parts),
        st.builds(sp.sin, parts),
        st.builds(sp.Abs, parts),
        st.builds(lambda a: sp.exp(-(a**2)), parts),
        st.builds(lambda a: sp.sqrt(1 + a**2), parts),
        st.builds(sp.erf, parts),
    )


EXPRESSIONS = st.recursive(
    st.sampled_from([x, y, sp.Rational(1, 3), sp.Integer(-2), sp.pi]), _combined, max_leaves=8
)


@given(EXPRESSIONS)
@settings(max_examples=60)
def test_any_expression_has_the_value_that_sympy_gives_it(expression) -> None:
    xs, ys = np.array([-1.7, 0.4, 2.2]), np.array([0.3, -2.1, 1.1])
    (found,) = compile_elementwise([expression], [x, y])(xs, ys)
    assert found.shape == (3,)
    for a, b, value in zip(xs, ys, found, strict=True):
        exact = sp.N(expression.xreplace({x: sp.Float(a, 40), y: sp.Float(b, 40)}), 30)
        # Eight operations that each round and magnify by their condition, which is below 1e3 here.
        assert value == pytest.approx(float(exact), rel=1e-11, abs=1e-11)


def test_results_have_the_broadcast_shape_constants_included() -> None:
    call = compile_elementwise([x + y, x, sp.Integer(2), sp.pi], [x, y])
    found = call(np.ones((4, 1)), np.ones(3))
    assert [a.shape for a in found] == [(4, 3)] * 4
    on_torch = compile_elementwise([x + y, x, sp.Integer(2)], [x, y], "torch")
    given = torch.ones(2, 1, dtype=torch.float64), torch.ones(5, dtype=torch.float64)
    assert [tuple(a.shape) for a in on_torch(*given)] == [(2, 5)] * 3


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_an_activation_without_a_row_is_computed_by_its_definition(backend) -> None:
    x, q = sp.Symbol("x", real=True), sp.Symbol("q", positive=True)
    ramp = define_activation("ramp", definition=relu(Activation.x) ** 2)
    points = get_backend(backend).asarray([-2.0, 0.5, 3.0])
    found = compile_elementwise([ramp(x), ramp(x).diff(x), ramp(sp.Integer(3))], [x], backend)
    assert [v.tolist() for v in found(points)] == [[0, 0.25, 9], [0, 1, 6], [9, 9, 9]]
    made, plain = (
        compile_program([], [gaussian_expectation(f * tanh(x), x, 0, q)], [q], backend=backend)(1.3)
        for f in (ramp(x), relu(x) ** 2)
    )
    assert float(made.values[0]) == float(plain.values[0]) > 0


def test_equal_parts_are_computed_once() -> None:
    calls = []
    table = dict(get_backend("numpy").functions)
    table[tanh] = lambda v: calls.append(v.size) or np.tanh(v)
    backend = dataclasses.replace(numpy_backend(), functions=table)
    expressions = [tanh(x) ** 2 + sp.sin(tanh(x)), y * tanh(x)]
    compile_elementwise(expressions, [x, y], backend)(np.ones(3), np.ones(3))
    assert calls == [3]


def test_a_closed_gate_does_not_cancel() -> None:
    call = compile_elementwise([1 - sigmoid(x), 3 - 3 * tanh(x) ** 2, 1 - gaussian_cdf(x)], [x])
    found = [float(a) for a in call(np.array(30.0))]
    assert found[0] == pytest.approx(9.357622968839299e-14, rel=1e-14)
    assert found[1] == pytest.approx(1.0507827479261124e-25, rel=1e-13)
    assert found[2] == pytest.approx(4.906713927148187e-198, rel=1e-12)


def test_gradients_flow_through_the_torch_program() -> None:
    point = torch.tensor([0.3, -1.2], dtype=torch.float64, requires_grad=True)
    (value,) = compile_elementwise([sigmoid(x) * tanh(x)], [x], "torch")(point)
    value.sum().backward()
    slope = compile_elementwise([sp.diff(sigmoid(x) * tanh(x), x)], [x], "torch")
    torch.testing.assert_close(point.grad, slope(point.detach())[0])


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (x + y, "'y', neither an argument nor assigned"),
        (sp.besselj(0, x), "no function 'besselj'"),
        (gaussian_expectation(tanh(e), e, x, 1), "holds an expectation"),
        (x + sp.I, "not a finite real number"),
        (x + sp.zoo, "not a finite real number"),
    ],
)
def test_what_cannot_be_compiled_is_refused(expression, message) -> None:
    with pytest.raises(CompileError, match=message):
        compile_elementwise([expression], [x])


# --- programs ------------------------------------------------------------------------------------


def _averages(program) -> list[GaussianAverage]:
    return [i for i in program.block.instructions if isinstance(i, GaussianAverage)]


def test_expectations_of_one_law_share_their_nodes() -> None:
    nodes = [gaussian_expectation(g, e, mu, q) for g in (tanh(e) ** 2, sigmoid(e), e * tanh(e))]
    pairs = [
        gaussian_expectation(g(e) * g(f), (e, f), (mu, mu), (q, q_ab, q)) for g in (tanh, sigmoid)
    ]
    program = compile_program([], [*nodes, *pairs], [mu, q, q_ab])
    assert sorted(len(a.slots) for a in _averages(program)) == [2, 3]


def test_a_chain_of_assignments_is_evaluated_in_order() -> None:
    second = sp.Symbol("second")
    inner = gaussian_expectation(tanh(e) ** 2, e, 0, q)
    program = compile_program(
        [(second, 2 * inner + 1)], [gaussian_expectation(tanh(e) ** 2, e, 0, second), second], [q]
    )
    one = compile_program([], [inner], [q])
    at_second = 2 * one(0.7).values[0] + 1
    found = program(0.7)
    assert float(found.values[1]) == pytest.approx(float(at_second), rel=1e-14)
    assert float(found.values[0]) == pytest.approx(float(one(at_second).values[0]), rel=1e-13)


def test_shapes_broadcast_and_rows_are_independent() -> None:
    node = gaussian_expectation(tanh(e) ** 2, e, mu, q)
    program = compile_program([], [node, sp.Integer(1)], [mu, q])
    mus, qs = np.linspace(-3, 3, 5)[:, None], np.logspace(-6, 4, 7)
    grid = program(mus, qs)
    assert all(a.shape == (5, 7) for a in (*grid.values, *grid.errors, grid.status))
    assert grid.ok
    for i, j in ((0, 0), (2, 3), (4, 6)):
        alone = program(mus[i, 0], qs[j])
        assert alone.values[0].shape == ()
        assert abs(alone.values[0] - grid.values[0][i, j]) <= grid.errors[0][i, j]
    assert program(np.zeros(0), 1.0).values[0].shape == (0,)


def test_blocks_of_any_size_give_the_same_numbers() -> None:
    law = (e, f), (mu, mu), (q, q_ab, q)
    nodes = [gaussian_expectation(tanh(e) * tanh(f), *law)]
    arguments = np.linspace(-1, 1, 9), 2.0, 1.3
    whole = compile_program([], nodes, [mu, q, q_ab])(*arguments)
    small = dataclasses.replace(numpy_backend(), chunk=100)
    parts = compile_program([], nodes, [mu, q, q_ab], small)(*arguments)
    np.testing.assert_allclose(parts.values[0], whole.values[0], rtol=1e-14)


# PyTorch's GRU: n_x + sigmoid(r) n_h is Gaussian given r, so E[tanh(n)^2] is one in another.
gate = sigmoid(r)
nested = gaussian_expectation(
    gate**2 * gaussian_expectation(tanh(e) ** 2, e, gate * mu, q + gate**2 * q_b), r, mu, q_b
)


def _trapezoid(nodes: int = 2001, reach: float = 11.0) -> tuple[np.ndarray, np.ndarray]:
    z = np.linspace(-reach, reach, nodes)
    return z, np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])


def _np_sigmoid(v):
    return 1 / (1 + np.exp(-v))


def test_an_expectation_inside_another() -> None:
    m, v, w = 0.4, 1.5, 2.5
    z, weight = _trapezoid()
    g = _np_sigmoid(m + np.sqrt(w) * z)[:, None]
    inside = np.tanh(g * m + np.sqrt(v + g**2 * w) * z) ** 2
    exact = weight @ (g[:, 0] ** 2 * (inside @ weight))
    program = compile_program([], [nested], [mu, q, q_b])
    found = program(m, v, w)
    assert found.ok
    assert abs(found.values[0] - exact) <= found.errors[0] + 1e-14
    assert found.errors[0] <= 1e-11


def test_a_pair_inside_a_pair_integrates_the_same_law() -> None:
    """With both pairs degenerate, four integrals are two: those of the test above."""
    ga, gb = sigmoid(r), sigmoid(s)
    inner = gaussian_expectation(
        tanh(e) * tanh(f),
        (e, f),
        (ga * mu, gb * mu),
        (q + ga**2 * q_b, q_ab + ga * gb * q_b, q + gb**2 * q_b),
    )
    outer = gaussian_expectation(ga * gb * inner, (r, s), (mu, mu), (q_b, q_b, q_b))
    pair = compile_program([], [outer], [mu, q, q_ab, q_b])(0.4, 1.5, 1.5, 2.5)
    single = compile_program([], [nested], [mu, q, q_b])(0.4, 1.5, 2.5)
    assert pair.ok
    assert abs(pair.values[0] - single.values[0]) <= pair.errors[0] + single.errors[0]


@pytest.mark.slow
def test_a_pair_inside_a_pair_at_partial_correlation() -> None:
    ga, gb = sigmoid(r), sigmoid(s)
    law = (0, 0), (1 + ga**2, sp.Rational(1, 2) + ga * gb / 2, 1 + gb**2)
    inner = gaussian_expectation(tanh(e) * tanh(f), (e, f), *law)
    outer = gaussian_expectation(inner, (r, s), (0, 0), (q, q_ab, q))
    found = compile_program([], [outer], [q, q_ab])(2.0, 1.2)
    # Independently: r and s on a grid, e and f from (common + own) parts, by the trapezoidal rule.
    z, weight = _trapezoid(61, 8.0)
    a, b = np.sqrt(2.0) * z[:, None], 1.2 / np.sqrt(2.0) * z[:, None] + np.sqrt(2 - 0.72) * z
    exact = 0.0
    for za, wa, row in zip(a[:, 0], weight, b, strict=True):
        for zb, wb in zip(row, weight, strict=True):
            sa, sb = _np_sigmoid(za), _np_sigmoid(zb)
            va, vab, vb = 1 + sa**2, 0.5 + sa * sb / 2, 1 + sb**2
            ea = np.sqrt(va) * z[:, None]
            eb = vab / np.sqrt(va) * z[:, None] + np.sqrt(vb - vab**2 / va) * z
            exact += wa * wb * (weight @ (np.tanh(ea) * np.tanh(eb)) @ weight)
    assert found.ok
    # The reference converges geometrically; halving its step changes it by less than 1e-9.
    assert found.values[0] == pytest.approx(exact, abs=1e-9)


# --- errors --------------------------------------------------------------------------------------


def test_errors_move_through_laws_and_algebra_to_first_order() -> None:
    """|sin 5e| has kinks that no landmark shows: the error of its expectation must be seen."""
    rough, first = gaussian_expectation(sp.Abs(sp.sin(5 * e)), e, 0, q), sp.Symbol("first")
    outputs = [
        first,
        gaussian_expectation(tanh(e) ** 2, e, first, first**2),
        sp.sqrt(first) * 3 - 1 / first,
        gaussian_expectation(tanh(first * e), e, 1, 1),
    ]
    found = compile_program([(first, rough)], outputs, [q])(1.0)
    assert Status.NOT_CONVERGED is found.status_at()
    # E|sin 5e| by its Fourier series; terms fall like exp(-50 k^2).
    exact = 2 / np.pi - 4 / np.pi * np.exp(-50.0) / 3
    assert 1e-9 < found.errors[0] < 1e-4
    at = compile_program([], outputs[1:], [first])
    right = at(exact)
    shift = found.values[0] - exact
    assert abs(shift) <= found.errors[0]
    for k in (1, 2, 3):
        slope = (at(exact + 1e-4).values[k - 1] - at(exact - 1e-4).values[k - 1]) / 2e-4
        assert abs(found.values[k] - right.values[k - 1]) <= found.errors[k]
        # First order, added in absolute value over mean and variance: not far above |slope| error.
        assert found.errors[k] <= 4 * abs(slope) * found.errors[0] + 1e-12


def test_the_error_at_a_point_law_is_carried_too() -> None:
    rough, first = gaussian_expectation(sp.Abs(sp.sin(5 * e)), e, 0, q), sp.Symbol("first")
    node = gaussian_expectation(tanh(e), e, first, 0)
    found = compile_program([(first, rough)], [node, first], [q])(1.0)
    slope = 1 / np.cosh(0.6366) ** 2
    assert found.errors[0] == pytest.approx(slope * found.errors[1], rel=1e-3)


# --- statuses ------------------------------------------------------------------------------------


def test_arguments_outside_their_domain_are_invalid_and_leave_the_others_alone() -> None:
    program = compile_program([], [gaussian_expectation(tanh(e) ** 2, e, mu, q)], [mu, q])
    found = program([0.0, np.nan, 0.0, 0.0, np.inf], [1.0, 1.0, -1.0, np.nan, 1.0])
    assert [found.status_at(i) for i in range(5)] == [Status.OK, *[Status.INVALID] * 4]
    assert np.isnan(found.values[0][1:]).all()
    assert np.isfinite(found.values[0][0])
    assert not found.ok


def test_a_covariance_that_is_none_is_invalid_and_one_that_rounding_spoiled_is_not() -> None:
    node = gaussian_expectation(tanh(e) * tanh(f), (e, f), (mu, mu), (q, q_ab, q_b))
    program = compile_program([], [node], [mu, q, q_ab, q_b])
    found = program(
        0.3,
        [1.0, 1.0, 1.0, 1.0, 0.0, 1.0, -1.0],
        [1 + 1e-12, -1.0, 1 + 1e-4, -1.01, 0.1, 0.1, 0.0],
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0],
    )
    assert [found.status_at(i) for i in range(7)] == [Status.OK] * 2 + [Status.INVALID] * 5


def test_an_undefined_output_is_named() -> None:
    found = compile_program([], [sp.log(x), 1 / x], [x])([1.0, 0.0, -1.0])
    assert [found.status_at(i) for i in range(3)] == [
        Status.OK,
        Status.UNDEFINED,
        Status.UNDEFINED,
    ]


def test_a_program_takes_its_own_number_of_arguments() -> None:
    with pytest.raises(TypeError, match="takes 1 arrays, got 2"):
        compile_program([], [x], [x])(1.0, 2.0)


# --- backends ------------------------------------------------------------------------------------

LAW = (e, f), (mu, mu), (q, q_ab, q)
MIXED = [
    gaussian_expectation(sigmoid(e) ** 2, e, mu, q),
    gaussian_expectation(sigmoid_prime(e) ** 2, e, mu, q),
    gaussian_expectation(tanh(e) * tanh(f), *LAW),
    gaussian_expectation(tanh_prime(e) * tanh_prime(f), *LAW),
    gaussian_expectation(relu(e) * hard_tanh(e), e, mu, q),
    gaussian_expectation(softsign(e) ** 2, e, mu, q),
]


@pytest.mark.parametrize(
    ("name", "device", "dtype"),
    [
        ("numpy", "cpu", "float32"),
        ("torch", "cpu", "float64"),
        ("torch", "cpu", "float32"),
        pytest.param("torch", GPU, "float64", marks=pytest.mark.cuda),
        pytest.param("torch", GPU, "float32", marks=pytest.mark.cuda),
    ],
)
def test_every_backend_gives_the_same_within_its_errors(name, device, dtype) -> None:
    arguments = (
        np.array([0.0, 0.5, -2.0, 1.0, 0.0]),
        np.array([1e-3, 1.0, 10.0, 300.0, 2.0]),
        np.array([1e-3, 0.4, -9.0, 100.0, 0.0]),
    )
    exact = compile_program([], MIXED, [mu, q, q_ab])(*arguments)
    backend = get_backend(name, device, dtype)
    found = compile_program([], MIXED, [mu, q, q_ab], backend)(*arguments)
    assert exact.ok
    assert found.ok
    for k in range(len(MIXED)):
        value, error = (backend.to_numpy(a[k]).astype(float) for a in (found.values, found.errors))
        # The arguments were rounded to the dtype; the integrals' condition in them is below 10.
        slack = 10 * backend.eps * np.abs(exact.values[k]) + exact.errors[k]
        assert np.all(np.abs(value - exact.values[k]) <= error + slack)
        assert np.all(error <= (300 * backend.eps + 1e-10) * (1 + np.abs(value)))
