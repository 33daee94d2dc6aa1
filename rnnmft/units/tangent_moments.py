"""One half of an averaged tangent's second moments: the left time at or after the right one.

The left ("lead") slopes belong to one trajectory, the right ("trail") slopes to another, or to the
same. Notation of `averaged_tangent`. Where what a weight sees holds another preactivation j (a
GRU's reset gate), dy_k has a part along de_j, whose moments are needed as well:

    F_j(t + 1, s) = A^t F_j(t, s) + B_j^t C_j(t, s),      F_j(t, s) = E[ds^t de_j^s | slopes], s < t

Eq. (averaged-tangent).
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import product

import torch

from rnnmft.units.couplings import Column, Couplings, Responses
from rnnmft.units.local_derivatives import Matrix, combine
from rnnmft.units.slope_history import BLOCK, Rows, SlopeHistory

__all__ = ["HalfMoments"]

Tensor = torch.Tensor
Kernels = dict[int, Tensor]


class HalfMoments:
    """D(t, s) and F_j(t, s) at the present left time t and all right times s <= t.

    A step is `advance`, `newest_kernels`, `respond`, `arrive`, `keep`; between two trajectories
    both halves take each of them before the next, since each knows what the other needs.

    Args:
        couplings: of the process.
        lead, trail: the slopes of the left and of the right side.
        start: zeros of the shape of one number a unit, (R, M).
        perturbed: which states are perturbed at the start, with variance 1.

    Attributes:
        newest: D(t, t), by left and right state.
        past: P_k(t; t), by k: the right states now with the left de_k^t.
    """

    def __init__(
        self,
        couplings: Couplings,
        lead: SlopeHistory,
        trail: SlopeHistory,
        start: Tensor,
        perturbed: Collection[int],
    ) -> None:
        self.couplings, self.lead, self.trail, self._zero = couplings, lead, trail, start
        self._states = states = range(couplings.states)
        self.newest = [[start + float(a == b and a in perturbed) for b in states] for a in states]
        self.past: Responses = {}
        self._next: Responses = {}
        self._arrived: list[list[Tensor]] = []
        self._moments = [[Rows() for _ in couplings.seen] for _ in states]
        self._inner = {j: [Rows() for _ in states] for j in couplings.inner}
        self._responses = {
            k: [start.new_empty((BLOCK + 1, *start.shape)) if r else None for r in reached]
            for k, reached in _reached(couplings, trail).items()
        }
        self._steps = 0

    # --- the past ------------------------------------------------------------------------------

    def advance(self, lead: list[Matrix]) -> Tensor:
        """Move D and F to t + 1 for all s < t, and `past` to s = t.

        Returns:
            sum_k C_k(t, s) for s < t, (t, R).
        """
        self.past = {k: [None] * len(self._states) for k in self.couplings.active}
        totals = [self._zero.new_zeros((0, len(self._zero)))]
        for first in range(0, self._steps, BLOCK):
            total = self._zero.new_zeros((min(BLOCK, self._steps - first), len(self._zero)))
            for kernel in self._advance_block(first // BLOCK, lead).values():
                total += kernel[..., 0]
            totals.append(total)
        return torch.cat(totals)

    def _advance_block(self, block: int, lead: list[Matrix]) -> Kernels:
        trail = self.trail.block(block)
        moments = [[rows.block(block) for rows in row] for row in self._moments]
        inner = {j: [r.block(block) for r in rows] for j, rows in self._inner.items()}
        with_right: Responses = {j: [*column] for j, column in inner.items()}
        responses: Responses = {}

        def scanned(k: int, kernel: Tensor) -> Column:
            size = min(BLOCK, self._steps - block * BLOCK)
            rows = self._scan(trail, k, kernel, size, block == 0)
            self.past[k] = [None if r is None else r[-1] for r in rows]
            responses[k] = [None if r is None else r[:-1] for r in rows]
            return responses[k]

        kernels = self.couplings.kernels(lead, trail, moments, with_right, scanned)
        a, b, _, _ = lead
        for place, seen in enumerate(self.couplings.seen):
            column = [row[place] for row in moments]
            _move(column, a, [[(row[k], responses[k][seen]) for k in kernels] for row in b])
        for j, column in inner.items():
            _move(column, a, [[(row[j], kernels[j])] for row in b])
        return kernels

    def _scan(self, trail: list[Matrix], k: int, kernel: Tensor, size: int, first: bool) -> Column:
        """P_k(s; t) for the times s of a block and the one after it, (size + 1, R, M)."""
        a, b, _, _ = trail
        found: Column = []
        for row, buffer in zip(b, self._responses[k], strict=True):
            if buffer is None:
                found.append(None)
                continue
            # A block begins where the one before it ended, P at 0.
            buffer[0] = 0.0 if first else buffer[BLOCK]
            rows, drive = buffer[: size + 1], row[k]
            if drive is None:
                rows[1:] = 0.0
            else:
                torch.mul(drive.expand(rows[1:].shape), kernel, out=rows[1:])
            found.append(rows)
        links = [
            (after.unbind(), slope.unbind(), before.unbind())
            for after, slopes in zip(found, a, strict=True)
            for before, slope in zip(found, slopes, strict=True)
            if after is not None and slope is not None and before is not None
        ]
        for s in range(size):
            for after, slope, before in links:
                after[s + 1].addcmul_(slope[s], before[s])
        return found

    # --- the newest time -----------------------------------------------------------------------

    def newest_kernels(
        self, lead: list[Matrix], trail: list[Matrix], other: HalfMoments
    ) -> Kernels:
        """C_k(t, t); `other` is the half with the sides exchanged."""
        seen = [[row[b] for b in self.couplings.seen] for row in self.newest]
        return self.couplings.kernels(lead, trail, seen, other.past, lambda k, _: self.past[k])

    def respond(self, lead: list[Matrix], trail: list[Matrix], kernels: Kernels) -> None:
        """P_k(t + 1; t) and D(t + 1, t)."""
        (a, b, _, _), (e, f, _, _) = lead, trail
        self._next = {
            k: [
                self._full(combine([*by_state, by_drive[k]], [*past, kernels[k]]))
                for by_state, by_drive in zip(e, f, strict=True)
            ]
            for k, past in self.past.items()
        }
        self._arrived = [
            [
                self._full(combine([*by_state, *(by_drive[k] for k in self.past)], column))
                for column in self._columns()
            ]
            for by_state, by_drive in zip(a, b, strict=True)
        ]

    def _columns(self) -> list[Column]:
        """For every right state: D(t, t) with the left states, then P_k(t; t) for each k."""
        return [
            [*(row[b] for row in self.newest), *(past[b] for past in self.past.values())]
            for b in self._states
        ]

    def arrive(self, lead: list[Matrix], other: HalfMoments) -> list[list[Tensor]]:
        """D(t + 1, t + 1), by left and right state."""
        a, b, _, _ = lead
        return [
            [
                self._full(
                    combine(
                        [*by_state, *(by_drive[k] for k in self._next)],
                        [
                            *other._arrived[right],
                            *(column[right] for column in self._next.values()),
                        ],
                    )
                )
                for right in self._states
            ]
            for by_state, by_drive in zip(a, b, strict=True)
        ]

    def keep(self, other: HalfMoments) -> None:
        """The newest time becomes one of the past ones."""
        for row, arrived in zip(self._moments, self._arrived, strict=True):
            for rows, b in zip(row, self.couplings.seen, strict=True):
                rows.append(arrived[b])
        for j, column in self._inner.items():
            for rows, value in zip(column, other._next[j], strict=True):
                rows.append(self._full(value))
        self._steps += 1

    def _full(self, value: Tensor | None) -> Tensor:
        return self._zero if value is None else value.expand(self._zero.shape)


def _move(
    column: list[Tensor], a: Matrix, added: list[list[tuple[Tensor | None, Tensor | None]]]
) -> None:
    """column_a <- sum_c A_ac column_c + (sum of the added products), in place."""
    # With one state nothing but its own old value is read.
    old = column if len(column) == 1 else [v.clone() for v in column]
    for target, slopes, more in zip(column, a, added, strict=True):
        terms = [*zip(slopes, old, strict=True), *more]
        started = False
        for factor, value in terms:
            if factor is None or value is None:
                continue
            if started:
                target.addcmul_(factor, value)
            else:
                torch.mul(factor.expand(target.shape[1:]), value, out=target)
                started = True
        if not started:
            target.zero_()


def _reached(couplings: Couplings, trail: SlopeHistory) -> dict[int, list[bool]]:
    """{k: for every state, whether de_k can reach it}, at once or through other states."""
    a, b, _, _ = trail.zero
    states = range(couplings.states)
    found = {}
    for k in couplings.active:
        reached = [not b[state][k] for state in states]
        for _, to, since in product(states, states, states):
            reached[to] = reached[to] or (reached[since] and not a[to][since])
        found[k] = reached
    return found
