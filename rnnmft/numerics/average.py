"""The instruction that evaluates a group of expectations of one law, all on the same nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from rnnmft.numerics.backend import Backend
from rnnmft.numerics.block import Block, State
from rnnmft.numerics.charts import Landmarks
from rnnmft.numerics.laws import Sample
from rnnmft.numerics.quadrature import gaussian_integrals

__all__ = ["Average"]


@dataclass(frozen=True)
class Average:
    """slots = E[f_k(e, captured)] over e ~ N(mean, variance), for the outputs f_k of a block.

    The block's inputs are the bound variable and then the captured slots. `places` and `widths` are
    slots of the landmarks.
    """

    mean: int
    variance: int
    captured: tuple[int, ...]
    places: tuple[int, ...]
    widths: tuple[int, ...]
    kinks: tuple[bool, ...]
    slots: tuple[int, ...]
    block: Block
    backend: Backend
    rtol: float

    @property
    def inputs(self) -> tuple[int, ...]:
        """Every slot that is read."""
        return (self.mean, self.variance, *self.captured, *self.places, *self.widths)

    def run(self, state: State) -> None:
        """Flatten the laws to one batch, integrate, and give the results their shape again."""
        xp = self.backend.xp
        values = {i: _array(self.backend, state.values[i]) for i in self.inputs}
        errors = {i: state.errors[i] for i in self.inputs}
        shape = xp.broadcast_shapes(
            *(tuple(values[i].shape) for i in (self.mean, self.variance, *self.captured))
        )

        def flat(array: Any) -> Any:
            return xp.broadcast_to(_array(self.backend, array), shape).reshape(-1)

        doubtful = [i for i in self.captured if errors[i] is not None]
        law_errors = None
        if errors[self.mean] is not None or errors[self.variance] is not None:
            zero = values[self.mean] * 0
            law_errors = tuple(
                flat(zero if errors[i] is None else errors[i]) for i in (self.mean, self.variance)
            )
        found = gaussian_integrals(
            self._integrand(doubtful),
            flat(values[self.mean]),
            flat(values[self.variance]),
            count=len(self.slots),
            backend=self.backend,
            parameters=[flat(values[i]) for i in self.captured] + [flat(errors[i]) for i in doubtful],
            landmarks=self._landmarks(values, flat),
            rtol=self.rtol,
            law_errors=law_errors,
        )
        for k, slot in enumerate(self.slots):
            state.values[slot] = found.values[k].reshape(shape)
            state.errors[slot] = found.errors[k].reshape(shape)
        status = found.status.reshape(shape)
        state.status = status if state.status is None else xp.maximum(state.status, status)

    def _landmarks(self, values: dict[int, Any], flat: Any) -> Landmarks | None:
        if not self.places:
            return None
        xp = self.backend.xp
        places, widths = (
            xp.stack([flat(values[i]) for i in slots], -1) for slots in (self.places, self.widths)
        )
        return Landmarks(places, widths, self.kinks)

    def _integrand(self, doubtful: list[int]) -> Any:
        count = len(self.captured)
        where = [self.captured.index(i) for i in doubtful]

        def integrand(e: Any, *parameters: Any) -> Sample:
            errors = [None] * (1 + count)
            for k, position in enumerate(where):
                errors[1 + position] = parameters[count + k]
            state = self.block.run((e, *parameters[:count]), errors if where else None)
            outputs = self.block.outputs
            return Sample(
                [_array(self.backend, state.values[i]) for i in outputs],
                [state.errors[i] for i in outputs],
                state.status,
            )

        return integrand


def _array(backend: Backend, value: Any) -> Any:
    if isinstance(value, (int, float)):
        return backend.full((), value if not math.isnan(value) else math.nan)
    return value
