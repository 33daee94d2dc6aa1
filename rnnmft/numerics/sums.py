"""Weighted sums over the nodes of one level: the integral, its magnitude, its sensitivities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from rnnmft.numerics.backend import Backend
from rnnmft.numerics.charts import Chart
from rnnmft.numerics.laws import Integrand, Laws, Sample
from rnnmft.numerics.rules import Level

__all__ = ["Integrands", "Sums"]

_INVERSE_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)


@dataclass(frozen=True)
class Sums:
    """What the new nodes of one level add, for B laws.

    `rows`: shape (R, K, B), linear in the nodes: E[f], E[|f|], E[error of f], and, where the
    sensitivity to the law is asked, E[(f - f(mu)) z] and E[(f - f(mu)) (z^2 - 1)].
    `status`: the gravest code an integrand met, (B,), or None. `ends`: (K, B), the integrand at the
    ends of the range times the range's length (None but at the first level).
    """

    rows: Any
    status: Any
    ends: Any


@dataclass(frozen=True)
class Integrands:
    """K functions of a Gaussian variable and of parameters, evaluated together on one backend."""

    function: Integrand
    count: int
    backend: Backend

    def at(self, points: Any, laws: Laws) -> tuple[Any, Any, Any]:
        """Values (K, b, n), errors (K, b, n) or None, status (b, n) or None at points (b, n)."""
        xp = self.backend.xp
        found = self.function(points, *(p[:, None] for p in laws.parameters))
        sample = found if isinstance(found, Sample) else Sample(found)
        shape = tuple(points.shape)
        values = xp.stack([xp.broadcast_to(v, shape) for v in sample.values])
        errors = None
        if sample.uncertain:
            zero = points * 0
            known = [zero if e is None else e for e in sample.errors]
            errors = xp.stack([xp.broadcast_to(e, shape) for e in known])
        status = None if sample.status is None else xp.broadcast_to(sample.status, shape)
        return values, errors, status

    def sum_level(self, laws: Laws, chart: Chart, level: Level, first: bool) -> Sums:
        """The sums over a level's new nodes, in blocks of laws that bound the memory."""
        xp = self.backend.xp
        size = len(laws.mean)
        nodes = len(level.place) * (chart.edges.shape[1] - 1)
        block = max(1, self.backend.chunk // nodes)
        if size <= block:
            return self._sum_block(laws, chart, level, first)
        slices = [slice(i, i + block) for i in range(0, size, block)]
        parts = [self._sum_block(laws.take(s), chart.take(s), level, first) for s in slices]
        status = None
        if any(p.status is not None for p in parts):
            status = xp.concatenate(
                [self.backend.codes((p.rows.shape[-1],), 0) if p.status is None else p.status for p in parts]
            )
        return Sums(
            xp.concatenate([p.rows for p in parts], -1),
            status,
            xp.concatenate([p.ends for p in parts], -1) if first else None,
        )

    def _sum_block(self, laws: Laws, chart: Chart, level: Level, first: bool) -> Sums:
        xp = self.backend.xp
        size, std = len(laws.mean), laws.std[:, None]
        length = chart.edges[:, 1:] - chart.edges[:, :-1]
        u = (chart.edges[:, :-1, None] + length[:, :, None] * level.place).reshape(size, -1)
        sinh = xp.sinh(u)
        distance = chart.offset + chart.scale * sinh
        z = distance / std
        density = xp.exp(-0.5 * z * z) * xp.sqrt(1.0 + sinh * sinh)
        density = density * (_INVERSE_SQRT_2PI * chart.scale / std)
        weight = density * (length[:, :, None] * level.weight).reshape(size, -1)
        values, errors, status = self.at(laws.mean[:, None] + distance, laws)
        weighted = values * weight
        rows = [xp.sum(weighted, -1), xp.sum(xp.abs(weighted), -1)]
        rows.append(rows[0] * 0 if errors is None else xp.sum(errors * weight, -1))
        if laws.centre is not None:
            # f(mu) is taken off because it integrates to nothing here but cancellation.
            moved = (values - laws.centre[:, :, None]) * weight
            rows += [xp.sum(moved * z, -1), xp.sum(moved * (z * z - 1.0), -1)]
        ends = None
        if first:
            at_ends = [xp.abs(values[:, :, i]) * density[:, i] for i in (0, -1)]
            ends = xp.maximum(*at_ends) * xp.sum(length, -1)
        return Sums(xp.stack(rows), None if status is None else xp.amax(status, -1), ends)
