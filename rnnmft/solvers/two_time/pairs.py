"""The stationary covariance of two trajectories of one network: which one they reach.

They start without knowing of each other and are followed like one trajectory (`settling`), each at
the stationary law of its own.

Eq. (stationary-kernel).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.correlation import require_variance
from rnnmft.errors import ConvergenceError, Status
from rnnmft.solvers.two_time.evolution import StateRow
from rnnmft.solvers.two_time.followed import Followed
from rnnmft.solvers.two_time.kernel import StationaryKernel, weighted_averages
from rnnmft.solvers.two_time.stability import perturbation
from rnnmft.solvers.two_time.stationary import KernelEquation, solve_on_window

__all__ = ["settle_pair"]

Array = NDArray[Any]
# Steps of a recursion of two times: the last are T^2 / 2 = 3e7 averages of pairs.
_FIRST_STEPS, _MOST_STEPS = 64, 8192
# From here on other guesses than the recursion's are tried.
_SHORT = 1024


def settle_pair(own: StationaryKernel) -> StationaryKernel:
    """The stationary covariance of two trajectories that knew nothing of each other.

    Where it is not reached in as many steps as are affordable: a stable root, and
    `Status.MAX_STEPS`.

    Raises:
        ConvergenceError: no stable root was found, or the stationary state is zero.
    """
    system = own.system
    variances = own.seen_from(np.eye(len(system.A)))[0][:, 0] + system.mean**2
    require_variance({s.name: v for s, v in zip(system.cell.states, variances, strict=True)})
    share = system.inputs.correlation if system.fed else 1.0
    if share == 1.0 and perturbation(own)[0] < 1.0:
        return own
    row = _PairRow(own, share)
    candidate: StationaryKernel | None = None
    steps = _FIRST_STEPS
    while steps <= _MOST_STEPS:
        while row.steps < steps:
            row.advance()
        for root in _roots(own, share, row.followed):
            if perturbation(root)[0] >= 1.0:
                continue
            if _nears(own, root, row.followed):
                return root
            candidate = root
        steps *= 2
    if candidate is None:
        raise ConvergenceError(Status.MAX_STEPS, "The correlation is not stationary.")
    return replace(candidate, status=Status.MAX_STEPS)


class _PairRow:
    """The recursion of the covariance between two trajectories, each stationary."""

    def __init__(self, own: StationaryKernel, share: float) -> None:
        system = own.system
        self._own = own
        self._power = share * system.input(_MOST_STEPS)
        self._into = np.einsum("ik,jk->kij", system.B, system.B)
        self._row = StateRow(system.A, np.zeros((1, *system.A.shape)))
        self._drives = np.zeros((len(system.rows), 0))
        self._variances: list[Array] = []

    @property
    def steps(self) -> int:
        return len(self._variances)

    @property
    def followed(self) -> Followed:
        return Followed(self._drives[:, ::-1], np.array(self._variances))

    def advance(self) -> None:
        own, system = self._own, self._own.system
        looked = np.einsum("ki,sij,kj->ks", system.rows, self._row.values[0], system.rows)
        seen, _ = weighted_averages(system, "overlap", looked, looked[:, -1], own.curves)
        back = self._power[: looked.shape[1]][::-1]
        self._drives = seen + system.wide[:, None] * back + system.bias[:, None]
        forcing = np.tensordot(self._drives, self._into, axes=(0, 0))
        forcing = forcing + back[:, None, None] * np.outer(system.c, system.c)
        self._row.advance(np.asarray(forcing, dtype=float)[None])
        self._variances.append(np.diag(self._row.values[0, -1]))


def _roots(own: StationaryKernel, share: float, followed: Followed) -> Iterator[StationaryKernel]:
    """Roots near the recursion's last row, and near what the two may share."""
    guesses = [followed.apart(KernelEquation(own.system, followed.window, share, own))]
    if followed.kernel.shape[1] >= _SHORT:
        guesses += [(part * own.forgotten, own.plateau) for part in (0.0, share)]
    for guess in guesses:
        try:
            yield solve_on_window(lambda lags: KernelEquation(own.system, lags, share, own), *guess)
        except ConvergenceError:
            continue


def _nears(own: StationaryKernel, root: StationaryKernel, followed: Followed) -> bool:
    """Whether the recursion comes near; distances are relative to the variances of each."""
    whole = np.eye(len(own.system.A))
    size = own.seen_from(whole)[0][:, 0]
    cross = root.seen_from(whole)[0][:, 0]
    return replace(followed, variances=followed.variances - cross + size).near(size)
