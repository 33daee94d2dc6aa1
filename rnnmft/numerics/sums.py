"""Weighted sums over the nodes of one level: the integral, its magnitude, its sensitivities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rnnmft.numerics.backend import Backend
from rnnmft.numerics.charts import Chart, Nodes
from rnnmft.numerics.laws import Integrands, Laws, Sample
from rnnmft.numerics.rules import Level

__all__ = ["Sums", "sample_at", "sum_level"]


# Levels that measure E[|f|]: enough for a scale of rounding, cheaper than all of them. One or six
# give the same values.
_MEASURED = 3


@dataclass(frozen=True)
class Sums:
    """What the new nodes of one level add, for B laws and K integrands.

    `total`: E[f], shape (K, B). `carried`: E[error of f], (K, B), or None. `slopes`: where the
    sensitivity to the law is asked, E[(f - f(mu)) z] and E[(f - f(mu)) (z^2 - 1)], (2, K, B).
    `status`: the gravest code an integrand met, (B,), or None. `magnitude`: E[|f|], (K, B), of the
    first levels, where it is measured. `ends`: at the first level, the integrand at the ends of the
    range times the range's length, (K, B).
    """

    total: Any
    carried: Any = None
    slopes: Any = None
    status: Any = None
    magnitude: Any = None
    ends: Any = None

    def take(self, rows: Any) -> Sums:
        """The sums of some of the laws; None for all."""
        if rows is None:
            return self
        fields = (self.total, self.carried, self.slopes, self.status, self.magnitude, self.ends)
        return Sums(*(None if f is None else f[..., rows] for f in fields))

    def refined(self, more: Sums, xp: Any) -> Sums:
        """The sums with the nodes of the next level added."""
        return Sums(
            0.5 * self.total + more.total,
            _halved_plus(self.carried, more.carried),
            _halved_plus(self.slopes, more.slopes),
            _graver(xp, self.status, more.status),
            _halved_plus(self.magnitude, more.magnitude) if more.measured else self.magnitude,
        )

    @property
    def measured(self) -> bool:
        """Whether this level measured E[|f|]."""
        return self.magnitude is not None


def _halved_plus(old: Any, new: Any) -> Any:
    if old is None or new is None:
        return new if old is None else 0.5 * old
    return 0.5 * old + new


def _graver(xp: Any, first: Any, second: Any) -> Any:
    if first is None or second is None:
        return second if first is None else first
    return xp.maximum(first, second)


def sample_at(integrands: Integrands, points: Any, laws: Laws, tolerance: Any = None) -> Sample:
    """The integrands at points (b, n)."""
    return integrands.sample(points, [p[:, None] for p in laws.parameters], tolerance)


def sum_level(
    integrands: Integrands,
    laws: Laws,
    chart: Chart,
    level: Level,
    backend: Backend,
    number: int,
    budget: Any = None,
) -> Sums:
    """The sums over the new nodes of level `number`, in blocks of laws that bound the memory.

    `budget`, shape (K, B): the error that nested integrals may leave in each sum, or None.
    """
    size = len(laws.mean)
    block = max(1, backend.chunk // (len(level.place) * chart.pieces))
    if size <= block:
        return _sum_block(integrands, laws, chart, level, backend, number, budget)
    parts = []
    for i in range(0, size, block):
        rows = slice(i, i + block)
        allowed = None if budget is None else budget[:, rows]
        parts.append(
            _sum_block(
                integrands, laws.take(rows), chart.take(rows), level, backend, number, allowed
            )
        )
    return _joined(parts, backend)


def _joined(parts: list[Sums], backend: Backend) -> Sums:
    """The sums of consecutive blocks of laws as one."""
    joined = []
    for name in ("total", "carried", "slopes", "status", "magnitude", "ends"):
        arrays = [getattr(p, name) for p in parts]
        if all(a is None for a in arrays):
            joined.append(None)
            continue
        if any(a is None for a in arrays):
            blank = [p.total * 0 if name == "carried" else _no_code(p, backend) for p in parts]
            arrays = [b if a is None else a for a, b in zip(arrays, blank, strict=True)]
        joined.append(backend.xp.concatenate(arrays, -1))
    return Sums(*joined)


def _no_code(part: Sums, backend: Backend) -> Any:
    return backend.codes((part.total.shape[-1],), 0)


def _sum_block(
    integrands: Integrands,
    laws: Laws,
    chart: Chart,
    level: Level,
    backend: Backend,
    number: int,
    budget: Any,
) -> Sums:
    xp = backend.xp
    nodes = chart.nodes(level, backend)
    shape = tuple(nodes.distance.shape)
    weight = backend.broadcast(nodes.weight, shape)
    tolerance = None
    if budget is not None:
        tolerance = budget[:, :, None] / (shape[1] * weight)
    sample = sample_at(integrands, laws.mean[:, None] + nodes.distance, laws, tolerance)
    values = [backend.broadcast(v, shape) for v in sample.values]
    total = backend.dots(values, weight)
    carried = slopes = magnitude = ends = None
    if sample.uncertain:
        known = [weight * 0 if e is None else e for e in sample.errors]
        carried = backend.dots([backend.broadcast(e, shape) for e in known], weight)
    if laws.centre is not None:
        slopes = _slopes(values, laws, nodes, weight, backend)
    if number < _MEASURED:
        sizes = [xp.abs(v) for v in values]
        magnitude = backend.dots(sizes, weight)
        if number == 0:
            low, high = nodes.ends[:, 0], nodes.ends[:, 1]
            ends = xp.stack([xp.maximum(v[:, 0] * low, v[:, -1] * high) for v in sizes])
    status = None
    if sample.status is not None:
        status = xp.amax(backend.broadcast(sample.status, shape), -1)
    return Sums(total, carried, slopes, status, magnitude, ends)


def _slopes(values: list[Any], laws: Laws, nodes: Nodes, weight: Any, backend: Backend) -> Any:
    """f(mu) is taken off because its part integrates to nothing but cancellation."""
    xp = backend.xp
    first, second = weight * nodes.z, weight * (nodes.z * nodes.z - 1.0)
    moved = [v - c[:, None] for v, c in zip(values, laws.centre, strict=True)]
    return xp.stack([backend.dots(moved, w) for w in (first, second)])
