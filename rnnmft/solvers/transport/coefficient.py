"""A random coefficient of the accumulated state, its gain or its noise, as matrices on the grid.

It depends on the laws of its own preactivations alone. Steps that share them, of one search or of
points of a map, share these matrices.

Eq. (transport), Eq. (transport-tangent), Eq. (gauss-rule).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from rnnmft.errors import DerivationError
from rnnmft.language import Cell
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.solvers.transport.gauss_rules import (
    CoefficientRule,
    coefficient_rule,
    joint_weights,
    product_rule,
)
from rnnmft.solvers.transport.law_grid import LawGrid
from rnnmft.theory.accumulator import AccumulatorForm, accumulator_form, single_combination

__all__ = [
    "Coefficient",
    "Factor",
    "Kind",
    "Terms",
    "coefficient",
    "coefficient_factors",
    "factors_of",
]

Array = NDArray[np.float64]
Function = Callable[[Array], Array]
Terms = tuple[tuple[str, float], ...]
Kind = Literal["gain", "noise"]
# Singular values of joint weights below this part of the largest are rounding: 500 eps.
_RANK = 1e-13
# Coefficients kept: those of a search on the coarse grid (23 values, two coefficients), which the
# next point of a map asks for again, and a point's own; half a megabyte each on the finer grids.
_KEPT = 64


@dataclass(frozen=True)
class Factor:
    """A factor of a coefficient: a function of one combination of preactivations.

    `terms`: (preactivation, coefficient) of the combination; `derivative`: by the combination.
    """

    terms: Terms
    function: Function
    derivative: Function

    def law(self, laws: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
        """Mean and variance of the combination, from those of preactivations."""
        mean = sum(a * laws[name][0] for name, a in self.terms)
        return mean, sum(a * a * laws[name][1] for name, a in self.terms)

    def covariance(self, covariances: Mapping[str, float]) -> float:
        """The covariance of the combination on two trajectories."""
        return sum(a * a * covariances[name] for name, a in self.terms)


def _compiled(expression: sp.Expr, symbol: sp.Symbol) -> Function:
    compiled = compile_elementwise([expression], [symbol])
    return lambda values: compiled(np.asarray(values))[0]


def factors_of(product: sp.Expr, what: str, form: AccumulatorForm) -> tuple[Factor, ...]:
    """The factors of a product of independent functions of one combination each.

    Raises:
        DerivationError: it is not such a product.
    """
    constant, rest = product.as_independent(*product.free_symbols, as_Add=False)
    groups: dict[frozenset[sp.Basic], sp.Expr] = {}
    for factor in sp.Mul.make_args(rest):
        symbols = frozenset(factor.free_symbols)
        groups[symbols] = groups.get(symbols, sp.S.One) * factor
    first = next(iter(groups))
    groups[first] = constant * groups[first]
    held = [s for symbols in groups for s in symbols]
    found = [single_combination(f, form.cell.preactivations) for f in groups.values()]
    apart = len(set(held)) == len(held) and set(held) <= set(form.cell.preactivations)
    if not apart or any(one is None for one in found):
        raise DerivationError(
            f"the {what} in cell {form.cell.name!r} is not a product of functions of one "
            "combination of preactivations each"
        )
    return tuple(
        Factor(
            tuple((p.name, float(a)) for p, a in terms.items()),
            _compiled(f, u),
            _compiled(sp.diff(f, u), u),
        )
        for f, u, terms in (one for one in found if one is not None)
    )


@lru_cache(maxsize=64)
def coefficient_factors(cell: Cell) -> dict[Kind, tuple[Factor, ...]]:
    """The factors of gain and of noise.

    Raises:
        DerivationError: they share a preactivation, or are not products of such functions.
    """
    form = accumulator_form(cell)
    if not form.independent or not form.gain.free_symbols or not form.noise.free_symbols:
        raise DerivationError(
            f"gain and noise of {form.state.name!r} in cell {cell.name!r} are not independent "
            "random numbers"
        )
    return {
        "gain": factors_of(form.gain, f"gain of {form.state.name!r}", form),
        "noise": factors_of(form.noise, f"noise of {form.state.name!r}", form),
    }


@lru_cache(maxsize=_KEPT)
def coefficient(
    kind: Kind, cell: Cell, grid: LawGrid, laws: tuple[tuple[str, float, float], ...], size: int
) -> Coefficient:
    """The coefficient at laws of its preactivations, made once. See `Coefficient`."""
    named = {name: (mean, variance) for name, mean, variance in laws}
    return Coefficient(kind, cell, grid, named, size)


@dataclass(frozen=True, eq=False)
class Coefficient:
    """The gain or the noise of a cell.

    Attributes:
        kind: which.
        cell, grid: whose, and where its matrices act.
        laws: {name: (mean, variance)} of the preactivations in it; of many points, (B,) each, whose
            matrices are then (.., B, n, n).
        size: Gauss nodes; a gain of one factor has fine nodes in e instead, for one trajectory.
    """

    kind: Kind
    cell: Cell
    grid: LawGrid
    laws: Mapping[str, tuple[float, float]]
    size: int

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The functions that it is a product of."""
        return coefficient_factors(self.cell)[self.kind]

    def _rule(
        self, weights: Mapping[Terms, Function] | None = None
    ) -> tuple[CoefficientRule, list[CoefficientRule], Callable[[list[Array]], Array]]:
        parts = [
            coefficient_rule(
                f.function, *f.law(self.laws), self.size, weights[f.terms] if weights else None
            )
            for f in self.factors
        ]
        whole, joint = product_rule(parts, self.size)
        return whole, parts, joint

    def _of_one(self, weights: Mapping[Terms, Function] | None = None) -> CoefficientRule:
        """The rule for one trajectory, the measure tilted by weights of each factor's e."""
        if self.kind == "noise" or len(self.factors) > 1:
            return self._rule(weights)[0]
        f = next(iter(self.factors))
        weight = weights[f.terms] if weights else None
        mean, variance = f.law(self.laws)
        return coefficient_rule(f.function, mean, variance, None, weight)

    @cached_property
    def rule(self) -> CoefficientRule:
        """The rule for one trajectory."""
        return self._of_one()

    def _means(self, nodes: Array, weights: Array) -> Array:
        means = self.grid.gain_means if self.kind == "gain" else self.grid.noise_means
        return means(nodes, weights)

    @cached_property
    def powers(self) -> Array:
        """E[alpha^p phi(alpha c)] or E[beta^p phi(c + beta)] for p = 0, 1, 2: (3, n, n)."""
        nodes, weights = self.rule.nodes, self.rule.weights
        return self._means(nodes, np.stack([weights * nodes**p for p in range(3)]))

    @cached_property
    def tilts(self) -> list[tuple[Factor, Array]]:
        """For each factor: the matrix under the weight (d coefficient / d u)^2."""
        return [(f, self._tilted(f)) for f in self.factors]

    def _tilted(self, along: Factor) -> Array:
        weights: dict[Terms, Function] = {}
        for f in self.factors:
            taken = f.derivative if f is along else f.function
            weights[f.terms] = lambda e, _f=taken: _f(e) ** 2
        rule = self._of_one(weights)
        return self._means(rule.nodes, rule.weights[None])[0]

    def moment(self, order: int) -> Array:
        """E[x^order]."""
        return (self.rule.weights * self.rule.nodes**order).sum(-1)

    # --- two trajectories ----------------------------------------------------------------------

    @cached_property
    def _joint_parts(self) -> tuple[Any, ...]:
        """Rule, factors' rules, their combination, cardinal functions."""
        rule, parts, combine = self._rule()
        tensor = self.grid.gain_tensor if self.kind == "gain" else self.grid.noise_tensor
        return rule, parts, combine, tensor(rule).reshape(len(rule.nodes), -1)

    def joint(self, covariances: Mapping[str, float]) -> tuple[Array, Array, float]:
        """Matrices L_r, R_r, (r n, n) and (r, n, n), and E[x_a x_b] of two trajectories.

        E[phi(x_a) omega phi(x_b)] = sum_r L_r^T omega R_r over the weights' singular vectors.
        """
        rule, parts, combine, phi = self._joint_parts
        weights = combine(
            [
                joint_weights(
                    part, f.function, *f.law(self.laws), covariance=f.covariance(covariances)
                )
                for part, f in zip(parts, self.factors, strict=True)
            ]
        )
        left, values, right = np.linalg.svd(weights)
        rank, size = int((values > _RANK * values[0]).sum()), self.grid.size
        first = ((left[:, :rank] * values[:rank]).T @ phi).reshape(rank * size, size)
        second = (right[:rank] @ phi).reshape(rank, size, size)
        return first, second, float(rule.nodes @ weights @ rule.nodes)
