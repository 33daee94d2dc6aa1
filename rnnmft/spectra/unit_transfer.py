"""The transfer matrix of a unit over T steps: how states and what W sees answer to perturbations.

With the matrices W_k cut out, the linearised unit maps (ds^0; de_k^t) to (ds^T; dy_k^t):

    tau = [[ds^T/ds^0, ds^T/de], [dy/ds^0, dy/de]],

of size m + K T, strictly causal in its lower right block.

Eq. (many-steps).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rnnmft.numerics.backends import Backend, numpy_backend
from rnnmft.spectra.determining_closure import Closure

__all__ = ["Sections", "UnitTransfer"]


@dataclass(frozen=True)
class Sections:
    """How the rows of tau fall into blocks, and which index pairs of a block are kept.

    Attributes:
        states: m, the first rows.
        count, length: B blocks of L coupled indices each (tied: a block holds one preactivation's
            times; untied: every preactivation and time is a block of its own).
    """

    states: int
    count: int
    length: int

    @property
    def first(self) -> NDArray[np.intp]:
        """The first index of each kept pair in its block, with `second` >= it: (P,)."""
        return np.triu_indices(self.length)[0]

    @property
    def second(self) -> NDArray[np.intp]:
        """See `first`."""
        return np.triu_indices(self.length)[1]

    @property
    def pairs(self) -> int:
        """P = L (L + 1) / 2 for one block."""
        return self.length * (self.length + 1) // 2

    @property
    def size(self) -> int:
        """n = m + B L."""
        return self.states + self.count * self.length


@dataclass(frozen=True)
class UnitTransfer:
    """Transfer matrices tau of units, sampled or nodes of a quadrature.

    Attributes:
        tau: (M, n, n), n = states + len(sigma_w) * horizon; coupled indices ordered by
            preactivation, then by time.
        weight: (M,) probabilities; they sum to 1.
        states: m.
        horizon: T.
        sigma_w: of the recurrent preactivations.
        weights: their ensembles.
        tied: whether weights are shared over time.
        repetitions: R, into how many independent parts of equal size, one after the other, the
            units fall; 1 for nodes of a quadrature, which have no sampling error.
        backend: where averages over units are taken, in double precision.
        names: of the recurrent preactivations.
        room: what divides the argument of each one's Phi; 1 for square matrices of all units.
        states_a_unit: m, or the mean of it where units have different ones.
    """

    tau: NDArray[np.float64]
    weight: NDArray[np.float64]
    states: int
    horizon: int
    sigma_w: tuple[float, ...]
    weights: tuple[str, ...]
    tied: bool
    repetitions: int = 1
    backend: Backend = field(default_factory=numpy_backend)
    names: tuple[str, ...] = ()
    room: tuple[float, ...] = ()
    states_a_unit: float = 0.0

    def __post_init__(self) -> None:
        if not self.states_a_unit:
            object.__setattr__(self, "states_a_unit", float(self.states))
            object.__setattr__(self, "room", (1.0,) * len(self.sigma_w))

    @property
    def sections(self) -> Sections:
        """Blocks of coupled indices: one a preactivation (tied), or one an index (untied)."""
        kinds = len(self.sigma_w)
        if self.tied and kinds:
            return Sections(self.states, kinds, self.horizon)
        return Sections(self.states, kinds * self.horizon, 1)

    @property
    def closure(self) -> Closure:
        """The ensembles of those blocks."""
        times = 1 if self.tied else self.horizon
        sections = self.sections
        sigma_w = tuple(s for s in self.sigma_w for _ in range(times))
        names = tuple(w for w in self.weights for _ in range(times))
        room = tuple(r for r in self.room for _ in range(times))
        return Closure(sigma_w, names, sections.length, room)

    def parts(self) -> NDArray[np.float64] | None:
        """(R, M): each part's own weights, which sum to 1; None for a single part."""
        if self.repetitions == 1:
            return None
        size = len(self.tau) // self.repetitions
        found = np.zeros((self.repetitions, len(self.tau)))
        for r in range(self.repetitions):
            piece = slice(r * size, (r + 1) * size)
            found[r, piece] = self.weight[piece] / self.weight[piece].sum()
        return found

    def thinned(self, count: int) -> UnitTransfer:
        """About `count` of the units, evenly spread; all of them where there are no more."""
        step = len(self.tau) // count
        if step < 2:
            return self
        weight = self.weight[::step]
        return replace(self, tau=self.tau[::step], weight=weight / weight.sum(), repetitions=1)
