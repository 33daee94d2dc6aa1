"""What a validation will do, fixed before its networks are drawn: theories, claims, numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.results import Trajectory
from rnnmft.cells import Cell, Ensemble, Inputs
from rnnmft.errors import ParameterError
from rnnmft.parameters import check_count
from rnnmft.simulation import Simulation, simulate
from rnnmft.validation.extrapolation import Design
from rnnmft.validation.sample_size import (
    PILOT_NETWORKS,
    Pilot,
    cost_of_a_network,
    given_design,
    sized_design,
)
from rnnmft.validation.targets import Target, Untested, targets

__all__ = ["TYINGS", "Plan", "Setting", "make_plan", "make_setting"]

TYINGS = ("untied", "tied")
_MAIN, _PILOT = 0, 1
# Of a theory that samples units: enough repetitions for its standard error to be known itself.
_SAMPLING = {"particles": 200_000, "repetitions": 32}
# A gap that is only estimated takes this fraction of the networks that a claim needs.
_GAP_SHARE = 2


@dataclass(frozen=True)
class Setting:
    """What every simulation of a validation shares."""

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    steps: int
    horizons: tuple[int, ...]
    seed: int
    device: str
    dtype: str

    def run(
        self,
        width: int,
        networks: int,
        tying: str,
        purpose: int = _MAIN,
        progress: Callable[[int, int], object] | None = None,
    ) -> Simulation:
        """One simulation; its seed follows from the report's seed, width, tying and purpose."""
        words = [self.seed, width, TYINGS.index(tying), purpose]
        return simulate(
            self.cell,
            self.ensemble,
            self.inputs,
            width=width,
            networks=networks,
            steps=self.steps,
            tying=tying,
            jacobian_horizons=self.horizons,
            device=self.device,
            dtype=self.dtype,
            seed=int(np.random.SeedSequence(words).generate_state(1)[0]),
            progress=progress,
        )

    def costs(self, widths: Sequence[int], tying: str) -> list[float]:
        """The cost of one network of each width."""
        steps = self.steps + max(self.horizons, default=0)
        return [cost_of_a_network(self.cell, self.ensemble, w, steps, tying) for w in widths]


def make_setting(
    cell: Any,
    ensemble: Any,
    inputs: Any,
    steps: Any,
    horizons: Iterable[Any],
    seed: Any,
    device: str,
    dtype: str,
) -> Setting:
    """Check what a simulation would check only after the theory was solved."""
    if not isinstance(cell, Cell):
        raise ParameterError(f"cell must be a Cell, got {cell!r}")
    if dtype not in ("float32", "float64"):
        raise ParameterError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    return Setting(
        cell,
        cell.ensemble() if ensemble is None else ensemble,
        Inputs() if inputs is None else inputs,
        check_count("steps", steps),
        tuple(sorted({check_count("each of horizons", h) for h in horizons})),
        check_count("seed", seed, 0),
        device,
        dtype,
    )


@dataclass(frozen=True, eq=False)
class Plan:
    """The theories, the claims and the networks of a validation.

    Attributes:
        setting: of the simulations.
        theory: {tying: moments over time}.
        claims: {tying: claims of that theory}; the order of the report.
        untested: what a theory could not predict.
        design: {tying: widths and networks}, for each tying that will be simulated.
        pilot: {tying: how the numbers were found}.
        threshold: of each claim's p-value.
        control: the fraction by which controls move predictions.
    """

    setting: Setting
    theory: dict[str, Trajectory]
    claims: dict[str, list[Target]]
    untested: list[Untested]
    design: dict[str, Design]
    pilot: dict[str, Pilot]
    threshold: float
    control: float


def make_plan(
    setting: Setting,
    tyings: Iterable[str],
    widths: Any,
    networks: Any,
    gap: bool,
    false_alarm_rate: float,
    control: float,
    sampling: Mapping[str, int] | None = None,
) -> Plan:
    """Solve the theories, draw up their claims, and fix the number of networks."""
    _check_fraction("false_alarm_rate", false_alarm_rate)
    _check_fraction("control", control)
    chosen = _checked_tyings(tyings)
    given = given_design(widths, 2 if networks is None else networks)
    units = _checked_sampling(sampling or {})
    theory: dict[str, Trajectory] = {}
    claims: dict[str, list[Target]] = {}
    untested: list[Untested] = []
    for tying in chosen:
        field = MeanField(
            setting.cell,
            setting.ensemble,
            setting.inputs,
            tying,
            seed=setting.seed,
            particles=units["particles"],
            repetitions=units["repetitions"],
        )
        theory[tying] = field.evolve(setting.steps)
        claims[tying], left = targets(field, theory[tying], setting.horizons, units["repetitions"])
        untested += left
    threshold = false_alarm_rate / max(sum(map(len, claims.values())), 1)
    plan = Plan(setting, theory, claims, untested, {}, {}, threshold, control)
    for tying, measured in claims.items():
        if measured and networks is None:
            plan.design[tying], plan.pilot[tying] = _sized(plan, given.widths, measured, tying)
        elif measured:
            plan.design[tying] = given
    if gap and claims.get("untied") and "tied" not in plan.design:
        counts = plan.design["untied"].networks
        plan.design["tied"] = Design(given.widths, tuple(max(n // _GAP_SHARE, 2) for n in counts))
    return plan


def _sized(
    plan: Plan, widths: tuple[int, ...], measured: list[Target], tying: str
) -> tuple[Design, Pilot]:
    pilot = plan.setting.run(widths[0], PILOT_NETWORKS, tying, _PILOT)
    cost = plan.setting.costs(widths, tying)
    return sized_design(widths, measured, pilot, cost, plan.threshold, plan.control)


def _checked_tyings(tyings: Iterable[str]) -> list[str]:
    chosen = [tyings] if isinstance(tyings, str) else list(tyings)
    for tying in chosen:
        if tying not in TYINGS:
            raise ParameterError(f"tyings must be among {', '.join(TYINGS)}, got {tying!r}")
    if not chosen or len(set(chosen)) < len(chosen):
        raise ParameterError(f"tyings must name each theory to test once, got {chosen}")
    return chosen


def _checked_sampling(given: Mapping[str, int]) -> dict[str, int]:
    for name in given:
        if name not in _SAMPLING:
            raise ParameterError(f"sampling knows {', '.join(_SAMPLING)}, got {name!r}")
    return {**_SAMPLING, **given}


def _check_fraction(name: str, value: Any) -> None:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not usable or not math.isfinite(value) or not 0 < value < 1:
        raise ParameterError(f"{name} must be a number between 0 and 1, got {value!r}")
