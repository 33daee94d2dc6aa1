"""The networks of a report: one run of each tying, from which every section takes its points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.parameters import TYINGS
from rnnmft.simulation import Simulation, simulate

__all__ = ["HORIZONS", "WIDTH", "Networks", "run_networks"]

#: Horizons of simulated Jacobians: about evenly spaced in the logarithm.
HORIZONS = (1, 2, 5, 10, 20)
#: Of simulated networks: singular values of the Jacobians of some dozens take seconds.
WIDTH = 256
# How many of them: 16 and more know their scatter to 18 %.
_FEWEST, _MOST = 16, 32


@dataclass(frozen=True)
class Networks:
    """Networks of one width by tying, after so many steps, with the lags of their memory."""

    runs: dict[str, Simulation]
    steps: int
    lags: int
    horizons: tuple[int, ...] = HORIZONS

    @property
    def count(self) -> int:
        """How many of each tying."""
        return next(iter(self.runs.values())).networks


def run_networks(
    cell: Cell,
    ensemble: Ensemble,
    inputs: Inputs,
    burn_in: int,
    lags: int,
    seed: int,
    device: str,
    horizons: tuple[int, ...] = HORIZONS,
    progress: Callable[[float, float], object] | None = None,
    start: float | Mapping[str, float] = 0.0,
    tyings: Sequence[str] = TYINGS,
) -> Networks:
    """Run them for burn_in + lags + 1 steps, then along Jacobians of every horizon."""
    size = len(cell.states) * max(len(cell.preactivations), 1)
    count = int(np.clip(64 // size, _FEWEST, _MOST))
    steps = burn_in + lags + 1

    def run(i: int, tying: str) -> Simulation:
        def advance(done: float, total: float) -> None:
            if progress is not None:
                progress(i + done / total, len(tyings))

        return simulate(
            cell,
            ensemble,
            inputs,
            width=WIDTH,
            networks=count,
            steps=steps,
            tying=tying,
            jacobian_horizons=horizons,
            spectrum=True,
            autocovariance_lags=range(lags + 1),
            device=device,
            seed=_seed(seed, TYINGS.index(tying)),
            progress=advance,
            start=start,
        )

    return Networks({t: run(i, t) for i, t in enumerate(tyings)}, steps, lags, horizons)


def _seed(seed: int, which: int) -> int:
    """Of one run; the main run of a validation has three words, its pilot four."""
    return int(np.random.SeedSequence([seed, WIDTH, which, 2, 0]).generate_state(1)[0])
