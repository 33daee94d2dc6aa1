"""Second moments over units of the entries of their blocks, as derivatives of kept pairs.

dG_v = G_v dP_v G_v + C dP_u C^T moves a kept pair (i, j) with a kept pair (p, q) of a symmetric dP
by E[a_ip a_jq] + E[a_iq a_jp] (p != q), a = G_v or C. So the second moments of one block of a's
rows and columns give that block of derivatives, and for a^T the block across the diagonal.

Eq. (block).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.numerics.backends import Backend
from rnnmft.spectra.unit_transfer import Sections

__all__ = ["PairProducts"]

Places = NDArray[np.intp]
#: Strips of a symmetric matrix of moments (six save 5 / 12 of the work, of at most half), and the
#: rows of one below which cutting costs more. Both are a matter of time alone.
_STRIPS, _NARROW = 6, 16


@dataclass(frozen=True)
class _Section:
    """Indices that couple with each other: rows of a block, its kept pairs, where those stand.

    `kept` is (first, second) to index with on the backend.
    """

    rows: slice
    first: Places
    second: Places
    place: slice
    kept: tuple[Any, Any]

    @property
    def size(self) -> int:
        return self.rows.stop - self.rows.start

    @property
    def is_whole(self) -> bool:
        """Whether every pair is kept."""
        return 2 * len(self.first) == self.size * (self.size + 1)


class PairProducts:
    """The second moments for one way in which indices fall into sections.

    Args:
        sections: the sections; the states' own pairs (s, s) stand first.
        backend: where the blocks are.
    """

    def __init__(self, sections: Sections, backend: Backend) -> None:
        self.sections, self.backend = sections, backend
        m, diagonal, upper = (
            sections.states,
            np.arange(sections.states),
            np.triu_indices(sections.length),
        )
        at = tuple(backend.places(x) for x in (diagonal, *upper))
        self.parts = [_Section(slice(0, m), diagonal, diagonal, slice(0, m), (at[0], at[0]))]
        for k in range(sections.count):
            rows = slice(m + k * sections.length, m + (k + 1) * sections.length)
            place = slice(m + k * sections.pairs, m + (k + 1) * sections.pairs)
            self.parts.append(_Section(rows, *upper, place, at[1:]))
        self._known: dict[Any, Any] = {}

    @property
    def size(self) -> int:
        """m + B P: kept pairs, those of the states first."""
        return self.sections.states + self.sections.count * self.sections.pairs

    def of_symmetric(self, g: Any, weight: Any) -> Any:
        """The derivatives (Z, m + B P, m + B P) from symmetric blocks g of shape (Z, M, n, n)."""
        if self.sections.length == 1:
            return _squares(g, weight)
        found = self.backend.complex_zeros(len(g), self.size, self.size)
        for a, one in enumerate(self.parts):
            for other in self.parts[a:]:
                if one is other and one.is_whole:
                    kept = g[..., one.rows, one.rows][..., *one.kept]
                    moment = _moment(kept, weight, self.backend)
                    found[:, one.place, one.place] = self._taken(moment, "packed", one, one)
                    continue
                moment = _moment(_flat(g[..., one.rows, other.rows]), weight, self.backend)
                found[:, one.place, other.place] = self._taken(moment, "straight", one, other)
                if one is not other:
                    found[:, other.place, one.place] = self._taken(moment, "turned", other, one)
        return found

    def of_both(self, c: Any, weight: Any) -> tuple[Any, Any]:
        """The derivatives from blocks c, and those from their transposes."""
        if self.sections.length == 1:
            squares = _squares(c, weight)
            return squares, squares.mT
        found, turned = (self.backend.complex_zeros(len(c), self.size, self.size) for _ in range(2))
        for one in self.parts:
            for other in self.parts:
                moment = _moment(_flat(c[..., one.rows, other.rows]), weight, self.backend)
                found[:, one.place, other.place] = self._taken(moment, "straight", one, other)
                turned[:, other.place, one.place] = self._taken(moment, "turned", other, one)
        return found, turned

    def _taken(self, moment: Any, how: str, rows: _Section, columns: _Section) -> Any:
        """E[a_ip a_jq] + E[a_iq a_jp] (p != q) out of the moments of one block."""
        key = how, rows.size, columns.size, len(rows.first), len(columns.first)
        if key not in self._known:
            direct, crossed, distinct = _places(how, rows, columns)
            self._known[key] = (
                self.backend.places(direct),
                self.backend.places(crossed),
                self.backend.as_complex(distinct),
            )
        direct, crossed, distinct = self._known[key]
        flat = moment.reshape(len(moment), -1)
        return flat[:, direct] + flat[:, crossed] * distinct


def _squares(a: Any, weight: Any) -> Any:
    """E[a_ij^2], (Z, n, n)."""
    return (weight @ (a * a).reshape(*a.shape[:2], -1)).reshape(len(a), *a.shape[2:])


def _flat(blocks: Any) -> Any:
    return blocks.reshape(*blocks.shape[:2], -1)


def _moment(flat: Any, weight: Any, backend: Backend) -> Any:
    """E[x x^T], (Z, X, X), in strips: below their diagonals it is symmetric, and left out."""
    size = flat.shape[-1]
    found = backend.complex_zeros(len(flat), size, size)
    left, strip = (flat * weight[:, None]).mT, max(-(-size // _STRIPS), _NARROW)
    for start in range(0, size, strip):
        found[:, start : start + strip, start:] = left[:, start : start + strip] @ flat[..., start:]
    return found


def _places(
    how: str, rows: _Section, columns: _Section
) -> tuple[Places, Places, NDArray[np.float64]]:
    """Where E[a_ip a_jq] and E[a_iq a_jp] stand in the flattened moments, and where p != q.

    straight: moments of the block (rows, columns); turned: of the block (columns, rows) of the
    transpose; packed: of the upper triangle of a symmetric block. Moments are symmetric: those on
    and above the diagonal are taken.
    """
    i, j = rows.first[:, None], rows.second[:, None]
    p, q = columns.first, columns.second
    if how == "packed":
        order = np.empty((rows.size, rows.size), dtype=np.intp)
        order[rows.first, rows.second] = order[rows.second, rows.first] = np.arange(len(rows.first))
        entries = len(rows.first)
    else:
        order = np.arange(rows.size * columns.size)
        if how == "straight":
            order = order.reshape(rows.size, columns.size)
        else:
            order = order.reshape(columns.size, rows.size).T
        entries = rows.size * columns.size
    ways = [(order[i, p], order[j, q]), (order[i, q], order[j, p])]
    direct, crossed = (np.minimum(x, y) * entries + np.maximum(x, y) for x, y in ways)
    return direct, crossed, (p != q).astype(float)
