"""Where an integrand changes fast: read from the arguments of its activations, symbolically.

An argument a z + b that is affine in the bound variable z gives a landmark at z = -b / a of width
1 / |a|, or one at (kink - b) / a for each kink of the activation; in a sine it gives a wave of
frequency |a|, which the nodes have to resolve from the first level on (doubling cannot tell a wave
from its alias). An inner expectation over y ~ N(m(z), v) hands its own landmarks (place p, width w)
outwards: they are passed where m(z) = p, on a scale sqrt(w^2 + v) / |dm/dz|. An argument that is
not affine gives none, or a hidden kink: the doubling of the nodes copes, or reports that it did
not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy as sp

from rnnmft.activations import Activation
from rnnmft.expectation import GaussianExpectation
from rnnmft.numerics.charts import Kind

__all__ = ["Landmark", "find_landmarks"]

_WAVES = (sp.sin, sp.cos)
_KINKED_AT_ZERO = (sp.Abs, sp.sign, sp.log, sp.Heaviside)


@dataclass(frozen=True)
class Landmark:
    """A place and a width, as expressions without the bound variable, and what is there.

    A wave is everywhere: its place is 0 and its width one over its frequency.
    """

    place: sp.Expr
    width: sp.Expr
    kind: Kind = Kind.SMOOTH


def find_landmarks(integrand: sp.Expr, variable: sp.Symbol) -> list[Landmark]:
    """The landmarks of an integrand in one bound variable, each place once."""
    found: dict[tuple[sp.Expr, Kind], Landmark] = {}
    for mark in _walk(integrand, variable):
        known = found.get((mark.place, mark.kind))
        if known is None or (mark.width.is_number and (mark.width < known.width) == True):  # noqa: E712
            found[mark.place, mark.kind] = mark
    return list(found.values())


def _walk(expression: sp.Basic, variable: sp.Symbol) -> Iterator[Landmark]:
    if variable not in expression.free_symbols:
        return
    if isinstance(expression, GaussianExpectation):
        yield from _through(expression, variable)
    elif isinstance(expression, sp.Pow):
        base, exponent = expression.args
        if not (exponent.is_Integer and exponent.is_nonnegative) and not exponent.has(variable):
            yield from _zeros(base, variable, (sp.S.Zero,))
    elif isinstance(expression, (sp.Max, sp.Min)) and len(expression.args) == 2:
        yield from _zeros(expression.args[0] - expression.args[1], variable, (sp.S.Zero,))
    elif isinstance(expression, sp.Function) and not isinstance(expression, sp.exp):
        kinks: tuple[sp.Expr, ...] = ()
        if isinstance(expression, _WAVES):
            line = _affine(expression.args[0], variable)
            if line is not None:
                yield Landmark(sp.S.Zero, 1 / sp.Abs(line[0]), Kind.WAVE)
        elif isinstance(expression, Activation):
            kinks = type(expression).kinks
        elif isinstance(expression, _KINKED_AT_ZERO):
            kinks = (sp.S.Zero,)
        if not isinstance(expression, _WAVES):
            yield from _zeros(expression.args[0], variable, kinks)
    for part in expression.args:
        if not isinstance(expression, GaussianExpectation):
            yield from _walk(part, variable)


def _zeros(
    argument: sp.Expr, variable: sp.Symbol, kinks: tuple[sp.Expr, ...]
) -> Iterator[Landmark]:
    line = _affine(argument, variable)
    if line is None:
        if kinks and variable in argument.free_symbols:
            yield Landmark(sp.S.Zero, sp.S.One, Kind.HIDDEN)
        return
    slope, constant = line
    width = 1 / sp.Abs(slope)
    if not kinks:
        yield Landmark(-constant / slope, width)
    for kink in kinks:
        yield Landmark((kink - constant) / slope, width, Kind.KINK)


def _through(node: GaussianExpectation, variable: sp.Symbol) -> Iterator[Landmark]:
    """Landmarks of a univariate inner node, seen from outside."""
    for part in (*node.means, *node.covariance):
        yield from _walk(part, variable)
    bound = node.variables[0]
    for mark in _walk(node.integrand, variable):
        if bound not in mark.place.free_symbols and bound not in mark.width.free_symbols:
            yield mark
    (variance,) = node.covariance
    for mark in find_landmarks(node.integrand, bound):
        if mark.kind is Kind.HIDDEN:
            continue
        if mark.kind is Kind.WAVE:
            line = _affine(node.means[0], variable)
            if line is not None and variable not in mark.width.free_symbols:
                yield Landmark(sp.S.Zero, mark.width / sp.Abs(line[0]), Kind.WAVE)
            continue
        line = _affine(node.means[0] - mark.place, variable)
        if line is None or variable in mark.width.free_symbols:
            continue
        slope, constant = line
        spread = sp.S.Zero if variable in variance.free_symbols else variance
        yield Landmark(
            -constant / slope, sp.sqrt(mark.width**2 + spread) / sp.Abs(slope), mark.kind
        )


def _affine(argument: sp.Expr, variable: sp.Symbol) -> tuple[sp.Expr, sp.Expr] | None:
    """(slope, constant) of an argument that is affine in the variable and contains it, or None."""
    slope = sp.diff(argument, variable)
    if slope == 0 or variable in slope.free_symbols:
        return None
    constant = argument.xreplace({variable: sp.S.Zero})
    if constant.has(sp.nan, sp.zoo, sp.oo):
        return None
    return slope, constant
