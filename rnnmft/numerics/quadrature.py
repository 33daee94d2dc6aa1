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

Source: [trefethen2014], for the convergence of the rule. Eq. (gaussian-expectation).
"""

from __future__ import annotations

from typing import Any

from rnnmft.numerics.backend import Backend
from rnnmft.numerics.charts import Landmarks, make_charts
from rnnmft.numerics.doubling import double, first_level
from rnnmft.numerics.laws import Integrals, Integrands, Laws
from rnnmft.numerics.results import Results
from rnnmft.numerics.sums import Sums, sample_at

__all__ = ["RTOL", "integrate"]

#: The relative accuracy that expectations are computed to when none is asked for. Values are better
#: (1e-7 already gives the stored grid to 8e-15, since errors are squared); 1e-11 costs a quarter
#: more nodes than that and stands 10^3 above rounding, so that nested integrals can meet it.
RTOL = 1e-11
# A law that would begin with more intervals than this is refused: at 2 nodes a radian those are
# waves of more than 860 radians a standard deviation, and 2^18 nodes until three levels agree.
_TOO_MANY = 1 << 15
# Of the tolerance, what may lie beyond the range: it is in no error, and this is nothing beside
# them.
_BEYOND = 1e-3


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
    """E[f_k(e)] for e ~ N(mean, variance), for K functions at once over a batch of B laws.

    Args:
        integrands: the functions; they may be integrals themselves.
        mean: mu, shape (B,).
        variance: q, shape (B,).
        parameters: what the integrands depend on, shape (B,) each.
        landmarks: where the integrands change fast.
        backend: whose arrays these are.
        rtol: wanted relative accuracy.
        atol: absolute errors that may be left as well, shape (K, B).
        law_errors: absolute errors of (mean, variance), shape (B,); they enter the reported error
            to first order, through dE/dmu = E[f z] / sqrt(q), dE/dq = E[f (z^2 - 1)] / (2 q).

    Returns:
        `Integrals`: values and absolute errors (K, B), status codes (B,); q = 0 gives f(mu).

    >>> import numpy as np
    >>> from rnnmft.numerics.backends import get_backend
    >>> from rnnmft.numerics.laws import Sample
    >>> asked = Integrands(lambda e, given, tolerance: Sample([e**2, np.cos(e)]), 2)
    >>> laws = np.zeros(1), np.ones(1), (), None
    >>> found = integrate(asked, *laws, backend=get_backend(), rtol=RTOL)
    >>> bool(np.all(np.abs(found.values[:, 0] - [1, np.exp(-0.5)]) <= found.errors[:, 0]))
    True
    """
    xp = backend.xp
    with backend.quiet():
        positive = (variance > 0) & xp.isfinite(variance) & xp.isfinite(mean)
        std = xp.sqrt(xp.where(positive, variance, variance * 0 + 1))
        laws = Laws(mean, std, landmarks, parameters, atol)
        if law_errors is not None:
            sample = sample_at(integrands, mean[:, None], laws)
            centre = [backend.broadcast(v, (len(mean), 1))[:, 0] for v in sample.values]
            laws = Laws(mean, std, landmarks, parameters, atol, xp.stack(centre))
        results = Results.empty(integrands, len(mean), rtol, backend)
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
    xp = results.backend.xp
    reaches = results.reaches
    for reach in reaches:
        left = []
        charts = make_charts(
            laws.mean, laws.std, laws.landmarks, reach, reaches[0], results.backend
        )
        for mask, chart in charts:
            if chart.intervals > _TOO_MANY:
                results.put_failures(laws.take(mask), rows if mask is None else rows[mask])
                continue
            batch = first_level(
                results, laws.take(mask), chart, rows if mask is None else rows[mask]
            )
            outside = ~_inside(batch.sums, batch.laws, results.backend, reach == reaches[-1])
            if not bool(xp.any(outside)):
                double(results, batch, reach)
                continue
            left.append((mask, outside))
            if not bool(xp.all(outside)):
                double(results, batch.take(~outside), reach)
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


def _inside(sums: Sums, laws: Laws, backend: Backend, last: bool) -> Any:
    """Whether what lies beyond the range is negligible, (B,)."""
    xp = backend.xp
    small = sums.ends <= backend.eps * sums.magnitude
    if not last:
        # An integral that is 0 on this range may live beyond it.
        small = small & (sums.magnitude > 0)
    if laws.atol is not None:
        small = small | (sums.ends <= _BEYOND * laws.atol)
    return xp.all(small & xp.isfinite(sums.total), 0)
