"""The suite: every setting of known answer, the fast part of it, and what running it gives."""

from __future__ import annotations

from collections.abc import Iterable

from validation.calibration.comparison import Comparison
from validation.calibration.gate_settings import gate_settings
from validation.calibration.linear_settings import linear_settings
from validation.calibration.network_settings import network_settings
from validation.calibration.published_settings import published_settings
from validation.calibration.setting import Setting
from validation.calibration.solver_settings import solver_settings
from validation.calibration.tally import Tally
from validation.calibration.vanilla_settings import vanilla_settings
from validation.calibration.zero_settings import zero_settings

__all__ = ["fast_settings", "run", "settings"]

_EVERY = 12


def settings() -> list[Setting]:
    """All of them."""
    return [
        *linear_settings(),
        *gate_settings(),
        *zero_settings(),
        *vanilla_settings(),
        *published_settings(),
        *solver_settings(),
        *network_settings(),
    ]


def fast_settings() -> list[Setting]:
    """Every twelfth: each family in turn, in a quarter of a minute."""
    return settings()[::_EVERY]


def run(chosen: Iterable[Setting]) -> Tally:
    """Compare, and tally."""
    found: list[Comparison] = []
    for setting in chosen:
        found += setting.compare()
    return Tally(tuple(found))
