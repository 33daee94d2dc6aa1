"""The law of Lyapunov exponents as a curve: which fraction u(mu) of them is larger than mu.

With L(mu) = E[(lambda - mu)_+] = int_mu^{lambda_1} u(m) dm, everything is read off it:

    entropy rate                sum of the positive exponents        L(0)
    Kaplan-Yorke dimension      D with sum of the D largest = 0      u mu + L(mu) = 0, D = u(mu)

both as fractions of all exponents. [kaplan1979], [pesin1977]

Eq. (lyapunov-readings).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq

__all__ = ["ExponentCurve"]

Real = NDArray[np.float64]


@dataclass(frozen=True)
class ExponentCurve:
    """u(mu) between its nodes, monotonic.

    Attributes:
        mu: exponents, (n,), increasing; the last is the largest exponent.
        above: the fraction of all exponents that are larger, (n,), decreasing to 0.
        complete: whether what is not above mu[0] is -inf (or of no weight).
    """

    mu: Real
    above: Real
    complete: bool = False

    @property
    def largest(self) -> float:
        """lambda_1."""
        return float(self.mu[-1])

    @cached_property
    def _above(self) -> PchipInterpolator | None:
        return PchipInterpolator(self.mu, self.above) if len(self.mu) > 1 else None

    def fraction_above(self, mu: float) -> float:
        """u(mu); nan below the curve where it goes on there."""
        if mu >= self.largest:
            return 0.0
        if mu < self.mu[0] or self._above is None:
            return float(self.above[0]) if self.complete else math.nan
        return float(self._above(mu))

    def excess(self, mu: float) -> float:
        """L(mu) = E[(lambda - mu)_+]; nan below the curve."""
        if mu >= self.largest:
            return 0.0
        lowest = float(self.mu[0])
        if mu < lowest or self._above is None:
            beyond = float(self.above[0]) * (lowest - mu)
            return self.excess(lowest) + beyond if self.complete else math.nan
        return float(self._above.integrate(mu, self.largest))

    def exponent(self, u: float) -> float:
        """lambda with u(lambda) = u: of a fraction u of larger exponents; nan beyond the curve."""
        top = float(self.above[0])
        if u >= top or self._above is None:
            if self.complete:
                return -math.inf if u > top else float(self.mu[0])
            return math.nan
        return float(brentq(lambda mu: self.fraction_above(mu) - u, self.mu[0], self.largest))

    def density(self, mu: float) -> float:
        """-du/dmu."""
        if not self.mu[0] <= mu <= self.largest or self._above is None:
            return math.nan if mu < self.mu[0] and not self.complete else 0.0
        return -float(self._above.derivative()(mu))

    @property
    def positive(self) -> float:
        """u(0)."""
        return self.fraction_above(0.0)

    @property
    def entropy(self) -> float:
        """L(0)."""
        return self.excess(0.0)

    @property
    def dimension(self) -> float:
        """Kaplan-Yorke; 0 where no exponent is positive, 1 where the sum of all is not negative."""
        if self.largest <= 0.0:
            return 0.0
        lowest = float(self.mu[0])
        if self._sum(lowest) > 0.0:  # the sum of all on the curve
            if not self.complete:
                return math.nan
            return float(self.above[0])
        return self.fraction_above(float(brentq(self._sum, lowest, min(0.0, self.largest))))

    def _sum(self, mu: float) -> float:
        """The sum of all exponents above mu."""
        return self.fraction_above(mu) * mu + self.excess(mu)
