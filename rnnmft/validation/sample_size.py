"""How many networks a validation takes: enough that every control is rejected.

The number is fixed before the validation's own networks are drawn: either given, or computed from a
pilot of networks (with seeds of their own, thrown away afterwards) that tells how much the
quantities spread from network to network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from rnnmft.errors import ParameterError
from rnnmft.parameters import check_count
from rnnmft.records import Record
from rnnmft.simulation import Simulation
from rnnmft.validation.extrapolation import WidthDesign
from rnnmft.validation.target import Target

__all__ = [
    "PILOT_NETWORKS",
    "Pilot",
    "given_design",
    "needed_error",
    "needed_networks",
    "share_networks",
]

#: Networks whose scatter tells how many are needed: their variance is known to 18 % (2 / 63)^(1/2).
PILOT_NETWORKS = 64
# And no claim on fewer, whose Student's t would have tails that ask for more than networks.
_FEWEST = 16
# The probability of rejecting a control, and a reserve for the pilot's own error in a variance.
_POWER, _RESERVE = 0.99, 1.5
# Random numbers that all networks may draw: about a minute of one core.
_MOST_NUMBERS = 1.4e10


@dataclass(frozen=True)
class Pilot(Record):
    """What the pilot found: its seed and size, and N Var by claim in units of the scale.

    `decisive` is the claim that needs most networks; `wanted` networks of each width give it the
    declared power, and `networks` were taken.
    """

    width: int
    networks_drawn: int
    seed: int
    variances: dict[str, float]
    decisive: str
    wanted: int
    networks: int


def given_design(widths: Any, networks: Any) -> WidthDesign:
    """The design of networks given by the caller: one number, or one for each width.

    Raises:
        ParameterError: fewer than three widths, or fewer than two networks.
    """
    widths = tuple(check_count("each of widths", w) for w in _listed("widths", widths))
    if isinstance(networks, (list, tuple)):
        counts = tuple(check_count("each of networks", n, 2) for n in networks)
    else:
        counts = (check_count("networks", networks, 2),) * len(widths)
    return WidthDesign(widths, counts)


def _listed(name: str, values: Any) -> list[Any]:
    try:
        return list(values)
    except TypeError:
        raise ParameterError(
            f"{name} must be a sequence of whole numbers, got {values!r}"
        ) from None


def needed_error(threshold: float, control: float) -> float:
    """The standard error of a level, relative to its scale, that sees the control.

    Of a level: half of the claim's rate, two-sided; the deviation has to be beyond it both ways.
    """
    return control / float(stats.norm.isf(threshold / 4) + stats.norm.isf((1 - _POWER) / 2))


@dataclass(frozen=True)
class Need:
    """How many networks of each width the claims of one theory need, and what one of each costs."""

    pilot: Simulation
    variances: dict[str, float]
    decisive: str
    wanted: float
    cost: float


def needed_networks(
    widths: Sequence[int],
    targets: Sequence[Target],
    pilot: Simulation,
    cost: float,
    threshold: float,
    control: float,
) -> Need:
    """How many networks it takes for controls to be rejected with probability 0.99.

    Args:
        widths: as declared.
        targets: the claims of one theory.
        pilot: networks of one width.
        cost: of one network of each width together.
        threshold: the share of the false-alarm rate of one claim.
        control: by how much controls move predictions, as a fraction of the scale.
    """
    variances = {t.name: _level_variance(t, pilot) * pilot.width for t in targets}
    factor = WidthDesign(tuple(widths), (2,) * len(widths)).variance_factor() * 2
    whole = needed_error(threshold, control) ** 2

    def networks(target: Target) -> float:
        # What a sampled theory's own error leaves to the networks; at least half, or none help.
        own = target.prediction.level_error**2 if target.prediction.sampled else 0.0
        return _RESERVE * factor * variances[target.name] / max(whole - own, whole / 2)

    each = {t.name: min(networks(t), _MOST_NUMBERS) for t in targets}
    decisive = max(each, key=lambda name: each[name])
    return Need(pilot, variances, decisive, each[decisive], cost)


def share_networks(
    widths: Sequence[int], needs: Mapping[str, Need]
) -> dict[str, tuple[WidthDesign, Pilot]]:
    """Designs of all theories; where the time is too short, the same part of what each needs."""
    numbers = sum(need.wanted * need.cost for need in needs.values())
    part = min(1.0, _MOST_NUMBERS / numbers) if numbers else 1.0
    found = {}
    for tying, need in needs.items():
        networks = max(_FEWEST, math.ceil(part * need.wanted))
        design = WidthDesign(tuple(widths), (networks,) * len(widths))
        drawn = (need.pilot.width, need.pilot.networks, need.pilot.seed)
        wanted = math.ceil(need.wanted)
        found[tying] = design, Pilot(*drawn, need.variances, need.decisive, wanted, networks)
    return found


def _level_variance(target: Target, pilot: Simulation) -> float:
    samples = np.asarray(target.measured(pilot)) / target.prediction.scale
    levels = samples.reshape(len(samples), -1).mean(axis=1)
    return float(levels.var(ddof=1)) if np.isfinite(levels).all() else math.inf
