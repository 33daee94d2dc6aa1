"""What a unit answers to given self-energies, averaged over units: values and derivatives.

With X = tau P_u tau^T, C = (1 - X P_v)^(-1) tau a unit's blocks and their derivatives are

    G_v = C P_u tau^T,                    dG_v = G_v dP_v G_v + C dP_u C^T,
    G_u = tau^T P_v C,                    dG_u = G_u dP_u G_u + C^T dP_v C,

so one linear system a unit gives everything that Newton's method, the tangent in z and the
linearised standard error need. Averages go over units in pieces that fit a cache, or a GPU.

Eq. (block).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.spectra.pair_products import PairProducts
from rnnmft.spectra.small_units import small_blocks
from rnnmft.spectra.unit_transfer import UnitTransfer

__all__ = ["Response", "UnitResponse"]

Complex = NDArray[Any]  # complex128
#: Up to this size (and with diagonal P) arithmetic over whole arrays beats matrix by matrix: n^3
#: passes over the units against a call of the library for each. Both give the same to rounding.
_SMALL = 6


@dataclass(frozen=True)
class _Pieces:
    """How much is worked on at once.

    Attributes:
        blocks: complex numbers in one array of a piece; second moments gain from many units.
        diagonal: the same where P is diagonal and there are few second moments.
        small: in one entry's array of small units.
        units: rather fewer points than fewer units than these.
    """

    blocks: int
    diagonal: int
    small: int
    units: int


#: A core's cache, half a MB to 2 MB an array; a GPU, which wants much to do at once.
_CPU, _GPU = _Pieces(120_000, 30_000, 16_000, 256), _Pieces(1 << 23, 1 << 23, 1 << 21, 2048)


@dataclass
class Response:
    """Averages over units at Z points. A packed quantity is (.., B P), pairs ordered by block.

    Attributes:
        v, u: averages of G_v, G_u at the kept pairs, (Z, B P).
        trace: E[tr_s G_v], (Z,).
        parts: the same three per group of units, (Z, R, 2 B P + 1), or None.
        v_a, v_b, u_a, u_b: derivatives of v and u by packed a and b, (Z, B P, B P).
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


class UnitResponse:
    """Averages over one set of units, which stay where their backend computes.

    Args:
        units: transfer matrices and weights.
    """

    def __init__(self, units: UnitTransfer) -> None:
        self.units, self.sections, self.backend = units, units.sections, units.backend
        self.products = PairProducts(self.sections, self.backend)
        self.few = self.sections.length == 1 and self.sections.size <= _SMALL
        self.tau, self.weight = (self.backend.asarray(x) for x in (units.tau, units.weight))
        self.present = (units.tau != 0.0).any(axis=0)
        self.weight = self.backend.as_complex(self.weight)
        starts = (
            self.sections.states + self.sections.length * np.arange(self.sections.count)[:, None]
        )
        self.kept = tuple(
            self.backend.places((starts + side).ravel())
            for side in (self.sections.first, self.sections.second)
        )

    @cached_property
    def groups(self) -> Any:
        """(R, M) weights of each part, or None."""
        parts = self.units.parts()
        return None if parts is None else self.backend.as_complex(parts)

    def averages(self, p_u: Complex, p_v: Complex, by_parts: bool) -> Response:
        """Averages at Z points.

        Args:
            p_u: (Z, n, n).
            p_v: (Z, n, n).
            by_parts: whether averages over each part of the units are wanted too.
        """
        points, count = len(p_u), len(self.units.tau)
        pieces = _CPU if self.backend.device == "cpu" else _GPU
        numbers = pieces.diagonal if self.sections.length == 1 else pieces.blocks
        piece = pieces.small if self.few else numbers // self.sections.size**2
        at_once = max(1, min(points, piece // min(count, pieces.units)))
        units = max(1, piece // at_once)
        found = []
        for z in range(0, points, at_once):
            u, v = (self.backend.as_complex(p[z : z + at_once]) for p in (p_u, p_v))
            total: list[Any] | None = None
            for m in range(0, count, units):
                part = self._piece(slice(m, m + units), u, v, by_parts)
                total = part if total is None else _added(total, part)
            assert total is not None
            found.append([None if x is None else self.backend.to_numpy(x) for x in total])
        fields: list[Any] = [_joined(column) for column in zip(*found, strict=True)]
        return Response(*fields)

    def _piece(self, place: slice, p_u: Any, p_v: Any, by_parts: bool) -> list[Any]:
        """The fields of `Response`, summed over some units."""
        tau, weight = self.tau[place], self.weight[place]
        solved = self._small if self.few else self._general
        kept, trace, products = solved(tau, weight, p_u, p_v)
        parts = None
        if by_parts:
            every = self.backend.xp.concat([*kept, trace[..., None]], -1)
            parts = self.groups[:, place] @ every
        m, (v_v, u_u, v_u, u_v) = self.sections.states, products
        return [
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
        ]

    def _general(self, tau: Any, weight: Any, p_u: Any, p_v: Any) -> tuple[Any, Any, Any]:
        """The units' kept pairs, traces, and averaged products."""
        one = self.backend.as_complex(np.eye(self.sections.size))
        full = self.backend.as_complex(tau)
        if self.sections.length == 1:  # P is diagonal
            at = self.backend.range(self.sections.size)
            u, v = p_u[:, None, None, at, at], p_v[:, None, None, at, at]
            inner, outer = full * u, full.mT * v  # tau P_u, tau^T P_v
            x = (inner @ full.mT) * v
        else:
            inner, outer = self._times(tau, p_u), self._times(tau.mT, p_v)
            x = self._times(inner @ full.mT, p_v)
        c = self.backend.solve(one - x, full)
        g_v, g_u = c @ inner.mT, outer @ c
        products = [self.products.of_symmetric(g, weight) for g in (g_v, g_u)]
        kept = [g[..., *self.kept] for g in (g_v, g_u)]
        trace = sum(g_v[..., s, s] for s in range(self.sections.states))
        return kept, trace, (*products, *self.products.of_both(c, weight))

    def _times(self, of_units: Any, shared: Any) -> Any:
        """Products (Z, M, n, n) with one matrix (Z, n, n) for all units: large ones, not many."""
        rows = of_units.reshape(*of_units.shape[:-3], -1, self.sections.size)
        product = self.backend.times_complex(rows, shared)
        return product.reshape(len(shared), -1, self.sections.size, self.sections.size)

    def _small(self, tau: Any, weight: Any, p_u: Any, p_v: Any) -> tuple[Any, Any, Any]:
        """The same for diagonal P and few indices."""
        size, m, xp = self.sections.size, self.sections.states, self.backend.xp
        at = self.backend.range(size)
        c, g_v, g_u = small_blocks(tau, self.present, p_u[:, at, at], p_v[:, at, at])
        zero = self.backend.complex_zeros(len(p_u), len(tau))
        filled = [[[zero if e is None else e for e in row] for row in g] for g in (g_v, g_u)]
        empty = self.backend.complex_zeros(len(p_u), len(tau), 0)
        kept = [
            xp.stack([g[i][i] for i in range(m, size)], -1) if size > m else empty for g in filled
        ]
        trace = sum(filled[0][s][s] for s in range(m))
        squares = []
        for g in (g_v, g_u, c):
            square = self.backend.complex_zeros(len(p_u), size, size)
            for i in range(size):
                for j in range(size):
                    if g[i][j] is not None:
                        square[:, i, j] = (g[i][j] * g[i][j]) @ weight
            squares.append(square)
        return kept, trace, (*squares, squares[2].mT)


def _added(a: list[Any], b: list[Any]) -> list[Any]:
    return [None if x is None else x + y for x, y in zip(a, b, strict=True)]


def _joined(parts: tuple[Any, ...]) -> Any:
    if len(parts) == 1 or parts[0] is None:
        return parts[0]
    return np.concatenate(parts)
