"""Activations: SymPy functions that know their derivative, their kinks and how to print.

Each activation carries its first derivative as a function of its own (`tanh_prime`, printed
tanh'), so that an expectation of it reads as in the papers, E[tanh'(z)^2], and so that the numeric
backends can evaluate it without the cancellation of 1 - tanh(z)^2. `kinks` lists the arguments
at which the function is not smooth: the quadrature splits there.

A user adds an activation with `define_activation`. What is made of functions that are there says so
by its `definition`, and has numbers, a derivative and closed forms from them; any other needs a
derivative and, for numbers, a row in the tables of `rnnmft.numerics.backends`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, ClassVar

import sympy as sp
from sympy.core.function import ArgumentIndexError

__all__ = [
    "Activation",
    "canonical_functions",
    "define_activation",
    "erf",
    "exp",
    "gaussian_cdf",
    "gelu",
    "hard_sigmoid",
    "hard_tanh",
    "identity",
    "leaky_relu",
    "relu",
    "sigmoid",
    "silu",
    "sin",
    "softplus",
    "softsign",
    "step",
    "tanh",
]

_x = sp.Symbol("x", real=True)


class Activation(sp.Function):
    """An elementwise real function of one real argument.

    Class attributes: `derivative` (an expression in the placeholder `Activation.x`), `definition`
    (likewise; None where it is made of nothing simpler), `kinks` (arguments where it is not
    smooth), `symbol` (LaTeX name), `order` (how often it was derived), `at_zero` (its value at 0,
    where that is exact).
    """

    nargs = 1
    x: ClassVar[sp.Symbol] = _x
    derivative: ClassVar[sp.Expr | None] = None
    definition: ClassVar[sp.Expr | None] = None
    kinks: ClassVar[tuple[sp.Expr, ...]] = ()
    symbol: ClassVar[str] = ""
    order: ClassVar[int] = 0
    at_zero: ClassVar[sp.Expr | None] = None

    @classmethod
    def eval(cls, arg: sp.Expr) -> sp.Expr | None:
        """The exact value at zero, where there is one; otherwise the node stays as it is.

        SymPy's protocol names this hook; it is given an expression. No text is evaluated.
        """
        if arg.is_zero and cls.at_zero is not None:
            return cls.at_zero
        return None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """The derivative, an activation of its own."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        derivative = type(self).derivative
        if derivative is None:
            name = type(self).__name__
            raise NotImplementedError(f"{name!r} has no derivative; set {name}.derivative")
        return derivative.xreplace({_x: self.args[0]})

    @staticmethod
    def written_out(expression: sp.Expr, known: Iterable[type] = ()) -> sp.Expr:
        """The expression with the definitions of its activations, but for those of known classes.

        >>> square = define_activation("square", definition=Activation.x**2)
        >>> Activation.written_out(2 * square(sp.Symbol("y")))
        2*y**2
        """
        made = {type(f) for f in expression.atoms(Activation) if type(f).definition is not None}
        for one in made.difference(known):
            expression = expression.replace(one, lambda z, f=one.definition: f.xreplace({_x: z}))
            expression = Activation.written_out(expression, known)
        return expression

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        head = type(self).symbol or rf"\operatorname{{{type(self).__name__}}}"
        primes = "'" * type(self).order
        if primes and exp is not None:
            head = f"{{{head}{primes}}}^{{{exp}}}"
        else:
            head = head + primes + (f"^{{{exp}}}" if exp is not None else "")
        return rf"{head}\left({printer._print(self.args[0])}\right)"

    def _mathml_presentation(self, printer: Any) -> Any:
        text = type(self).symbol or type(self).__name__
        for latex, plain in _MATHML_TEXT.items():
            text = text.replace(latex, plain)
        row, name = (printer.dom.createElement(tag) for tag in ("mrow", "mi"))
        name.appendChild(printer.dom.createTextNode(text + "\u2032" * type(self).order))
        row.appendChild(name)
        for part in ("\u2061", "(", self.args[0], ")"):
            if isinstance(part, str):
                mark = printer.dom.createElement("mo")
                mark.appendChild(printer.dom.createTextNode(part))
                row.appendChild(mark)
            else:
                row.appendChild(printer._print(part))
        return row


# What the LaTeX names are made of, as text for MathML.
_MATHML_TEXT = {
    r"\operatorname{": "",
    "}": "",
    r"\_": " ",
    r"\sigma": "\u03c3",
    r"\Phi": "\u03a6",
    r"\Theta": "\u0398",
    "\\": "",
    "_": " ",
}


def define_activation(
    name: str,
    derivative: sp.Expr | None = None,
    *,
    definition: sp.Expr | None = None,
    kinks: tuple[Any, ...] = (),
    symbol: str = "",
    order: int = 0,
    at_zero: Any = None,
    formula: str = "",
) -> type[Activation]:
    r"""Make an activation class.

    Args:
        name: the function's name; also its key in the backends' tables.
        derivative: the derivative as an expression in `Activation.x`; that of the definition where
            absent. May be set later on the class where it refers to the class itself.
        definition: the function as an expression in `Activation.x`, of functions that are there.
            Backends and closed forms write it out where they have nothing better.
        kinks: arguments where the function or its derivative jumps.
        symbol: LaTeX name; `\operatorname{name}` when empty.
        order: the number of primes to print.
        at_zero: the exact value at zero, if there is one.
        formula: what the function of x is, for `help()`.

    Returns:
        A subclass of `Activation`.

    >>> import sympy as sp
    >>> cube = define_activation("cube", 3 * Activation.x**2)
    >>> sp.diff(cube(sp.Symbol("y", real=True)), sp.Symbol("y", real=True))
    3*y**2
    """
    if derivative is None and definition is not None:
        derivative = definition.diff(_x)
    return type(
        name,
        (Activation,),
        {
            "derivative": derivative,
            "definition": definition,
            "kinks": tuple(sp.sympify(k, strict=True) for k in kinks),
            "symbol": symbol,
            "order": order,
            "at_zero": None if at_zero is None else sp.sympify(at_zero, strict=True),
            # The caller's module, as for a named tuple: there pickle looks for the class.
            "__module__": sys._getframe(1).f_globals.get("__name__", __name__),
            "__doc__": f"{name}(x) = {formula}, elementwise."
            if formula
            else f"{name}, elementwise.",
        },
    )


# The functions SymPy already has, with derivatives that do not cancel.
erf, exp, sin = sp.erf, sp.exp, sp.sin


def identity(argument: Any) -> sp.Expr:
    """The identity: returns its argument."""
    return sp.sympify(argument, strict=True)


# Smooth activations. Second derivatives are polynomials in the function and its first derivative.
tanh_prime = define_activation("tanh_prime", symbol=r"\tanh", order=1, at_zero=1)
tanh = define_activation(
    "tanh", tanh_prime(_x), symbol=r"\tanh", at_zero=0, formula="(e^x - e^-x) / (e^x + e^-x)"
)
tanh_prime.derivative = -2 * tanh(_x) * tanh_prime(_x)

sigmoid_prime = define_activation(
    "sigmoid_prime", symbol=r"\sigma", order=1, at_zero=sp.Rational(1, 4)
)
sigmoid = define_activation(
    "sigmoid",
    sigmoid_prime(_x),
    symbol=r"\sigma",
    at_zero=sp.Rational(1, 2),
    formula="1 / (1 + e^-x)",
)
sigmoid_prime.derivative = (1 - 2 * sigmoid(_x)) * sigmoid_prime(_x)

gaussian_cdf_prime = define_activation("gaussian_cdf_prime", symbol=r"\Phi", order=1)
gaussian_cdf_prime.derivative = -_x * gaussian_cdf_prime(_x)
gaussian_cdf = define_activation(
    "gaussian_cdf",
    gaussian_cdf_prime(_x),
    symbol=r"\Phi",
    at_zero=sp.Rational(1, 2),
    formula="(1 + erf(x / sqrt(2))) / 2",
)

softplus = define_activation("softplus", sigmoid(_x), at_zero=sp.log(2), formula="log(1 + e^x)")
silu = define_activation(
    "silu", sigmoid(_x) + _x * sigmoid_prime(_x), at_zero=0, formula="x sigmoid(x)"
)
gelu = define_activation(
    "gelu", gaussian_cdf(_x) + _x * gaussian_cdf_prime(_x), at_zero=0, formula="x Phi(x)"
)

# Activations with kinks. Where a derivative jumps, the next one holds a Dirac delta, which the
# expectation turns into a value of the Gaussian density: Bonnet's and Price's rules stay exact.
_delta = sp.DiracDelta
step = define_activation(
    "step", _delta(_x), kinks=(0,), symbol=r"\Theta", formula="1 for x > 0, else 0"
)
# A step is its own square: without this a derivative of its power would square a delta.
step._eval_power = lambda self, n: self if n.is_Integer and n.is_positive else None  # type: ignore[attr-defined]
relu = define_activation("relu", step(_x), kinks=(0,), at_zero=0, formula="max(0, x)")
leaky_relu_prime = define_activation(
    "leaky_relu_prime", sp.Rational(99, 100) * _delta(_x), kinks=(0,), order=1
)
leaky_relu_prime.symbol = r"\operatorname{leaky\_relu}"
leaky_relu = define_activation(
    "leaky_relu",
    leaky_relu_prime(_x),
    kinks=(0,),
    symbol=r"\operatorname{leaky\_relu}",
    at_zero=0,
    formula="max(x, x / 100)",
)
hard_tanh_prime = define_activation(
    "hard_tanh_prime", _delta(_x + 1) - _delta(_x - 1), kinks=(-1, 1), order=1
)
hard_tanh_prime.symbol = r"\operatorname{hard\_tanh}"
hard_tanh = define_activation(
    "hard_tanh",
    hard_tanh_prime(_x),
    kinks=(-1, 1),
    symbol=r"\operatorname{hard\_tanh}",
    at_zero=0,
    formula="min(1, max(-1, x))",
)
hard_sigmoid_prime = define_activation(
    "hard_sigmoid_prime", (_delta(_x + 3) - _delta(_x - 3)) / 6, kinks=(-3, 3), order=1
)
hard_sigmoid_prime.symbol = r"\operatorname{hard\_sigmoid}"
hard_sigmoid = define_activation(
    "hard_sigmoid",
    hard_sigmoid_prime(_x),
    kinks=(-3, 3),
    symbol=r"\operatorname{hard\_sigmoid}",
    at_zero=sp.Rational(1, 2),
    formula="min(1, max(0, (x + 3) / 6))",
)
softsign_second = define_activation("softsign_second", kinks=(0,), order=2)
softsign_prime = define_activation(
    "softsign_prime", softsign_second(_x), kinks=(0,), order=1, at_zero=1
)
softsign = define_activation(
    "softsign", softsign_prime(_x), kinks=(0,), at_zero=0, formula="x / (1 + |x|)"
)
softsign_second.derivative = 6 * softsign_prime(_x) ** 2 - 4 * _delta(_x)
softsign_second.symbol = softsign_prime.symbol = softsign.symbol = r"\operatorname{softsign}"

_CANONICAL = {sp.tanh: tanh, sp.Heaviside: step}


def canonical_functions(expression: sp.Expr) -> sp.Expr:
    """Replace SymPy's own tanh, Heaviside, Max(0, x) and Abs-free kin by rnnmft's activations.

    >>> import sympy as sp
    >>> canonical_functions(sp.tanh(sp.Symbol("y"))).func is tanh
    True
    """
    expression = sp.sympify(expression, strict=True)
    for theirs, ours in _CANONICAL.items():
        if expression.has(theirs):
            expression = expression.replace(theirs, lambda *a, _f=ours: _f(a[0]))
    if expression.has(sp.Max):
        expression = expression.replace(
            lambda node: isinstance(node, sp.Max) and len(node.args) == 2 and 0 in node.args,
            lambda node: relu(sp.Add(*node.args)),
        )
    return expression
