"""Statistics that tell a structured recurrent matrix from one with independent entries.

The theory takes W for gaussian (independent entries) or orthogonal (uniform). With w the entries of
W, of mean square sigma^2 / N, eigenvalues lambda and squared singular values s^2:

    symmetry     tr W W / tr W W^T          0, and 1 or -1 for a (anti)symmetric W
    diagonal     tr W / (N sigma)           0, and 1 for the identity
    triangle     (|upper|^2 - |lower|^2) / (|upper|^2 + |lower|^2)       0, and 1 or -1
    normality    mean |lambda|^2 / sigma^2  1/2 (circular law), 1 if orthogonal or normal
    radius       max |lambda| / sigma       1
    overlap      tr W^T W W W^T / (N sigma^4) - 1      0, and s^4's own average - 1 if normal
    connections  entries that carry a row: those that are not 0, or 3 N (mean w^2)^2 / mean w^4
    rank         singular values that are not 0                          N
    component    units that entries connect with each other, at most     N
    rows         the largest of the rows' and columns' relative spread of |w|^2    0

each within some standard errors of order 1/N, which are those of a gaussian matrix.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.csgraph import connected_components

from rnnmft.page.numbers import rounded
from rnnmft.records import Record

__all__ = ["Structure", "structure_of"]

Tensor = torch.Tensor
# How many standard errors count: by chance one matrix in two million, for each statistic.
_STANDARD_ERRORS = 5.0
# Eigenvalues are asked for up to this width, singular values up to the next: 0.3 s on one core.
_WIDEST, _WIDEST_SINGULAR = 400, 1024
# Fewer connections than this a unit, and sums over them are not Gaussian yet (kurtosis 3 / 20).
_CONNECTIONS = 20
# Beyond this width products of matrices are seen through so many random vectors.
_WIDEST_PRODUCT, _VECTORS = 2048, 64
# Singular values below this fraction of the largest are 0, as single precision leaves them.
_ZERO = 1e-6
# Standard errors of a gaussian matrix's mean |lambda|^2 and overlap, times N, and of its
# max |lambda|, times N^(1/2): what 200 matrices of each width from 8 to 256 stayed below, over 5.
_NORMALITY, _OVERLAP, _RADIUS = 0.6, 1.6, 0.6
# Rows whose mean squares vary by less than this fraction count as alike whatever N is.
_ROWS = 0.1


@dataclass(frozen=True)
class Structure(Record):
    """The statistics of one W (N, N), as in the module's docstring.

    Attributes:
        width: N.
        symmetry, diagonal, triangle, overlap, connections, rows: as above.
        rank, normality, radius: as above; None where W is too wide to ask.
        component: as above.
        kurtosis: mean w^4 / (mean w^2)^2.
        spread: variance over squared mean of the squared singular values: 0 if orthogonal, 1 if
            gaussian.
    """

    width: int
    symmetry: float
    diagonal: float
    triangle: float
    overlap: float
    connections: float
    kurtosis: float
    rows: float
    rank: int | None
    normality: float | None
    radius: float | None
    spread: float
    component: int

    def remarks(self, name: str) -> Iterator[str]:
        """What W has that a random matrix has not: one sentence a finding, for `name`."""
        w, chance = f"W of {name}", _STANDARD_ERRORS / self.width
        if abs(self.diagonal) > chance:
            yield (
                f"{w} has a common diagonal of {self.diagonal:+.2g} sigma_w (1 is the identity): "
                "it is no independent draw"
            )
        # tr W W has variance 2 sigma^4; the diagonal itself gives it the mean 1 / N and d^2.
        symmetry = self.symmetry - self.diagonal**2 - 1.0 / self.width
        if abs(symmetry) > math.sqrt(2.0) * chance:
            kind = "symmetric" if symmetry > 0 else "antisymmetric"
            share = "" if abs(self.symmetry) > 0.99 else f" by {abs(self.symmetry):.0%}"
            yield f"{w} is {kind}{share}: entries w_ij and w_ji are not independent"
        # What sums of squares scatter by: their variance is kurtosis - 1.
        scatter = math.sqrt(max(self.kurtosis - 1.0, 0.5))
        if abs(self.triangle) > scatter * chance:
            half = "upper" if self.triangle > 0 else "lower"
            yield f"{w} has {(1 + abs(self.triangle)) / 2:.0%} of its weight in the {half} triangle"
        if self.connections < min(_CONNECTIONS, self.width / 4):
            yield (
                f"{w} has about {rounded(self.connections, 2)} connections a unit that count: "
                "sums over so few are not Gaussian"
            )
        if 1 < self.component <= self.width / 2:
            yield (
                f"{w} falls into blocks that do not see each other: it fluctuates as networks of "
                f"{self.component} units at most"
            )
        # By chance one zero in a thousand matrices, two never: singular values repel each other.
        if self.rank is not None and self.rank < self.width - 1:
            yield f"{w} has rank {self.rank} of {self.width}"
        usual = scatter / math.sqrt(self.width)
        if self.rows > max(_ROWS, usual * (1.0 + _STANDARD_ERRORS / math.sqrt(2.0 * self.width))):
            yield (
                f"units differ in the size of their rows or columns of {w} (by {self.rows:.0%} of "
                "the mean square), and the theory gives all the same"
            )
        yield from self._spectral_remarks(w)

    def _spectral_remarks(self, w: str) -> Iterator[str]:
        width, chance = self.width, chance_of_spread(self.width)
        if self.spread > max(2.0, 1.0 + chance):
            yield (
                f"{w} has a few dominating singular values (their squares vary "
                f"{rounded(self.spread)} times as much as those of independent entries)"
            )
        elif min(self.spread, abs(self.spread - 1.0)) > chance:
            yield (
                f"{w} is neither orthogonal nor of independent entries: its squared singular "
                f"values vary by {self.spread:.2g} of their squared mean (0 and 1)"
            )
        if abs(self.overlap) > max(_STANDARD_ERRORS * _OVERLAP / width, chance - 21.0 / width):
            yield (
                f"left and right singular vectors of {w} are not independent of each other "
                f"(overlap {self.overlap:+.2g})"
            )
        if self.normality is None or self.radius is None:
            return
        # Independent rotations and these singular values (R-diagonal) have, at spread 0 and 1,
        # mean |lambda|^2 = 1 and 1/2.
        law = 1.0 if self.spread < 0.5 else 0.5
        if abs(self.normality - law) > _STANDARD_ERRORS * _NORMALITY / width:
            yield (
                f"the eigenvalues of {w} do not follow the circular law of independent entries: "
                f"their mean square is {self.normality:.2g} sigma_w^2 instead of {law:g}"
            )
        if self.radius > 1.0 + _STANDARD_ERRORS * _RADIUS / math.sqrt(width):
            yield f"{w} has an eigenvalue of size {self.radius:.2g} sigma_w outside of the circle"


def chance_of_spread(width: int) -> float:
    """By how much the spread of a gaussian W may differ from 1, and of an orthogonal from 0.

    tr (W^T W)^2 / N has a standard deviation of 4 sigma^4 / N and a bias of 1 / N; through n random
    vectors one of (2 E[s^8] / (n N))^(1/2) beside it, and E[s^8] is 14 sigma^8.
    """
    chance = (4.0 * _STANDARD_ERRORS + 1.0) / width
    if width <= _WIDEST_PRODUCT:
        return chance
    return chance + _STANDARD_ERRORS * math.sqrt(28.0 / (_VECTORS * width))


def structure_of(w: Tensor) -> Structure | None:
    """The statistics of a matrix (N, N); None where it is 0."""
    w = w.detach().to("cpu", torch.float64)
    width = w.shape[0]
    square = w.square()
    total = float(square.sum())
    if total == 0.0:
        return None
    sigma = math.sqrt(total / width)
    # W W^T v and W^T W v of every unit vector v, or of some random ones whose size is N^(1/2).
    vectors = torch.eye(width, dtype=torch.float64)
    if width > _WIDEST_PRODUCT:
        random = torch.Generator().manual_seed(0)
        vectors = torch.randn(width, _VECTORS, generator=random, dtype=torch.float64)
        vectors = vectors / math.sqrt(_VECTORS)
    left, right = w @ (w.T @ vectors) / sigma**2, w.T @ (w @ vectors) / sigma**2
    upper, lower = float(square.triu(1).sum()), float(square.tril(-1).sum())
    kurtosis = float(square.square().mean()) * width**4 / total**2
    filled = float((w != 0).sum()) / width
    eigenvalues = torch.linalg.eigvals(w / sigma).abs() if width <= _WIDEST else None
    return Structure(
        width=width,
        symmetry=float((w * w.T).sum()) / total,
        diagonal=float(w.trace()) / (width * sigma),
        triangle=(upper - lower) / (upper + lower) if upper + lower > 0.0 else 0.0,
        overlap=float((left * right).sum()) / width - 1.0,
        connections=min(filled, 3.0 * width / kurtosis),
        kurtosis=kurtosis,
        rows=max(_variation(square.sum(axis)) for axis in (0, 1)),
        rank=_rank(w) if width <= _WIDEST_SINGULAR else None,
        normality=None if eigenvalues is None else float(eigenvalues.square().mean()),
        radius=None if eigenvalues is None else float(eigenvalues.max()),
        spread=max(float(right.square().sum()) / width - 1.0, 0.0),
        component=_component(w),
    )


def _variation(values: Tensor) -> float:
    """Standard deviation over mean."""
    return float(values.std(correction=0) / values.mean())


def _component(w: Tensor) -> int:
    """The number of units in the largest component of the graph of its entries."""
    _, labels = connected_components(w.numpy() != 0, directed=False)
    return int(np.bincount(labels).max())


def _rank(w: Tensor) -> int:
    values = torch.linalg.svdvals(w)
    return int((values > _ZERO * values.max()).sum())
