"""Averages over several independent Gaussians made averages over fewer.

Integration by parts takes a factor out of what it is multiplied with, and Gaussians that enter only
through one sum of them, with any coefficients, are one Gaussian:

    E[z g(z)] = E[z] E[g] + Var(z) E[g'],    e + kappa m ~ N(E[e] + kappa E[m], q + kappa^2 Var(m)).

Source: [bonnet1964]. Eq. (rest-averages).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sympy as sp

__all__ = ["LinearSum", "by_parts", "linear_sums"]


@dataclass(frozen=True)
class LinearSum:
    """name = constant + sum of weight times variable."""

    name: sp.Symbol
    constant: sp.Expr
    weights: Mapping[sp.Symbol, sp.Expr]


def by_parts(
    product: sp.Expr, mean: Mapping[sp.Symbol, sp.Expr], variance: Mapping[sp.Symbol, sp.Expr]
) -> sp.Expr | None:
    """An expression of the same average, without a Gaussian that multiplies a function of itself.

    None where there is none, where it is the only variable, or where the function may jump.

    >>> from rnnmft.activations import tanh
    >>> m, e, k, v = sp.symbols("m e kappa v", real=True)
    >>> by_parts(m * tanh(e + k * m), {m: 0, e: 0}, {m: v, e: 1})
    kappa*v*tanh_prime(e + kappa*m)
    """
    variables = set(mean)
    for factor in sp.Mul.make_args(product):
        z, power = factor.as_base_exp()
        if z not in variables or not power.is_Integer or power < 1:
            continue
        rest = product / z
        if z not in rest.free_symbols or len(rest.free_symbols & variables) == 1:
            continue
        slope = sp.diff(rest, z)
        # SymPy's derivative of a case distinction is silent about its jumps.
        if not rest.has(sp.Piecewise) and not slope.has(sp.DiracDelta, sp.Derivative, sp.Subs):
            return mean[z] * rest + variance[z] * slope
    return None


def linear_sums(
    expression: sp.Expr, gaussian: Collection[sp.Symbol], others: Collection[sp.Symbol]
) -> tuple[tuple[LinearSum, ...], sp.Expr]:
    """The sums through which alone their Gaussians enter, and the expression in them.

    Args:
        expression: to be averaged.
        gaussian: its Gaussian variables.
        others: what no coefficient may hold: its other variables.

    >>> from rnnmft.activations import tanh
    >>> m, e, k = sp.symbols("m e kappa", real=True)
    >>> (u,), rest = linear_sums(tanh(e + k * m) ** 2, [e, m], [])
    >>> u.constant, dict(u.weights), rest.subs(u.name, e)
    (0, {e: 1, m: kappa}, tanh(e)**2)
    """
    found: dict[sp.Expr, LinearSum] = {}
    for node in sorted(expression.atoms(sp.Add), key=str):
        own = [z for z in gaussian if node.has(z)]
        weights = {z: sp.diff(node, z) for z in own}
        random = {s for w in weights.values() for s in w.free_symbols} & {*gaussian, *others}
        constant = node.xreplace(dict.fromkeys(own, sp.S.Zero))
        if len(own) > 1 and not random and not constant.has(*others):
            found[node] = LinearSum(sp.Dummy("sum", real=True), constant, weights)
    names = {node: u.name for node, u in found.items()}
    rest = expression.xreplace(names)
    counts = [z for u in found.values() for z in u.weights]
    alone = {z for z in counts if z in rest.free_symbols or counts.count(z) > 1}
    kept = {node: u for node, u in found.items() if not alone & set(u.weights)}
    return tuple(kept.values()), expression.xreplace({n: u.name for n, u in kept.items()})
