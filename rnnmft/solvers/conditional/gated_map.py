"""A map of a cell that is linear given its gate, over sigma_w and other parameters.

Not its points are solved but states whose W h has a given variance: at some of the values of one
more parameter, over the range of variances that the map's weights need. They tell a surface; where
that does not tell a point well enough more states are solved close by, and the surface is told
again. There is a surface for every value of all further parameters.

Eq. (given-gate-surface).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from rnnmft.errors import Status
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.numerics.backend import Backend
from rnnmft.numerics.backends import torch_backend
from rnnmft.numerics.side_by_side import side_by_side
from rnnmft.solvers.conditional.held_variance import HeldVariance, solve_held
from rnnmft.solvers.conditional.linear_cell import EXACT, GateAverages
from rnnmft.solvers.conditional.map_slices import (
    MapSlice,
    PointParameters,
    parameters_of,
    slices,
    weight_of,
)
from rnnmft.solvers.conditional.surface import StateSurface, Told
from rnnmft.solvers.conditional.weight_range import most_in_a_row, range_of_sizes, towards_ends
from rnnmft.solvers.sampled.point_found import PointFound

__all__ = ["GatedMap"]

Array = NDArray[np.float64]
# States at first: values of the parameter, and variances at each, denser towards the ends.
_VALUES, _VARIANCES = 9, 11
# States that are added at once, how close they are in terms of the map if there are others, how
# often at most, and how often in a row they may settle fewer points than so many.
_ADDED, _APART, _TIMES, _IN_VAIN, _FEW = 16, 0.04, 40, 2, 2
# Steps of the paths that growth is averaged over, to a tolerance of so much; with more for less, up
# to so many.
_STEPS, _TOLERANCE, _MOST_STEPS = 1 << 14, 0.0025, 1 << 20
# Twice as many for weights in every round of states that are added, at most so often.
_DOUBLED = 3
# How many times as many for growth where the noise of a rate is above so many tolerances.
_MORE, _NOISY = 4, 2.0
# In terms of the tolerance, if it is not for the sake of a jump: some more states do not mend what
# is worse, once there are a few close by; and in the end units tell better what is worse.
_FAR, _HOPELESS = 10.0, 3.0
# What is left of a rate's search, of the tolerance.
_RESOLVED = 0.2


class GatedMap:
    """The points of a map.

    Args:
        cell: one that is linear given its gate (`is_conditionally_linear`, of all points).
        points: their ensembles and inputs.
        tolerance: standard error of a growth rate, per step.
        seed: of the random numbers.
        backend: torch.
    """

    def __init__(
        self,
        cell: Cell,
        points: Sequence[tuple[Ensemble, Inputs]],
        tolerance: float,
        seed: int,
        backend: Backend,
    ) -> None:
        self.cell, self.points, self.tolerance = cell, points, tolerance
        self.seed, self.backend = seed, backend
        more = min((_TOLERANCE / tolerance) ** 2, _MOST_STEPS / _STEPS)
        self._steps = int(_STEPS * max(1.0, more))
        (e,) = cell.preactivations
        self._has_input = e.has_input
        self._drawn = 0

    def completed(self) -> Iterator[list[tuple[int, PointFound]]]:
        """The numbers of points and what was found there, as surfaces tell it.

        Points that no state tells are not among them.

        Raises:
            OutOfTimeError: a time budget ended before all were.
        """
        without = [i for i, (e, _) in enumerate(self.points) if weight_of(e) == 0.0]
        if without:
            yield [(i, self._without_weights(i)) for i in without]
        for points in slices(self.points):
            yield from self._of_slice(points)

    def _of_slice(self, points: MapSlice) -> Iterator[list[tuple[int, PointFound]]]:
        if not self._begin(points):
            return
        open_ = (points.p >= min(points.ranges)) & (points.p <= max(points.ranges))
        in_vain = 0
        for count in range(_TIMES + 1):
            if len(points.states) < _VARIANCES:
                return
            surface = StateSurface(np.array(points.places), points.states, points.ends)
            told = surface.at(points.log_scale, points.p)
            good = told.growth_error <= self.tolerance
            errors = np.where(open_ & ~good & np.isfinite(told.growth), told.growth_error, 0.0)
            worst = errors > self.tolerance
            if count:
                worst &= (errors <= _FAR * self.tolerance) | told.is_beside_jump
            few = (open_ & good).sum() < min(_FEW, worst.sum())
            in_vain = in_vain + 1 if few else 0
            is_last = count == _TIMES or in_vain == _IN_VAIN or not worst.any()
            is_near = told.growth_error <= _HOPELESS * self.tolerance
            ended = open_ & (good | (is_last & (is_near | told.is_beside_jump)))
            yield [
                (points.numbers[i], self._found(points, told, i))
                for i in np.flatnonzero(ended).tolist()
            ]
            open_ &= ~ended
            if is_last:
                return
            places = _worst_places(points, told, np.where(worst, errors, 0.0))
            self._solve(points, places, 2 << min(count, _DOUBLED - 1))

    def _found(self, points: MapSlice, told: Told, i: int) -> PointFound:
        """A point, from what its surface tells."""
        at = points.parameters[i]
        variance = math.exp(2 * told.size[i])
        moment = variance / math.exp(points.log_scale[i]) * at.R
        rate, error = float(told.growth[i]), float(told.growth_error[i])
        status = Status.OK if error <= self.tolerance else Status.NOT_CONVERGED
        part = 2 * float(told.size_error[i])
        variances = (variance + self._drive(at), variance * part)
        return _point((rate, error), (moment, moment * part), variances, status)

    def _without_weights(self, i: int) -> PointFound:
        """A point whose gate is fresh at every step: g = log <a^2>, E[h^2] = R <b^2> / (1 - <a^2>).

        What a step does is known to a few in the last digits of single precision.
        """
        at = parameters_of(*self.points[i])
        averages = GateAverages(
            self.cell, at.mu_b, math.sqrt(self._drive(at)), torch_backend("cpu", "float64")
        )
        moved = averages.transition(torch.zeros((), dtype=torch.float64))
        aa, bb = float(moved.aa), float(moved.bb)
        if not (averages.is_resolved and 0.0 < aa < 1.0):
            return PointFound.failed(Status.DIVERGES if aa >= 1.0 else Status.NOT_CONVERGED)
        moment = at.R * bb / (1.0 - aa)
        noise = EXACT * (1.0 + 1.0 / (1.0 - aa))
        found = _point(
            (math.log(aa), EXACT / aa), (moment, moment * noise), (self._drive(at), 0.0), Status.OK
        )
        return replace(found, is_predicted=False)

    def _drive(self, at: PointParameters) -> float:
        """The variance of the fresh part of e."""
        return at.sigma_v**2 * at.R if self._has_input else 0.0

    # --- states --------------------------------------------------------------------------------

    def _averages(self, points: MapSlice, p: float) -> GateAverages:
        at = points.at(p)
        return GateAverages(self.cell, at.mu_b, math.sqrt(self._drive(at)), self.backend)

    def _begin(self, points: MapSlice) -> bool:
        """The first states; whether there are any."""
        values = np.unique(points.p)
        if len(values) > _VALUES:
            values = towards_ends(values[0], values[-1], _VALUES)
        ends = float(points.log_scale.min()), float(points.log_scale.max())
        seed, backend = self.seed, self.backend
        tasks = [
            partial(range_of_sizes, self._averages(points, p), *ends, seed, backend)
            for p in values.tolist()
        ]
        found = dict(side_by_side(tasks, self.backend.device))
        points.ranges = most_in_a_row([(float(p), found[i]) for i, p in enumerate(values)])
        if not points.ranges:
            return False
        self._solve(
            points,
            [
                (float(x), p)
                for p, ends in sorted(points.ranges.items())
                for x in towards_ends(ends.low, ends.high, _VARIANCES)
            ],
        )
        return True

    def _solve(
        self, points: MapSlice, places: Sequence[tuple[float, float]], times: int = 1
    ) -> None:
        """States at (log s, p)."""
        tasks = [partial(self._state, points, *at, self._seed(), times) for at in places]
        found = dict(side_by_side(tasks, self.backend.device))
        for i, place in enumerate(places):
            state = found[i]
            if state is not None:
                points.places.append(place)
                points.states.append(state)

    def _seed(self) -> int:
        self._drawn += 1
        return int(np.random.SeedSequence([self.seed, self._drawn]).generate_state(1)[0])

    @torch.no_grad()
    def _state(
        self, points: MapSlice, x: float, p: float, seed: int, times: int
    ) -> HeldVariance | None:
        nearest = min(points.ranges, key=lambda known: abs(known - p))
        averages, lags = self._averages(points, p), points.ranges[nearest].lags_at(x)
        variance, resolution = math.exp(2 * x), _RESOLVED * self.tolerance

        def solved(steps: int, times: int) -> HeldVariance | None:
            return solve_held(
                averages, variance, steps, seed, self.backend, resolution, lags, times
            )

        state = solved(self._steps, times)
        if state is None or state.covariance[1, 1] <= (_NOISY * self.tolerance) ** 2:
            return state
        return solved(_MORE * self._steps, max(times // _MORE, 1))


def _point(
    rate: tuple[float, float],
    moment: tuple[float, float],
    variance: tuple[float, float],
    status: Status,
) -> PointFound:
    """A point, from its numbers and their errors."""
    chi = math.exp(rate[0])
    pairs = {
        "second_moment": moment,
        "preactivation_variance": variance,
        "gradient_growth": rate,
        "chi_1": (chi, chi * rate[1]),
    }
    values = {n: (np.array([v]), np.array([e]), status) for n, (v, e) in pairs.items()}
    return PointFound(values, is_predicted=True)


def _worst_places(points: MapSlice, told: Told, errors: Array) -> list[tuple[float, float]]:
    """Where states are most wanted: at the worst points some way apart, and there again."""
    x, p = told.size, points.p
    wide = max(float(np.nanmax(x) - np.nanmin(x)), 1e-9), max(float(np.ptp(p)), 1e-9)
    chosen: list[tuple[float, float]] = []
    for i in np.argsort(-errors):
        if len(chosen) == _ADDED or not errors[i] > 0.0:
            break
        place = float(x[i]), float(p[i])
        apart = (math.hypot((place[0] - a) / wide[0], (place[1] - b) / wide[1]) for a, b in chosen)
        if np.isfinite(place[0]) and min(apart, default=1.0) >= _APART:
            chosen.append(place)
    return (chosen * _ADDED)[:_ADDED]
