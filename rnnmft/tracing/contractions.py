"""Products with a stack of matrices, one a gate: matmul, bmm and einsum over an axis of gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnnmft.tracing.arrays import Array, TracedParameter, Value
from rnnmft.tracing.context import Context
from rnnmft.tracing.products import matrix_product
from rnnmft.tracing.refusal import RefusalError

__all__ = ["einsum", "matmul"]


def matmul(context: Context, a: Value, b: Value) -> Array:
    """a @ b; of a stack of matrices, one product after the other."""
    stack = next((v for v in (a, b) if isinstance(v, TracedParameter) and len(v.long) == 3), None)
    if stack is None:
        return matrix_product(a, b, context.width, context.groups)
    other = b if stack is a else a
    if not isinstance(other, Array) or len(stack.axes) != 3:
        raise RefusalError(f"it multiplies the stack of matrices {stack.name!r} by no state")
    gates = []
    for j in range(stack.shape[0]):
        one = other.select(0, j if other.shape[0] > 1 else 0) if other.grid.ndim == 3 else other
        pair = (stack.select(0, j), one) if stack is a else (one, stack.select(0, j))
        gates.append(matrix_product(*pair, context.width, context.groups))
    return _stacked(gates)


def _stacked(arrays: Sequence[Array]) -> Array:
    """Arrays behind each other along a new first axis."""
    return replace(arrays[0], grid=np.stack([a.grid for a in arrays], 0))


def einsum(context: Context, equation: str, operands: Sequence[Value], **_options: Any) -> Value:
    """A parameter's matrix, or a stack of them, times a state or the input."""
    given, _arrow, wanted = _without_ellipsis(equation.replace(" ", ""), operands).partition("->")
    labels = given.split(",")
    if not wanted or len(labels) != 2 or len(operands) != 2:
        raise RefusalError(f"the contraction {equation!r} is no product of a matrix and a state")
    pairs = sorted(
        zip(operands, labels, strict=True), key=lambda p: isinstance(p[0], TracedParameter)
    )
    (seen, of_seen), (matrix, of_matrix) = pairs
    if not isinstance(seen, Array) or not isinstance(matrix, TracedParameter):
        raise RefusalError("it multiplies two things that are not a parameter and a state")
    summed = (set(of_seen) & set(of_matrix)) - set(wanted)
    free = [n for n in of_matrix if n not in summed]
    if len(summed) != 1 or not free or set(of_seen) & set(free):
        raise RefusalError(f"the contraction {equation!r} is no product of a matrix and a state")
    (units,) = summed
    out = _out(free, of_matrix, matrix, context.width)
    gates = [n for n in free if n != out]
    last = seen.permute([of_seen.index(n) for n in of_seen if n != units] + [of_seen.index(units)])
    ordered = matrix.permute([of_matrix.index(n) for n in (*gates, units, out)])
    product = _over(
        gates, ordered, lambda m: matrix_product(last, m, context.width, context.groups)
    )
    names = [*gates, *(n for n in of_seen if n != units), out]
    return product.permute([names.index(n) for n in wanted])


def _without_ellipsis(equation: str, operands: Sequence[Value]) -> str:
    """The equation with a letter for each axis of the ellipsis of the one operand that has any."""
    labels = equation.partition("->")[0].split(",")
    ranks = [
        len(v.shape) - len(n.replace("...", ""))
        for n, v in zip(labels, operands, strict=False)
        if "..." in n
    ]
    letters = "ABCDEFGH"[: max(ranks, default=0)]
    if {*letters} & {*equation} or len({r for r in ranks if r}) > 1:
        raise RefusalError(f"the contraction {equation!r} is no product of a matrix and a state")
    for rank, name in zip(ranks, [n for n in labels if "..." in n], strict=True):
        if not rank:
            equation = equation.replace(name, name.replace("...", ""), 1)
    return equation.replace("...", letters)


def _out(free: Sequence[str], labels: str, matrix: TracedParameter, width: int) -> str:
    """Which of a parameter's axes counts the units that come out: of the width, the last one."""
    fit = [n for n in free if matrix.shape[labels.index(n)] % width == 0]
    return (fit or free)[-1]


def _over(
    gates: Sequence[str], matrix: TracedParameter, one: Callable[[TracedParameter], Array]
) -> Array:
    """A product for each index of the axes of gates, stacked in their order."""
    if not gates:
        return one(matrix)
    parts = [_over(gates[1:], matrix.select(0, j), one) for j in range(matrix.shape[0])]
    return _stacked(parts)
