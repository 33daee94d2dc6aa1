"""A Gaussian process over time, sampled unit by unit, whose kernel is found out as it goes.

In the tied theory a preactivation is one Gaussian process over time and over trajectories; its
covariance with its own past is an average over the very units that are being drawn. Each new
variable is drawn from its conditional law given the past: one more row of a Cholesky factor, for
independent repetitions at once.

A variable that the past already determines (a constant input without recurrent weights, zero
variance, a trajectory that repeats another) is recognised by its pivot and adds no column: a
rank-revealing factorisation, so that no jitter is ever needed.
"""

from __future__ import annotations

import torch

from rnnmft.analysis.units.normals import StandardNormals

__all__ = ["GaussianMemory"]

Tensor = torch.Tensor

# The pivot of a column in a repetition that does not need it: what is divided by it vanishes.
_CLOSED = 1e150


class GaussianMemory:
    """Samples of a zero-mean Gaussian process, drawn a few variables at a time given all before.

    Shapes: R repetitions, M units in each, n columns (independent directions seen so far), P new
    variables at once. The variables are numbered in the order in which they are drawn.

    Args:
        normals: where the standard normal numbers come from and are kept.

    Attributes:
        columns: the numbers of the variables that own a column; the others are, in every
            repetition, linear combinations of those before them.
        tolerance: a conditional variance below this fraction of the variance counts as zero. It is
            the rounding of the kernel in the units' dtype, so what is dropped is not resolved.
    """

    def __init__(self, normals: StandardNormals) -> None:
        self.normals = normals
        self.columns: list[int] = []
        self.drawn = 0
        self.tolerance = 64 * torch.finfo(normals.dtype).eps
        # The factor is small and ill-conditioned, the units are many: only it is always double.
        self._factor = torch.zeros(
            (normals.repetitions, 32, 32), dtype=torch.float64, device=normals.device
        )

    @property
    def count(self) -> int:
        """How many columns there are: the rank so far."""
        return len(self.columns)

    def draw(self, past: Tensor, now: Tensor) -> Tensor:
        """P more variables, of zero mean.

        Args:
            past: covariances with the variables that own a column, in their order, (R, P, n).
            now: covariances of the new variables with one another, (R, P, P).

        Returns:
            Their values, (R, P, M).
        """
        rows = self._rows(past.double())
        now = now.double()
        for p in range(now.shape[1]):
            self._decide(rows, now[:, p], p)
        self.drawn += now.shape[1]
        self.normals.reserve(self.count)
        coefficients = torch.stack([torch.cat(row, 1) for row in rows], 1)
        return self.normals.combine(coefficients.to(self.normals.dtype))

    def _rows(self, past: Tensor) -> list[list[Tensor]]:
        """The new rows of the factor over the columns so far: L row = past; one list a variable."""
        n = self.count
        if n:
            factor = self._factor[:, :n, :n]
            past = torch.linalg.solve_triangular(factor, past.transpose(1, 2), upper=False)
            past = past.transpose(1, 2)
        return [[past[:, p]] for p in range(past.shape[1])]

    def _decide(self, rows: list[list[Tensor]], covariance: Tensor, p: int) -> None:
        """Whether variable p needs a direction of its own; if so, every row from p on gets it.

        Args:
            rows: for each variable, its entries (R, ...) over the columns, in pieces.
            covariance: of variable p with all new variables, (R, P).
            p: which.
        """
        mine = torch.cat(rows[p], 1)
        variance = covariance[:, p]
        left = variance - (mine * mine).sum(1)
        open_ = left > self.tolerance * variance
        if not bool(open_.any()):
            return
        pivot = torch.where(open_, left.clamp_min(0).sqrt(), torch.zeros_like(left))
        divisor = torch.where(open_, pivot, torch.full_like(pivot, _CLOSED))
        for q in range(len(rows)):
            if q < p:
                entry = torch.zeros_like(pivot)
            elif q == p:
                entry = pivot
            else:
                theirs = torch.cat(rows[q], 1)
                entry = (covariance[:, q] - (mine * theirs).sum(1)) / divisor
            rows[q].append(entry[:, None])
        self._append(mine, divisor, self.drawn + p)

    def _append(self, row: Tensor, pivot: Tensor, number: int) -> None:
        n = self.count
        if n == self._factor.shape[1]:
            grown = self._factor.new_zeros((self._factor.shape[0], 2 * n, 2 * n))
            grown[:, :n, :n] = self._factor
            self._factor = grown
        self._factor[:, n, :n] = row
        self._factor[:, n, n] = pivot
        self.columns.append(number)
