"""What returns of a perturbation that one preactivation was given: growth 0 of untied weights.

Untied, de_j = W_j dy_j is at every step independent of the unit and of all before, and only its
variance v_j is handed on. Of a unit variance given to e_j at one step, y_k of the same unit sees

    K_kj(0) = E[D_kj^2],     K_kj(l) = E[|C_k A .. A B_j|^2],  l = 1, 2, ..

in that step and in the later ones: an average over units that remember, at stationarity. Second
moments of perturbations grow by exp(g) a step where the spectral radius of

    sum_l exp(-g l) K(l) diag(sigma_w^2)

is 1, and they neither grow nor decay where that of R diag(sigma_w^2), R = sum_l K(l), is. The sum
is that of a perturbation which is given a unit variance at every step,

    P_j' = A P_j A^T + B_j B_j^T,      R_kj = E[C_k P_j C_k^T + D_kj^2]

Eq. (returned).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["ReturnedVariance"]

Tensor = torch.Tensor
Entry = Tensor | None


class ReturnedVariance:
    """P_j of every unit, step by step.

    Args:
        zero: for the four matrices A, B, C, D, which entries are identically zero.

    Attributes:
        moments: {(a, b), a <= b: that entry of every P_j, (K, units)}.
    """

    def __init__(self, zero: Sequence[Sequence[Sequence[bool]]]) -> None:
        self.states, self.preactivations = len(zero[0]), len(zero[2])
        self.zero = zero
        self.moments: dict[tuple[int, int], Tensor] = {}

    def step(self, a: Sequence[Sequence[Tensor]], b: Sequence[Sequence[Tensor]]) -> None:
        """One step on, by the entries of A and B, (units,) each."""
        moved: dict[tuple[int, int], Tensor] = {}
        for i in range(self.states):
            for j in range(i, self.states):
                total = self._given(i, j, b)
                for k in range(self.states):
                    for n in range(self.states):
                        moment = self.moments.get((min(k, n), max(k, n)))
                        if moment is None or self.zero[0][i][k] or self.zero[0][j][n]:
                            continue
                        total = total + a[i][k] * a[j][n] * moment
                moved[i, j] = total
        self.moments = moved

    def _given(self, i: int, j: int, b: Sequence[Sequence[Tensor]]) -> Tensor:
        """(B_j B_j^T)_ij for every preactivation, (K, units)."""
        return torch.stack([x * y for x, y in zip(b[i], b[j], strict=True)])

    def seen(
        self, c: Sequence[Sequence[Tensor]], d: Sequence[Sequence[Tensor]]
    ) -> list[list[float]]:
        """R_kj as the units are now, rows k, columns j."""
        rows = []
        for k in range(self.preactivations):
            row = torch.stack([x.square().mean() for x in d[k]])
            for (i, j), moment in self.moments.items():
                if self.zero[2][k][i] or self.zero[2][k][j]:
                    continue
                both = 1.0 if i == j else 2.0
                row = row + both * (c[k][i] * c[k][j] * moment).mean(1)
            rows.append([float(v) for v in row])
        return rows
