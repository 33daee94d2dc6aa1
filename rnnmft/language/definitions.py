"""A cell's expressions: each elementwise; preactivations and averages, and their order in a step.

Eq. (cell), Eq. (population-average).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import sympy as sp
from sympy.core.function import AppliedUndef

from rnnmft.activations import Activation, canonical_functions
from rnnmft.errors import CellError
from rnnmft.language.choices import without_jumps
from rnnmft.language.symbols import Average, Preactivation, evaluated

__all__ = ["Definition", "collect", "dependency_order", "elementwise", "of_kind", "place_of"]

#: What a step computes before the update.
Definition = Preactivation | Average

_ELEMENTWISE = (sp.Add, sp.Mul, sp.Pow, sp.Number, sp.NumberSymbol, sp.exp, sp.erf, sp.sin, sp.cos)
_ELEMENTWISE += (sp.log, sp.Abs, sp.sign, sp.atan, Activation)
_ARGUMENTS = ("self", "weights", "parameters")


def elementwise(value: Any, place: str) -> sp.Expr:
    """The value as an elementwise SymPy expression, or CellError."""
    if isinstance(value, str):
        raise CellError(f"{place} is text; write an expression, or use cells.load for text")
    try:
        written = canonical_functions(sp.sympify(value, strict=True))
        expression = evaluated(without_jumps(written))
    except sp.SympifyError:
        raise CellError(f"{place} is not an expression: {value!r}") from None
    for node in sp.preorder_traversal(expression):
        if isinstance(node, AppliedUndef):
            raise CellError(
                f"{place} uses the undefined function {node.func.__name__!r}; "
                "define it with rnnmft.activations.define_activation"
            )
        complex_root = isinstance(node, sp.Pow) and node.is_number and node.is_real is False
        if complex_root or node in (sp.nan, sp.zoo, sp.oo, -sp.oo, sp.I):
            raise CellError(f"{place} holds {node}: it must be a finite real expression")
        if not isinstance(node, (sp.Symbol, *_ELEMENTWISE)):
            raise CellError(f"{place} is not elementwise: it uses {type(node).__name__}")
    return cast("sp.Expr", expression)


def place_of(definition: Definition) -> str:
    """The words for where a definition's expression stands."""
    if isinstance(definition, Average):
        return f"the average {definition.name!r}"
    return f"what {definition.name!r} sees"


def of_kind(kind: type, given: Iterable[Any]) -> list[Any]:
    """The given symbols, all of that kind."""
    found = list(given)
    for d in found:
        if not isinstance(d, kind):
            raise CellError(f"{kind.__name__.lower()}s must hold {kind.__name__}, got {d!r}")
    return found


def collect(expressions: Iterable[sp.Expr], extra: Iterable[Definition]) -> tuple[Definition, ...]:
    """All definitions that the expressions reach, first met first; one name, one meaning."""
    found: dict[str, Definition] = {}
    queue: list[Definition] = [*extra]
    for expression in expressions:
        queue += _definitions(expression)
    while queue:
        d = queue.pop(0)
        if d.name in _ARGUMENTS and isinstance(d, Preactivation):
            raise CellError(f"no preactivation can be named {d.name!r}: Cell.ensemble has it")
        if d.name not in found:
            found[d.name] = d
            elementwise(d.content, place_of(d))
            queue += _definitions(d.content)
        elif found[d.name] != d:
            raise CellError(
                f"{d.name!r} is defined twice: {place_of(found[d.name])} is "
                f"{found[d.name].content}, and {place_of(d)} is {d.content}"
            )
    return tuple(found.values())


def _definitions(expression: sp.Expr) -> list[Definition]:
    return sorted(expression.atoms(Preactivation, Average), key=lambda d: d.name)


def dependency_order(
    definitions: Sequence[Definition], contents: Mapping[Definition, sp.Expr]
) -> tuple[Definition, ...]:
    """Sort preactivations and averages so that each holds only earlier ones; ties keep the order.

    Raises:
        CellError: naming the members of a circle.
    """
    needs = {d: contents[d].free_symbols for d in definitions}
    order: list[Definition] = []
    waiting = list(definitions)
    while waiting:
        ready = next((d for d in waiting if needs[d].isdisjoint(waiting)), None)
        if ready is None:
            kinds = "preactivations" if _all_preactivations(waiting) else "definitions"
            raise CellError(f"circle among {kinds}: {_circle(waiting, contents)}")
        order.append(ready)
        waiting.remove(ready)
    return tuple(order)


def _all_preactivations(waiting: Sequence[Definition]) -> bool:
    return all(isinstance(d, Preactivation) for d in waiting)


def _circle(waiting: Sequence[Definition], contents: Mapping[Definition, sp.Expr]) -> str:
    path = [waiting[0]]
    while True:
        following = next(d for d in waiting if d in contents[path[-1]].free_symbols)
        if following in path:
            return " -> ".join(d.name for d in [*path[path.index(following) :], following])
        path.append(following)
