"""The Gaussian processes of all weights that see one thing y: e_k = W_k y + V_k x + b_k over time.

    Cov(e_k^{t,a}, e_k^{s,b}) = sigma_w,k^2 E[y^{t,a} y^{s,b}] + (what is known beforehand)

The averages E[y y] are over the very units that are drawn; they are computed once for all k that
see the same y (an LSTM's four gates), and only the present needs new ones: a Gram row a step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from rnnmft.analysis.units.columns import Columns
from rnnmft.analysis.units.gaussian_memory import GaussianMemory
from rnnmft.analysis.units.normals import StandardNormals

__all__ = ["Covariance", "KernelMemory"]

Tensor = torch.Tensor
#: Known part of a covariance: (lags in steps, whether the trajectories are the same) -> values.
Covariance = Callable[[NDArray[np.int64], NDArray[np.bool_]], NDArray[np.float64]]
_NO_LAG, _SAME = np.zeros((1, 1), np.int64), np.ones((1, 1), np.bool_)


def _nothing(lags: NDArray[np.int64], same: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.zeros(lags.shape)


class KernelMemory:
    """Processes that share what their weights see, on P trajectories, drawn a time step at a time.

    A step is `see`, then `draw` for each process, then `keep`.

    Args:
        shape: (R, P, M).
        like: a tensor of the wanted dtype and device.
        normals: makes a new source of normal numbers.
        persistent: whether a process remembers its past (tied weights); else every step is drawn
            afresh (untied).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        like: Tensor,
        normals: Callable[[], StandardNormals],
        persistent: bool,
    ) -> None:
        self.trajectories, self.persistent = shape[1], persistent
        self._normals = normals
        self._memories: dict[str, GaussianMemory] = {}
        self._seen = Columns(like.new_empty((shape[0], 1, shape[2])))
        # The number of the variable (time * P + trajectory) that each column of `_seen` belongs to.
        self._numbers: list[int] = []
        self._now: Tensor | None = None
        self._past_gram: Tensor | None = None
        self._now_gram: Tensor | None = None
        self._like = like
        self._repetitions = shape[0]
        self.time = -1

    def see(self, y: Tensor | None) -> None:
        """Begin a step: what the weights see now, (R, P, M); None where they see nothing."""
        self.time += 1
        self._now = y
        if y is not None:
            self._past_gram = self._seen.overlap(y)
            self._now_gram = torch.bmm(y, y.transpose(1, 2)) / y.shape[2]

    def draw(self, name: str, weight: float = 0.0, known: Covariance = _nothing) -> Tensor:
        """This step's variables of one process, about their mean, (R, P, M).

        Args:
            name: of the process.
            weight: sigma_w^2.
            known: the part of the covariance that the input and the bias make.
        """
        if not self.persistent and self.trajectories == 1:
            return self._afresh(weight, known)
        memory = self._memory(name)
        past = self._covariance(memory.columns, known)
        now = self._covariance(range(self._first, self._first + self.trajectories), known)
        if weight and self._past_gram is not None and self._now_gram is not None:
            now = now + weight * self._now_gram
            if memory.columns:
                past = past + weight * self._past_gram[:, :, self._places(memory.columns)]
        return memory.draw(past, now)

    def _afresh(self, weight: float, known: Covariance) -> Tensor:
        """One variable that remembers nothing: a normal number of the right size."""
        variance = self._like.new_full((1, 1, 1), float(known(_NO_LAG, _SAME)[0, 0]))
        if weight and self._now_gram is not None:
            variance = variance + weight * self._now_gram
        normals = self._normals()
        if not bool(variance.any()):
            return self._like.new_zeros((self._repetitions, 1, normals.units))
        normals.reserve(1)
        return variance.sqrt() * normals.blocks[0][:, :1]

    def keep(self) -> None:
        """End a step: remember what was seen where some process needs it later."""
        y, self._now = self._now, None
        if y is None or not self.persistent:
            return
        owned = {n for memory in self._memories.values() for n in memory.columns[-y.shape[1] :]}
        for side in range(y.shape[1]):
            if self._first + side in owned:
                self._seen.append(y[:, side])
                self._numbers.append(self._first + side)

    @property
    def _first(self) -> int:
        """The number of this step's first variable."""
        return self.time * self.trajectories if self.persistent else 0

    def _memory(self, name: str) -> GaussianMemory:
        if not self.persistent:
            return GaussianMemory(self._normals())
        if name not in self._memories:
            self._memories[name] = GaussianMemory(self._normals())
        return self._memories[name]

    def _places(self, numbers: list[int]) -> list[int] | slice:
        """Where in `_seen` the variables of those numbers are."""
        if numbers == self._numbers:
            return slice(None)
        at = {number: place for place, number in enumerate(self._numbers)}
        return [at[number] for number in numbers]

    def _covariance(self, numbers: list[int] | range, known: Covariance) -> Tensor:
        """The known covariances of this step's variables with those of given numbers, (R, P, n)."""
        found = np.asarray(numbers, dtype=np.int64)
        present = np.arange(self._first, self._first + self.trajectories)
        times, sides = np.divmod(found, self.trajectories)
        lags = np.broadcast_to(
            (self._first // self.trajectories - times)[None], (len(present), len(times))
        )
        same = (present % self.trajectories)[:, None] == sides[None]
        values = torch.as_tensor(known(lags, same), dtype=torch.float64, device=self._like.device)
        return values.expand(self._repetitions, *values.shape)
