"""Phi: how a bi-invariant ensemble enters the theory of spectra, by its determining series alone.

For W = U diag(s) V with Haar U and V, free of everything else, the self-energies of the block
equation are Phi(u v) v and Phi(u v) u. Phi is the determining series of the R-diagonal limit of W,
divided by its argument [nica1997], [haagerup2000].

Eq. (determining), Eq. (factor).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sympy as sp

from rnnmft.errors import ParameterError
from rnnmft.language.weight_ensembles import room_of, weight_ensemble

__all__ = [
    "DETERMINING_SERIES",
    "determining_function",
    "determining_matrix",
    "determining_series",
    "kinds_by_name",
    "rectangular_function",
    "rectangular_series",
    "weight_s_transform",
]


Coefficient = Callable[[sp.Expr, int], sp.Expr]


def _of_table(kind: str) -> Coefficient:
    """The coefficients of an ensemble in the cells' table: exact numbers times sigma_w^(2n+2)."""
    ensemble = weight_ensemble(kind)

    def coefficient(sigma_w: sp.Expr, order: int) -> sp.Expr:
        number = ensemble.determining_coefficient(order)
        return sp.Rational(number.numerator, number.denominator) * sigma_w ** (2 * order + 2)

    return coefficient


#: Coefficient of x^n in Phi(x), by ensemble: 1, 0, 0, .. (gaussian); Catalan numbers with
#: alternating signs (orthogonal). A bi-invariant ensemble of one's own is one more row, here or in
#: `cells.register_weights`.
DETERMINING_SERIES: dict[str, Coefficient] = {
    kind: _of_table(kind) for kind in ("gaussian", "orthogonal")
}


def determining_series(kind: str) -> Coefficient:
    """The coefficients of an ensemble.

    Raises:
        ParameterError: there is no ensemble of that name.
    """
    return DETERMINING_SERIES[kind] if kind in DETERMINING_SERIES else _of_table(kind)


def rectangular_series(kind: str, rows: sp.Rational, columns: sp.Rational) -> Coefficient:
    """The coefficients for a matrix of rows N x columns N, averages counting units of N.

    Eq. (widths).

    Raises:
        ParameterError: there is no such ensemble, or it has no such rectangle.
    """
    series = determining_series(kind)
    if rows == columns == 1:
        return series
    room = room_of(kind, rows, columns)
    return lambda sigma_w, order: series(sigma_w, order) / (columns ** (order + 1) * room**order)


def determining_function(kind: str, sigma_w: sp.Expr, x: sp.Expr) -> sp.Expr:
    """Phi(x) of an ensemble: closed where it is known so, otherwise its power series.

    Eq. (determining).

    >>> s, x = sp.symbols("s x", positive=True)
    >>> determining_function("orthogonal", s, x)
    2*s**2/(sqrt(4*s**2*x + 1) + 1)
    """
    if kind == "gaussian":
        return sigma_w**2
    if kind == "orthogonal":
        return 2 * sigma_w**2 / (1 + sp.sqrt(1 + 4 * sigma_w**2 * x))
    return sp.Sum(_coefficient(kind) * x**_N, (_N, 0, sp.oo))


def rectangular_function(
    kind: str, sigma_w: sp.Expr, x: sp.Expr, rows: sp.Rational, columns: sp.Rational
) -> sp.Expr:
    """Phi(x) for a matrix of rows N x columns N, averages counting units of N. Eq. (widths).

    Raises:
        ParameterError: there is no such ensemble, or it has no such rectangle.
    """
    room = room_of(kind, rows, columns)
    return determining_function(kind, sigma_w / sp.sqrt(columns), x / room)


def determining_matrix(kind: str, sigma_w: sp.Expr, x: sp.MatrixExpr) -> sp.MatrixExpr:
    """Phi of a square matrix, by the same power series."""
    one = sp.Identity(x.shape[0])
    if kind == "gaussian":
        return sigma_w**2 * one
    if kind == "orthogonal":
        root = (one + 4 * sigma_w**2 * x) ** sp.Rational(1, 2)
        return 2 * sigma_w**2 * (one + root) ** -1
    return sp.Sum(_coefficient(kind) * x**_N, (_N, 0, sp.oo))


_N = sp.Symbol("n", integer=True, nonnegative=True)


def _coefficient(kind: str) -> sp.Expr:
    return sp.Function(f"phi_{kind}")(_N)


def kinds_by_name(weights: str | Mapping[str, str], names: list[str]) -> dict[str, str]:
    """{preactivation: ensemble}, from one ensemble for all or from a mapping (else gaussian).

    Raises:
        ParameterError: an ensemble without a determining series, a name that is none.
    """
    if not isinstance(weights, str) and (unknown := sorted(set(weights) - set(names))):
        raise ParameterError(
            f"weights: no preactivation {unknown[0]!r}; there are {', '.join(names) or 'none'}"
        )
    kinds = {n: weights if isinstance(weights, str) else weights.get(n, "gaussian") for n in names}
    for kind in (weights,) if isinstance(weights, str) else kinds.values():
        determining_series(kind)
    return kinds


def weight_s_transform(kind: str, sigma_w: sp.Expr, x: sp.Expr) -> sp.Expr:
    """S of W W^T: f^-1(x) / (x (1 + x)), where f(x) = x Phi(x) is the determining series.

    Eq. (factor).

    >>> s, x = sp.symbols("s x", positive=True)
    >>> weight_s_transform("gaussian", s, x), weight_s_transform("orthogonal", s, x)
    (1/(s**2*(x + 1)), s**(-2))
    """
    if kind == "gaussian":
        return 1 / (sigma_w**2 * (1 + x))
    if kind == "orthogonal":
        return 1 / sigma_w**2
    return sp.Function(f"f_{kind}^-1")(x) / (x * (1 + x))
