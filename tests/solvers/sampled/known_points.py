"""Maps whose rates are known, in place of sampled units."""

from __future__ import annotations

from itertools import product

import numpy as np

from rnnmft import cells
from rnnmft.errors import Status
from rnnmft.solvers.sampled.point_found import PointFound
from rnnmft.solvers.sampled.point_surface import PREDICTED
from rnnmft.units.growth_limit import GrowthLimit

__all__ = ["LOOSE", "NOISE", "TOLERANCE", "KnownMap", "at", "smooth"]

#: The tolerance of a map, the noise of what is solved for itself and of what makes a surface.
TOLERANCE, NOISE, LOOSE = 0.005, 0.002, 0.004


def at(rate, moment, noise, width=0.0, bias=0.0):
    """What is found at a point where rate and moments are these."""
    limit = GrowthLimit(rate, float(np.hypot(noise, width)), noise, bias)
    size = np.array([moment])
    of_moment = size, noise * size, Status.OK
    one = np.array([rate]), np.array([limit.error]), Status.OK
    found = dict.fromkeys(PREDICTED, of_moment) | {"gradient_growth": one, "chi_1": one}
    return PointFound(found, units=1, limit=limit)


def smooth(i, k=0):
    """A rate over two axes."""
    return np.sin(0.1 * i) * np.exp(-0.03 * k)


class KnownMap:
    """In place of a `SampledMap`: rate(place) and moment(place), with noise of their own."""

    def __init__(self, shape, rate, moment=None, missing=lambda place: False, seed=0):
        self.cell, self.rate, self.missing = cells.minimal(), rate, missing
        self.moment = moment or (lambda *place: np.exp(rate(*place)))
        self.places = list(product(*map(range, shape)))
        self._rng = np.random.default_rng(seed)
        self.nodes, self.solved = [], []

    def completed(self, which, *, averaged=False):
        """As `SampledMap.completed`."""
        (self.nodes if averaged else self.solved).extend(which)
        yield [(i, self._at(i, LOOSE if averaged else NOISE)) for i in which]

    def _at(self, i, noise):
        place = self.places[i]
        if self.missing(place):
            return PointFound.failed(Status.NOT_CONVERGED)
        rate, size = noise * self._rng.standard_normal(2)
        return at(self.rate(*place) + rate, self.moment(*place) * np.exp(size), noise)
