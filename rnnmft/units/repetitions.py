"""Independent repetitions: run in batches that fit the memory, and in number until an error is met.

A run draws some repetitions and returns arrays whose first axis counts them. Their mean is the
estimate, their spread its standard error. Where a tolerance is wanted, a pilot run predicts the
units it takes: the squared error falls as one over the units (or faster, with Sobol numbers).

A repetition of M units has a network's bias of O(1/M), which no number of repetitions shows. A few
more repetitions, of M / 16 units each, have sixteen times that bias at a fraction of the cost: what
they tell of it is part of every error.

Eq. (unit-bias).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from rnnmft.errors import Status
from rnnmft.sampling import Sampling

__all__ = [
    "Reading",
    "Run",
    "Samples",
    "bias_of",
    "calibrated_error",
    "draw_repetitions",
    "estimate",
    "jackknife",
    "mean_and_error",
]

Array = NDArray[np.float64]
#: Draws the given repetitions: arrays (repetitions, ...) by name.
Run = Callable[[Sampling, range], Mapping[str, Array]]

# Of the run that predicts how many units a tolerance takes: a second or less, and an error that is
# itself known to 25 %.
_PILOT_UNITS = 4096
# Of both the pilot run and the runs that follow it.
_PILOT_REPETITIONS = 8
# Errors are themselves uncertain (25 % with 8 repetitions): aim a little below the tolerance.
_MARGIN = 1.2
# Repetitions of fewer units each: their part of the units.
_SMALLER = 16
# Their numbers: no other repetition shares their seeds.
_FIRST_SMALL = 1 << 20
# What the bias, or the noise of its estimate, may add to an error.
_BIAS = 1.3
# Sobol numbers gain faster than the prediction says: go there in steps, and look again.
_LARGEST_STEP = 16.0


@dataclass(frozen=True)
class Samples:
    """What was drawn.

    Attributes:
        values: (repetitions, ...) by name.
        sampling: with the units and repetitions that were drawn.
        small: the same of repetitions with `smaller` times fewer units, None where there are none.
        status: NOT_CONVERGED where `max_units` came before the tolerance.
    """

    values: Mapping[str, Array]
    sampling: Sampling
    small: Mapping[str, Array] | None = None
    smaller: float = _SMALLER
    status: Status = Status.OK


@dataclass(frozen=True)
class Reading:
    """One result: its value, its standard error, and the scale that a tolerance refers to."""

    value: Array
    error: Array
    scale: Array

    @property
    def relative(self) -> float:
        """The largest error over scale; 0 where both vanish."""
        error, scale = np.broadcast_arrays(self.error, np.abs(self.scale))
        # What is exact needs no scale; an error without a scale can meet no tolerance.
        ratio = np.where(error > 0, error / np.where(scale > 0, scale, np.nan), 0.0)
        return float(np.nan_to_num(ratio, nan=math.inf).max(initial=0.0))


def mean_and_error(samples: Array) -> tuple[Array, Array]:
    """Mean over repetitions (the first axis) and its standard error (infinite beyond floats)."""
    with np.errstate(invalid="ignore", over="ignore"):
        return samples.mean(0), samples.std(0, ddof=1) / math.sqrt(samples.shape[0])


def jackknife(samples: Array, estimate: Callable[[Array], float]) -> float:
    """The jackknife standard error of an estimate that is not a mean, over the first axis."""
    count = samples.shape[0]
    values = np.array([estimate(np.delete(samples, i, axis=0)) for i in range(count)])
    return float(math.sqrt((count - 1) / count * ((values - values.mean()) ** 2).sum()))


def calibrated_error(error: Array, repetitions: int) -> Array:
    """A standard error from R repetitions, made as trustworthy as a known one at three of them.

    Deviations of few repetitions follow Student's t: it is as rare for one to pass three of these
    errors as for a normal number to pass three standard deviations.
    """
    return error * float(-stdtrit(repetitions - 1, ndtr(-3.0)) / 3.0)


def estimate(
    samples: Samples, read: Callable[[Mapping[str, Array]], Mapping[str, Array]]
) -> dict[str, tuple[Array, Array]]:
    """Means over repetitions of named series, with errors that hold the noise and the 1/M bias.

    Args:
        samples: what was drawn.
        read: (R, ...) by name, from the values that were drawn.
    """
    small = {} if samples.small is None else read(samples.small)
    found = {}
    for name, rows in read(samples.values).items():
        mean, error = mean_and_error(rows)
        error = calibrated_error(error, len(rows))
        if name in small:
            other, noise = mean_and_error(small[name])
            noise = np.hypot(noise, mean_and_error(rows)[1])
            error = np.hypot(error, bias_of(other - mean, noise, samples.smaller))
        found[name] = (mean, error)
    return found


def bias_of(difference: Array, noise: Array, smaller: float) -> Array:
    """The size of the 1/M bias that the difference to a value from fewer units tells, or 0.

    Eq. (unit-bias).

    Nothing where the difference is two of its standard errors or less; infinite where so few units
    are drawn that there are no fewer.
    """
    if smaller <= 1.0:
        return np.full_like(difference, np.inf)
    return np.where(np.abs(difference) > 2.0 * noise, np.abs(difference), 0.0) / (smaller - 1.0)


def draw_repetitions(
    run: Run,
    sampling: Sampling,
    unit_bytes: int,
    read: Callable[[Mapping[str, Array]], Mapping[str, Reading]],
    first: int = 0,
    *,
    with_small: bool = True,
) -> Samples:
    """Draw what `sampling` asks for: its units, or as many as its tolerance needs.

    Args:
        run: draws repetitions.
        sampling: how many units, or the tolerance.
        unit_bytes: memory that a run needs for one unit.
        read: the results whose relative errors the tolerance is about.
        first: number of the first repetition, where no tolerance is asked: those before are drawn
            already.
        with_small: whether repetitions of fewer units are drawn as well.
    """
    # Only what draws needs torch: the readings above do not.
    from rnnmft.numerics.devices import free_memory

    memory = sampling.batch_memory(free_memory(sampling.device))
    found = _drawn(run, sampling, unit_bytes, memory, read, first)
    if not with_small:
        return found
    each = found.sampling.per_repetition
    plan = sampling.of(max(each // _SMALLER, 16), found.sampling.repetitions)
    small = _batches(run, plan, _FIRST_SMALL + first, unit_bytes, memory)
    smaller = each / plan.per_repetition
    status = found.status
    if status is Status.OK and sampling.tolerance is not None:
        small_readings = read(small)
        for name, reading in read(found.values).items():
            other = small_readings[name]
            noise = np.hypot(other.error, reading.error)
            bias = bias_of(other.value - reading.value, noise, smaller)
            held = replace(reading, error=np.hypot(reading.error, bias))
            if held.relative > sampling.tolerance:
                status = Status.NOT_CONVERGED
    return replace(found, small=small, smaller=smaller, status=status)


def _drawn(
    run: Run,
    sampling: Sampling,
    unit_bytes: int,
    memory: int,
    read: Callable[[Mapping[str, Array]], Mapping[str, Reading]],
    first: int,
) -> Samples:
    """The units that were asked for, or as many as the tolerance needs."""
    if sampling.tolerance is None:
        return Samples(_batches(run, sampling, first, unit_bytes, memory), sampling)
    largest = _power_below(max(memory // unit_bytes, 1))
    largest = max(_PILOT_UNITS, min(largest, _power_below(sampling.max_units // 2)))
    plan = sampling.of(_PILOT_UNITS, _PILOT_REPETITIONS)
    values = _batches(run, plan, 0, unit_bytes, memory)
    while True:
        excess = _BIAS * max(r.relative for r in read(values).values()) / sampling.tolerance
        if excess <= 1.0:
            return Samples(values, plan)
        needed = plan.total * min((_MARGIN * excess) ** 2, _LARGEST_STEP)
        wanted = min(_power_above(needed / _PILOT_REPETITIONS), largest)
        if wanted > plan.per_repetition and wanted * _PILOT_REPETITIONS <= sampling.max_units:
            plan = sampling.of(wanted, _PILOT_REPETITIONS)
            values = _batches(run, plan, 0, unit_bytes, memory)
            continue
        repetitions = min(
            max(math.ceil(needed / plan.per_repetition), plan.repetitions + 2),
            sampling.max_units // plan.per_repetition,
        )
        if repetitions < plan.repetitions + 2:
            return Samples(values, plan, status=Status.NOT_CONVERGED)
        drawn, plan = plan.repetitions, sampling.of(plan.per_repetition, repetitions)
        rest = sampling.of(plan.per_repetition, repetitions - drawn)
        more = _batches(run, rest, drawn, unit_bytes, memory)
        values = {n: np.concatenate([v, more[n]]) for n, v in values.items()}


def _batches(
    run: Run, plan: Sampling, first: int, unit_bytes: int, memory: int
) -> Mapping[str, Array]:
    """The repetitions of a plan, numbered from `first`, as many at a time as the memory takes."""
    size = max(1, int(memory // (unit_bytes * plan.per_repetition)))
    end = first + plan.repetitions
    found = [run(plan, range(start, min(start + size, end))) for start in range(first, end, size)]
    return {n: np.concatenate([part[n] for part in found]) for n in found[0]}


def _power_below(number: float) -> int:
    return 1 << max(0, math.floor(math.log2(max(number, 1.0))))


def _power_above(number: float) -> int:
    return 1 << max(0, math.ceil(math.log2(max(number, 1.0))))
