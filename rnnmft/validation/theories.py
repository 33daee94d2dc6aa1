"""Solving a theory for a validation: its targets, with as many units as their test needs.

A theory that samples units has a standard error of its own. Each kind of claim (moments, memory,
gradients) is computed from a moderate number of units first; where its error would keep a control
from being rejected it is computed again from more, up to a limit of time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import ParameterError, Status
from rnnmft.solvers.results import Trajectory
from rnnmft.validation.jacobian_targets import gradient_growth, singular_values
from rnnmft.validation.layer_targets import layer_gradients
from rnnmft.validation.setting import SimulationSetting
from rnnmft.validation.target import Claimed, Target, Untested, stationary_window
from rnnmft.validation.targets import autocorrelations, moments_over_time, stationary_variances

__all__ = ["Theory", "Units", "checked_units", "solve_theory"]

# Units beyond what an error says is wanted, since it is itself uncertain; and by how many more than
# before a second run is worth its time.
_MARGIN, _WORTH = 1.2, 1.5
# Enough repetitions for a standard error to be known itself.
_SAMPLING = {"particles": 1 << 17, "repetitions": 32}
# Units times the squares of steps and trajectories, for one preactivation: a quarter of a minute of
# one core.
_MOST_WORK = 4e9
# A second moment that grows by more than this over the last third of the steps has no law of large
# numbers that a test could use.
_EXPLODING = 10.0


@dataclass(frozen=True)
class Units:
    """How many units a theory samples: `fixed` where the caller said so."""

    particles: int
    repetitions: int
    fixed: bool


def checked_units(given: Mapping[str, int]) -> Units:
    """From the `sampling` of `validate`.

    Raises:
        ParameterError: it names something else than particles and repetitions.
    """
    for name in given:
        if name not in _SAMPLING:
            raise ParameterError(f"sampling knows {', '.join(_SAMPLING)}, got {name!r}")
    return Units(**{**_SAMPLING, **given}, fixed="particles" in given)


@dataclass(frozen=True, eq=False)
class Theory:
    """One theory of a setting: its moments over time, its targets, and what it leaves out."""

    trajectory: Trajectory
    targets: list[Target]
    untested: list[Untested]

    @property
    def claims(self) -> list[Target]:
        """What is tested."""
        return [t for t in self.targets if t.primary]

    @property
    def shown(self) -> list[Target]:
        """What is shown beside the claims."""
        return [t for t in self.targets if not t.primary]


def solve_theory(setting: SimulationSetting, tying: str, units: Units, precision: float) -> Theory:
    """Solve a theory and draw up what is compared of it.

    Args:
        setting: of the networks.
        tying: "tied" or "untied".
        units: where it samples.
        precision: the standard error that the claims should have, relative to their scale.

    Raises:
        DerivationError: there is no such theory of this cell.
    """

    @cache
    def field(particles: int) -> MeanField:
        return MeanField(
            setting.cell,
            setting.ensemble,
            setting.inputs,
            tying,
            device=setting.device,
            seed=setting.seed,
            particles=particles,
            repetitions=units.repetitions,
            start=setting.start,
        )

    @cache
    def trajectory(particles: int) -> Trajectory:
        return field(particles).evolve(setting.steps)

    known = trajectory(units.particles)
    status = Status.DIVERGES if _explodes(known) else known.status
    # A correlation undefined at some step leaves out that claim, not all.
    if status not in (Status.OK, Status.UNDEFINED):
        return Theory(known, [], [Untested("everything", tying, str(status))])

    def moments(particles: int) -> Claimed:
        nonlocal known
        known = trajectory(particles)
        return moments_over_time(known)

    # The first two follow two trajectories, the others one.
    kinds: list[tuple[str, int, Callable[[int], Claimed]]] = [
        ("moments", 2, moments),
        ("variances", 2, lambda n: stationary_variances(field(n), trajectory(n))),
        ("memory", 1, lambda particles: autocorrelations(field(particles), known, setting.lags)),
        (
            "gradients",
            1,
            lambda particles: singular_values(
                field(particles), known, setting.horizons, setting.points
            ),
        ),
        ("gradients", 1, lambda n: gradient_growth(field(n), known, setting.horizons)),
        ("gradients", 1, lambda n: layer_gradients(field(n), known, setting.horizons)),
    ]
    targets: list[Target] = []
    untested: list[Untested] = []
    for _, trajectories, kind in (k for k in kinds if k[0] in setting.kinds):
        found, left = _precise(kind, units, precision, _most(setting, trajectories))
        targets += [_with_degrees(target, units.repetitions - 1) for target in found]
        untested += left
    return Theory(known, targets, untested)


def _explodes(trajectory: Trajectory) -> bool:
    """Whether a second moment grows so fast that networks scatter over orders of magnitude."""
    early = stationary_window(trajectory.steps).start
    moments = [np.asarray(values) for values in trajectory.second_moment.values()]
    return any(m[-1] > _EXPLODING * m[early] > 0 for m in moments)


def _most(setting: SimulationSetting, trajectories: int) -> int:
    # What the weights see is averaged once for all preactivations: the first costs twice.
    preactivations = (len(setting.cell.preactivations) + 1) / 2
    return int(_MOST_WORK / (preactivations * (setting.steps * trajectories) ** 2))


def _precise(kind: Callable[[int], Claimed], units: Units, precision: float, most: int) -> Claimed:
    """Targets of one kind, computed again from more units where claims are not precise enough."""
    found, left = kind(units.particles)
    errors = [t.prediction.level_error for t in found if t.primary and t.prediction.sampled]
    excess = max(errors, default=0.0) / precision
    if units.fixed or excess <= 1.0:
        return found, left
    wanted = int(min(_MARGIN * excess**2 * units.particles, most))
    return kind(wanted) if wanted > _WORTH * units.particles else (found, left)


def _with_degrees(target: Target, degrees: int) -> Target:
    if not target.prediction.sampled:
        return target
    prediction: Any = replace(target.prediction, error_degrees=float(degrees))
    return replace(target, prediction=prediction)
