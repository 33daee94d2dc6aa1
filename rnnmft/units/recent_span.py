"""The directions of a basis that the future can tell apart: the last states, and ever fewer before.

A noisy state adds a direction to the basis at every step, and T steps cost O(M T^2). The future
needs fewer. Let c_t be the coordinates of y_t, and C the rows of some of them:

    W y_t = sigma_w sum_j c_tj zeta_j,      C = U S V^T,      u' = V^T u,      zeta' = V^T zeta

Any rotation of the pairs (u_j, zeta_j) leaves W what it is. This one turns them into directions
that span the chosen y, and the others, in which none of these has a part, are dropped. A later
state with a part in a dropped direction meets fresh numbers there: the variance of W y is right
whatever was dropped, and so is its covariance with W y_s for every chosen y_s. Chosen are

* the last K states: what is left of the past in a linear process is a combination of them;
* sums of 2^j K states up to the times n K, n = 2^j (odd), for A 2^j K steps: A / 2 or more to each
  octave of the lag (and nested as in Fenwick's tree, 1994). Slopes that stay different from unit to
  unit bend the past out of the span of the last states; its covariance with them is smooth in the
  lag, and is held at these lags. Sums, since what is frozen beside a fast noise stands out of them.

What is lost in between is measured: see `forgotten_covariance`. Eq. (tied-basis).
"""

from __future__ import annotations

from collections import deque

import torch

__all__ = ["KEPT", "RecentSpan", "directions_of", "widened"]

Tensor = torch.Tensor

#: Directions before any is dropped: a run that shows no more is what it would be without this.
KEPT = 256
# What a step costs afterwards: that of so many directions, with all that is done beside them.
_AFTERWARDS = 40
# K and A. Leaks between .003 and .03 lose nothing but chance (2e-3 of the variance) this way; with
# the last states alone, 6 % at a lag of 200 steps.
_WINDOW, _AGE = 16, 4


class RecentSpan:
    """The coordinates of the chosen states, and the rotation onto what they span.

    Args:
        kept: directions before any is dropped.

    Attributes:
        last: coordinates of the last K states, oldest first.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.last: deque[Tensor] = deque(maxlen=_WINDOW)
        self._earlier: dict[int, Tensor] = {}
        self._steps, self._most = 0, kept

    def append(self, coordinates: Tensor) -> None:
        """One more state, (R, P, n)."""
        self.last.append(coordinates)
        self._steps += 1
        number, since = divmod(self._steps, _WINDOW)
        if since == 0:
            count = coordinates.shape[2]
            parts = [*self.last, *(self._earlier[n] for n in _parts(number))]
            self._earlier[number] = torch.stack([widened(c, count) for c in parts]).sum(0)
            self._earlier = {n: c for n, c in self._earlier.items() if number - n < _age(n)}

    def is_exceeded(self, count: int) -> bool:
        """Whether so many directions are too many."""
        return count >= self._most

    def chosen(self) -> list[Tensor]:
        """Coordinates of what the directions shall span."""
        return [*self.last, *self._earlier.values()]

    def rotation(self, count: int, resolution: float) -> Tensor:
        """V of n directions, (R, n, n'); the coordinates kept here are already rotated by it.

        Args:
            count: n.
            resolution: what a state has of a direction is rounding below this part of its square.
        """
        chosen = self.chosen()
        rows = torch.cat([widened(row, count) for row in chosen], 1)
        size = rows.norm(dim=2, keepdim=True)
        # A state that has outgrown its precision has no direction any more.
        rows = torch.where((size > 0) & size.isfinite(), rows / size, 0.0)
        # A few dozen numbers squared: not worth a GPU.
        rows = rows.double().cpu()
        _, lengths, directions = torch.linalg.svd(rows, full_matrices=False)
        shown = lengths.square() > resolution
        # A direction that one repetition lacks is zero there.
        directions = (directions * shown[:, :, None])[:, : int(shown.sum(1).max())]
        turn = directions.transpose(1, 2).to(chosen[0])
        self.last = deque((widened(c, count) @ turn for c in self.last), _WINDOW)
        self._earlier = {n: widened(c, count) @ turn for n, c in self._earlier.items()}
        self._most = turn.shape[2] + _WINDOW * chosen[0].shape[1]
        return turn


def directions_of(steps: int) -> int:
    """Directions, one a step, with which a run of so many steps costs what it does."""
    if steps <= KEPT:
        return steps
    # A run that forgets nothing has half of them on average.
    return (KEPT * KEPT + 2 * _AFTERWARDS * (steps - KEPT)) // steps


def _parts(number: int) -> list[int]:
    """n - 1, n - 2, n - 4, .., above n - 2^j: with the last K steps they sum 2^j K of them."""
    return [number - (1 << i) for i in range((number & -number).bit_length() - 1)]


def _age(number: int) -> int:
    """A times the largest power of 2 that divides a number."""
    return _AGE * (number & -number)


def widened(coordinates: Tensor, count: int) -> Tensor:
    """Coordinates (R, P, n) as of more directions: they have no part in those seen later."""
    return torch.nn.functional.pad(coordinates, (0, count - coordinates.shape[2]))
