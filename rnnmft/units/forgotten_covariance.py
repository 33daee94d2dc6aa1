"""How much covariance was lost with the directions that a basis has dropped.

W answered y_t and y_s as if their average product were that of their coordinates c in the
directions kept. The gap between the two, relative to their lengths,

    gap(t, s) = (E[y_t y_s] - c_t . c_s) / |y_t| |y_s|,

is 0 where nothing was lost, and large where a part of an earlier state is hidden from all that was
kept and returns. It is measured against witnesses: states of earlier times, evenly spread over the
run, which are not the ones whose span is kept. Unrelated states of M units overlap by chance,
1 / sqrt(M) or less with either sign. Eq. (tied-basis).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rnnmft.units.recent_span import widened

__all__ = ["OCTAVES", "ForgottenCovariance", "witnesses_of"]

Tensor = torch.Tensor

#: Lags are told apart by octaves: 2^k <= t - s < 2^(k + 1), k = 0, 1, ..; the last has no end.
OCTAVES = 20
# Steps between two looks; how many witnesses there are, at most.
_APART, _MOST = 16, 16


@dataclass
class _Witness:
    """y at a time, (R, P, M), and what is left of its coordinates, (R, P, n)."""

    time: int
    seen: Tensor
    coordinates: Tensor


class ForgottenCovariance:
    """The gaps of a run, summed by octaves of the lag.

    Args:
        like: a tensor of the wanted dtype and device.
        repetitions: R.
    """

    def __init__(self, like: Tensor, repetitions: int) -> None:
        self._sums = like.new_zeros((2, repetitions, OCTAVES))
        self._pairs = like.new_zeros(OCTAVES)
        self._witnesses: list[_Witness] = []
        self._time, self._every, self._is_turned = 0, 2 * _APART, False

    def rotate(self, turn: Tensor) -> None:
        """Directions (n) are replaced by n' others, V (R, n, n')."""
        self._is_turned = True
        for witness in self._witnesses:
            witness.coordinates = widened(witness.coordinates, turn.shape[1]) @ turn

    def append(self, seen: Tensor, coordinates: Tensor) -> None:
        """One more y, (R, P, M), and its coordinates, (R, P, n)."""
        self._time += 1
        if self._time % _APART == 0:
            now = _Witness(self._time, seen, coordinates)
            if self._is_turned:
                self._measure(now)
            # Half way between those whose span is kept for longest.
            if self._time % self._every == self._every // 2:
                self._witnesses.append(now)
            if len(self._witnesses) > _MOST:
                self._witnesses, self._every = self._witnesses[::2], 2 * self._every

    def _measure(self, now: _Witness) -> None:
        for witness in self._witnesses:
            gap = _gap(now, witness)
            octave = min((now.time - witness.time).bit_length() - 1, OCTAVES - 1)
            self._sums[:, :, octave] += torch.stack([gap.mean(1), gap.square().mean(1)])
            self._pairs[octave] += 1

    @property
    def kept(self) -> int:
        """How many numbers a unit are kept."""
        return sum(witness.seen.shape[1] for witness in self._witnesses)

    @property
    def means(self) -> Tensor:
        """The mean gap and the mean square gap by octave, (2, R, octaves); 0 where no pair is."""
        return self._sums / self._pairs.clamp_min(1)


def witnesses_of(steps: int) -> int:
    """How many earlier states a run of so many steps keeps, at most."""
    return min(steps // _APART, _MOST)


def _gap(now: _Witness, then: _Witness) -> Tensor:
    """Of each trajectory, (R, P)."""
    product = (now.seen * then.seen).mean(2)
    held = (widened(then.coordinates, now.coordinates.shape[2]) * now.coordinates).sum(2)
    size = (now.seen.square().mean(2) * then.seen.square().mean(2)).sqrt()
    return (product - held) / torch.where(size > 0, size, torch.inf)
