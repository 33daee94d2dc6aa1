"""Dirac deltas under a Gaussian expectation: integrated, one after the other.

    E[delta(a z + b) g(z)] = density(z_0) g(z_0) / |a|,     z_0 = -b / a;

on a pair, given the other variable; derivatives of deltas by parts.
"""

from __future__ import annotations

from typing import cast

import sympy as sp

from rnnmft.errors import DerivationError
from rnnmft.expectation import GaussianExpectation, gaussian_expectation

__all__ = ["affine", "density", "integrate_deltas", "without_deltas"]


def without_deltas(expression: sp.Expr) -> sp.Expr:
    """Integrate every Dirac delta inside a node: what is left can be integrated numerically."""
    return cast(
        "sp.Expr",
        expression.replace(
            lambda part: (
                isinstance(part, GaussianExpectation) and part.integrand.has(sp.DiracDelta)
            ),
            lambda part: integrate_deltas(part),
        ),
    )


def density(z: sp.Expr, mu: sp.Expr, q: sp.Expr) -> sp.Expr:
    """The Gaussian density of mean mu and variance q at z."""
    return sp.exp(-((z - mu) ** 2) / (2 * q)) / sp.sqrt(2 * sp.pi * q)


def affine(argument: sp.Expr, z: sp.Symbol) -> tuple[sp.Expr, sp.Expr] | None:
    """(a, b) with argument = a z + b, or None."""
    a = sp.diff(argument, z)
    if z in a.free_symbols or a == 0:
        return None
    return a, sp.expand(argument - a * z)


def integrate_deltas(node: GaussianExpectation) -> sp.Expr:
    """E[delta(a z + b) g] = density(z0) g(z0) / |a|, z0 = -b / a; on a pair, given the other."""
    terms = []
    for term in sp.Add.make_args(sp.expand(node.integrand)):
        deltas = sorted(term.atoms(sp.DiracDelta), key=sp.default_sort_key)
        if not deltas:
            terms.append(node.rebuild(term, node.means, node.covariance))
            continue
        delta = deltas[0]
        i, z = next((i, v) for i, v in enumerate(node.variables) if v in delta.args[0].free_symbols)
        line = affine(delta.args[0], z)
        if line is None or (term / delta).has(delta):
            raise DerivationError(
                "an expectation of Dirac deltas that are squared (as where a function jumps: its "
                f"derivative has no mean square) or not of an affine argument: {node.integrand}"
            )
        if len(delta.args) == 2 and delta.args[1] != 0:
            lowered = sp.DiracDelta(delta.args[0], delta.args[1] - 1) / line[0]
            term = lowered * _by_parts(term / delta, node, i)
            terms.append(without_deltas(node.rebuild(term, node.means, node.covariance)))
            continue
        at = -line[1] / line[0]
        rest = (term / delta).subs(z, at) / sp.Abs(line[0])
        terms.append(_given(node, i, at, rest))
    return without_deltas(sp.Add(*terms))


def _by_parts(rest: sp.Expr, node: GaussianExpectation, i: int) -> sp.Expr:
    """h with E[(dF/dz_i) rest] = E[F h]: minus the gradient, plus rest times the law's score."""
    z, mu = node.variables, node.means
    if len(z) == 1:
        score = (z[0] - mu[0]) / node.covariance[0]
    else:
        j, (q_a, q_ab, q_b) = 1 - i, node.covariance
        q_j = node.covariance[2 * j]
        score = (q_j * (z[i] - mu[i]) - q_ab * (z[j] - mu[j])) / (q_a * q_b - q_ab**2)
    return rest * score - sp.diff(rest, z[i])


def _given(node: GaussianExpectation, i: int, at: sp.Expr, rest: sp.Expr) -> sp.Expr:
    """density(z_i = at) E[rest | z_i = at]."""
    if len(node.variables) == 1:
        return density(at, node.means[0], node.covariance[0]) * rest
    q_i, q_ab, q_j = node.covariance[2 * i], node.covariance[1], node.covariance[2 - 2 * i]
    other = node.variables[1 - i]
    mean = node.means[1 - i] + q_ab / q_i * (at - node.means[i])
    inner = gaussian_expectation(rest, other, mean, q_j - q_ab**2 / q_i)
    return density(at, node.means[i], q_i) * inner
