"""Doubling the nodes of a batch of laws until two levels agree, and what counts as agreement."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from rnnmft.numerics.backend import Backend
from rnnmft.numerics.charts import Chart, Kind
from rnnmft.numerics.laws import Laws
from rnnmft.numerics.results import Results
from rnnmft.numerics.rules import Level, double_exponential, plain
from rnnmft.numerics.sums import Sums, sum_level

__all__ = ["Batch", "double", "first_level"]

# Where doubling ends: a time. What is smooth beside its landmarks needs some hundred; a hidden kink
# falls like 1 / n^2, and four times as many nodes met the tolerance at 0.4 % more of 1681 laws.
_MAX_NODES = 12288
# Rounding of a weighted sum, in units of eps E|f|: an activation and the density are off by some
# eps each where |z| <= 9.5, since z^2 / 2 <= 45 is exponentiated. At wider ranges reach^2 is added.
_ROUNDING = 50.0
# Of the error an integral may have, what the integrals inside it may cause together: with the
# change of the nodes and rounding it stays below the whole. Half or twice of it gives the same to
# 1e-14.
_SHARE = 0.25
# A change that is not this much smaller than the one before does not converge geometrically (there
# the error is squared): a small one may be an accident, and the next must be small as well. Half or
# twice of it changed none of 564 integrals.
_SLOW = 0.05
# Changes that are kept. Where nothing converges geometrically, the error is `_UNMET` times the
# largest of them: a kink that no landmark shows makes them irregular. At 1681 laws of max(e^2 - 1,
# 0) three times the largest of one, two and three of them was exceeded up to 1100 times, 1.6 times,
# and never (0.11).
_REMEMBERED = 3
# A first-order rule leaves as much as its last change, in all: 3 is a margin.
_UNMET = 3.0
# 10 c^1.5 between c and c^2, below c from c = 1 % on: only inside of other integrals
# (`_remainder`).
_FOLLOWING = 10.0
# From this level on, changes that do not fall any more are rounding inside the integrand: 2^5 times
# the first nodes, where what converges geometrically has long ended.
_PATIENCE = 5
# Changes that fall by less than this have stalled; those of a first-order rule are halved.
_STALLED = 0.7


@dataclass(frozen=True)
class Batch:
    """Laws that are at one level: their sums, places in the results, and the changes so far.

    `budget`: the error that nested integrals may leave in each sum, (K, b), or None. `changes`: of
    the levels before, the latest first, (K, b) each.
    """

    laws: Laws
    chart: Chart
    sums: Sums
    rows: Any
    budget: Any = None
    changes: tuple[Any, ...] = ()

    def take(self, rows: Any) -> Batch:
        """Some of the laws."""
        return Batch(
            self.laws.take(rows),
            self.chart.take(rows),
            self.sums.take(rows),
            self.rows[rows],
            None if self.budget is None else self.budget[:, rows],
            tuple(c[:, rows] for c in self.changes),
        )


def _level(results: Results, chart: Chart, number: int) -> Level:
    rule = double_exponential if chart.pieces > 1 else plain
    return rule(results.backend, chart.intervals, number)


def first_level(results: Results, laws: Laws, chart: Chart, rows: Any) -> Batch:
    """The first level's sums, and the error that nested integrals may leave in each sum.

    Integrals inside need no accuracy where the weights are small. A pass in which they may be off
    by anything measures the sums that their errors are to be small against.
    """
    backend, integrands = results.backend, results.integrands
    level = _level(results, chart, 0)
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
    sums = sum_level(integrands, laws, chart, level, backend, 0, budget)
    return Batch(laws, chart, sums, rows, budget)


def double(results: Results, batch: Batch, reach: float) -> None:
    """Double the nodes until every integral agrees with the level before; put the results."""
    backend = results.backend
    xp = backend.xp
    rounding = backend.eps * (_ROUNDING + (reach**2 if reach > results.reaches[0] else 0))
    if batch.laws.atol is not None:
        batch = _without_negligible(results, batch)
    number = 0
    while len(batch.rows):
        number += 1
        level = _level(results, batch.chart, number)
        nodes = 2 * len(level.place) * batch.chart.pieces
        last = nodes >= _MAX_NODES and number >= _REMEMBERED
        old = batch.sums
        more = sum_level(
            results.integrands, batch.laws, batch.chart, level, backend, number, batch.budget
        )
        new = old.refined(more, xp)
        change = _remainder(batch, new, xp.abs(new.total - old.total), backend)
        floor = rounding * xp.maximum(new.magnitude, xp.abs(new.total))
        met, stalled = _verdicts(results, batch, new, change, floor)
        beyond = _UNMET * _largest(xp, (change, *batch.changes))
        error = beyond if _is_irregular(batch.laws) else xp.where(met, change, beyond)
        finite = xp.all(xp.isfinite(new.total), 0)
        met, stalled = xp.all(met, 0), xp.all(met | stalled, 0)
        stop = finite & (met | stalled | last if number >= _PATIENCE else met | last)
        batch = replace(batch, sums=new, changes=(change, *batch.changes)[:_REMEMBERED])
        if bool(xp.all(stop)):
            results.put(batch.rows, new, error, floor, met)
            return
        if bool(xp.any(stop)):
            done = batch.take(stop)
            results.put(done.rows, done.sums, error[:, stop], floor[:, stop], met[stop])
        if not bool(xp.all(finite)):
            failed = batch.take(~finite)
            results.put_failures(failed.laws, failed.rows)
        if bool(xp.any(stop)) or not bool(xp.all(finite)):
            batch = batch.take(finite & ~stop)


def _without_negligible(results: Results, batch: Batch) -> Batch:
    """Integrals that are below their tolerance as a whole are done."""
    xp = results.backend.xp
    enough = xp.all(batch.sums.magnitude <= batch.laws.atol, 0)
    if not bool(xp.any(enough)):
        return batch
    done = batch.take(enough)
    size = done.sums.magnitude
    results.put(done.rows, done.sums, size, 0 * size, enough[enough])
    return batch.take(~enough)


def _remainder(batch: Batch, sums: Sums, change: Any, backend: Backend) -> Any:
    """The error that the last change stands for, (K, b): the change itself, or what follows it.

    Where E|f| C^-n is the error of n nodes, a change of c E|f| leaves c^2 E|f|. Inside another
    integral, which sees in its own changes whether its integrand is what it is taken for, that is
    used half way: 10 c^1.5.
    """
    laws, xp = batch.laws, backend.xp
    if laws.atol is None or batch.chart.pieces > 1:
        return change
    if _is_irregular(laws):
        return change
    size = xp.maximum(sums.magnitude, sums.magnitude * 0 + backend.tiny)
    return change * xp.minimum(_FOLLOWING * xp.sqrt(change / size), 0 * size + 1)


def _is_irregular(laws: Laws) -> bool:
    """Whether kinks that no landmark shows may make single changes small by accident."""
    return laws.landmarks is not None and Kind.HIDDEN in laws.landmarks.kinds


def _largest(xp: Any, changes: tuple[Any, ...]) -> Any:
    largest = changes[0]
    for change in changes[1:_REMEMBERED]:
        largest = xp.maximum(largest, change)
    return largest


def _verdicts(
    results: Results, batch: Batch, sums: Sums, change: Any, floor: Any
) -> tuple[Any, Any]:
    """(met, stalled), (K, b) each: whether the last change met the tolerance, or will never.

    After changes that fell slowly a small one may be an accident: the next must be small as well,
    and with hidden kinks all that are remembered.
    """
    xp, eps = results.backend.xp, results.backend.eps
    allowed = results.rtol * xp.abs(sums.total) + floor
    if sums.carried is not None:
        # What the integrand's own error does, no number of nodes mends.
        allowed = allowed + sums.carried
    if batch.laws.atol is not None:
        allowed = xp.maximum(allowed, batch.laws.atol)
    met = change <= allowed
    if not batch.changes:
        return met, met
    if _is_irregular(batch.laws):
        met = _largest(xp, (change, *batch.changes)) <= allowed
    before = batch.changes[0]
    if len(batch.changes) > 1:
        met = met & ~((before > allowed) & (before > _SLOW * batch.changes[1]))
    stalled = (change > _STALLED * before) & (change <= math.sqrt(eps) * sums.magnitude)
    return met, stalled
