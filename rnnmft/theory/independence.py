"""Expectations over independent Gaussian variables: one expression in, a sum of products of nodes out.

A unit's preactivations are independent across k, so an expectation of a product factorises. What
does not factorise is reduced: variables that enter only through one linear combination are
replaced by that combination, which is Gaussian given the rest (PyTorch's GRU: n_x + r n_h).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sympy as sp

from rnnmft.activations import Activation
from rnnmft.expectation import gaussian_expectation

__all__ = ["GaussianLaw", "expect"]


@dataclass(frozen=True)
class GaussianLaw:
    """The law of one variable (one trajectory) or of a correlated pair (two trajectories).

    `variables`, `means`: of length 1 or 2; `covariance`: (q,) or (q_a, q_ab, q_b).
    """

    variables: tuple[sp.Symbol, ...]
    means: tuple[sp.Expr, ...]
    covariance: tuple[sp.Expr, ...]

    def node(self, integrand: sp.Expr) -> sp.Expr:
        """E[integrand] as one canonical node; polynomials are integrated on the spot."""
        present = [v for v in self.variables if v in integrand.free_symbols]
        if present and integrand.is_polynomial(*present):
            terms = sp.Add.make_args(sp.expand(self.lower(integrand, present[0])))
            return sp.Add(*(self.node(term) for term in terms))
        return gaussian_expectation(integrand, self.variables, self.means, self.covariance)

    def lower(self, product: sp.Expr, variable: sp.Symbol) -> sp.Expr:
        """An expression of equal expectation with one power of `variable` less (Stein's lemma).

        E[v h] = E[v] E[h] + sum_j Cov(v, v_j) E[dh/dv_j], for each term v h of the product.
        """
        i = self.variables.index(variable)
        covariance = self.covariance[i : i + 2] if len(self.variables) == 2 else self.covariance
        lowered = []
        for term in sp.Add.make_args(sp.expand(product)):
            if not term.as_independent(variable)[1].as_powers_dict().get(variable, 0):
                lowered.append(term)
                continue
            rest = term / variable
            gradient = (
                c * sp.diff(rest, v) for c, v in zip(covariance, self.variables, strict=True)
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
    """A product whose factors tie several laws together: expand, reduce, or nest the nodes."""
    if len(laws) == 1:
        return laws[0].node(product)
    expanded = sp.expand(product)
    if isinstance(expanded, sp.Add):
        return expect(expanded, laws)
    for argument, side, linear in _combinations(product, laws):
        reduced, law = _combine(product, _sides(argument, side, laws), linear)
        left = reduced.free_symbols & {v for one in linear for v in one.variables}
        if not left:
            return expect(law.node(reduced), [one for one in laws if one not in linear])
        for one in linear:
            for variable in left.intersection(one.variables):
                if product.as_powers_dict().get(variable, 0):
                    return expect(one.lower(product, variable), laws)
    # Nothing enters only through a combination: integrate the last law, then the others around it.
    return expect(laws[-1].node(product), laws[:-1])


def _combinations(
    product: sp.Expr, laws: Sequence[GaussianLaw]
) -> Iterator[tuple[sp.Expr, int, list[GaussianLaw]]]:
    """Arguments of activations that are linear in two or more laws: (argument, side, those laws)."""
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
) -> tuple[sp.Expr, GaussianLaw]:
    """The product in terms of the combination on each trajectory, and the law of the combination."""
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
    return reduced, GaussianLaw(new, means, tuple(covariance))
