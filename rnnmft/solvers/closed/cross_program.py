"""The cross moment's map of a recursion, as steps in which every pair expectation is a series.

Each covariance q_ab, in order, and last the new cross moment T, are expressions in the cross moment
C, parameters, moments, single expectations and pair expectations P_i(q_ab). Their derivatives
along C follow by the chain rule, with dP_i / dq_ab.

Eq. (affine-pair), Eq. (chi).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import sympy as sp

from rnnmft.expectation import GaussianExpectation
from rnnmft.numerics.backends import get_backend
from rnnmft.numerics.block import Block
from rnnmft.numerics.build import build_block
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.numerics.iterated_pair import pair_form
from rnnmft.numerics.tabulated import Untabulated
from rnnmft.solvers.closed.recursion import Array, Point, UntiedRecursion

__all__ = ["CrossProgram", "PairSeries"]


class PairSeries(Protocol):
    """A pair expectation as a function of the correlation."""

    def at(self, rho: Array) -> tuple[Array, Array]:
        """Value and derivative."""
        ...

    def errors(self, rho: Array, deviation_error: Array) -> tuple[Array, Array]:
        """Bounds of both."""
        ...


class _PairTerm(NamedTuple):
    """A pair expectation: symbols of P and dP/dq_ab, its law's number, its sides' places."""

    value: sp.Symbol
    slope: sp.Symbol
    law: int
    sides: tuple[int, int]


class _CrossStep(NamedTuple):
    """A covariance (or T): its symbol, value and derivative along C, and the pairs of its law."""

    symbol: sp.Symbol
    block: Block
    pairs: tuple[int, ...]
    law: int | None


@dataclass(frozen=True, eq=False)
class CrossProgram:
    """The map C -> T(C) of a recursion with one cross moment.

    Raises:
        Untabulated: another number of cross moments, or a pair expectation of another form.
    """

    recursion: UntiedRecursion

    def __post_init__(self) -> None:
        if len(self.recursion.cross_keys) != 1:
            raise Untabulated("more than one cross moment")
        _ = self._built

    @cached_property
    def parameters(self) -> set[sp.Symbol]:
        """The symbols of the ensemble and the inputs."""
        return set(self.recursion.parameters)

    @cached_property
    def _built(self) -> _Built:
        return _Built.of(self.recursion)

    @property
    def pairs(self) -> list[_PairTerm]:
        """Every pair expectation."""
        return self._built.pairs

    @property
    def means(self) -> list[sp.Symbol]:
        """mu_b of every law."""
        return self._built.means

    @property
    def variance_rows(self) -> list[int]:
        """Where among the singles the laws' variances are."""
        return list(range(len(self._built.means)))

    @cached_property
    def functions(self) -> list[Callable[[Array], tuple[Array, ...]]]:
        """The sides of every law's pairs, as functions of the preactivation."""
        variable = self._built.variable
        return [compile_elementwise(list(side), [variable]) for side in self._built.sides]

    @property
    def singles(self) -> list[sp.Expr]:
        """q of every law, the moments, then the expectations of one trajectory."""
        return [*self._built.variances, *self._built.moments, *self._built.nodes]

    def run(
        self,
        point: Point,
        single: Array,
        cross: Array,
        series: Sequence[Callable[[Array], tuple[Array, Array]]],
    ) -> tuple[Array, Array]:
        """T(C) and its derivative."""
        built, values = self._built, self._values(point, single, cross)
        for step in built.steps:
            state = step.block.run([values[s] for s in built.arguments])
            value, slope = (
                np.broadcast_to(state.values[i], cross.shape) for i in step.block.outputs
            )
            if step.law is None:
                return value, slope
            values[step.symbol], values[built.slopes[step.symbol]] = value, slope
            q = single[step.law]
            for k in step.pairs:
                found, rate = series[k](np.clip(value / q, -1.0, 1.0))
                values[built.pairs[k].value], values[built.pairs[k].slope] = found, rate / q
        raise AssertionError("the last step is T")

    def errors(
        self,
        point: Point,
        single: Array,
        single_error: Array,
        cross: Array,
        series: Sequence[PairSeries],
    ) -> tuple[Array, Array]:
        """Bounds of the errors of T(C) and T'(C) at a given C."""
        built, values = self._built, self._values(point, single, cross)
        errors: dict[sp.Symbol, Any] = dict(zip(built.single_symbols, single_error, strict=True))
        for step in built.steps:
            given = [errors.get(s) for s in built.arguments]
            state = step.block.run([values[s] for s in built.arguments], given)
            found = [np.broadcast_to(state.values[i], cross.shape) for i in step.block.outputs]
            off = [
                np.broadcast_to(0.0 if state.errors[i] is None else state.errors[i], cross.shape)
                for i in step.block.outputs
            ]
            if step.law is None:
                return off[0], off[1]
            slope = built.slopes[step.symbol]
            values[step.symbol], values[slope] = found
            errors[step.symbol], errors[slope] = off
            q, q_error = single[step.law], single_error[step.law]
            rho = np.clip(found[0] / q, -1.0, 1.0)
            moved = (off[0] + np.abs(rho) * q_error) / q
            for k in step.pairs:
                self._pair_error(k, series[k], rho, moved, q, q_error, values, errors)
        raise AssertionError("the last step is T")

    def _pair_error(
        self,
        k: int,
        series: PairSeries,
        rho: Array,
        moved: Array,
        q: Array,
        q_error: Array,
        values: dict[sp.Symbol, Any],
        errors: dict[sp.Symbol, Any],
    ) -> None:
        """Value and slope of a pair, with what its series, q and the correlation leave open."""
        pair = self._built.pairs[k]
        found, rate = series.at(rho)
        beside = np.clip(rho - np.copysign(_ASIDE, rho), -1.0, 1.0)
        bend = np.abs(series.at(beside)[1] - rate) / _ASIDE
        own, own_rate = series.errors(rho, 0.5 * q_error / np.sqrt(q))
        values[pair.value], values[pair.slope] = found, rate / q
        errors[pair.value] = own + np.abs(rate) * moved
        errors[pair.slope] = (own_rate + bend * moved + np.abs(rate) * q_error / q) / q

    def _values(self, point: Point, single: Array, cross: Array) -> dict[sp.Symbol, Any]:
        built = self._built
        values: dict[sp.Symbol, Any] = {s: point[s] for s in self.recursion.parameters}
        values |= dict(zip(built.single_symbols, single, strict=True))
        values |= dict.fromkeys(built.arguments[len(values) :], 0.0)
        values[built.cross] = cross
        return values


# How far beside a correlation the second derivative of a series is looked at.
_ASIDE = 1e-5


@dataclass(frozen=True, eq=False)
class _Built:
    """The symbols and steps of a `CrossProgram`."""

    cross: sp.Symbol
    variable: sp.Symbol
    means: list[sp.Symbol]
    variances: list[sp.Symbol]
    moments: list[sp.Symbol]
    nodes: list[sp.Expr]
    single_symbols: list[sp.Symbol]
    pairs: list[_PairTerm]
    sides: list[dict[sp.Expr, int]]
    slopes: dict[sp.Symbol, sp.Symbol]
    arguments: list[sp.Symbol]
    steps: list[_CrossStep]

    @classmethod
    def of(cls, recursion: UntiedRecursion) -> _Built:
        derivation = recursion.derivation
        n, preactivations = derivation.notation, derivation.cell.preactivations
        covariances = recursion.covariances()
        (cross,) = recursion.symbols(recursion.cross_keys)
        target = derivation.cross_moments[recursion.cross_keys[0]]
        expressions = [*(e for _, e in covariances), target]
        laws = {(n.mu_b[p], n.q[p], n.q_ab[p]): k for k, p in enumerate(preactivations)}
        sides = [dict[sp.Expr, int]() for _ in preactivations]
        variable = sp.Dummy("e", real=True)
        found = set().union(*(e.atoms(GaussianExpectation) for e in expressions))
        every = sorted(found, key=str)
        nodes = [node for node in every if len(node.variables) == 1]
        terms = {x: _term(x, laws, sides, variable) for x in every if len(x.variables) > 1}
        read = {x: sp.Dummy("E", real=True) for x in nodes}
        read |= {x: term.value for x, term in terms.items()}
        pairs = list(terms.values())
        slopes = {s: sp.Dummy(f"d{s.name}", real=True) for s, _ in covariances}
        variances, moments = [n.q[p] for p in preactivations], recursion.symbols(recursion.keys)
        single_symbols = [*variances, *moments, *(read[x] for x in nodes)]
        arguments = [*recursion.parameters, *single_symbols, cross, *slopes, *slopes.values()]
        arguments += [s for p in pairs for s in (p.value, p.slope)]
        plain = [e.xreplace(read) for e in expressions]
        steps = _steps(recursion, cross, plain, pairs, slopes, arguments)
        means = [n.mu_b[p] for p in preactivations]
        symbols = cross, variable, means, variances, moments, nodes, single_symbols
        return cls(*symbols, pairs, sides, slopes, arguments, steps)


def _steps(
    recursion: UntiedRecursion,
    cross: sp.Symbol,
    expressions: Sequence[sp.Expr],
    pairs: Sequence[_PairTerm],
    slopes: dict[sp.Symbol, sp.Symbol],
    arguments: list[sp.Symbol],
) -> list[_CrossStep]:
    """Every covariance and T, each with its derivative along C."""
    uncertain = [s for s in arguments if s not in recursion.parameters and s != cross]
    covariances, steps = list(slopes), []
    for k, expression in enumerate(expressions):
        slope = sp.diff(expression, cross)
        # Where a pair has a closed form the covariance itself is there.
        slope += sp.Add(*(sp.diff(expression, s) * along for s, along in slopes.items()))
        for pair in pairs:
            with_law = pair.slope * slopes[covariances[pair.law]]
            slope += sp.diff(expression, pair.value) * with_law
        both, backend = [expression, slope], get_backend("numpy")
        block = build_block(both, arguments, backend, 0.0, uncertain=uncertain)
        if k == len(covariances):
            steps.append(_CrossStep(sp.Dummy("T"), block, (), None))
        else:
            own = tuple(i for i, p in enumerate(pairs) if p.law == k)
            steps.append(_CrossStep(covariances[k], block, own, k))
    return steps


def _term(
    node: GaussianExpectation,
    laws: dict[tuple[sp.Symbol, sp.Symbol, sp.Symbol], int],
    sides: list[dict[sp.Expr, int]],
    variable: sp.Symbol,
) -> _PairTerm:
    """A pair expectation f(a) g(b) of a preactivation's own law."""
    free = tuple(sorted(node.free_symbols, key=str))
    form = pair_form(node, free)
    mean, q, q_ab, q_b, mean_b = form.law
    law = laws.get((mean, q, q_ab))  # type: ignore[arg-type]
    if law is None or (q_b, mean_b) != (q, mean) or form.sides is None:
        raise Untabulated(f"no series holds {node}")
    found = []
    for side, own in zip(form.sides, form.variables, strict=True):
        body = sp.sympify(side, strict=True).xreplace({own: variable})
        if not body.free_symbols <= {variable}:
            raise Untabulated(f"no series holds {node}")
        found.append(sides[law].setdefault(body, len(sides[law])))
    return _PairTerm(sp.Dummy("P", real=True), sp.Dummy("dP", real=True), law, (found[0], found[1]))
