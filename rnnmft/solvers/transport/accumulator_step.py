"""One step of an accumulated state's law at given preactivation variances, as matrices.

Holds the Gauss rules of gain and noise (and of their squared derivatives, for the tangent process)
at one set of preactivation laws, and applies them to laws, joint laws and tangents.

Eq. (transport), Eq. (transport-tangent).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.special import factorial2

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

__all__ = ["AccumulatorStep", "Factor", "Terms", "coefficient_factors", "factors_of"]

Array = NDArray[np.float64]
Function = Callable[[Array], Array]
Terms = tuple[tuple[str, float], ...]
# Standard deviations beyond which a Gaussian has no mass to speak of: 2e-19.
_REACH = 9.0
# A moment whose 1 - E[alpha^n] is below this has no use as a bound (the least of them is taken).
_LEAST_GAP = 1e-9
# Singular values of joint weights below this part of the largest are rounding: 500 eps.
_RANK = 1e-13


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
def coefficient_factors(cell: Cell) -> tuple[tuple[Factor, ...], tuple[Factor, ...]]:
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
    return (
        factors_of(form.gain, f"gain of {form.state.name!r}", form),
        factors_of(form.noise, f"noise of {form.state.name!r}", form),
    )


@dataclass(frozen=True)
class AccumulatorStep:
    """Matrices of one step at preactivation laws {name: (mean, variance)}.

    `size`: Gauss nodes of a coefficient.
    """

    cell: Cell
    grid: LawGrid
    laws: Mapping[str, tuple[float, float]]
    size: int

    @cached_property
    def _factors(self) -> tuple[tuple[Factor, ...], tuple[Factor, ...]]:
        return coefficient_factors(self.cell)

    def _rule(
        self, factors: tuple[Factor, ...], weights: Mapping[Terms, Function] | None = None
    ) -> tuple[CoefficientRule, list[CoefficientRule], Callable[[list[Array]], Array]]:
        parts = [
            coefficient_rule(
                f.function, *f.law(self.laws), self.size, weights[f.terms] if weights else None
            )
            for f in factors
        ]
        whole, joint = product_rule(parts, self.size)
        return whole, parts, joint

    def _fine_gain(self, weights: Mapping[Terms, Function] | None = None) -> CoefficientRule:
        """The gain's rule for one trajectory: fine nodes in e where the gain has one factor."""
        factors = self._factors[0]
        if len(factors) > 1:
            return self._rule(factors, weights)[0]
        f = next(iter(factors))
        weight = weights[f.terms] if weights else None
        mean, variance = f.law(self.laws)
        return coefficient_rule(f.function, mean, variance, None, weight)

    @cached_property
    def gain(self) -> CoefficientRule:
        """The gain's rule for one trajectory."""
        return self._fine_gain()

    @cached_property
    def noise(
        self,
    ) -> tuple[CoefficientRule, list[CoefficientRule], Callable[[list[Array]], Array]]:
        """The noise's rule, likewise."""
        return self._rule(self._factors[1])

    @cached_property
    def gains(self) -> tuple[Array, Array, Array]:
        """E[alpha^p phi(alpha c)] for p = 0, 1, 2."""
        tensor, rule = self.grid.gain_tensor(self.gain), self.gain
        powers = [rule.weights * rule.nodes**p for p in range(3)]
        return tuple(np.tensordot(w, tensor, axes=1) for w in powers)  # type: ignore[return-value]

    @cached_property
    def noises(self) -> tuple[Array, Array, Array]:
        """E[beta^p phi(c + beta)] for p = 0, 1, 2."""
        rule = self.noise[0]
        tensor = self.grid.noise_tensor(rule)
        powers = [rule.weights * rule.nodes**p for p in range(3)]
        return tuple(np.tensordot(w, tensor, axes=1) for w in powers)  # type: ignore[return-value]

    @cached_property
    def matrix(self) -> Array:
        """P: (P g)(c_i) = E[g(alpha c_i + beta)]; weights move by w' = w P. Eq. (transport)."""
        return self.gains[0] @ self.noises[0]

    def move(self, law: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        """The weights of E[c^p g(c)], p = 0, 1, 2, one step later: c'^p = (alpha c + beta)^p."""
        (a0, a1, a2), (b0, b1, b2), (w0, w1, w2) = self.gains, self.noises, law
        one = (w1 @ a1) @ b0 + (w0 @ a0) @ b1
        two = (w2 @ a2) @ b0 + 2.0 * (w1 @ a1) @ b1 + (w0 @ a0) @ b2
        return (w0 @ a0) @ b0, one, two

    def stationary(self) -> tuple[Array, Array, Array]:
        """The weights of E[c^p g(c)], p = 0, 1, 2, of the stationary law."""
        (a0, a1, a2), (b0, b1, b2) = self.gains, self.noises
        size = self.grid.size
        # w (1 - P) = 0 with unit mass: 1 - P + 1 u^T is regular and w its row u^T, for u = 1 / n.
        system = np.eye(size) - self.matrix + 1.0 / size
        w0 = np.linalg.solve(system.T, np.full(size, 1.0 / size))
        one = np.eye(self.grid.size) - a1 @ b0
        w1 = np.linalg.solve(one.T, (w0 @ a0) @ b1)
        two = np.eye(self.grid.size) - a2 @ b0
        w2 = np.linalg.solve(two.T, 2.0 * (w1 @ a1) @ b1 + (w0 @ a0) @ b2)
        return w0.astype(np.float64), w1.astype(np.float64), w2.astype(np.float64)

    # --- moments of the coefficients -----------------------------------------------------------

    def coefficient_moments(self) -> tuple[float, float, float, float]:
        """E[alpha], E[alpha^2], E[beta], E[beta^2]."""
        alpha, beta = self.gain, self.noise[0]
        return (
            float(alpha.weights @ alpha.nodes),
            float(alpha.weights @ alpha.nodes**2),
            float(beta.weights @ beta.nodes),
            float(beta.weights @ beta.nodes**2),
        )

    def moments(self, mean: float, second: float) -> tuple[float, float]:
        """E[c'] and E[c'^2] from E[c] and E[c^2]: exact, whatever the grid."""
        a, aa, b, bb = self.coefficient_moments()
        return a * mean + b, aa * second + 2 * a * b * mean + bb

    def reach(self, start: float = 0.0, order: int = 24, mass: float = 1e-17) -> float:
        """C such that the law has at most about `mass` beyond |c| = C, once stationary and before.

        Args:
            start: standard deviation of c at t = 0. What is left of it adds to what the noise has
                brought since, which is no wider than the stationary law.
            order: of the highest moment used.
            mass: see above.
        """
        alpha, beta = np.abs(self.gain.nodes), np.abs(self.noise[0].nodes)
        size = float(beta.max()) or 1.0
        gains = [float(self.gain.weights @ alpha**j) for j in range(order + 1)]
        noises = [float(self.noise[0].weights @ (beta / size) ** j) for j in range(order + 1)]
        moments = [1.0]
        for n in range(1, order + 1):
            total = sum(math.comb(n, j) * gains[j] * noises[n - j] * moments[j] for j in range(n))
            moments.append(total / max(1.0 - gains[n], _LEAST_GAP))
        orders = range(8, order + 1, 4)
        stationary = size * min((moments[n] / mass) ** (1.0 / n) for n in orders)
        if start == 0.0:
            return stationary
        if alpha.max() <= 1.0:
            return stationary + _REACH * start
        # E[|c|^n] of what is left falls where E[|alpha|^n] <= 1.
        bounds = [(factorial2(n - 1) / mass) ** (1.0 / n) for n in orders if gains[n] <= 1.0]
        return stationary + min(bounds, default=math.inf) * start

    # --- two trajectories ----------------------------------------------------------------------

    @cached_property
    def _joint_parts(self) -> list[tuple[Any, ...]]:
        """For gain and noise: rule, factors' rules, their combination, cardinal functions."""
        found = []
        for of, tensor in zip(
            self._factors, (self.grid.gain_tensor, self.grid.noise_tensor), strict=True
        ):
            rule, parts, combine = self._rule(of)
            phi = tensor(rule).reshape(len(rule.nodes), -1)
            found.append((rule, parts, combine, of, phi))
        return found

    def joint(
        self, covariances: Mapping[str, float]
    ) -> tuple[Callable[[Array], Array], tuple[float, float]]:
        """How the joint weights of (c_a, c_b) move, and (E[alpha alpha], E[beta beta])."""
        moves, products = [], []
        for rule, parts, combine, factors, phi in self._joint_parts:
            weights = combine(
                [
                    joint_weights(
                        part,
                        f.function,
                        *f.law(self.laws),
                        covariance=f.covariance(covariances),
                    )
                    for part, f in zip(parts, factors, strict=True)
                ]
            )
            products.append(float(rule.nodes @ weights @ rule.nodes))
            left, values, right = np.linalg.svd(weights)
            rank, size = int((values > _RANK * values[0]).sum()), self.grid.size
            first = ((left[:, :rank] * values[:rank]).T @ phi).reshape(rank * size, size)
            second = (right[:rank] @ phi).reshape(rank, size, size)
            moves.append((first, second))

        def move(omega: Array) -> Array:
            for first, second in moves:
                # sum_r first_r^T omega second_r as one batched and one plain product.
                omega = first.T @ (omega @ second).reshape(first.shape[0], -1)
            return omega

        return move, (products[0], products[1])

    # --- tangent -------------------------------------------------------------------------------

    def _tilted(self, which: int, along: Factor) -> Array:
        """The matrix of gain or noise under the weight (d coefficient / d u)^2."""
        factors = self._factors[which]
        weights: dict[Terms, Function] = {}
        for f in factors:
            taken = f.derivative if f is along else f.function
            weights[f.terms] = lambda e, _f=taken: _f(e) ** 2
        if which == 0:
            rule = self._fine_gain(weights)
            return rule.mean(self.grid.gain_tensor(rule))
        rule = self._rule(factors, weights)[0]
        return rule.mean(self.grid.noise_tensor(rule))

    @cached_property
    def tangent_matrix(self) -> Array:
        """How u[g] = E[dc^2 g(c)] moves by itself: u' = u T, T = E[alpha^2 g(alpha c + beta)]."""
        return self.gains[2] @ self.noises[0]

    @cached_property
    def _tilts(self) -> tuple[list[tuple[Factor, Array]], ...]:
        """The tilted matrices of gain and noise, one a factor."""
        return tuple(
            [(f, self._tilted(which, f)) for f in of] for which, of in enumerate(self._factors)
        )

    def tangent_sources(self, law: tuple[Array, Array, Array]) -> dict[str, Array]:
        """{k: weights of E[(dc'/de_k)^2 g(c')]}; (dc'/de)^2 is c^2 f'^2 for a gain."""
        gain, noise = self._tilts
        w0, _, w2 = law
        sources = [(f, (w2 @ tilted) @ self.noises[0]) for f, tilted in gain]
        sources += [(f, (w0 @ self.gains[0]) @ tilted) for f, tilted in noise]
        return {name: a * a * source for f, source in sources for name, a in f.terms}
