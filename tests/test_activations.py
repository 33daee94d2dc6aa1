"""The activations: every derivative against differences, every kink in its place, LaTeX, zeros.

References are those of tests/meaning.py. A derivative is compared with Richardson's central
difference of the function; the tolerance is the difference's own error estimate.
"""

from __future__ import annotations

import pickle

import mpmath as mp
import pytest
import sympy as sp
from sympy.core.function import ArgumentIndexError

from rnnmft import activations
from rnnmft.activations import Activation, canonical_functions, define_activation
from tests.meaning import MEANING

x = Activation.x
y = sp.Symbol("y", real=True)

REFERENCES = {n: f for n, f in MEANING.items() if hasattr(activations, n)}
OFFERED = [
    n
    for n in activations.__all__
    if n not in ("Activation", "canonical_functions") and not n.startswith("define")
]
CLASSES = {
    n: c
    for n, c in vars(activations).items()
    if isinstance(c, type) and issubclass(c, Activation) and c is not Activation
}
POINTS = [mp.mpf(p) for p in ("-7.3", "-2.4", "-0.7", "-0.01", "0.02", "0.6", "1.9", "5.2")]


@pytest.fixture(autouse=True)
def _precision():
    with mp.workdps(40):
        yield


def derivative_of(name: str) -> sp.Expr:
    """The derivative as SymPy gives it, in x."""
    return getattr(activations, name)(x).diff(x)


def value(expression: sp.Expr, at: mp.mpf) -> mp.mpf:
    """The expression in x at a point away from Dirac deltas."""
    if expression.is_Symbol:
        return at
    if expression.is_number:
        return mp.mpmathify(sp.N(expression, 45))
    if isinstance(expression, sp.DiracDelta):
        return mp.mpf(0)
    parts = [value(part, at) for part in expression.args]
    if expression.is_Add:
        return mp.fsum(parts)
    if expression.is_Mul:
        return mp.fprod(parts)
    if expression.is_Pow:
        return parts[0] ** parts[1]
    if expression.func is sp.cos:
        return mp.cos(parts[0])
    return REFERENCES[expression.func.__name__](parts[0])


def difference(name: str, at: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    """Richardson's central difference of the reference, and its error estimate."""

    def slope(h: mp.mpf) -> mp.mpf:
        return (REFERENCES[name](at + h) - REFERENCES[name](at - h)) / (2 * h)

    h = mp.mpf(1) / 1000
    coarse, fine = slope(h), slope(h / 2)
    return (4 * fine - coarse) / 3, abs(coarse - fine) / 3 + mp.mpf(10) ** -35


def test_every_offered_activation_has_a_reference_here() -> None:
    assert set(OFFERED) <= set(REFERENCES)
    assert {n for n in vars(activations) if n.endswith(("_prime", "_second"))} <= set(REFERENCES)


@pytest.mark.parametrize("name", REFERENCES)
def test_derivative(name: str) -> None:
    expression = derivative_of(name)
    for at in POINTS:
        expected, error = difference(name, at)
        assert error < mp.mpf(10) ** -5
        assert abs(value(expression, at) - expected) <= error


@pytest.mark.parametrize("name", ["tanh", "silu", "gelu", "softsign", "erf"])
def test_a_wrong_derivative_is_rejected(name: str) -> None:
    wrong = derivative_of(name) * sp.Rational(1001, 1000)
    assert any(
        abs(value(wrong, at) - difference(name, at)[0]) > difference(name, at)[1] for at in POINTS
    )


@pytest.mark.parametrize("name", REFERENCES)
def test_second_and_third_derivatives_exist(name: str) -> None:
    function = getattr(activations, name)
    for order in (2, 3):
        derived = function(x).diff(x, order)
        assert not derived.has(sp.Derivative, sp.Subs)
        assert derived.free_symbols <= {x}


def jump(name: str, order: int, at: int) -> mp.mpf:
    """The jump of the function (order 0) or of its difference quotient (order 1, 2) at a point."""
    h = mp.mpf(10) ** -12

    def one_sided(side: int) -> mp.mpf:
        f = [REFERENCES[name](at + side * (k + 1) * h) for k in range(order + 1)]
        if order == 0:
            return f[0]
        if order == 1:
            return (f[1] - f[0]) / (side * h)
        return (f[2] - 2 * f[1] + f[0]) / h**2

    return one_sided(1) - one_sided(-1)


@pytest.mark.parametrize("name", CLASSES)
def test_the_declared_kinks_are_where_the_function_is_not_smooth(name: str) -> None:
    found = {at for at in (-3, -1, 0, 1, 3) if any(abs(jump(name, k, at)) > 1e-6 for k in range(3))}
    assert {int(k) for k in CLASSES[name].kinks} == found


@pytest.mark.parametrize("name", [n for n, c in CLASSES.items() if c.kinks])
def test_a_dirac_delta_carries_the_jump(name: str) -> None:
    expression = sp.expand(derivative_of(name))
    for kink in CLASSES[name].kinks:
        weight = expression.coeff(sp.DiracDelta(x - kink))
        assert abs(mp.mpmathify(sp.N(weight, 30)) - jump(name, 0, int(kink))) < mp.mpf(10) ** -10
    others = [
        d for d in expression.atoms(sp.DiracDelta) if -(d.args[0] - x) not in CLASSES[name].kinks
    ]
    assert others == []


@pytest.mark.parametrize("name", CLASSES)
def test_the_value_at_zero_is_exact(name: str) -> None:
    at_zero = CLASSES[name].at_zero
    if at_zero is None:
        assert CLASSES[name](0).func is CLASSES[name]
    else:
        assert CLASSES[name](0) == at_zero
        assert (
            abs(mp.mpmathify(sp.N(at_zero, 45)) - REFERENCES[name](mp.mpf(0))) < mp.mpf(10) ** -38
        )


@pytest.mark.parametrize("name", CLASSES)
def test_activations_are_real_and_take_one_argument(name: str) -> None:
    assert CLASSES[name](y).is_extended_real
    with pytest.raises(TypeError):
        CLASSES[name](x, y)
    with pytest.raises(ArgumentIndexError):
        CLASSES[name](y).fdiff(2)


def test_the_chain_rule() -> None:
    f = activations.tanh(activations.sigmoid(y) * y)
    inside = activations.sigmoid(y) + y * activations.sigmoid_prime(y)
    assert f.diff(y) == activations.tanh_prime(activations.sigmoid(y) * y) * inside


def test_identity_is_its_argument() -> None:
    assert activations.identity(y) is y
    with pytest.raises(sp.SympifyError):
        activations.identity("y")


@pytest.mark.parametrize(
    ("expression", "latex"),
    [
        (activations.tanh(y), r"\tanh\left(y\right)"),
        (activations.tanh(y) ** 2, r"\tanh^{2}\left(y\right)"),
        (activations.tanh_prime(y), r"\tanh'\left(y\right)"),
        (activations.tanh_prime(y) ** 2, r"{\tanh'}^{2}\left(y\right)"),
        (activations.softsign_second(y), r"\operatorname{softsign}''\left(y\right)"),
        (activations.sigmoid(2 * y), r"\sigma\left(2 y\right)"),
        (activations.hard_tanh(y), r"\operatorname{hard\_tanh}\left(y\right)"),
        (activations.leaky_relu_prime(y), r"\operatorname{leaky\_relu}'\left(y\right)"),
        (activations.gaussian_cdf(y), r"\Phi\left(y\right)"),
        (activations.relu(y), r"\operatorname{relu}\left(y\right)"),
        (1 / activations.sigmoid(y), r"\frac{1}{\sigma\left(y\right)}"),
    ],
)
def test_latex(expression: sp.Expr, latex: str) -> None:
    assert sp.latex(expression) == latex


def test_canonical_functions() -> None:
    assert canonical_functions(sp.tanh(y) + sp.Heaviside(y)) == activations.tanh(
        y
    ) + activations.step(y)
    for same in (sp.Max(0, y), sp.Max(y, 0)):
        assert canonical_functions(same) == activations.relu(y)
    assert canonical_functions(sp.Max(0, sp.tanh(y))) == activations.relu(activations.tanh(y))
    assert canonical_functions(sp.Max(y, 1)) == sp.Max(y, 1)
    assert canonical_functions(3) == 3


# --- a user's own --------------------------------------------------------------------------------

cube = define_activation("cube", 3 * Activation.x**2, at_zero=0)


def test_a_users_activation() -> None:
    assert cube(2 * y).diff(y) == 24 * y**2
    assert cube(0) == 0
    assert sp.latex(cube(y) ** 2) == r"\operatorname{cube}^{2}\left(y\right)"


def test_an_activation_by_its_definition() -> None:
    ramp = define_activation("ramp", definition=activations.relu(x) ** 2, kinks=(0,))
    assert ramp(2 * y).diff(y) == 4 * activations.relu(2 * y) * activations.step(2 * y)
    twice = define_activation("twice", definition=ramp(ramp(x)) + ramp(x))
    inside = activations.relu(y) ** 2
    assert Activation.written_out(twice(y)) == activations.relu(inside) ** 2 + inside
    assert Activation.written_out(twice(y), known={ramp}) == ramp(ramp(y)) + ramp(y)
    assert Activation.written_out(cube(y)) == cube(y)


def test_a_users_activation_pickles_like_a_class_of_its_module() -> None:
    assert pickle.loads(pickle.dumps(cube(y))) == cube(y)


def test_an_activation_without_a_derivative_says_so() -> None:
    bare = define_activation("bare")
    with pytest.raises(NotImplementedError, match="'bare' has no derivative"):
        bare(y).diff(y)
