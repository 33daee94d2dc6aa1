"""Gaussian integrals E[f(e)], e ~ N(mu, q), by the trapezoidal rule under an analytic map.

The map is e = c + l sinh(u). An activation changes on a scale l near a point c whatever the
variance, the Gaussian on the scale sqrt(q) around mu: in u both are resolved by a step that does
not shrink with q (the integrand is analytic in a strip of half-width about pi/4), so a hundred
nodes reach rounding at q = 1e4. Where sqrt(q) < l / 2 the map is straight. An integrand with kinks
is cut there and each piece gets the double-exponential rule.

The nodes double until two levels agree to rtol; their difference is the reported error (the
convergence is geometric: the finer level is far closer than that) plus a floor for rounding. The
range starts at |z| <= 9.5 standard deviations and doubles while the integrand at its ends is not
negligible: with mu = 20, q = 4 all of E[tanh'(e)^2] lies at z = -8.

Source: Trefethen and Weideman 2014 (SIAM Review 56, 385), for the convergence of the rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rnnmft.numerics.backend import Backend
from rnnmft.numerics.charts import Chart, Landmarks, make_chart
from rnnmft.numerics.laws import DIVERGENT, INVALID, NOT_CONVERGED, OK, Integrals, Integrand, Laws
from rnnmft.numerics.rules import Level, double_exponential, plain
from rnnmft.numerics.sums import Integrands, Sums

__all__ = ["gaussian_integrals"]

_PLAIN_INTERVALS, _PIECE_INTERVALS = 24, 16
_MAX_NODES = 12288
# Rounding of one weighted sum, in units of eps E|f|, on top of reach^2: z^2 / 2 is exponentiated.
_ROUNDING = 50.0
_TOTAL, _MAGNITUDE, _CARRIED, _SLOPE_MEAN, _SLOPE_VARIANCE = range(5)


def gaussian_integrals(
    integrand: Integrand,
    mean: Any,
    variance: Any,
    *,
    count: int,
    backend: Backend,
    parameters: Sequence[Any] = (),
    landmarks: Landmarks | None = None,
    rtol: float = 1e-11,
    law_errors: tuple[Any, Any] | None = None,
) -> Integrals:
    """E[f_k(e)] for e ~ N(mean, variance), for K integrands at once over a batch of B laws.

    Args:
        integrand: called as integrand(e, *parameters) with e of shape (b, n) and parameters of
            shape (b, 1); returns K arrays that broadcast to (b, n), or a `Sample`.
        mean: mu, shape (B,).
        variance: q >= 0, shape (B,); q = 0 gives f(mu).
        count: K.
        backend: whose arrays these are.
        parameters: arrays of shape (B,) that the integrands depend on.
        landmarks: where the integrands change fast, and where they have kinks.
        rtol: wanted relative accuracy; a few eps of the dtype at least.
        law_errors: absolute errors of (mean, variance), shape (B,); they enter the reported error
            to first order, through dE/dmu = E[f z] / sqrt(q), dE/dq = E[f (z^2 - 1)] / (2 q).

    Returns:
        `Integrals`: values and absolute errors (K, B), status codes (B,).
    """
    xp = backend.xp
    functions = Integrands(integrand, count, backend)
    with backend.quiet():
        positive = (variance > 0) & xp.isfinite(variance) & xp.isfinite(mean)
        std = xp.sqrt(xp.where(positive, variance, variance * 0 + 1))
        laws = Laws(mean, std, landmarks, tuple(parameters))
        if law_errors is not None:
            centre = functions.at(mean[:, None], laws)[0][:, :, 0]
            laws = Laws(mean, std, landmarks, tuple(parameters), centre)
        work = _Work.empty(functions, len(mean), max(rtol, 16 * backend.eps), laws)
        if bool(xp.all(positive)):
            _adapt(work, laws, None)
        else:
            rows = work.places[positive]
            if len(rows):
                _adapt(work, laws.take(rows), rows)
            _put_degenerate(work, laws, variance, law_errors)
        if law_errors is not None:
            _carry_law_errors(work, std, positive, law_errors)
    return Integrals(work.values, work.errors, work.status)


@dataclass(frozen=True)
class _Work:
    """The integrals under construction; arrays are filled in place as laws finish."""

    functions: Integrands
    rtol: float
    pieces: int
    values: Any
    errors: Any
    status: Any
    slopes: Any
    places: Any

    @classmethod
    def empty(cls, functions: Integrands, size: int, rtol: float, laws: Laws) -> _Work:
        backend, shape = functions.backend, (functions.count, size)
        codes = backend.codes((size,), INVALID)
        return cls(
            functions,
            rtol,
            1 + (0 if laws.landmarks is None else sum(laws.landmarks.kinks)),
            backend.full(shape, float("nan")),
            backend.full(shape, float("nan")),
            codes,
            backend.full((2, *shape), 0.0),
            backend.xp.nonzero(codes + 1)[0]
            if backend.name == "numpy"
            else backend.xp.arange(size, device=backend.device),
        )

    def level(self, reach: float, first_reach: float, number: int) -> Level:
        backend = self.functions.backend
        if self.pieces == 1:
            return plain(backend, _PLAIN_INTERVALS * math.ceil(reach / first_reach), number)
        return double_exponential(backend, _PIECE_INTERVALS, number)

    def put(self, rows: Any, sums: Sums, change: Any, floor: Any) -> None:
        """Finish these laws: their sums, the last change and the rounding floor, (K, b) each."""
        xp, found = self.functions.backend.xp, sums.rows
        carried = found[_CARRIED]
        self.values[:, rows] = found[_TOTAL]
        self.errors[:, rows] = change + floor + carried
        missed = change > self.rtol * xp.abs(found[_TOTAL]) + floor
        code = xp.where(xp.any(missed, 0), NOT_CONVERGED, OK)
        if sums.status is not None:
            # An inner integral that missed its tolerance counts only if its error matters here.
            small = xp.all(carried <= 10 * self.rtol * found[_MAGNITUDE] + floor, 0)
            forgiven = xp.where((sums.status == NOT_CONVERGED) & small, OK, sums.status)
            code = xp.maximum(code, forgiven)
        self.status[rows] = xp.asarray(code, dtype=self.status.dtype)
        if len(found) > _SLOPE_MEAN:
            self.slopes[:, :, rows] = found[_SLOPE_MEAN:]


def _reaches(backend: Backend) -> list[float]:
    """Half-widths of the range in standard deviations; beyond the last the weights underflow."""
    first = math.sqrt(-2 * math.log(1e-4 * backend.eps))
    last = math.sqrt(-2 * math.log(backend.tiny))
    return [r for r in (first, 2 * first) if r < last] + [last]


def _adapt(work: _Work, laws: Laws, rows: Any) -> None:
    """Find the range of each law, then double its nodes; `rows` are their places in the work."""
    backend = work.functions.backend
    xp = backend.xp
    rows = work.places if rows is None else rows
    reaches = _reaches(backend)
    for reach in reaches:
        chart = make_chart(laws.mean, laws.std, laws.landmarks, reach, backend)
        level = work.level(reach, reaches[0], 0)
        sums = work.functions.sum_level(laws, chart, level, first=True)
        magnitude = sums.rows[_MAGNITUDE]
        enough = xp.all((sums.ends <= backend.eps * magnitude) & xp.isfinite(magnitude), 0)
        if reach != reaches[-1]:
            # An integral that is 0 on this range may live beyond it.
            enough = enough & xp.all(magnitude > 0, 0)
        if bool(xp.all(enough)):
            _double(work, laws, chart, sums, rows, (reach, reaches[0]))
            return
        if bool(xp.any(enough)):
            inside = Sums(
                sums.rows[:, :, enough],
                None if sums.status is None else sums.status[enough],
                None,
            )
            _double(
                work, laws.take(enough), chart.take(enough), inside, rows[enough], (reach, reaches[0])
            )
            laws, rows = laws.take(~enough), rows[~enough]
    _put_failures(work, laws, rows)


def _double(
    work: _Work, laws: Laws, chart: Chart, sums: Sums, rows: Any, reach: tuple[float, float]
) -> None:
    """Double the nodes until every integral agrees with the level before."""
    backend = work.functions.backend
    xp = backend.xp
    rounding = backend.eps * (_ROUNDING + (0 if reach[0] == reach[1] else reach[0] ** 2))
    number = 0
    while True:
        number += 1
        level = work.level(*reach, number)
        more = work.functions.sum_level(laws, chart, level, first=False)
        new = sums.rows * 0.5 + more.rows
        status = _graver(xp, sums.status, more.status)
        change = xp.abs(new[_TOTAL] - sums.rows[_TOTAL])
        sums = Sums(new, status, None)
        floor = rounding * new[_MAGNITUDE]
        # nan and inf compare as finished here, and become failures below.
        done = ~xp.any(change > work.rtol * xp.abs(new[_TOTAL]) + floor, 0)
        finite = xp.all(xp.isfinite(new[_MAGNITUDE]), 0)
        last = 2 * len(level.place) * work.pieces > _MAX_NODES
        if bool(xp.all(done & finite)) or (last and bool(xp.all(finite))):
            work.put(rows, sums, change, floor)
            return
        stop = (done & finite) if not last else finite
        broken = ~finite
        if bool(xp.any(stop)):
            taken = Sums(new[:, :, stop], None if status is None else status[stop], None)
            work.put(rows[stop], taken, change[:, stop], floor[:, stop])
        if bool(xp.any(broken)):
            _put_failures(work, laws.take(broken), rows[broken])
        go = ~(stop | broken)
        if last or not bool(xp.any(go)):
            return
        laws, chart, rows = laws.take(go), chart.take(go), rows[go]
        sums = Sums(new[:, :, go], None if status is None else status[go], None)


def _graver(xp: Any, first: Any, second: Any) -> Any:
    if first is None or second is None:
        return second if first is None else first
    return xp.maximum(first, second)


def _put_failures(work: _Work, laws: Laws, rows: Any) -> None:
    """Laws whose integral was not found: say whether it diverges.

    log|f| - z^2 / 2 is followed to the farthest points where it is finite. If it bends upwards
    there, f outgrows the Gaussian; if it bends down, the integral exists but not in this dtype.
    """
    backend = work.functions.backend
    xp = backend.xp
    farthest = _reaches(backend)[-1]
    ladder = backend.asarray([0.0] + [farthest * 2.0 ** (k - 12) for k in range(13)])
    outgrown = rows != rows
    for side in (-1.0, 1.0):
        z = side * ladder
        values, _, _ = work.functions.at(laws.mean[:, None] + laws.std[:, None] * z, laws)
        log = xp.log(xp.abs(values)) - 0.5 * z * z
        bend = log[:, :, 2:] - 2 * log[:, :, 1:-1] + log[:, :, :1]
        grows = (bend >= 0) & (log[:, :, 2:] > log[:, :, 1:-1])
        usable = xp.isfinite(log[:, :, 2:]) & xp.isfinite(log[:, :, 1:-1])
        # The last usable rung decides.
        order = xp.where(usable, backend.asarray(list(range(1, usable.shape[-1] + 1))), 0 * z[2:])
        decides = (order == xp.amax(order, -1)[:, :, None]) & usable
        outgrown = outgrown | xp.any(xp.any(decides & grows, -1), 0)
    work.status[rows] = xp.asarray(
        xp.where(outgrown, DIVERGENT, NOT_CONVERGED), dtype=work.status.dtype
    )


def _put_degenerate(work: _Work, laws: Laws, variance: Any, law_errors: Any) -> None:
    """q = 0: the integrand's value at mu. With an error of q: the two-point law of that variance."""
    backend = work.functions.backend
    xp = backend.xp
    mask = (variance == 0) & xp.isfinite(laws.mean)
    if not bool(xp.any(mask)):
        return
    laws, rows = laws.take(mask), work.places[mask]
    point = laws.mean[:, None]
    values, errors, status = (None if a is None else a[..., 0] for a in work.functions.at(point, laws))
    error = 2 * backend.eps * xp.abs(values)
    error = error if errors is None else error + errors
    if law_errors is not None:
        for of, way in zip(law_errors, (lambda e: e, xp.sqrt), strict=True):
            step = way(of[mask])[:, None]
            up, down = (work.functions.at(point + s * step, laws)[0][..., 0] for s in (1, -1))
            moved = (up - down) / 2 if of is law_errors[0] else (up + down) / 2 - values
            error = error + xp.abs(moved)
    code = backend.codes((len(point),), OK) if status is None else status
    bad = ~xp.all(xp.isfinite(values), 0)
    code = xp.where(bad & (code == OK), NOT_CONVERGED, code)
    nan = values * 0 + float("nan")
    work.values[:, rows] = xp.where(bad, nan, values)
    work.errors[:, rows] = xp.where(bad, nan, error)
    work.status[rows] = xp.asarray(code, dtype=work.status.dtype)


def _carry_law_errors(work: _Work, std: Any, positive: Any, law_errors: tuple[Any, Any]) -> None:
    xp = work.functions.backend.xp
    of_mean, of_variance = law_errors
    carried = xp.abs(work.slopes[0]) * (of_mean / std)
    carried = carried + xp.abs(work.slopes[1]) * (0.5 * of_variance / (std * std))
    work.errors[:] = work.errors + xp.where(positive, carried, carried * 0)
