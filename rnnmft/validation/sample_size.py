"""How many networks a validation takes: enough that every primary control is rejected.

The number is fixed before the validation's own networks are drawn: either given, or computed from a
pilot of networks (with seeds of their own, thrown away afterwards) that tells how much the
quantities spread from network to network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from rnnmft.cells import Cell, Ensemble
from rnnmft.errors import ParameterError
from rnnmft.parameters import check_count
from rnnmft.records import Record
from rnnmft.simulation import Simulation
from rnnmft.validation.extrapolation import Design
from rnnmft.validation.targets import Target

__all__ = ["PILOT_NETWORKS", "Pilot", "cost_of_a_network", "given_design", "sized_design"]

PILOT_NETWORKS = 64
_FEWEST = 16
# The probability of rejecting a control, and a reserve for the pilot's own error in a variance.
_POWER, _RESERVE = 0.99, 1.2
# Random numbers that all networks of one tying may draw: about a minute of one core.
_MOST_NUMBERS = 1e10


@dataclass(frozen=True)
class Pilot(Record):
    """What the pilot found: its seed and size, and N Var by claim in units of the scale.

    `decisive` is the primary claim with the largest variance; `wanted` networks of each width give
    it the declared power, and `networks` were taken.
    """

    width: int
    networks_drawn: int
    seed: int
    variances: dict[str, float]
    decisive: str
    wanted: int
    networks: int


def given_design(widths: Any, networks: Any) -> Design:
    """The design of networks given by the caller: one number, or one for each width.

    Raises:
        ParameterError: fewer than three widths, or fewer than two networks.
    """
    widths = tuple(check_count("each of widths", w) for w in _listed("widths", widths))
    if isinstance(networks, (list, tuple)):
        counts = tuple(check_count("each of networks", n, 2) for n in networks)
    else:
        counts = (check_count("networks", networks, 2),) * len(widths)
    return Design(widths, counts)


def _listed(name: str, values: Any) -> list[Any]:
    try:
        return list(values)
    except TypeError:
        raise ParameterError(
            f"{name} must be a sequence of whole numbers, got {values!r}"
        ) from None


def cost_of_a_network(cell: Cell, ensemble: Ensemble, width: int, steps: int, tying: str) -> float:
    """About how many random numbers one network draws (tied: the work of its products instead)."""
    laws = [ensemble[p.name] for p in cell.preactivations]
    matrices = sum((law.sigma_w > 0) + (law.sigma_v > 0) for law in laws)
    each = width**2 * max(matrices, 1)
    return each * steps if tying == "untied" else each * (1 + 0.1 * steps)


def sized_design(
    widths: Sequence[int],
    targets: Sequence[Target],
    pilot: Simulation,
    cost: Sequence[float],
    threshold: float,
    control: float,
) -> tuple[Design, Pilot]:
    """The design whose primary controls are rejected with probability 0.99, within the cost.

    Args:
        widths: as declared.
        targets: the claims.
        pilot: networks of one width.
        cost: of one network of each width.
        threshold: the share of the false-alarm rate of one claim.
        control: by how much controls move predictions, as a fraction of the scale.
    """
    variances = {t.name: _level_variance(t, pilot) * pilot.width for t in targets}
    primary = {t.name for t in targets if t.primary}
    # Of a level: half of the claim's rate, two-sided; the deviation has to be beyond it both ways.
    critical = stats.norm.isf(threshold / 4) + stats.norm.isf((1 - _POWER) / 2)
    factor = Design(tuple(widths), (2,) * len(widths)).variance_factor() * 2
    each = _RESERVE * factor * (critical / control) ** 2
    most = int(_MOST_NUMBERS / sum(cost))
    decisive = max(variances, key=lambda name: (name in primary, variances[name]), default="")
    wanted = math.ceil(each * variances.get(decisive, 0.0))
    # What the time allows beyond that goes to the claims that are not primary.
    every = math.ceil(each * max(variances.values(), default=0.0))
    networks = max(_FEWEST, min(max(wanted, every), most))
    found = Pilot(pilot.width, pilot.networks, pilot.seed, variances, decisive, wanted, networks)
    return Design(tuple(widths), (networks,) * len(widths)), found


def _level_variance(target: Target, pilot: Simulation) -> float:
    samples = np.asarray(target.measured(pilot)) / target.prediction.scale
    levels = samples.reshape(len(samples), -1).mean(axis=1)
    return float(levels.var(ddof=1)) if np.isfinite(levels).all() else math.inf
