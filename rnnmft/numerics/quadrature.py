"""Gaussian integrals E[f(e)], e ~ N(mu, q), by the trapezoidal rule under an analytic map.

An activation changes on a scale l near a point c whatever the variance, the Gaussian on the scale
sqrt(q) around mu. Under e = c + l sinh(u) both are resolved by a step that does not shrink with q
(the integrand is analytic in a strip of half-width about pi/4), so a hundred nodes reach rounding
at q = 1e4. Where sqrt(q) is small against l the map is straight. An integrand with kinks is cut
there and each piece gets the double-exponential rule.

The nodes double until two levels agree to rtol; their difference is the reported error (the
convergence is geometric: the finer level is far closer than that), plus a floor for rounding, plus
the integrated error of the integrand itself. The range starts at |z| <= 9.5 standard deviations and
doubles while the integrand at its ends is not negligible: with mu = 20, q = 4 all of E[tanh'(e)^2]
lies at z = -8.

Source: Trefethen and Weideman 2014 (SIAM Review 56, 385), for the convergence of the rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from rnnmft.numerics.backend import Backend
from rnnmft.numerics.charts import Chart, Landmarks, make_charts
from rnnmft.numerics.laws import Integrals, Integrands, Laws, Sample
from rnnmft.numerics.results import Results
from rnnmft.numerics.rules import double_exponential, plain
from rnnmft.numerics.sums import Sums, sample_at, sum_level

__all__ = ["gaussian_integrals", "integrate"]

_MAX_NODES = 12288
# Rounding of a weighted sum, in units of eps E|f|. At wider ranges reach^2 is added: z^2 / 2 is
# exponentiated.
_ROUNDING = 50.0
# Of the error an integral may have, what the integrals inside it may cause together.
_SHARE = 0.25


def gaussian_integrals(
    function: Callable[..., Sequence[Any]],
    mean: Any,
    variance: Any,
    *,
    count: int,
    backend: Backend,
    parameters: Sequence[Any] = (),
    landmarks: Landmarks | None = None,
    rtol: float = 1e-11,
) -> Integrals:
    """E[f_k(e)] for e ~ N(mean, variance), for K functions at once over a batch of B laws.

    Args:
        function: called as function(e, *parameters) with e of shape (b, n) and parameters of
            shape (b, 1); returns K arrays that broadcast to (b, n).
        mean: mu, shape (B,).
        variance: q >= 0, shape (B,); q = 0 gives f(mu).
        count: K.
        backend: whose arrays these are.
        parameters: arrays of shape (B,) that the functions depend on.
        landmarks: where the functions change fast, and where they have kinks.
        rtol: wanted relative accuracy; 16 eps of the dtype at least.

    Returns:
        `Integrals`: values and absolute errors (K, B), status codes (B,).

    >>> import numpy as np
    >>> from rnnmft.numerics.backends import get_backend
    >>> found = gaussian_integrals(
    ...     lambda e: [e**2, np.cos(e)], np.zeros(1), np.ones(1), count=2, backend=get_backend()
    ... )
    >>> bool(np.all(np.abs(found.values[:, 0] - [1, np.exp(-0.5)]) <= found.errors[:, 0]))
    True
    """

    def sample(e: Any, given: Sequence[Any], tolerance: Any) -> Sample:
        return Sample(function(e, *given))

    laws = (mean, variance, tuple(parameters), landmarks)
    return integrate(Integrands(sample, count), *laws, backend=backend, rtol=rtol)


def integrate(
    integrands: Integrands,
    mean: Any,
    variance: Any,
    parameters: tuple[Any, ...],
    landmarks: Landmarks | None,
    *,
    backend: Backend,
    rtol: float,
    atol: Any = None,
    law_errors: tuple[Any, Any] | None = None,
) -> Integrals:
    """As `gaussian_integrals`, for integrands that may be integrals themselves.

    Args:
        integrands: what to integrate.
        mean: mu, shape (B,).
        variance: q, shape (B,).
        parameters: what the integrands depend on, shape (B,) each.
        landmarks: where the integrands change fast.
        backend: whose arrays these are.
        rtol: wanted relative accuracy.
        atol: absolute errors that may be left as well, shape (K, B).
        law_errors: absolute errors of (mean, variance), shape (B,); they enter the reported error
            to first order, through dE/dmu = E[f z] / sqrt(q), dE/dq = E[f (z^2 - 1)] / (2 q).
    """
    xp = backend.xp
    with backend.quiet():
        positive = (variance > 0) & xp.isfinite(variance) & xp.isfinite(mean)
        std = xp.sqrt(xp.where(positive, variance, variance * 0 + 1))
        laws = Laws(mean, std, landmarks, parameters, atol)
        if law_errors is not None:
            sample = sample_at(integrands, mean[:, None], laws)
            centre = [xp.broadcast_to(v, (len(mean), 1))[:, 0] for v in sample.values]
            laws = Laws(mean, std, landmarks, parameters, atol, xp.stack(centre))
        results = Results.empty(integrands, len(mean), max(rtol, 16 * backend.eps), backend)
        if bool(xp.all(positive)):
            _adapt(results, laws, results.places)
        else:
            rows = results.places[positive]
            if len(rows):
                _adapt(results, laws.take(rows), rows)
            results.put_degenerate(laws, variance, law_errors)
        if law_errors is not None:
            results.carry_law_errors(std, positive, law_errors)
    return Integrals(results.values, results.errors, results.status)


def _adapt(results: Results, laws: Laws, rows: Any) -> None:
    """Find the range of each law, then double its nodes; `rows` are their places in the results."""
    backend = results.backend
    xp = backend.xp
    reaches = results.reaches
    for reach in reaches:
        left = []
        charts = make_charts(laws.mean, laws.std, laws.landmarks, reach, reaches[0], backend)
        for mask, chart in charts:
            part, places = laws.take(mask), rows if mask is None else rows[mask]
            sums, budget = _first_level(results, part, chart)
            outside = ~_inside(sums, part, backend, last=reach == reaches[-1])
            if not bool(xp.any(outside)):
                _double(results, part, chart, sums, budget, places, reach)
                continue
            left.append((mask, outside))
            if not bool(xp.all(outside)):
                go = ~outside
                allowed = None if budget is None else budget[:, go]
                chosen = (part.take(go), chart.take(go), sums.take(go))
                _double(results, *chosen, allowed, places[go], reach)
        if not left:
            return
        keep = xp.zeros_like(laws.mean) > 0
        for mask, outside in left:
            keep = _marked(keep, mask, outside)
        laws, rows = laws.take(keep), rows[keep]
    results.put_failures(laws, rows)


def _marked(keep: Any, mask: Any, outside: Any) -> Any:
    """`keep` with the laws marked that are `outside` among those of `mask`."""
    if mask is None:
        return keep | outside
    keep[mask] = outside
    return keep


def _first_level(results: Results, laws: Laws, chart: Chart) -> tuple[Sums, Any]:
    """The first level's sums, and the error that nested integrals may leave in each sum.

    Integrals inside need no accuracy where the weights are small. A pass in which they may be off
    by anything measures the sums that their errors are to be small against.
    """
    backend, integrands = results.backend, results.integrands
    rule = double_exponential if chart.pieces > 1 else plain
    level = rule(backend, chart.intervals, 0)
    budget = None
    if integrands.nested and laws.atol is not None:
        budget = _SHARE * laws.atol
    elif integrands.nested:
        free = backend.full((integrands.count, len(laws.mean)), math.inf)
        rough = sum_level(integrands, laws, chart, level, backend, 0, free)
        allowed = results.rtol * backend.xp.abs(rough.total)
        allowed = allowed + _ROUNDING * backend.eps * rough.magnitude
        # A sum that underflows must not ask for the impossible.
        budget = _SHARE * backend.xp.maximum(allowed, allowed * 0 + backend.tiny)
    return sum_level(integrands, laws, chart, level, backend, 0, budget), budget


def _inside(sums: Sums, laws: Laws, backend: Backend, last: bool) -> Any:
    """Whether what lies beyond the range is negligible, (B,)."""
    xp = backend.xp
    small = sums.ends <= backend.eps * sums.magnitude
    if not last:
        # An integral that is 0 on this range may live beyond it.
        small = small & (sums.magnitude > 0)
    if laws.atol is not None:
        small = small | (sums.ends <= 1e-3 * laws.atol)
    return xp.all(small & xp.isfinite(sums.total), 0)


def _double(
    results: Results,
    laws: Laws,
    chart: Chart,
    sums: Sums,
    budget: Any,
    rows: Any,
    reach: float,
) -> None:
    """Double the nodes until every integral agrees with the level before."""
    backend = results.backend
    xp = backend.xp
    rule = double_exponential if chart.pieces > 1 else plain
    rounding = backend.eps * (_ROUNDING + (reach**2 if reach > results.reaches[0] else 0))
    if laws.atol is not None:
        enough = xp.all(sums.magnitude <= laws.atol, 0)
        if bool(xp.any(enough)):
            taken = sums.take(enough)
            results.put(rows[enough], taken, taken.magnitude, 0 * taken.magnitude, enough[enough])
            if bool(xp.all(enough)):
                return
            laws, chart, sums, rows, budget = _keep(~enough, laws, chart, sums, rows, budget)
    number, before = 0, None
    while True:
        number += 1
        level = rule(backend, chart.intervals, number)
        more = sum_level(results.integrands, laws, chart, level, backend, number, budget)
        new = sums.refined(more, xp)
        change = xp.abs(new.total - sums.total)
        sums, floor = new, rounding * xp.maximum(new.magnitude, xp.abs(new.total))
        each = change <= _allowed(results, laws, new, floor)
        finite = xp.all(xp.isfinite(new.total), 0)
        met = xp.all(each, 0)
        last = 2 * len(level.place) * chart.pieces >= _MAX_NODES
        stop = finite if last else met & finite
        if number > 4 and not last:
            stop = stop | xp.all(each | _stalled(change, before, new, backend), 0) & finite
        if bool(xp.any(stop)):
            whole = bool(xp.all(stop))
            some = None if whole else stop
            pick = slice(None) if whole else stop
            results.put(rows[pick], sums.take(some), change[:, pick], floor[:, pick], met[pick])
            if whole:
                return
        if not bool(xp.all(finite)):
            results.put_failures(laws.take(~finite), rows[~finite])
        go = finite & ~stop
        if not bool(xp.any(go)):
            return
        if not bool(xp.all(go)):
            laws, chart, sums, rows, budget = _keep(go, laws, chart, sums, rows, budget)
            change = change[:, go]
        before = change


def _allowed(results: Results, laws: Laws, sums: Sums, floor: Any) -> Any:
    """How large the last change may be, (K, B); what the integrand's own error is no nodes mend."""
    xp = results.backend.xp
    allowed = results.rtol * xp.abs(sums.total) + floor
    if sums.carried is not None:
        allowed = allowed + sums.carried
    return allowed if laws.atol is None else xp.maximum(allowed, laws.atol)


def _keep(go: Any, laws: Laws, chart: Chart, sums: Sums, rows: Any, budget: Any) -> tuple[Any, ...]:
    allowed = None if budget is None else budget[:, go]
    return laws.take(go), chart.take(go), sums.take(go), rows[go], allowed


def _stalled(change: Any, before: Any, sums: Sums, backend: Backend) -> Any:
    """Whether only rounding inside the integrand is left: more nodes would not help, (K, B)."""
    small = change <= 1e3 * math.sqrt(backend.eps) * sums.magnitude
    return small & (change > 0.7 * before)
