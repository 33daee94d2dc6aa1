"""Choices by value as functions without jumps: where(e > 0, a, b), sign(e) g(|e|), Piecewise.

A step times what vanishes at the step has no jump, and its derivative holds no Dirac delta:

    step(e) D(e) = D(relu(e)),    sign(e) D(e) = D(relu(e)) - D(-relu(-e)),    D(0) = 0.

So written, it is a function that the theory differentiates twice as it stands.
"""

from __future__ import annotations

from typing import Any, cast

import sympy as sp
from sympy.core.relational import Relational

from rnnmft.activations import relu, step
from rnnmft.errors import CellError

__all__ = ["choice", "condition", "without_jumps"]


def choice(indicator: sp.Expr, then: sp.Expr, other: sp.Expr) -> sp.Expr:
    """`then` where the indicator is one, `other` where it is zero.

    >>> e = sp.Symbol("e", real=True)
    >>> choice(step(e), e, e / 10)
    e/10 + 9*relu(e)/10
    """
    if isinstance(1 - indicator, step):
        return choice(1 - indicator, other, then)
    return without_jumps(other + indicator * (then - other))


def condition(relation: sp.Basic) -> sp.Expr:
    """A comparison as an indicator, one where it holds and zero elsewhere.

    Raises:
        CellError: an equality, which holds nowhere but on a set without measure.

    >>> e = sp.Symbol("e", real=True)
    >>> condition(e > 1), condition(e <= 1)
    (step(e - 1), 1 - step(e - 1))
    """
    if relation in (sp.true, sp.false):
        return sp.Integer(int(bool(relation)))
    if isinstance(relation, sp.And):
        return cast("sp.Expr", sp.Mul(*map(condition, relation.args)))
    if isinstance(relation, sp.Or):
        return 1 - cast("sp.Expr", sp.Mul(*(1 - condition(r) for r in relation.args)))
    if isinstance(relation, sp.Not):
        return 1 - condition(relation.args[0])
    if isinstance(relation, Relational) and not isinstance(relation, (sp.Eq, sp.Ne)):
        above = relation.gts - relation.lts
        strict = isinstance(relation, (sp.StrictGreaterThan, sp.StrictLessThan))
        first = relation.args[0] == relation.gts
        # One form for both sides of a threshold: a step in the relation's first member.
        return (step(above) if strict else 1 - step(-above)) if first else _below(above, strict)
    raise CellError(f"a choice needs a comparison by < or >, got {relation}")


def _below(above: sp.Expr, strict: bool) -> sp.Expr:
    """Whether gts - lts > 0 where the first member is the lesser: 1 - step(lts - gts)."""
    return step(above) if strict else 1 - step(-above)


def without_jumps(expression: sp.Expr) -> sp.Expr:
    """The expression with Piecewise as indicators, and steps and signs taken into functions.

    Where a jump remains (D(0) is not 0) the step remains.

    >>> e = sp.Symbol("e", real=True)
    >>> found = without_jumps(sp.sign(e) * sp.log(1 + sp.Abs(e)))
    >>> found == sp.log(relu(e) + 1) - sp.log(relu(-e) + 1)
    True
    >>> without_jumps(sp.Piecewise((e, e > 0), (e / 10, True)))
    e/10 + 9*relu(e)/10
    """
    if not expression.has(step, sp.sign, sp.Piecewise, sp.Heaviside):
        return expression
    if expression.args:
        parts = [
            without_jumps(a) if isinstance(a, sp.Expr) else a for a in expression.args
        ]  # a Piecewise has pairs, whose comparisons stay
        expression = expression.func(*parts)
    if isinstance(expression, sp.Piecewise):
        return _piecewise(expression)
    if isinstance(expression, sp.Add):
        return cast("sp.Expr", sp.Add(*(_product(term) for term in _by_step(expression))))
    return _product(expression)


def _piecewise(expression: sp.Piecewise) -> sp.Expr:
    result: Any = None
    for value, holds in reversed(expression.args):  # type: ignore[misc]
        value = without_jumps(value)
        if result is None:
            if holds != True:  # noqa: E712
                raise CellError(f"{expression} says nothing where {sp.Not(holds)}")
            result = value
        else:
            result = choice(condition(holds), value, result)
    return result


def _by_step(total: sp.Expr) -> list[sp.Expr]:
    """Terms of a sum, those with the same step or sign taken together: their jumps may cancel."""
    groups: dict[Any, list[sp.Expr]] = {}
    for term in sp.Add.make_args(total.expand(deep=False)):
        factor = _jump(term)
        groups.setdefault(factor, []).append(term if factor is None else term / factor)
    return [
        cast("sp.Expr", sp.Add(*terms) if factor is None else factor * sp.Add(*terms))
        for factor, terms in groups.items()
    ]


def _jump(term: sp.Expr) -> sp.Expr | None:
    """The first step or sign among the factors of a product."""
    found = [f for f in sp.Mul.make_args(term) if isinstance(f, (step, sp.sign))]
    return found[0] if found else None


def _product(term: sp.Expr) -> sp.Expr:
    """A step or sign times D as D of a relu, where D vanishes at the jump."""
    factor = _jump(term)
    if factor is None:
        return term
    rest = cast("sp.Expr", term / factor)
    above = _moved(rest, factor.args[0], relu(factor.args[0]))
    if above is None:
        return term
    if isinstance(factor, step):
        return above
    below = _moved(rest, factor.args[0], -relu(-factor.args[0]))
    return term if below is None else above - below


def _moved(rest: sp.Expr, argument: sp.Expr, new: sp.Expr) -> sp.Expr | None:
    """D with `new` in the place of the argument, or None.

    None where D is not 0 at argument 0, or the argument is not affine in a symbol.
    """
    if not rest.free_symbols & argument.free_symbols:
        return None
    for symbol in sorted(argument.free_symbols, key=str):
        slope = sp.diff(argument, symbol)
        if slope.is_number and slope != 0:
            at = sp.Dummy("a", real=True)
            inverse = symbol + (at - argument) / slope
            if not sp.expand(inverse).has(symbol):
                inverse = sp.expand(inverse)
            function = rest.xreplace({symbol: inverse})
            return _positive(function, at, new) if _vanishes(function, at) else None
    return None


def _vanishes(function: sp.Expr, at: sp.Symbol) -> bool:
    """Whether it is 0 at 0, but for the rounding of its numbers."""
    zero = sp.expand(_at_numbers(function.xreplace({at: sp.S.Zero})))
    if zero.free_symbols and zero.count_ops() < _LONG:
        zero = sp.simplify(zero)
    return zero == 0 or (zero.is_number and (abs(zero) < _ROUNDING) is sp.true)


# What simplify is not asked to look at; it would take seconds.
_LONG = 60
_ROUNDING = 1e-14


def _positive(function: sp.Expr, at: sp.Symbol, new: sp.Expr) -> sp.Expr:
    """The function at relu(e) or -relu(-e), where kinks that lie on the other side are gone."""
    sign = -1 if new.could_extract_minus_sign() else 1
    known = {sp.Abs(at): sign * at, sp.sign(at): sp.Integer(sign)}

    def beyond(node: sp.Basic) -> bool:
        return isinstance(node, (relu, step)) and _side(node.args[0], at, sign) is not None

    def settled(node: Any) -> sp.Expr:
        side = _side(node.args[0], at, sign)
        if isinstance(node, step):
            return sp.Integer(side == 1)
        return node.args[0] if side == 1 else sp.S.Zero

    return function.xreplace(known).replace(beyond, settled).xreplace({at: new})


def _side(argument: sp.Expr, at: sp.Symbol, sign: int) -> int | None:
    """1 where c + s a > 0 for all a of this sign, -1 where it is never, None where it depends."""
    slope, constant = sp.diff(argument, at), argument.xreplace({at: sp.S.Zero})
    if not (slope.is_number and constant.is_number):
        return None
    slope = sign * slope
    if slope >= 0 and constant >= 0 and (slope > 0 or constant > 0):
        return 1
    return -1 if slope <= 0 and constant <= 0 else None


def _at_numbers(expression: sp.Expr) -> sp.Expr:
    """relu and step of numbers as numbers."""

    def value(node: Any) -> sp.Expr:
        x = node.args[0]
        return sp.Max(x, 0) if isinstance(node, relu) else sp.Integer(bool(x > 0))

    return expression.replace(
        lambda node: isinstance(node, (relu, step)) and node.args[0].is_number, value
    )
