"""Programs of the page: one evaluation a law, pairs as products, and what has no series."""

from __future__ import annotations

import pytest
import sympy as sp

from rnnmft.activations import Activation, define_activation, sigmoid, tanh
from rnnmft.errors import CompileError
from rnnmft.expectation import gaussian_expectation
from rnnmft.explorer.programs import ProgramWriter

z, a, b, u = sp.symbols("z a b u", real=True)
q, Q, c, s = sp.symbols("q Q c s", real=True)


def mean_of(f: sp.Expr, mean: sp.Expr = sp.S.Zero, variance: sp.Expr = q) -> sp.Expr:
    return gaussian_expectation(f, z, mean, variance)


def test_expectations_of_one_law_share_their_nodes() -> None:
    writer = ProgramWriter()
    outputs = [mean_of(tanh(z) ** 2), Q * mean_of(tanh(z) * sigmoid(z))]
    text = writer.function({Q: "m[0]", s: "p[0]"}, [(q, s**2 * Q)], outputs, "m, p")
    assert text.count("average(") == 1
    assert "makeFamily(2, " in writer.families()


def test_a_family_is_written_once_and_laws_keep_apart() -> None:
    writer = ProgramWriter()
    names = {q: "m[0]", Q: "m[1]"}
    for _ in range(2):
        both = [mean_of(tanh(z) ** 2), mean_of(tanh(z) ** 2, variance=Q)]
        writer.function(names, [], both, "m")
    # Two laws at once must not share the place where an average is left.
    assert writer.families().count("makeFamily") == 2


def test_an_assignment_that_nothing_needs_is_left_out() -> None:
    text = ProgramWriter().function({Q: "m[0]"}, [(q, mean_of(tanh(z), variance=Q))], [Q], "m")
    assert "average" not in text


def test_one_expectation_inside_another_is_a_function_inside_another() -> None:
    inner = mean_of(tanh(z) ** 2, mean=u, variance=1 + sigmoid(u) ** 2)
    text = ProgramWriter().function({q: "m"}, [], [gaussian_expectation(inner, u, 0, q)], "m")
    assert text.count("average(") == 2
    assert "makeFamily(1, (z0, o) =>" in text


def test_a_pair_is_a_sum_of_products() -> None:
    writer = ProgramWriter()
    f = (tanh(a) + sigmoid(a)) * tanh(b) + 3 * sigmoid(a) * sigmoid(b)
    node = gaussian_expectation(f, (a, b), (0, 0), (q, c, q))
    text = writer.function({q: "m", c: "c"}, [], [node], "c, m")
    assert "[[0, 1], [1, 1], [0, 0]]" in writer.families()
    assert "3*" in text


@pytest.mark.parametrize(
    "node",
    [
        gaussian_expectation(tanh(a + b), (a, b), (0, 0), (q, c, q)),
        gaussian_expectation(tanh(a) * tanh(b), (a, b), (0, 0), (q, c, Q)),
    ],
    ids=["no product", "unequal laws"],
)
def test_other_pairs_are_refused(node: sp.Expr) -> None:
    with pytest.raises(CompileError):
        ProgramWriter().function({q: "m", c: "c", Q: "Q"}, [], [node], "c, m")


def test_kinks_and_bends_are_marked_where_they_are() -> None:
    writer = ProgramWriter()
    bend = define_activation("bend", definition=Activation.x**2, kinks=())
    f = mean_of(tanh(2 * z - 6) + sp.Abs(z + 1) + bend(z))
    writer.function({q: "m"}, [], [f], "m")
    assert "{ place: 3.0, width: 0.5 }" in writer.families()
    assert "{ place: -1.0, width: Infinity }], true" in writer.families()
