"""What every simulation of a validation shares, and what its networks cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnmft.errors import ParameterError
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.parameters import check_count, check_start
from rnnmft.simulation import Simulation, simulate
from rnnmft.simulation.plan import SimulationPlan, checked_plan

__all__ = ["KINDS", "PILOT", "POINTS", "SimulationSetting", "make_setting"]

#: Of claims: moments over time, variances of preactivations at the end, autocorrelations, and all
#: that is about Jacobians.
KINDS = ("moments", "variances", "memory", "gradients")
# Part of the seeds: the order must not change.
_TYINGS = ("untied", "tied")
# A purpose of 2 is that of the networks of a report.
_MAIN, PILOT, POINTS = 0, 1, 3
# Operations of a product of matrices that take as long as one random number.
_OPERATIONS = 200.0


@dataclass(frozen=True)
class SimulationSetting:
    """What every simulation of a validation shares.

    `points` are {horizon: z < 0} of the effective dimensions (`effective_dimension`); `kinds` is
    what is compared with a theory.
    """

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    steps: int
    horizons: tuple[int, ...]
    lags: tuple[int, ...]
    seed: int
    device: str
    dtype: str
    start: Mapping[str, float]
    points: Mapping[int, float] = field(default_factory=dict)
    kinds: tuple[str, ...] = KINDS

    def run(
        self,
        width: int,
        networks: int,
        tying: str,
        purpose: int = _MAIN,
        spectrum: bool = False,
        progress: Callable[[int, int], object] | None = None,
    ) -> Simulation:
        """One simulation; its seed follows from the report's seed, width, tying and purpose."""
        given = self._options(width, networks, tying, purpose)
        return simulate(*self._of, **given, spectrum=spectrum, progress=progress)

    def plan(self, width: int, networks: int, tying: str) -> SimulationPlan:
        """The same of `run`, to be done in parts."""
        given = self._options(width, networks, tying, _MAIN)
        rest = {"jacobian_networks": None, "spectrum": False, "memory": None}
        return checked_plan(*self._of, **given, **rest)

    @property
    def _of(self) -> tuple[Cell, Ensemble, Inputs]:
        return self.cell, self.ensemble, self.inputs

    def _options(self, width: int, networks: int, tying: str, purpose: int) -> dict[str, Any]:
        words = [self.seed, width, _TYINGS.index(tying), purpose]
        return {
            "width": width,
            "networks": networks,
            "steps": self.steps,
            "tying": tying,
            "jacobian_horizons": self.horizons,
            "resolvent_points": sorted(set(self.points.values())),
            "autocovariance_lags": self.lags,
            "device": self.device,
            "dtype": self.dtype,
            "seed": int(np.random.SeedSequence(words).generate_state(1)[0]),
            "start": self.start,
        }

    def costs(self, widths: Sequence[int], tying: str) -> list[float]:
        """The cost of one network of each width, in random numbers drawn."""
        return [self._cost(width, tying) for width in widths]

    def _cost(self, width: int, tying: str) -> float:
        laws = [self.ensemble[p.name] for p in self.cell.preactivations]
        recurrent = sum(law.sigma_w > 0 for law in laws)
        matrices = width**2 * max(recurrent + sum(law.sigma_v > 0 for law in laws), 1)
        longest = max(self.horizons, default=0)
        steps = self.steps + longest
        size = len(self.cell.states) * width
        # The tangent is pushed; a horizon takes 4 size^3 for moments, 7 for singular values.
        products = 2.0 * recurrent * width**2 * size * longest + 11.0 * size**3 * len(self.horizons)
        # Tied networks draw once; their steps are products with vectors.
        forward = matrices * steps if tying == "untied" else matrices * (1 + 0.1 * steps)
        return forward + products / _OPERATIONS


def make_setting(
    cell: Any,
    ensemble: Any,
    inputs: Any,
    steps: Any,
    horizons: Iterable[Any],
    lags: Iterable[Any],
    seed: Any,
    device: str,
    dtype: str,
    start: Any = 0.0,
    kinds: Iterable[str] = KINDS,
) -> SimulationSetting:
    """Check what a simulation would check only after the theory was solved."""
    if not isinstance(cell, Cell):
        raise ParameterError(f"cell must be a Cell, got {cell!r}")
    if dtype not in ("float32", "float64"):
        raise ParameterError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    steps = check_count("steps", steps)
    kinds = tuple(kinds)
    if not kinds or not set(kinds) <= set(KINDS):
        raise ParameterError(f"kinds must be among {', '.join(KINDS)}, got {kinds!r}")
    counted = {check_count("each of lags", lag) for lag in lags}
    return SimulationSetting(
        cell,
        cell.ensemble() if ensemble is None else ensemble,
        Inputs() if inputs is None else inputs,
        steps,
        tuple(sorted({check_count("each of horizons", h) for h in horizons})),
        # Short runs leave out the lags that they do not reach.
        tuple(sorted(lag for lag in counted if lag < steps)),
        check_count("seed", seed, 0),
        device,
        dtype,
        check_start(start, [s.name for s in cell.states]),
        kinds=kinds,
    )
