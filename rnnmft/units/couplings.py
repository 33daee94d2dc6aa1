"""What carries a perturbation from unit to unit: the kernels of de_k, averaged over units.

C_k(t, s) = sigma_w,k^2 E[dy_k^t dy_k^s],       dy_k = sum_a C_ka ds_a + sum_j D_kj de_j

Eq. (averaged-tangent).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from rnnmft.units.local_derivatives import Matrix
from rnnmft.units.particles import UnitProcess
from rnnmft.units.points import Number, is_positive

__all__ = ["Column", "Couplings", "Responses"]

Tensor = torch.Tensor
#: A number a unit for every state; None where it is identically zero.
Column = list[Tensor | None]
#: Moments of the states with de_k, by the place of k in the cell.
Responses = dict[int, Column]


class Couplings:
    """The preactivations of a process whose weights are not zero.

    Args:
        process: sampled units.
        zero: which entries of A, B, C, D are identically zero.

    Attributes:
        states: how many.
        active: the places of these preactivations in the cell.
        inner: those of them that something seen depends on (D_kj is not zero).
        seen: the states that something seen depends on (C_kb is not zero).
    """

    def __init__(self, process: UnitProcess, zero: list[list[list[bool]]]) -> None:
        groups: dict[object, list[tuple[int, Number]]] = {}
        for k, p in enumerate(process.cell.preactivations):
            variance = process.laws[p.name].sigma_w ** 2
            if p.is_recurrent and is_positive(variance):
                variance = variance[:, 0] if isinstance(variance, Tensor) else variance
                groups.setdefault(p.sees, []).append((k, variance))
        # What sees the same has the same kernel, up to sigma_w^2.
        self._groups = list(groups.values())
        self._nothing = process.like.new_zeros((process.shape[0], 1))
        self.states = len(process.cell.states)
        self.active = [k for group in self._groups for k, _ in group]
        _, _, c, d = zero
        self.inner = [j for j in self.active if any(not d[k][j] for k in self.active)]
        self.seen = [b for b in range(self.states) if any(not c[k][b] for k in self.active)]

    def kernels(
        self,
        left: list[Matrix],
        right: list[Matrix],
        moments: list[list[Tensor]],
        with_right: Responses,
        with_left: Callable[[int, Tensor], Column],
    ) -> dict[int, Tensor]:
        """C_k between one left time and one or more right times, (.., R, 1), by place.

        Args:
            left: the slopes A, B, C, D at the left time.
            right: those at the right times.
            moments: E[ds_a ds_b] by left state and seen right state.
            with_right: moments of the left states with the inner right de_j.
            with_left: given k and its C_k, moments of the right states with the left de_k. Asked
                in the order of the cell: what is seen depends on earlier preactivations only.
        """
        found: dict[int, Tensor] = {}
        answers: Responses = {}
        for group in self._groups:
            place = group[0][0]
            (c, d), (e, f) = ((slopes[2][place], slopes[3][place]) for slopes in (left, right))
            seen = [e[b] for b in self.seen]
            terms = [
                (x, v, y)
                for x, row in zip(c, moments, strict=True)
                for v, y in zip(row, seen, strict=True)
            ]
            for j in self.inner:
                terms += [(x, v, f[j]) for x, v in zip(c, with_right[j], strict=True)]
                if j in found:
                    terms += [(d[j], v, y) for v, y in zip(answers[j], e, strict=True)]
                    terms += [(d[j], found[j], f[j])]
            mean = _averages(terms, self._nothing)
            for k, variance in group:
                found[k] = variance * mean
                answers[k] = with_left(k, found[k])
        return found


def _averages(
    terms: Iterable[tuple[Tensor | None, Tensor | None, Tensor | None]], nothing: Tensor
) -> Tensor:
    """The sum of the terms' averages over units, (.., R, 1); a term is a product of three."""
    total = nothing
    for left, values, right in terms:
        if left is not None and values is not None and right is not None:
            total = total + _average(values, (left, right))
    return total


def _average(values: Tensor, factors: tuple[Tensor, ...]) -> Tensor:
    """E_units[values * factors]; a factor that units share is taken out of it."""
    for factor in factors:
        if factor.shape[-1] > 1:
            values = values * factor
    mean = values.mean(-1, keepdim=True)
    for factor in factors:
        if factor.shape[-1] == 1:
            mean = mean * factor
    return mean
