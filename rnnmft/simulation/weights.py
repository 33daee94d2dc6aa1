"""Random matrices of many networks at once: drawing them, and multiplying by them.

A matrix is held unscaled (entries of variance 1, or orthogonal) beside its scale, so that drawing
one costs a single pass over memory. Numbers are always drawn in float32 and converted, so that
one seed gives one and the same network in float32 and in float64.

Eq. (ensemble).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["DenseMatrix", "Matrix", "ReflectedMatrix", "haar_reflectors", "standard_normals"]

# Below this many numbers a network, a few milliseconds at most, starting threads costs more than it
# saves.
_THREADED = 1 << 16


@dataclass(frozen=True)
class DenseMatrix:
    """scale * entries, with entries of shape (networks, N, N_in)."""

    entries: Tensor
    scale: float

    def rows(self, y: Tensor) -> Tensor:
        """M y for row vectors y of shape (networks, vectors, N_in) -> (networks, vectors, N)."""
        return torch.bmm(y, self.entries.mT).mul_(self.scale)

    def columns(self, y: Tensor) -> Tensor:
        """M Y for Y of shape (networks, N_in, columns) -> (networks, N, columns)."""
        return torch.bmm(self.entries, y).mul_(self.scale)

    def dense(self) -> DenseMatrix:
        """Itself."""
        return self


@dataclass(frozen=True)
class ReflectedMatrix:
    """scale * H_1 H_2 .. H_N diag(signs): orthogonal, as Householder reflections.

    Applying it to a few vectors costs O(N^2), where forming its entries costs O(N^3).
    `reflectors` (networks, N, N) hold the vectors v_j as rows, from their unit element on.
    """

    reflectors: Tensor
    tau: Tensor
    signs: Tensor
    scale: float

    def rows(self, y: Tensor) -> Tensor:
        """M y for row vectors y of shape (networks, vectors, N)."""
        return self.columns(y.mT).mT

    def columns(self, y: Tensor) -> Tensor:
        """M Y for Y of shape (networks, N, columns)."""
        signed = y * self.signs.unsqueeze(-1)
        return torch.ormqr(self.reflectors.mT, self.tau, signed).mul_(self.scale)

    def dense(self) -> DenseMatrix:
        """The same matrix by its entries: for many products with one matrix."""
        q = torch.linalg.householder_product(self.reflectors.mT, self.tau)
        return DenseMatrix(q * self.signs.unsqueeze(-2), self.scale)


Matrix = DenseMatrix | ReflectedMatrix


def standard_normals(
    generators: Sequence[torch.Generator],
    shape: tuple[int, ...],
    dtype: torch.dtype,
    buffer: Tensor | None = None,
) -> Tensor:
    """Independent N(0, 1) numbers of shape (networks, *shape), each network's from its generator.

    Args:
        generators: one a network; they advance.
        shape: the shape for one network.
        dtype: of the result; the numbers are float32 numbers whatever it is.
        buffer: a contiguous float32 tensor (networks, *shape) to be overwritten.
    """
    if buffer is None:
        buffer = torch.empty((len(generators), *shape), device=generators[0].device)
    _for_each_network(lambda n: buffer[n].normal_(generator=generators[n]), buffer)
    return buffer.to(dtype)


def haar_reflectors(
    generators: Sequence[torch.Generator],
    width: int,
    dtype: torch.dtype,
    buffer: Tensor | None = None,
) -> ReflectedMatrix:
    """Haar-distributed orthogonal matrices (networks, N, N), scale 1, without a decomposition.

    The QR decomposition of a Gaussian matrix meets, at stage j, a column that is again Gaussian
    and independent of the earlier reflections; so the reflections can be drawn at once. The signs
    are those that make R's diagonal positive, without which Q is not Haar.

    Sources: [stewart1980]; [mezzadri2007], section 5, for the signs.
    """
    count, device = len(generators), generators[0].device
    if buffer is None:
        buffer = torch.empty((count, width, width), device=device)
    vectors = buffer if dtype == buffer.dtype else torch.empty_like(buffer, dtype=dtype)
    tau, signs = (torch.empty((count, width), dtype=dtype, device=device) for _ in range(2))

    def draw(n: int) -> None:
        buffer[n].normal_(generator=generators[n])
        x = vectors[n] if vectors is buffer else vectors[n].copy_(buffer[n])
        x.triu_()
        first, norm = x.diagonal().clone(), torch.linalg.vector_norm(x, dim=1)
        side = torch.where(first < 0, -1.0, 1.0).to(dtype)
        x.div_((first + side * norm).unsqueeze(-1))
        torch.add(first.abs() / norm, 1.0, out=tau[n])
        torch.neg(side, out=signs[n])
        tau[n, -1] = 0.0  # one number is left: nothing to reflect
        signs[n, -1] = side[-1]

    _for_each_network(draw, buffer)
    return ReflectedMatrix(vectors, tau, signs, 1.0)


def _for_each_network(draw: Callable[[int], object], buffer: Tensor) -> None:
    """Draw each network's numbers; on CPU in threads, since each has a generator of its own."""
    count = buffer.shape[0]
    workers = min(torch.get_num_threads(), count)
    if buffer.device.type != "cpu" or workers < 2 or buffer[0].numel() < _THREADED:
        for n in range(count):
            draw(n)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(draw, range(count)))
