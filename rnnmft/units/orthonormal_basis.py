"""An orthonormal basis over the units of what weights have seen: u_1, .., u_n.

    (1/M) sum_i u_j u_l = delta_jl,    y = sum_j <y, u_j> u_j + r,    u_{n+1} = r / |r|

Gram-Schmidt with a second projection wherever the first one cancels ("twice is enough":
[parlett1998], section 6.9; [giraud2005]): the basis is orthonormal to the rounding of the units'
precision, single or double, however slowly y moves.

Eq. (tied-basis).
"""

from __future__ import annotations

import torch

from rnnmft.units.columns import Columns

__all__ = ["CANCELS", "OrthonormalBasis"]

Tensor = torch.Tensor

#: A projection that leaves less than this part of |y|^2 has cancelled digits: it is repeated.
CANCELS = 0.5
# How many of the last directions a check looks at.
_CHECKED = 16


class OrthonormalBasis:
    """u_1, .., u_n of M units in each of R repetitions, extended by what is new in each vector.

    A direction that one repetition lacks while others need it is zero there.

    Args:
        like: a tensor of the wanted dtype and device.
        repetitions, units: R and M.

    Attributes:
        resolution: what lies outside the basis by less than this part of |y|^2 is the rounding of
            |y|^2 itself, and adds no direction.
    """

    def __init__(self, like: Tensor, repetitions: int, units: int) -> None:
        self.columns = Columns(like, repetitions, units)
        self.resolution = torch.finfo(like.dtype).eps

    @property
    def count(self) -> int:
        """n, the number of directions."""
        return self.columns.count

    def coordinates(self, y: Tensor) -> Tensor:
        """<y, u_j> of P vectors, the basis being extended to hold them: (R, P, M) -> (R, P, n).

        Their squares sum to at most E[y^2] (Bessel's inequality), whatever the rounding.
        """
        rows = [self._coordinates(y[:, p : p + 1]) for p in range(y.shape[1])]
        missing = [self.count - row.shape[2] for row in rows]
        padded = [torch.nn.functional.pad(r, (0, m)) for r, m in zip(rows, missing, strict=True)]
        return torch.cat(padded, 1)

    def _coordinates(self, y: Tensor) -> Tensor:
        """Of one vector a repetition, (R, 1, M)."""
        inside = self.columns.overlap(y)
        rest = self.columns.add(y, inside, -1.0)
        outside = rest.square().mean(2, keepdim=True)
        whole = inside.square().sum(2, keepdim=True) + outside
        if self.count and bool((outside < CANCELS * whole).any()):
            more = self.columns.overlap(rest)
            inside = inside + more
            rest = self.columns.add(rest, more, -1.0)
            outside = rest.square().mean(2, keepdim=True)
        # What is no number is seen, too: W y is none then.
        lost = ~outside.isfinite() & inside.isfinite().all(2, keepdim=True)
        new = (outside > self.resolution * whole) | lost
        if not bool(new.any()):
            return inside
        size = outside.sqrt()
        self.columns.append((rest / torch.where(new, size, torch.inf))[:, 0])
        return torch.cat([inside, torch.where(new, size, 0.0)], 2)

    def defect(self) -> float:
        """The largest |<u_j, u_l> - delta_jl| of the last directions u_j with all u_l: rounding.

        Directions that a repetition lacks, which are zero there, are left out.
        """
        if self.count == 0:
            return 0.0
        last = self.columns.last(_CHECKED)
        gram = self.columns.overlap(last)
        own = gram.diagonal(offset=self.count - last.shape[1], dim1=1, dim2=2)
        # A length is 1, or 0 where there is no direction.
        own -= own.round()
        return float(gram.abs().max())
