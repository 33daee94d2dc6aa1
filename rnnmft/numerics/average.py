"""The instruction that evaluates a group of expectations of one law, all on the same nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rnnmft.deadline import check_deadline
from rnnmft.numerics.backend import Backend
from rnnmft.numerics.block import Block, EvaluationState
from rnnmft.numerics.charts import Kind, Landmarks
from rnnmft.numerics.laws import Integrands, Sample
from rnnmft.numerics.quadrature import integrate

__all__ = ["GaussianAverage"]


@dataclass(frozen=True)
class GaussianAverage:
    """slots = E[f_k(e, captured)] over e ~ N(mean, variance), for the outputs f_k of a block.

    The block's inputs are the bound variable and then the captured slots. `places` and `widths` are
    slots of the landmarks. `weights[k]` holds (output, slot): by how much this block's own outputs
    move with result k, where they are affine in all such results together; else None.
    """

    mean: int
    variance: int
    captured: tuple[int, ...]
    places: tuple[int, ...]
    widths: tuple[int, ...]
    kinds: tuple[Kind, ...]
    slots: tuple[int, ...]
    block: Block
    backend: Backend
    rtol: float
    weights: tuple[tuple[tuple[int, int], ...], ...] | None

    @property
    def reads(self) -> tuple[int, ...]:
        """Every slot that is read."""
        weights = (slot for pairs in self.weights or () for _, slot in pairs)
        law = (self.mean, self.variance)
        return (*law, *self.captured, *self.places, *self.widths, *weights)

    def run(self, state: EvaluationState) -> None:
        """Flatten the laws to one batch, integrate, and give the results their shape again."""
        check_deadline()
        xp = self.backend.xp
        laws = (self.mean, self.variance, *self.captured)
        shape = xp.broadcast_shapes(*(_shape(state.values[i]) for i in laws))

        def flat(value: Any) -> Any:
            return self.backend.broadcast(_array(self.backend, value), shape).reshape(-1)

        doubtful = [i for i in self.captured if state.errors[i] is not None]
        law_errors = None
        if state.errors[self.mean] is not None or state.errors[self.variance] is not None:
            of_law = (state.errors[i] for i in (self.mean, self.variance))
            law_errors = tuple(flat(0.0 if e is None else e) for e in of_law)
        parameters = [flat(state.values[i]) for i in self.captured]
        parameters += [flat(state.errors[i]) for i in doubtful]
        found = integrate(
            self._integrands([self.captured.index(i) for i in doubtful]),
            flat(state.values[self.mean]),
            flat(state.values[self.variance]),
            tuple(parameters),
            self._landmarks(state, flat),
            backend=self.backend,
            rtol=self.rtol,
            atol=self._tolerance(state, shape),
            law_errors=law_errors,
        )
        for k, slot in enumerate(self.slots):
            state.values[slot] = found.values[k].reshape(shape)
            state.errors[slot] = found.errors[k].reshape(shape)
        status = found.status.reshape(shape)
        state.status = status if state.status is None else xp.maximum(state.status, status)

    def _tolerance(self, state: EvaluationState, shape: tuple[int, ...]) -> Any:
        """How far off each result may be, (K, B), from how far off the block's outputs may be."""
        if state.tolerance is None or self.weights is None:
            return None
        xp = self.backend.xp
        results = []
        for pairs in self.weights:
            allowed = None
            for output, slot in pairs:
                size = abs(_array(self.backend, state.values[slot]))
                one = state.tolerance[output] / size
                allowed = one if allowed is None else xp.minimum(allowed, one)
            results.append(_shrunk(xp, allowed, shape))
        return xp.stack(results)

    def _landmarks(self, state: EvaluationState, flat: Any) -> Landmarks | None:
        if not self.places:
            return None
        places, widths = (
            self.backend.xp.stack([flat(state.values[i]) for i in slots], -1)
            for slots in (self.places, self.widths)
        )
        return Landmarks(places, widths, self.kinds)

    def _integrands(self, doubtful: list[int]) -> Integrands:
        """The block as integrands; `doubtful`: which captured values come with an error."""
        count = len(self.captured)

        def sample(e: Any, parameters: Sequence[Any], tolerance: Any) -> Sample:
            errors = None
            if doubtful:
                errors = [None] * (1 + count)
                for k, position in enumerate(doubtful):
                    errors[1 + position] = parameters[count + k]
            state = self.block.run((e, *parameters[:count]), errors, tolerance)
            outputs = self.block.outputs
            return Sample(
                [_array(self.backend, state.values[i]) for i in outputs],
                [state.errors[i] for i in outputs],
                state.status,
            )

        return Integrands(sample, len(self.slots), self.block.nested)


def _shape(value: Any) -> tuple[int, ...]:
    return () if isinstance(value, (int, float)) else tuple(value.shape)


def _array(backend: Backend, value: Any) -> Any:
    return backend.full((), value) if isinstance(value, (int, float)) else value


def _shrunk(xp: Any, allowed: Any, shape: tuple[int, ...]) -> Any:
    """The least tolerance among the points that share one law, flattened to the laws."""
    full = xp.broadcast_shapes(tuple(allowed.shape), shape)
    allowed = xp.broadcast_to(allowed, full)
    for axis, (size, law) in enumerate(zip(full, shape, strict=True)):
        if law < size:
            allowed = xp.amin(allowed, axis)[(slice(None),) * axis + (None,)]
    return allowed.reshape(-1)
