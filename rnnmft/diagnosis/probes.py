"""Random tangents that probe a Jacobian: orthogonal to each other, N at a time.

    E[u u^T] = 1    and, summed over N of them,    sum_u u u^T = N 1

Along sequences that share one W the largest singular values belong to nearly the same directions v.
Independent normal u scatter by (u . v)^2, a chi-squared number each; of N orthogonal ones the sum
is exact whatever v is, and the mean of |J u|^2 over them has the scatter of the sequences alone.
"""

from __future__ import annotations

import math
from typing import Any

import torch

__all__ = ["orthogonal_probes"]

Tensor = torch.Tensor


def orthogonal_probes(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Tangents (.., N) of size N^(1/2): uniform in direction, in orthogonal sets of N rows.

    >>> u = orthogonal_probes((2, 3, 4), torch.Generator().manual_seed(0)).view(6, 4)
    >>> bool(torch.allclose(u[:4].T @ u[:4], 4.0 * torch.eye(4, dtype=u.dtype)))
    True
    """
    *_, width = shape
    count = math.prod(shape[:-1])
    options: Any = {"generator": generator, "dtype": torch.float64}
    sets = []
    for start in range(0, count, width):
        rows = min(width, count - start)
        q, r = torch.linalg.qr(torch.randn(width, rows, **options))
        # Uniform are the factors of positive diagonal.
        sets.append((q * r.diagonal().sign()).T)
    return math.sqrt(width) * torch.cat(sets).view(shape)
