"""What sampled units must agree on before a number of theirs is called right.

* The bases of what weights saw are orthonormal to rounding.
* The variance of every preactivation over the units is what the draw stood for, within chance and
  a network's 1/M: a mechanism that breaks the law of e (a longer row, a lost part) is seen here.
* Independent repetitions agree: none of them alone makes the spread.
* Directions that a basis dropped did not return: no covariance was lost with them.
* There are more units than directions: otherwise this is a network of that width.

Eq. (tied-basis), Eq. (q), Eq. (unit-bias).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import Status
from rnnmft.solvers.sampled.readings import named, second_moments
from rnnmft.units.repetitions import Samples, calibrated_error, mean_and_error

__all__ = ["check", "decided_by_many"]

Array = NDArray[np.float64]
# Orthonormal to 2^12 roundings: what n <= 4096 directions may add up to.
_DEFECT = {"float64": 2.0**12 * 2.0**-52, "float32": 2.0**12 * 2.0**-23}
# Standard errors (calibrated) that chance explains, over the dozens of series of a run.
_CHANCE = 6.0
# A network's own 1/M: the largest coefficient seen near criticality is some tens.
_FINITE = 64.0
# The part of all directions from which on units are few.
_FILLED = 0.75
# The part of the variance that a covariance of W y may have lost at some lag.
_LOST = 0.02
# Units, over all repetitions, that shall decide a mean squared gradient: fewer, and their spread is
# no guide to the rare unit that was not drawn.
_DECIDING = 200.0


def check(samples: Samples) -> Status:
    """OK, or what does not hold."""
    values, sampling = samples.values, samples.sampling
    if samples.status is not Status.OK:
        return samples.status
    if float(values["check/defect"].max()) > _DEFECT[sampling.dtype]:
        return Status.INCONSISTENT
    if not _variances_hold(values, sampling.per_repetition) or not _repetitions_agree(values):
        return Status.INCONSISTENT
    if not _covariances_hold(values, sampling.per_repetition):
        return Status.INCONSISTENT
    if float(values["check/directions"].max()) > _FILLED * sampling.per_repetition:
        return Status.FEW_UNITS
    return Status.OK


def decided_by_many(values: Mapping[str, Array], horizon: int) -> bool:
    """Whether enough units decide m_1 up to a horizon, for its error to be believed."""
    if "check/effective" not in values:
        return True
    effective = values["check/effective"]
    effective = effective.reshape(-1, effective.shape[-1])[:, :horizon]
    return bool((effective.sum(0) >= _DECIDING).all())


def _variances_hold(values: Mapping[str, Array], units: int) -> bool:
    """Sampled against prescribed variance of every preactivation, over the whole run."""
    prescribed = named(values, "prescribed")
    for name, pair in named(values, "pre").items():
        wanted = prescribed[name].sum(1)
        if not (np.isfinite(wanted).all() and (wanted > 0).any()):
            continue
        ratio = pair[..., 0, 0].sum(1) / np.where(wanted > 0, wanted, np.inf)
        mean, error = mean_and_error(ratio[wanted > 0] - 1.0)
        chance = _CHANCE * float(calibrated_error(error, len(ratio)))
        if abs(float(mean)) > chance + _FINITE / units + 1e-9:
            return False
    return True


def _covariances_hold(values: Mapping[str, Array], units: int) -> bool:
    """What was lost with dropped directions, at any octave of the lag: its mean, and its square.

    States overlap by chance, in M units with a variance of 1 / M or less.
    """
    mean, error = mean_and_error(values["check/gap"])
    chance = _CHANCE * calibrated_error(error, len(values["check/gap"]))
    square = values["check/square_gap"].mean(0)
    returned = (np.abs(mean) > chance + _LOST) | (square > _LOST**2 + 2.0 / units)
    return not returned.any()


def _repetitions_agree(values: Mapping[str, Array]) -> bool:
    """No repetition alone makes the spread of a late second moment.

    Of R >= 16 normal numbers one stands out of their mean by more than (R - 1) / sqrt(R) - 0.15
    standard deviations, the most that is possible less a little, in fewer than 1e-6 of all cases.
    """
    for series in second_moments(values).values():
        late = series[:, -max(1, series.shape[1] // 4) :].mean(1)
        with np.errstate(over="ignore", invalid="ignore"):  # moments near the largest float
            count, spread = len(late), late.std(ddof=1)
        most = (count - 1) / math.sqrt(count) - 0.15
        significant = spread > 1e-2 * abs(late.mean())
        if count >= 16 and significant and np.abs(late - late.mean()).max() > most * spread:
            return False
    return True
