"""Preactivations that see others of the same step (D != 0), folded into a unit's stationary answer.

Of the preactivations k whose y_k depends on e_l of the same step, V = D S_u D^T is what e_l adds to
the covariance of y_k at once, and with

    N = (1 + S_v V)^-1 S_v,     G = [C, D S_u B^T],     G~ = [C, D S_u B^T] with halves exchanged

the unit's matrix gets G~^T N G on top of what the states alone do.

Eq. (lyapunov-stationary).
"""

from __future__ import annotations

import torch

__all__ = ["SameStep"]

Tensor = torch.Tensor


class SameStep:
    """The correction, and the answers of the preactivations concerned.

    Args:
        b: (M, T, m, L): into the states, of the columns l of D that are not zero.
        c: (M, T, K, m): of the rows k of D that are not zero.
        d: (M, T, K, L): those rows and columns.
        source: S_u of those columns, (L, T, T).
        weight: S_v of those rows, (K, T, T).
    """

    def __init__(self, b: Tensor, c: Tensor, d: Tensor, source: Tensor, weight: Tensor) -> None:
        self._length = b.shape[1]
        self._c, self._d = _by_time(c), _by_time(d)
        self._b = _by_time(b).roll(b.shape[2], dims=1)  # into the state of the next step
        self._b[:, : b.shape[2]] = 0.0
        self._source, self._weight = _joined(source), _joined(weight)
        self._added = self._d @ self._source @ self._d.mT
        one = torch.eye(self._added.shape[-1], dtype=b.dtype, device=b.device)
        self._kept = torch.linalg.inv(one + self._weight @ self._added)
        self._both = torch.cat([self._c, self._d @ self._source @ self._b.mT], dim=2)

    @property
    def correction(self) -> Tensor:
        """(M, 2 m T, 2 m T)."""
        return _exchanged(self._both).mT @ (self._kept @ self._weight) @ self._both

    def seen(self, inverse: Tensor) -> Tensor:
        """g_v of the rows, averaged over units, (K, T, T)."""
        mixed = self._kept.mT
        answer = mixed @ self._both
        found = answer @ inverse @ _exchanged(answer).mT + mixed @ self._added
        return _blocks(found.mean(0), self._weight.shape[0] // self._length, self._length)

    def dual(self, inverse: Tensor) -> Tensor:
        """g_u of the columns, averaged over units, (L, T, T)."""
        back = self._d.mT @ self._weight
        one = torch.eye(self._source.shape[-1], dtype=back.dtype, device=back.device)
        mixed = torch.linalg.inv(one + back @ self._d @ self._source)
        answer = mixed @ torch.cat([-back @ self._c, self._b.mT], dim=2)
        found = answer @ inverse @ _exchanged(answer).mT - mixed @ back @ self._d
        return -_blocks(found.mean(0), self._source.shape[0] // self._length, self._length)


def _by_time(x: Tensor) -> Tensor:
    """(M, T, r, c) as a matrix (M, T r, T c) that is diagonal in time."""
    count, length, rows, columns = x.shape
    found = x.new_zeros((count, length, rows, length, columns))
    for t in range(length):
        found[:, t, :, t, :] = x[:, t]
    return found.reshape(count, length * rows, length * columns)


def _joined(kernels: Tensor) -> Tensor:
    """(K, T, T) as one matrix (T K, T K) without entries between different k."""
    count, length, _ = kernels.shape
    found = kernels.new_zeros((length, count, length, count))
    for k, kernel in enumerate(kernels):
        found[:, k, :, k] = kernel
    return found.reshape(length * count, length * count)


def _blocks(x: Tensor, count: int, length: int) -> Tensor:
    """The entries (K, T, T) of a matrix (T K, T K) that belong to one k."""
    return torch.stack([x.reshape(length, count, length, count)[:, k, :, k] for k in range(count)])


def _exchanged(x: Tensor) -> Tensor:
    """The halves of the columns, exchanged."""
    return torch.cat(x.chunk(2, dim=2)[::-1], dim=2)
