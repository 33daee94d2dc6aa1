"""What a unit answers to given self-energies, averaged over units: values and derivatives.

With X = tau P_u tau^T, C = (1 - X P_v)^(-1) tau a unit's blocks and their derivatives are

    G_v = C P_u tau^T,                    dG_v = G_v dP_v G_v + C dP_u C^T,
    G_u = tau^T P_v C,                    dG_u = G_u dP_u G_u + C^T dP_v C,

so one linear system a unit gives everything that Newton's method, the tangent in z and the
linearised standard error need. Averages go over units in pieces that fit a cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.spectra.small_units import small_blocks

__all__ = ["Response", "Sections", "unit_response"]

Real = NDArray[np.float64]
Complex = NDArray[Any]  # complex128
#: Complex numbers in one array of a piece: about 2 MB.
_PIECE = 120_000
#: Up to this size (and with diagonal P) arithmetic over whole arrays beats matrix by matrix.
_SMALL = 6
#: Numbers in one entry's array then.
_SMALL_PIECE = 16_000


@dataclass(frozen=True)
class Sections:
    """How the rows of tau fall into blocks, and which index pairs of a block are kept.

    Attributes:
        states: m, the first rows.
        count, length: B blocks of L coupled indices each (tied: a block holds one preactivation's
            times; untied: every preactivation and time is a block of its own).
    """

    states: int
    count: int
    length: int

    @property
    def first(self) -> NDArray[np.intp]:
        """The first index of each kept pair in its block, with `second` >= it: (P,)."""
        return np.triu_indices(self.length)[0]

    @property
    def second(self) -> NDArray[np.intp]:
        """See `first`."""
        return np.triu_indices(self.length)[1]

    @property
    def pairs(self) -> int:
        """P = L (L + 1) / 2 for one block."""
        return self.length * (self.length + 1) // 2


@dataclass
class Response:
    """Averages over units at Z points. A packed quantity is (.., B P), pairs ordered by block.

    Attributes:
        v, u: averages of G_v, G_u at the kept pairs, (Z, B P).
        trace: E[tr_s G_v], (Z,).
        parts: the same three per group of units, (Z, R, 2 B P + 1), or None.
        v_a, v_b, u_a, u_b: derivatives of v and u by packed a and b, (Z, B P, B P), or None.
        v_t, u_t: by t, (Z, B P).
        trace_a, trace_b, trace_t: of the trace, (Z, B P), (Z, B P), (Z,).
    """

    v: Complex
    u: Complex
    trace: Complex
    parts: Complex | None
    v_a: Complex
    v_b: Complex
    u_a: Complex
    u_b: Complex
    v_t: Complex
    u_t: Complex
    trace_a: Complex
    trace_b: Complex
    trace_t: Complex


def unit_response(
    tau: Real,
    weight: Real,
    groups: Real | None,
    p_u: Complex,
    p_v: Complex,
    sections: Sections,
) -> Response:
    """Averages at Z points over M units.

    Args:
        tau: (M, n, n).
        weight: (M,), sums to 1.
        groups: (R, M) weights of each group, or None.
        p_u: (Z, n, n).
        p_v: (Z, n, n).
        sections: of the n indices.
    """
    points, size = p_u.shape[0], tau.shape[-1]
    few = sections.length == 1 and size <= _SMALL
    piece = _SMALL_PIECE if few else _PIECE // size**2
    at_once = max(1, min(points, piece // min(len(tau), 256)))
    found = [
        _over_units(
            tau,
            weight,
            groups,
            p_u[z : z + at_once],
            p_v[z : z + at_once],
            sections,
            max(1, piece // at_once),
        )
        for z in range(0, points, at_once)
    ]
    return _joined(found)


def _over_units(
    tau: Real,
    weight: Real,
    groups: Real | None,
    p_u: Complex,
    p_v: Complex,
    of: Sections,
    units: int,
) -> Response:
    total: Response | None = None
    for m in range(0, len(tau), units):
        piece = slice(m, m + units)
        part = _piece(
            tau[piece], weight[piece], None if groups is None else groups[:, piece], p_u, p_v, of
        )
        total = part if total is None else _added(total, part)
    assert total is not None
    return total


def _piece(
    tau: Real, weight: Real, groups: Real | None, p_u: Complex, p_v: Complex, of: Sections
) -> Response:
    if of.length == 1 and tau.shape[-1] <= _SMALL:
        return _small_piece(tau, weight, groups, p_u, p_v, of)
    transposed = np.swapaxes(tau, -1, -2)
    right = p_u[:, None] @ transposed
    x = tau @ right
    system = np.eye(tau.shape[-1]) - x @ p_v[:, None]
    c = np.linalg.solve(system, tau.astype(np.complex128))
    g_v, g_u = c @ right, (transposed @ p_v[:, None]) @ c
    kept = [_kept(g_v, of), _kept(g_u, of)]
    states = range(of.states)
    trace = sum((g_v[..., s, s] for s in states), np.zeros(g_v.shape[:2], dtype=complex))
    products = [_products(a, weight, of) for a in (g_v, g_u, c, np.swapaxes(c, -1, -2))]
    return _averaged(kept, trace, products, weight, groups, of.states)


def _small_piece(
    tau: Real, weight: Real, groups: Real | None, p_u: Complex, p_v: Complex, of: Sections
) -> Response:
    """The same for diagonal P and few indices."""
    size, shape = tau.shape[-1], (len(p_u), len(tau))
    at = np.arange(size)
    c, g_v, g_u = small_blocks(tau, p_u[:, at, at], p_v[:, at, at])
    kept = [
        np.stack([_filled(g[i][i], shape) for i in range(of.states, size)], axis=-1)
        if size > of.states
        else np.zeros((*shape, 0), dtype=complex)
        for g in (g_v, g_u)
    ]
    trace = sum((_filled(g_v[s][s], shape) for s in range(of.states)), np.zeros(shape, complex))
    squares = []
    for g in (g_v, g_u, c):
        square = np.zeros((len(p_u), size, size), dtype=complex)
        for i in range(size):
            for j in range(size):
                if g[i][j] is not None:
                    square[:, i, j] = (g[i][j] * g[i][j]) @ weight
        squares.append(square)
    squares.append(np.swapaxes(squares[2], 1, 2))
    return _averaged(kept, trace, squares, weight, groups, of.states)


def _filled(entry: Any, shape: tuple[int, int]) -> Complex:
    return np.broadcast_to(0.0 if entry is None else entry, shape)


def _averaged(
    kept: list[Complex],
    trace: Complex,
    products: list[Complex],
    weight: Real,
    groups: Real | None,
    m: int,
) -> Response:
    """The averages of a piece from its units' kept pairs, traces and averaged products."""
    v_v, u_u, v_u, u_v = products
    parts = None
    if groups is not None:
        parts = groups @ np.concatenate([*kept, trace[..., None]], -1)
    return Response(
        weight @ kept[0],
        weight @ kept[1],
        trace @ weight,
        parts,
        v_u[:, m:, m:],
        v_v[:, m:, m:],
        u_u[:, m:, m:],
        u_v[:, m:, m:],
        (v_v + v_u)[:, m:, :m].sum(-1),
        (u_u + u_v)[:, m:, :m].sum(-1),
        v_u[:, :m, m:].sum(1),
        v_v[:, :m, m:].sum(1),
        (v_v + v_u)[:, :m, :m].sum((1, 2)),
    )


def _kept(blocks: Complex, of: Sections) -> Complex:
    """The kept pairs, (Z, M, B P)."""
    starts = of.states + of.length * np.arange(of.count)
    rows = (starts[:, None] + of.first).ravel()
    return blocks[..., rows, (starts[:, None] + of.second).ravel()]


def _products(a: Complex, weight: Real, of: Sections) -> Complex:
    """E[a_ip a_jq + a_iq a_jp (p != q)] for pairs (i, j), (p, q), those of states (s, s) first.

    Shape (Z, m + B P, m + B P): the derivative of a kept pair (i, j) by a kept pair (p, q).
    """
    points, m = len(a), of.states
    if of.length == 1:
        return np.matmul(weight, (a * a).reshape(points, len(weight), -1)).reshape(
            points, a.shape[-2], a.shape[-1]
        )
    found = np.empty((points, m + of.count * of.pairs, m + of.count * of.pairs), dtype=complex)
    parts = [slice(0, m)] + [
        slice(m + k * of.length, m + (k + 1) * of.length) for k in range(of.count)
    ]
    places = [slice(0, m)] + [
        slice(m + k * of.pairs, m + (k + 1) * of.pairs) for k in range(of.count)
    ]
    diagonal = np.arange(m)
    pairs = [(diagonal, diagonal)] + [(of.first, of.second)] * of.count
    for rows, row_place, (i, j) in zip(parts, places, pairs, strict=True):
        for columns, column_place, (p, q) in zip(parts, places, pairs, strict=True):
            block = a[..., rows, columns]
            flat = block.reshape(points, len(weight), -1)
            moment = np.swapaxes(flat * weight[:, None], -1, -2) @ flat
            moment = moment.reshape(points, *block.shape[-2:], *block.shape[-2:])
            value = moment[:, i[:, None], p, j[:, None], q]
            value = value + moment[:, i[:, None], q, j[:, None], p] * (p != q)
            found[:, row_place, column_place] = value
    return found


def _added(a: Response, b: Response) -> Response:
    both = zip(vars(a).values(), vars(b).values(), strict=True)
    sums: list[Any] = [None if x is None else x + y for x, y in both]
    return Response(*sums)


def _joined(parts: list[Response]) -> Response:
    if len(parts) == 1:
        return parts[0]
    fields = zip(*(vars(p).values() for p in parts), strict=True)
    joined: list[Any] = [None if f[0] is None else np.concatenate(f) for f in fields]
    return Response(*joined)
