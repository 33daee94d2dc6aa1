"""A block: a straight-line program over slots, run op by op from a backend's table.

Each slot holds an array and, where it depends on a quadrature, a bound on its error. Errors move
forward to first order: |df/dx| error(x), added over the inputs.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Apply", "Block", "EvaluationState", "Instruction", "Power", "Product", "Sum", "plus"]

# Up to this power by multiplications: twice as fast as a power, and within n / 2 roundings (1.4e-15
# at 16, where a power has half of one).
_MULTIPLIED = 16


@dataclass
class EvaluationState:
    """What a run of a block fills: values and errors of the slots, and the gravest status.

    `tolerance`: how far off each output may be, shape (outputs, ...), or None for not at all.
    """

    values: list[Any]
    errors: list[Any]
    status: Any = None
    tolerance: Any = None


class Instruction(Protocol):
    """One step of a block."""

    @property
    def reads(self) -> tuple[int, ...]:
        """Every slot that is read."""
        ...

    def run(self, state: EvaluationState) -> None:
        """Read the inputs' slots, write the outputs'."""
        ...


def plus(first: Any, second: Any) -> Any:
    """The sum of two errors, None standing for no error."""
    if first is None:
        return second
    return first if second is None else first + second


@dataclass(frozen=True)
class Apply:
    """slot = function(inputs); `slopes` are slots of the partial derivatives, where needed."""

    inputs: tuple[int, ...]
    slot: int
    function: Callable[..., Any]
    slopes: tuple[int, ...] = ()

    @property
    def reads(self) -> tuple[int, ...]:
        """Every slot that is read."""
        return (*self.inputs, *self.slopes)

    def run(self, state: EvaluationState) -> None:
        """Evaluate, and carry the errors through the derivatives."""
        state.values[self.slot] = self.function(*(state.values[i] for i in self.inputs))
        error = None
        for i, slope in zip(self.inputs, self.slopes, strict=False):
            if state.errors[i] is not None:
                error = plus(error, abs(state.values[slope]) * state.errors[i])
        state.errors[self.slot] = error


@dataclass(frozen=True)
class Sum:
    """slot = the sum of the inputs."""

    inputs: tuple[int, ...]
    slot: int

    @property
    def reads(self) -> tuple[int, ...]:
        """Every slot that is read."""
        return self.inputs

    def run(self, state: EvaluationState) -> None:
        """Add values and errors."""
        values, errors = state.values, state.errors
        values[self.slot] = functools.reduce(operator.add, (values[i] for i in self.inputs))
        errors[self.slot] = functools.reduce(plus, (errors[i] for i in self.inputs))


@dataclass(frozen=True)
class Product:
    """slot = the product of the inputs."""

    inputs: tuple[int, ...]
    slot: int

    @property
    def reads(self) -> tuple[int, ...]:
        """Every slot that is read."""
        return self.inputs

    def run(self, state: EvaluationState) -> None:
        """Multiply; each error is weighted by the other factors."""
        values, errors = state.values, state.errors
        value, error = values[self.inputs[0]], errors[self.inputs[0]]
        for i in self.inputs[1:]:
            if error is not None or errors[i] is not None:
                left = None if error is None else error * abs(values[i])
                right = None if errors[i] is None else errors[i] * abs(value)
                error = plus(left, right)
            value = value * values[i]
        values[self.slot], errors[self.slot] = value, error


@dataclass(frozen=True)
class Power:
    """slot = input ** exponent for a constant exponent; `slopes`: the slot of the derivative."""

    inputs: tuple[int, ...]
    slot: int
    exponent: float
    root: Callable[[Any], Any]
    slopes: tuple[int, ...] = ()

    @property
    def reads(self) -> tuple[int, ...]:
        """Every slot that is read."""
        return (*self.inputs, *self.slopes)

    def run(self, state: EvaluationState) -> None:
        """Small integers by multiplication, halves by the square root."""
        (i,) = self.inputs
        state.values[self.slot] = self._power(state.values[i])
        if state.errors[i] is not None and self.slopes:
            state.errors[self.slot] = abs(state.values[self.slopes[0]]) * state.errors[i]

    def _power(self, x: Any) -> Any:
        size = abs(self.exponent)
        if size == 0.5:
            value = self.root(x)
        elif size == int(size) and size <= _MULTIPLIED:
            value = _integer_power(x, int(size))
        else:
            return x**self.exponent
        return value if self.exponent > 0 else 1.0 / value


def _integer_power(x: Any, n: int) -> Any:
    """x^n by repeated squaring."""
    result = None
    while True:
        if n & 1:
            result = x if result is None else result * x
        n >>= 1
        if not n:
            return result
        x = x * x


@dataclass
class Block:
    """A compiled straight-line program.

    `template` holds the constants in their slots; `inputs` and `outputs` are slots. A slot is let
    go after its last use (`released[k]` after instruction k). `nested`: whether it holds integrals.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    template: list[Any]
    instructions: Sequence[Instruction]
    nested: bool = False
    released: list[tuple[int, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        last: dict[int, int] = {}
        for k, instruction in enumerate(self.instructions):
            for slot in instruction.reads:
                last[slot] = k
        self.released = [()] * len(self.instructions)
        for slot, k in last.items():
            if slot not in self.outputs and self.template[slot] is None:
                self.released[k] = (*self.released[k], slot)

    def run(
        self, values: Sequence[Any], errors: Sequence[Any] | None = None, tolerance: Any = None
    ) -> EvaluationState:
        """Run on arrays for the inputs, with bounds on their errors where they have any."""
        state = EvaluationState(
            list(self.template), [None] * len(self.template), tolerance=tolerance
        )
        for k, slot in enumerate(self.inputs):
            state.values[slot] = values[k]
            if errors is not None:
                state.errors[slot] = errors[k]
        for instruction, released in zip(self.instructions, self.released, strict=True):
            instruction.run(state)
            for slot in released:
                state.values[slot] = state.errors[slot] = None
        return state
