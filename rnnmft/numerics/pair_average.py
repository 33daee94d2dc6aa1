"""The instruction that evaluates an iterated pair: Hermite series, quadrature where they are long.

The outer level's nodes grow until the series has ended; laws of which it does not end (a steep
gate, an activation far sharper than its Gaussian) are left to quadrature, one variable inside
another, with its own error estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rnnmft.numerics.backend import Backend
from rnnmft.numerics.block import Block, EvaluationState
from rnnmft.numerics.mehler import STEPS, PairRule

__all__ = ["PairAverage"]

# Laws at once are so many that four arrays of all pairs of nodes, (24 / step)^2 over +-12 standard
# deviations a level inside, make a chunk: the values, and room for what is computed beside them.
_WIDTH = 48.0


@dataclass(frozen=True)
class PairAverage:
    """slot = the iterated pair at the captured slots, which come without errors.

    `nested`: makes the block that computes the same from the captured values by quadrature.
    """

    captured: tuple[int, ...]
    slot: int
    rule: PairRule
    nested: Callable[[], Block]
    backend: Backend

    @property
    def reads(self) -> tuple[int, ...]:
        """Every slot that is read."""
        return self.captured

    @cached_property
    def _quadrature(self) -> Block:
        """The nested block, compiled when first needed."""
        return self.nested()

    def run(self, state: EvaluationState) -> None:
        """Flatten to one batch of laws, evaluate, and give the result its shape again."""
        backend, xp = self.backend, self.backend.xp
        given = [self._array(state.values[i]) for i in self.captured]
        shape = tuple(xp.broadcast_shapes(*(tuple(g.shape) for g in given)))
        flat = [backend.broadcast(g, shape).reshape(-1) for g in given]
        size = len(flat[0]) if flat else 1
        values, errors = (backend.full((size,), float("nan")) for _ in range(2))
        left, given_up = backend.range(size), []
        for step in STEPS:
            if len(left):
                left, lost = self._put_series(flat, left, step, values, errors)
                given_up.append(lost)
        left = xp.concatenate([*given_up, left])
        status = None
        if len(left):
            found = self._quadrature.run([g[left] for g in flat])
            (slot,) = self._quadrature.outputs
            values[left], errors[left] = found.values[slot], found.errors[slot]
            status = backend.codes((size,), 0)
            status[left] = found.status
            status = status.reshape(shape)
        state.values[self.slot] = values.reshape(shape)
        state.errors[self.slot] = errors.reshape(shape)
        if status is not None:
            known = state.status
            state.status = status if known is None else xp.maximum(known, status)

    def _array(self, value: Any) -> Any:
        return self.backend.full((), value) if isinstance(value, (int, float)) else value

    def _put_series(
        self, flat: list[Any], rows: Any, step: float, values: Any, errors: Any
    ) -> tuple[Any, Any]:
        """Put values and errors; return the laws that a smaller step may help, and may not."""
        backend, xp = self.backend, self.backend.xp
        block = max(1, int(backend.chunk * (step / _WIDTH) ** (2 * (self.rule.depth - 1))))
        left, given_up = [], []
        for start in range(0, len(rows), block):
            part = rows[start : start + block]
            own = self.rule.evaluate([g[part] for g in flat], step)
            found = own.after(values[part])
            values[part], errors[part] = found.values, found.errors
            missed = ~self.rule.met(found)
            # What comes from inside does not fall with this step.
            lost = self.rule.hopeless(found, step) | ~self.rule.met(own)
            missed, lost = (backend.broadcast(m, tuple(part.shape)) for m in (missed, lost))
            left.append(part[missed & ~lost])
            given_up.append(part[missed & lost])
        return xp.concatenate(left), xp.concatenate(given_up)
