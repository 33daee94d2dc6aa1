"""Results under construction: laws that converge, laws that fail, and laws that are points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from rnnmft.numerics.backend import Backend
from rnnmft.numerics.charts import Kind
from rnnmft.numerics.laws import DIVERGENT, INVALID, NOT_CONVERGED, OK, Integrands, Laws
from rnnmft.numerics.sums import Sums, sample_at

__all__ = ["Results"]

# The density's share of its peak at the first reach, in eps: an integrand may grow by 10^4 on the
# way there before a wider range is needed.
_FIRST_DENSITY = 1e-4
# What integrals inside missed counts where it is more than this many tolerances here.
_MATTERS = 10.0
# Points at which a failed integrand is followed outwards, each twice as far as the one before: from
# 0.01 standard deviations, where even exp(e^2) of a variance of 10^6 is finite.
_RUNGS = 12
# A point this many roundings beside a kink is on its other side, whatever affine map led there.
_BESIDE_EPS = 8.0


@dataclass(frozen=True)
class Results:
    """Integrals of K integrands over B laws, filled in place as laws finish.

    `values` and `errors` (K, B), nan until known; `status` (B,) codes; `slopes` (2, K, B): E[f z]
    and E[f (z^2 - 1)]; `places`: 0 .. B-1.
    """

    integrands: Integrands
    rtol: float
    backend: Backend
    values: Any
    errors: Any
    status: Any
    slopes: Any
    places: Any

    @classmethod
    def empty(cls, integrands: Integrands, size: int, rtol: float, backend: Backend) -> Results:
        """Nothing known yet: every law is invalid until it is put."""
        shape, nan = (integrands.count, size), math.nan
        return cls(
            integrands,
            rtol,
            backend,
            backend.full(shape, nan),
            backend.full(shape, nan),
            backend.codes((size,), INVALID),
            backend.full((2, *shape), 0.0),
            backend.range(size),
        )

    @property
    def reaches(self) -> list[float]:
        """Half-widths of the range in standard deviations; weights underflow beyond the last."""
        first = math.sqrt(-2 * math.log(_FIRST_DENSITY * self.backend.eps))
        last = math.sqrt(-2 * math.log(self.backend.tiny))
        return [r for r in (first, 2 * first) if r < last] + [last]

    def put(self, rows: Any, sums: Sums, change: Any, floor: Any, met: Any) -> None:
        """Laws that finished: last change and rounding floor, (K, b), whether it met, (b,)."""
        xp = self.backend.xp
        error = change + floor
        code = xp.where(met, OK, NOT_CONVERGED)
        if sums.carried is not None:
            error = error + sums.carried
        if sums.status is not None:
            # An inner integral that missed its tolerance counts only if its error matters here.
            small = sums.carried <= _MATTERS * self.rtol * sums.magnitude + floor
            forgiven = (sums.status == NOT_CONVERGED) & xp.all(small, 0)
            code = xp.maximum(code, xp.where(forgiven, OK, sums.status))
        self.values[:, rows] = sums.total
        self.errors[:, rows] = error
        self._set_status(rows, code)
        if sums.slopes is not None:
            self.slopes[:, :, rows] = sums.slopes

    def _set_status(self, rows: Any, code: Any) -> None:
        self.status[rows] = self.backend.as_codes(code)

    def put_failures(self, laws: Laws, rows: Any) -> None:
        """Laws whose integral was not found: say whether it diverges.

        log|f| - z^2 / 2 is followed outwards as far as it is finite. If it bends upwards and grows
        there, f outgrows the Gaussian; if not, the integral exists but not in this dtype.
        """
        backend = self.backend
        xp = backend.xp
        steps = range(_RUNGS + 1)
        z = backend.asarray([0.0] + [self.reaches[-1] * 2.0 ** (k - _RUNGS) for k in steps])
        rung = backend.asarray([float(k) for k in steps[1:]])
        outgrown = laws.mean != laws.mean
        inner = self.backend.codes(tuple(laws.mean.shape), OK)
        for side in (-1.0, 1.0):
            points = laws.mean[:, None] + laws.std[:, None] * (side * z)
            sample = sample_at(self.integrands, points, laws)
            if sample.status is not None:
                codes = self.backend.broadcast(sample.status, tuple(points.shape))
                inner = xp.maximum(inner, xp.amax(codes, -1))
            for value in sample.values:
                full = self.backend.broadcast(value, tuple(points.shape))
                log = xp.log(xp.abs(full)) - 0.5 * z * z
                # The slope of the logarithm over z^2: it rises where f outgrows the Gaussian.
                rise = (log[:, 2:] - log[:, 1:-1]) / (z[2:] - z[1:-1])
                usable = xp.isfinite(rise)
                farthest = xp.amax(xp.where(usable, rung, 0 * rung), -1)[:, None]
                decides = usable & (rung == farthest)
                before = (log[:, 1:-1] - log[:, :-2]) / (z[1:-1] - z[:-2])
                grows = decides & (rise >= 0) & ~(rise < before)
                outgrown = outgrown | xp.any(grows, -1)
        own = self.backend.as_codes(xp.where(outgrown, DIVERGENT, NOT_CONVERGED))
        self._set_status(rows, xp.maximum(own, inner))

    def put_degenerate(self, laws: Laws, variance: Any, law_errors: Any) -> None:
        """q = 0: the limit q -> 0, the integrand at mu, or between its sides where it jumps there.

        An error of q acts as the two-point law of that variance.
        """
        backend = self.backend
        xp = backend.xp
        mask = (variance == 0) & xp.isfinite(laws.mean)
        if not bool(xp.any(mask)):
            return
        laws, rows = laws.take(mask), self.places[mask]
        point = laws.mean[:, None]
        sample = sample_at(self.integrands, point, laws)
        shape = tuple(point.shape)
        values = xp.stack([self.backend.broadcast(v, shape)[:, 0] for v in sample.values])
        values = self._between_sides(laws, point, values)
        errors = 2 * backend.eps * xp.abs(values)
        if sample.uncertain:
            zero = point * 0
            known = [zero if e is None else e for e in sample.errors]
            errors = errors + xp.stack([self.backend.broadcast(e, shape)[:, 0] for e in known])
        if law_errors is not None:
            of_mean, of_variance = (e[mask][:, None] for e in law_errors)
            up, down = self._at_two(laws, point, of_mean)
            errors = errors + xp.abs(up - down) / 2
            up, down = self._at_two(laws, point, xp.sqrt(of_variance))
            errors = errors + xp.abs((up + down) / 2 - values)
        code = backend.codes((len(point),), OK)
        if sample.status is not None:
            code = xp.maximum(code, self.backend.broadcast(sample.status, shape)[:, 0])
        bad = ~xp.all(xp.isfinite(values), 0)
        self._set_status(rows, xp.where(bad & (code == OK), NOT_CONVERGED, code))
        nan = values * 0 + math.nan
        self.values[:, rows] = xp.where(bad, nan, values)
        self.errors[:, rows] = xp.where(bad, nan, errors)

    def _between_sides(self, laws: Laws, point: Any, values: Any) -> Any:
        """Values at mu, where a kink is at mu the mean of the two sides' if these differ.

        A narrow Gaussian around a jump sees half of each side: E[step(e)] = 1/2 for any q > 0.
        """
        backend, xp = self.backend, self.backend.xp
        kinks = None if laws.landmarks is None else laws.landmarks.of(Kind.KINK)
        if kinks is None:
            return values
        at_kink = xp.any(kinks.places == point, -1)
        if not bool(xp.any(at_kink)):
            return values
        step = xp.maximum(
            _BESIDE_EPS * backend.eps * xp.abs(point), point * 0 + math.sqrt(backend.tiny)
        )
        up, down = self._at_two(laws, point, step)
        # What is continuous differs by the step, of which the root is far more.
        jumps = at_kink & (xp.abs(up - down) > xp.sqrt(step[:, 0]))
        return xp.where(jumps, (up + down) / 2, values)

    def _at_two(self, laws: Laws, point: Any, step: Any) -> list[Any]:
        xp, shape = self.backend.xp, tuple(point.shape)
        samples = [sample_at(self.integrands, point + s * step, laws) for s in (1.0, -1.0)]
        return [
            xp.stack([self.backend.broadcast(v, shape)[:, 0] for v in s.values]) for s in samples
        ]

    def carry_law_errors(self, std: Any, positive: Any, law_errors: tuple[Any, Any]) -> None:
        """Add what errors of mu and q do to the integrals, to first order."""
        xp = self.backend.xp
        of_mean, of_variance = law_errors
        carried = xp.abs(self.slopes[0]) * (of_mean / std)
        carried = carried + xp.abs(self.slopes[1]) * (0.5 * of_variance / (std * std))
        self.errors[:] = self.errors + xp.where(positive, carried, carried * 0)
