"""The kinds of symbols of a cell: states, input, preactivations, averages, random parameters.

They are SymPy symbols, so a cell is written as one writes it on paper. A name is an identifier, and
within one cell it means one thing.
"""

from __future__ import annotations

import re
from contextlib import suppress
from fractions import Fraction
from typing import Any, cast
from weakref import WeakValueDictionary

import sympy as sp

from rnnmft.activations import canonical_functions
from rnnmft.errors import CellError, ParameterError
from rnnmft.language.choices import without_jumps

__all__ = [
    "Average",
    "Input",
    "Preactivation",
    "RandomParameter",
    "State",
    "evaluated",
    "real_number",
    "width_fraction",
]


class _Named(sp.Symbol):
    """A real symbol of a cell. Never cached: two cells may use one name for different things."""

    def __new__(cls, name: str) -> _Named:
        """Check the name and make a symbol that SymPy takes for real."""
        if not isinstance(name, str) or not name.isidentifier():
            raise CellError(f"{cls.__name__} needs a name that is an identifier, got {name!r}")
        return cast("_Named", sp.Symbol.__xnew__(cls, name, real=True))

    def __reduce__(self) -> Any:
        return type(self), (self.name,)


class State(_Named):
    """A state vector of the cell, one number a unit: `h = State("h")`.

    Args:
        name: an identifier.
        width: its number of units over N.

    >>> State("h", width=0.25).width
    1/4
    """

    __slots__ = ("width",)
    width: sp.Rational

    def __new__(cls, name: str, width: Any = 1) -> State:
        """Check the width."""
        self = cast("State", super().__new__(cls, name))
        self.width = width_fraction(width, f"State {name!r}: width")
        return self

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*super()._hashable_content(), self.width)

    def __reduce__(self) -> Any:
        return type(self), (self.name, self.width)


class Input(_Named):
    """The input as it enters elementwise (as in the minimalRNN): `x = Input("x")`."""


class RandomParameter(_Named):
    """An elementwise random parameter: one number a unit, drawn once and fixed in time.

    Diagonal recurrent weights, diagonal peepholes and biases whose law is not Gaussian are such
    parameters. Its law is given with the ensemble: `cell.ensemble(parameters={"p": Normal(0, 1)})`
    with a law of `rnnmft.language.laws`. The numbers of different parameters and units
    are independent.

    >>> from rnnmft.activations import relu
    >>> h, u, e = State("h"), RandomParameter("u"), Preactivation("e", 0)
    >>> relu(e + u * h)
    relu(e + u*h)
    """


class Preactivation(_Named):
    """e = W y + V x + b, where `sees` is y: an elementwise expression, usually a state.

    Args:
        name: the name of the preactivation; the key of its parameters in an ensemble.
        sees: what W multiplies; 0 for a preactivation of the input alone.
        input: whether there is a term V x; `None` or `False` for none.
        width: its number of units over N.

    >>> h = State("h")
    >>> r = Preactivation("r", h)
    >>> from rnnmft.activations import sigmoid
    >>> n = Preactivation("n", sigmoid(r) * h)
    >>> n.sees
    h*sigmoid(r)
    """

    __slots__ = ("has_input", "sees", "width")
    sees: sp.Expr
    has_input: bool
    width: sp.Rational

    def __new__(cls, name: str, sees: Any = 0, input: Any = True, width: Any = 1) -> Preactivation:
        """Check and canonicalise what the weights see."""
        self = cast("Preactivation", super().__new__(cls, name))
        self.sees = _written(sees, f"Preactivation {name!r}: sees")
        self.has_input = bool(input) or isinstance(input, Input)
        self.width = width_fraction(width, f"Preactivation {name!r}: width")
        if self.sees == 0 and not self.has_input:
            raise CellError(f"Preactivation {name!r} sees nothing: neither a state nor the input")
        key = (name, self.sees, self.has_input, self.width)
        return cast("Preactivation", _DEFINED.setdefault(key, self))

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*super()._hashable_content(), self.sees, self.has_input, self.width)

    def __reduce__(self) -> Any:
        return type(self), (self.name, self.sees, self.has_input, self.width)

    @property
    def is_recurrent(self) -> bool:
        """Whether there is a recurrent matrix W."""
        return self.sees != 0

    @property
    def content(self) -> sp.Expr:
        """What the symbol is made of: what W sees."""
        return self.sees

    def holding(self, content: sp.Expr) -> Preactivation:
        """The preactivation of this name that sees something else."""
        return Preactivation(self.name, content, self.has_input, self.width)


class Average(_Named):
    """m = E[f]: the mean of f over the units of a network, a number at each step.

    As N -> infinity it is an expectation over the unit's law, and no unit changes it. Layer
    normalisation is made of such means. Each trajectory has its own. Eq. (population-average).

    Args:
        name: the name of the average.
        of: f, an elementwise expression of states, preactivations, the input, random parameters
            and other averages.

    >>> e = Preactivation("e", State("h"))
    >>> m = Average("m", e)
    >>> v = Average("v", (e - m) ** 2)
    >>> sorted(s.name for s in ((e - m) / sp.sqrt(v + 1)).free_symbols)
    ['e', 'm', 'v']
    """

    __slots__ = ("of",)
    of: sp.Expr

    def __new__(cls, name: str, of: Any) -> Average:
        """Check and canonicalise what is averaged."""
        self = cast("Average", super().__new__(cls, name))
        self.of = _written(of, f"Average {name!r}: of")
        if not self.of.free_symbols:
            raise CellError(f"Average {name!r} is of the number {self.of}: write the number")
        return cast("Average", _DEFINED.setdefault((name, self.of), self))

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*super()._hashable_content(), self.of)

    def __reduce__(self) -> Any:
        return type(self), (self.name, self.of)

    @property
    def content(self) -> sp.Expr:
        """What the symbol is made of: f."""
        return self.of

    def holding(self, content: sp.Expr) -> Average:
        """The average of this name of something else."""
        return Average(self.name, content)


# Equal preactivations and averages are one object. They nest, so that comparing two copies of a
# chain in which each sees its predecessor twice would take a time exponential in its length.
_DEFINED: WeakValueDictionary[tuple[Any, ...], _Named] = WeakValueDictionary()


def _written(value: Any, place: str) -> sp.Expr:
    """The value as an expression in the form that equal expressions share."""
    try:
        expression = sp.sympify(value, strict=True)
    except sp.SympifyError:
        expression = None
    if not isinstance(expression, sp.Expr):
        raise CellError(f"{place} must be an expression, got {value!r}")
    return evaluated(without_jumps(canonical_functions(expression)))


def evaluated(expression: sp.Expr) -> sp.Expr:
    """The expression rebuilt from its leaves: equal expressions get one form, as text needs it.

    >>> h = State("h")
    >>> import sympy as sp
    >>> evaluated(sp.Mul(2, h + 1, evaluate=False))
    2*h + 2
    """
    if not expression.args:
        return expression
    return cast("sp.Expr", expression.func(*(evaluated(part) for part in expression.args)))


def width_fraction(value: Any, place: str) -> sp.Rational:
    """A width as a fraction; a decimal is the simple fraction that it stands for."""
    found = Fraction(0)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}(/[1-9][0-9]{0,5})?", value):
        found = Fraction(value)
    elif not isinstance(value, str | bool):
        with suppress(TypeError, ValueError, OverflowError):
            found = Fraction(float(value)).limit_denominator(_FINEST)
    if not 0 < found <= _FINEST:
        raise CellError(
            f'{place} must be a positive number or a fraction such as "1/4", got {value!r}'
        )
    return sp.Rational(found.numerator, found.denominator)


# A third is a third though it comes as a decimal of 16 digits; no network is a million units wide.
_FINEST = 10**6


def real_number(name: str, value: Any) -> sp.Expr:
    """A finite real number as SymPy has it, exact where it was given exactly.

    Raises:
        ParameterError: naming the argument.

    >>> real_number("leak", 0.5)
    0.500000000000000
    """
    try:
        number = sp.sympify(value, strict=True)
    except sp.SympifyError:
        number = sp.nan
    if not (isinstance(number, sp.Expr) and number.is_number and number.is_real):
        raise ParameterError(f"{name} must be a finite real number, got {value!r}")
    return number
