"""The expressions of a text cell: a tokenizer and a recursive-descent parser, both whitelisted.

    sum     = term (("+" | "-") term)*
    term    = signed (("*" | "/") signed)*
    signed  = ("+" | "-")* power
    power   = atom ["**" signed]
    atom    = number | name | function "(" sum ")" | "(" sum ")"

with Python's precedence. There is no eval and no other syntax; whatever is not above is refused
with line, column and reason. Size, depth, exponents and numbers are bounded, so that a hostile text
costs no time: SymPy evaluates numbers eagerly, and 9**9**9 must never reach it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn

import sympy as sp

from rnnmft import activations
from rnnmft.activations import Activation
from rnnmft.errors import ParseError

__all__ = ["CONSTANTS", "FUNCTIONS", "MAX_DEPTH", "MAX_EXPONENT", "MAX_TOKENS", "parse_expression"]

MAX_TOKENS = 2000
MAX_DEPTH = 32
MAX_LITERAL = 40
MAX_EXPONENT = 64
# Bits of a number, of the number under a root, and of all numbers of a sum or product together.
_MAX_NUMBER_BITS, _MAX_ROOT_BITS, _MAX_TOTAL_BITS = 1024, 64, 1 << 14
# exp(exp(exp(9))) as a constant would be evaluated by the first question SymPy asks about it.
_MAX_CONSTANT_ARGUMENT, _MAX_CONSTANT_NESTING = 100, 2

_NOT_FUNCTIONS = ("Activation", "canonical_functions", "define_activation")
FUNCTIONS: Mapping[str, Callable[[Any], sp.Expr]] = {
    **{n: getattr(activations, n) for n in activations.__all__ if n not in _NOT_FUNCTIONS},
    "abs": sp.Abs,
    "cos": sp.cos,
    "log": sp.log,
    "atan": sp.atan,
    "sign": sp.sign,
}
_DERIVATIVES = {
    name: function
    for name, function in vars(activations).items()
    if name not in (*FUNCTIONS, *_NOT_FUNCTIONS)
    and isinstance(function, type)
    and issubclass(function, Activation)
}
CONSTANTS: Mapping[str, sp.Expr] = {"pi": sp.pi}

_TOKEN = re.compile(
    r"[ \t\r\n]*(?:"
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<operator>\*\*|[-+*/()])"
    r"|(?P<end>\Z))"
)
_HINTS = {
    "^": "; a power is written **",
    ",": "; every function takes one argument",
    "[": "; group with ( )",
    "{": "; group with ( )",
    "=": "; an update is an expression, not an assignment",
    "'": "; a derivative or a new value has no prime here",
}


class _Token(NamedTuple):
    kind: str
    text: str
    offset: int


class _Sized(NamedTuple):
    """An expression, with what bounds the cost of the questions SymPy will ask about it.

    `bits` bounds the numbers that evaluating it has made; `nesting` counts, in a constant that is
    no plain number, the powers and functions inside each other: SymPy finds their signs by
    evaluating all of them to more and more digits.
    """

    value: sp.Expr
    bits: int
    nesting: int = 0


def parse_expression(
    text: str,
    symbols: Mapping[str, sp.Expr],
    functions: Mapping[str, Callable[[Any], sp.Expr]] | None = None,
    at: Callable[[int], tuple[int, int]] | None = None,
) -> sp.Expr:
    """Read one expression.

    Args:
        text: the expression.
        symbols: what each name means.
        functions: further functions by name, besides `FUNCTIONS`.
        at: the line and column to report for an offset in `text`; within `text` when absent.

    Raises:
        ParseError: the text is not an expression of the grammar, or exceeds its bounds.

    >>> h = sp.Symbol("h")
    >>> parse_expression("2*h**2 - h/4", {"h": h})
    2*h**2 - h/4
    >>> parse_expression("h.real", {"h": h})
    Traceback (most recent call last):
    rnnmft.errors.ParseError: line 1, column 2: unexpected '.'
    """
    return _Parser(text, symbols, functions or {}, at).read()


class _Parser:
    """One pass over the tokens; a method for each rule of the grammar."""

    def __init__(
        self,
        text: str,
        symbols: Mapping[str, sp.Expr],
        functions: Mapping[str, Callable[[Any], sp.Expr]],
        at: Callable[[int], tuple[int, int]] | None,
    ) -> None:
        self.text = text
        self.symbols = {**CONSTANTS, **symbols}
        self.declared = symbols
        self.functions = {**_DERIVATIVES, **FUNCTIONS, **functions}
        self.offered = [*FUNCTIONS, *functions]
        self.at = at or self._inside
        self.tokens = list(self._tokens())
        self.next = 0
        self.depth = 0

    def read(self) -> sp.Expr:
        """The whole text as one expression."""
        if self.token.kind == "end":
            self.refuse("an expression is missing")
        try:
            value = self._sum().value
        except RecursionError:
            self.refuse("the expression is nested too deep", self.tokens[0])
        if self.token.kind != "end":
            self.refuse(f"unexpected {_short(self.token.text)}{self._juxtaposed()}")
        for number in value.atoms(sp.Number):
            self._checked(number, 0, 0, self.tokens[0])
        return value

    # --- tokens --------------------------------------------------------------------------------

    def _tokens(self) -> Iterator[_Token]:
        offset, token = 0, _Token("", "", 0)
        for _ in range(MAX_TOKENS + 1):
            found = _TOKEN.match(self.text, offset)
            if found is None:
                space = re.compile(r"[ \t\r\n]*").match(self.text, offset)
                start = space.end() if space else offset
                sign = self.text[start]
                self.refuse(f"unexpected {sign!r}{_HINTS.get(sign, '')}", _Token("", sign, start))
            kind = str(found.lastgroup)
            token = _Token(kind, found[kind], found.start(kind))
            yield token
            if kind == "end":
                return
            offset = found.end()
        self.refuse(f"more than {MAX_TOKENS} symbols in one expression", token)

    @property
    def token(self) -> _Token:
        """The token that comes next."""
        return self.tokens[self.next]

    def _take(self, *texts: str) -> str:
        """Move over an operator if it is one of these; otherwise ""."""
        if self.token.kind == "operator" and self.token.text in texts:
            self.next += 1
            return self.tokens[self.next - 1].text
        return ""

    def refuse(self, reason: str, token: _Token | None = None) -> NoReturn:
        """Raise ParseError at a token, the next one when absent."""
        line, column = self.at((token or self.token).offset)
        raise ParseError(reason, line, column)

    def _inside(self, offset: int) -> tuple[int, int]:
        before = self.text[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1

    def _juxtaposed(self) -> str:
        return "; a product is written with *" if self.token.kind in ("name", "number") else ""

    # --- rules ---------------------------------------------------------------------------------

    def _sum(self) -> _Sized:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.refuse(f"nested deeper than {MAX_DEPTH}")
        start = self.token
        terms = [self._term("")]
        while sign := self._take("+", "-"):
            terms.append(self._term(sign))
        self.depth -= 1
        if len(terms) == 1:
            return terms[0]
        return self._combine(sp.Add, terms, start)

    def _term(self, sign: str) -> _Sized:
        start = self.token
        # All factors at once: SymPy would multiply a number into a sum that came alone with it.
        factors = [_Sized(sp.S.NegativeOne, 0)] if sign == "-" else []
        factors += self._signed()
        while operator := self._take("*", "/"):
            at = self.token
            signed = self._signed()
            if operator == "/":
                signed[-1] = self._power(signed[-1], _Sized(sp.S.NegativeOne, 1), at)
            factors += signed
        return factors[0] if len(factors) == 1 else self._combine(sp.Mul, factors, start)

    def _signed(self) -> list[_Sized]:
        """The factors of a signed power: -1 if it is negative, and the power."""
        negative = False
        while sign := self._take("+", "-"):
            negative ^= sign == "-"
        minus = [_Sized(sp.S.NegativeOne, 0)] if negative else []
        start = self.token
        base = self._atom()
        if not self._take("**"):
            return [*minus, base]
        at = self.token
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.refuse(f"nested deeper than {MAX_DEPTH}")
        exponent = self._combine(sp.Mul, self._signed(), at)
        self.depth -= 1
        return [*minus, self._power(base, exponent, start, at)]

    def _atom(self) -> _Sized:
        token = self.token
        if self._take("("):
            inside = self._sum()
            self._close(token)
            return inside
        if token.kind == "number":
            self.next += 1
            return self._number(token)
        if token.kind == "name":
            self.next += 1
            return self._call(token) if self._take("(") else self._name(token)
        found = "end of the expression" if token.kind == "end" else _short(token.text)
        return self.refuse(f"unexpected {found} where a number, a name or '(' should stand")

    def _close(self, opened: _Token) -> None:
        if not self._take(")"):
            if self.token.kind == "end":
                self.refuse(f"{opened.text!r} is never closed by ')'", opened)
            self.refuse(f"unexpected {_short(self.token.text)}, expected ')'{self._juxtaposed()}")

    def _name(self, token: _Token) -> _Sized:
        if token.text in self.symbols:
            return _Sized(self.symbols[token.text], 0)
        if token.text in self.functions:
            self.refuse(f"{token.text!r} is a function: write {token.text}(...)", token)
        known = ", ".join(self.declared) or "none"
        return self.refuse(f"unknown name {_short(token.text)}; known are {known}", token)

    def _call(self, token: _Token) -> _Sized:
        function = self.functions.get(token.text)
        if function is None:
            what = "is no function" if token.text in self.symbols else "is an unknown function"
            known = ", ".join(sorted(self.offered))
            self.refuse(f"{_short(token.text)} {what}; known functions are {known}", token)
        start = self.token
        argument = self._sum()
        self._close(token)
        if not argument.value.free_symbols:
            plain = argument.value.is_Rational or argument.value.is_Float
            if not plain or abs(argument.value) > _MAX_CONSTANT_ARGUMENT:
                self.refuse(
                    f"the argument of {token.text} is constant: it must be a plain number "
                    f"of at most {_MAX_CONSTANT_ARGUMENT}",
                    start,
                )
        return self._checked(function(argument.value), argument.bits, 1, token)

    # --- numbers -------------------------------------------------------------------------------

    def _number(self, token: _Token) -> _Sized:
        if len(token.text) > MAX_LITERAL:
            self.refuse(f"a number of more than {MAX_LITERAL} characters", token)
        if token.text.isdigit():
            value: sp.Expr = sp.Integer(int(token.text))
        else:
            number = float(token.text)
            mantissa = re.split("[eE]", token.text)[0]
            if math.isinf(number) or (number == 0.0) != (mantissa.strip("0.") == ""):
                self.refuse("the number exceeds the range of floating point", token)
            value = sp.Float(number)
        return _Sized(value, _bits(value))

    def _combine(
        self, operation: Callable[..., sp.Expr], parts: list[_Sized], at: _Token
    ) -> _Sized:
        if len(parts) == 1:
            return parts[0]
        bits = sum(part.bits for part in parts)
        if bits > _MAX_TOTAL_BITS:
            self.refuse("the numbers of the expression are too long together", at)
        nesting = max(part.nesting for part in parts)
        return self._checked(operation(*(part.value for part in parts)), bits, nesting, at)

    def _power(
        self, base: _Sized, exponent: _Sized, at: _Token, up: _Token | None = None
    ) -> _Sized:
        e, nesting = exponent.value, 1 + base.nesting
        if nesting > _MAX_CONSTANT_NESTING:
            self.refuse("powers of constants nested too deep", at)
        if e.free_symbols:
            return self._checked(sp.Pow(base.value, e), base.bits + exponent.bits, 0, at)
        if not (e.is_Rational or e.is_Float):
            self.refuse("a constant exponent must be a plain number", up)
        if abs(e) > MAX_EXPONENT or (e.is_Rational and e.q > MAX_EXPONENT):
            self.refuse(f"the exponent exceeds {MAX_EXPONENT}", up)
        if e < 0 and base.value.is_Number and not base.value:
            self.refuse("division by zero", at)
        bits = base.bits * max(1, math.ceil(abs(e))) + exponent.bits
        if abs(e) != 1 and bits > _MAX_NUMBER_BITS:
            self.refuse("the numbers in the power are too long", at)
        number = base.value.as_coeff_Mul()[0]
        if not e.is_Integer and _bits(number) > _MAX_ROOT_BITS:
            self.refuse("the number under the root is too long", at)
        return self._checked(sp.Pow(base.value, e), bits, nesting, at)

    def _checked(self, value: sp.Expr, bits: int, nesting: int, at: _Token) -> _Sized:
        if value in (sp.nan, sp.zoo, sp.oo, -sp.oo):
            self.refuse("this is not a finite number", at)
        if not value.is_Number:
            if value.free_symbols:
                return _Sized(value, bits)
            if value.is_extended_real is False:
                self.refuse("this is not a real number", at)
            return _Sized(value, bits, nesting)
        if value.is_Float and (math.isinf(float(value)) or (float(value) == 0.0) != (not value)):
            self.refuse("a number exceeds the range of floating point", at)
        size = _bits(value)
        if size > _MAX_NUMBER_BITS:
            self.refuse("a number is too long", at)
        return _Sized(value, size)


def _bits(number: sp.Expr) -> int:
    """The size of a number: of an integer or fraction its digits, of a float its exponent."""
    if number.is_Float:
        _, _, exponent, length = number._mpf_  # type: ignore[attr-defined]
        return abs(exponent + length)
    return number.p.bit_length() + number.q.bit_length()  # type: ignore[attr-defined]


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
