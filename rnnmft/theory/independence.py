"""Expectations over independent Gaussian variables: an expression in, products of nodes out.

A unit's preactivations are independent across k, so an expectation of a product factorises. What
does not factorise is reduced: variables that enter only through one linear combination are
replaced by that combination, which is Gaussian given the rest (PyTorch's GRU: n_x + r n_h).

Eq. (moments), Eq. (bonnet-price).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from rnnmft.activations import Activation
from rnnmft.expectation import gaussian_expectation
from rnnmft.regression import SafeInverse
from rnnmft.theory.powers import collect_powers

__all__ = ["GaussianLaw", "expect", "gaussian_moment"]


@lru_cache(maxsize=4096)
def gaussian_moment(
    powers: tuple[int, ...], means: tuple[sp.Expr, ...], covariance: tuple[tuple[sp.Expr, ...], ...]
) -> sp.Expr:
    """E[prod x_i^{n_i}] of a Gaussian vector, by Stein's lemma; of one variable in closed form.

    >>> m, v = sp.symbols("m v")
    >>> gaussian_moment((4,), (m,), ((v,),))
    m**4 + 6*m**2*v + 3*v**2
    """
    held = [i for i, n in enumerate(powers) if n]
    if not held:
        return sp.S.One
    i = held[0]
    n = powers[i]
    if len(held) == 1:
        mean, variance = means[i], covariance[i][i]
        return sp.Add(
            *(
                sp.binomial(n, 2 * k) * sp.factorial2(2 * k - 1) * variance**k * mean ** (n - 2 * k)
                for k in range(n // 2 + 1)
            )
        )

    def without(*removed: int) -> tuple[int, ...]:
        return tuple(p - removed.count(j) for j, p in enumerate(powers))

    rest = without(i)
    terms = [means[i] * gaussian_moment(rest, means, covariance)]
    for j in held:
        if rest[j] and covariance[i][j] != 0:
            lower = gaussian_moment(without(i, j), means, covariance)
            terms.append(rest[j] * covariance[i][j] * lower)
    return sp.expand(sp.Add(*terms))


@dataclass(frozen=True)
class GaussianLaw:
    """The law of one variable (one trajectory) or of a correlated pair (two trajectories).

    `variables`, `means`: of length 1 or 2; `covariance`: (q,) or (q_a, q_ab, q_b).
    """

    variables: tuple[sp.Symbol, ...]
    means: tuple[sp.Expr, ...]
    covariance: tuple[sp.Expr, ...]

    @property
    def symbols(self) -> set[sp.Basic]:
        """What its parameters depend on."""
        return set().union(*(p.free_symbols for p in (*self.means, *self.covariance)))

    @property
    def matrix(self) -> tuple[tuple[sp.Expr, ...], ...]:
        """The covariance matrix, row by row."""
        if len(self.variables) == 1:
            return ((self.covariance[0],),)
        q_a, q_ab, q_b = self.covariance
        return ((q_a, q_ab), (q_ab, q_b))

    def node(self, integrand: sp.Expr) -> sp.Expr:
        """E[integrand] as one canonical node; polynomials are integrated on the spot."""
        if not integrand.free_symbols.intersection(self.variables):
            return integrand
        powers = collect_powers(integrand, self.variables)
        if powers is None:
            return gaussian_expectation(integrand, self.variables, self.means, self.covariance)
        return sp.Add(*(c * gaussian_moment(n, self.means, self.matrix) for n, c in powers.items()))

    def lower(self, product: sp.Expr, variable: sp.Symbol) -> sp.Expr:
        """An expression of equal expectation with one power of `variable` less (Stein's lemma).

        E[v h] = E[v] E[h] + sum_j Cov(v, v_j) E[dh/dv_j], for each term v h of the product.
        """
        i = self.variables.index(variable)
        lowered = []
        for term in sp.Add.make_args(sp.expand(product)):
            if not term.as_independent(variable)[1].as_powers_dict().get(variable, 0):
                lowered.append(term)
                continue
            rest = term / variable
            gradient = (
                c * sp.diff(rest, v) for c, v in zip(self.matrix[i], self.variables, strict=True)
            )
            lowered.append(self.means[i] * rest + sp.Add(*gradient))
        return sp.Add(*lowered)


def expect(expression: sp.Expr, laws: Sequence[GaussianLaw]) -> sp.Expr:
    """E[expression] over independent laws; symbols without a law are constants.

    Args:
        expression: any expression; sums split, products factorise over independent variables.
        laws: mutually independent; each variable belongs to one. All univariate or all pairs.
    """
    terms = sp.Add.make_args(sp.expand_power_base(expression))
    return sp.Add(*(_expect_term(term, laws) for term in terms))


def _expect_term(term: sp.Expr, laws: Sequence[GaussianLaw]) -> sp.Expr:
    """One product: group its factors by the laws they touch, one expectation a group."""
    groups: list[tuple[set[int], list[sp.Expr]]] = []
    outside: list[sp.Expr] = []
    for factor in sp.Mul.make_args(term):
        touched = _touched(factor, laws)
        if not touched:
            outside.append(factor)
            continue
        joined = [g for g in groups if g[0] & touched]
        groups = [g for g in groups if not g[0] & touched]
        indices = set().union(touched, *(g[0] for g in joined))
        groups.append((indices, [f for g in joined for f in g[1]] + [factor]))
    results = [
        _expect_group(sp.Mul(*factors), [laws[i] for i in sorted(indices)])
        for indices, factors in groups
    ]
    return sp.Mul(*outside, *results)


def _touched(expression: sp.Expr, laws: Sequence[GaussianLaw]) -> set[int]:
    symbols = expression.free_symbols
    return {i for i, law in enumerate(laws) if symbols.intersection(law.variables)}


def _expect_group(product: sp.Expr, laws: Sequence[GaussianLaw]) -> sp.Expr:
    """A product whose factors tie several laws together: multiply out, reduce or nest the nodes."""
    if len(laws) == 1:
        return laws[0].node(product)
    factors = sp.Mul.make_args(product)
    ties = sp.expand(sp.Mul(*(f for f in factors if len(_touched(f, laws)) > 1)))
    if isinstance(ties, sp.Add):
        alone = sp.Mul(*(f for f in factors if len(_touched(f, laws)) == 1))
        return expect(sp.Add(*(term * alone for term in ties.args)), laws)
    for argument, side, linear in _combinations(product, laws):
        found = _reduce(product, laws, linear, _sides(argument, side, laws))
        if found is not None:
            return found
    # Nothing enters only through a combination: integrate the last law, then the others around it.
    return expect(laws[-1].node(product), laws[:-1])


def _reduce(
    product: sp.Expr,
    laws: Sequence[GaussianLaw],
    linear: Sequence[GaussianLaw],
    sides: Sequence[sp.Expr],
) -> sp.Expr | None:
    """E[product] over the combination in place of the laws that it combines; None if impossible."""
    reduced, law, slopes = _combine(product, sides, linear)
    others = [one for one in laws if one not in linear]
    inside = [v for one in linear for v in one.variables]
    left = [v for v in inside if v in reduced.free_symbols]
    if not left:
        elsewhere = {v for one in others for v in one.variables}
        if elsewhere & law.symbols:  # Gaussian given the others: innermost
            return expect(law.node(reduced), others)
        return expect(reduced, [*others, law])
    if len(law.variables) == 1:
        given = _given_combination(reduced, inside, linear, law, slopes)
        return None if given is None else expect(law.node(given), others)
    for one in linear:
        for variable in one.variables:
            if variable in left and product.as_powers_dict().get(variable, 0):
                return expect(one.lower(product, variable), laws)
    return None


def _given_combination(
    reduced: sp.Expr,
    inside: Sequence[sp.Symbol],
    linear: Sequence[GaussianLaw],
    law: GaussianLaw,
    slopes: Sequence[sp.Expr],
) -> sp.Expr | None:
    """E[reduced | combination], where the combined variables are left as polynomials.

    Given u = sum_i c_i x_i they are Gaussian: mean mu_i + c_i q_i (u - E[u]) / Var(u), covariance
    q_i [i = j] - c_i q_i c_j q_j / Var(u). Stein's lemma would give derivatives that cancel.
    """
    powers = collect_powers(reduced, inside)
    if powers is None:
        return None
    shares = [c * one.covariance[0] for c, one in zip(slopes, linear, strict=True)]
    scale = SafeInverse(law.covariance[0])
    moved = (law.variables[0] - law.means[0]) * scale
    means = tuple(one.means[0] + s * moved for one, s in zip(linear, shares, strict=True))
    covariance = tuple(
        tuple(
            (linear[i].covariance[0] if i == j else sp.S.Zero) - shares[i] * shares[j] * scale
            for j in range(len(linear))
        )
        for i in range(len(linear))
    )
    return sp.Add(*(c * gaussian_moment(n, means, covariance) for n, c in powers.items()))


def _combinations(
    product: sp.Expr, laws: Sequence[GaussianLaw]
) -> Iterator[tuple[sp.Expr, int, list[GaussianLaw]]]:
    """Arguments of activations linear in two or more laws: (argument, side, those laws)."""
    arguments = {node.args[0] for node in product.atoms(Activation) if not node.args[0].is_Symbol}
    for argument in sorted(arguments, key=sp.default_sort_key):
        for side in range(len(laws[0].variables)):
            linear: list[GaussianLaw] = []
            for law in laws:
                slope = sp.diff(argument, law.variables[side])
                taken = {one.variables[side] for one in (law, *linear)}
                if slope != 0 and not taken & slope.free_symbols:
                    linear.append(law)
            if len(linear) >= 2:
                yield argument, side, linear


def _sides(argument: sp.Expr, side: int, laws: Sequence[GaussianLaw]) -> list[sp.Expr]:
    """The same argument on each trajectory, given it on one."""
    count = len(laws[0].variables)
    return [
        argument.xreplace({law.variables[side]: law.variables[i] for law in laws})
        for i in range(count)
    ]


def _combine(
    product: sp.Expr, sides: Sequence[sp.Expr], linear: Sequence[GaussianLaw]
) -> tuple[sp.Expr, GaussianLaw, Sequence[sp.Expr]]:
    """The product in the combination on each trajectory, its law, and its slopes on the first."""
    count = len(sides)
    new = tuple(sp.Dummy(f"y{i}", real=True) for i in range(count))
    reduced = product.xreplace(dict(zip(sides, new, strict=True)))
    slopes = [[sp.diff(c, law.variables[i]) for law in linear] for i, c in enumerate(sides)]
    centre = {v: m for law in linear for v, m in zip(law.variables, law.means, strict=True)}
    pairs = [(0, 0)] if count == 1 else [(0, 0), (0, 1), (1, 1)]
    covariance = [
        sp.Add(*(slopes[i][n] * slopes[j][n] * law.covariance[at] for n, law in enumerate(linear)))
        for at, (i, j) in enumerate(pairs)
    ]
    means = tuple(c.xreplace(centre) for c in sides)
    return reduced, GaussianLaw(new, means, tuple(covariance)), slopes[0]
