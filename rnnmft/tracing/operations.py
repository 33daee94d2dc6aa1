"""What each operation of an exported graph does to a grid of units; the table of what is mapped.

`apply` looks an operation up; one that is not found is refused, with the reason where there is one
in `REASONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnnmft.tracing.arrays import Array, TracedParameter, Value, blocks, grid_of, grid_of_stack
from rnnmft.tracing.averages import average_operations
from rnnmft.tracing.constants import masked
from rnnmft.tracing.context import Context, constant, is_constant, is_number
from rnnmft.tracing.contractions import einsum, matmul
from rnnmft.tracing.elementwise import FUNCTIONS, LINEAR
from rnnmft.tracing.products import linear
from rnnmft.tracing.refusal import RefusalError
from rnnmft.tracing.sums import Groups, Polynomial, exact, number
from rnnmft.tracing.views import VIEWS, transpose
from rnnmft.tracing.writes import write_entry, write_slice

__all__ = ["KEPT", "REASONS", "apply"]


_COUPLES = "it couples the units, which a cell does by its matrices alone"
_RANDOM = "it draws random numbers at every step; a cell's parameters are drawn once"
_STRUCTURE = "it makes a matrix whose entries are not independent; for a diagonal one write d * h"
_CHOICE = "it holds for single values alone, and nowhere in the limit"
_COMPLEX = (
    "it makes complex numbers, which no unit of a cell has: give the real and the imaginary part "
    "as a pair of states, and lambda as the pair r cos(theta), r sin(theta)"
)
_COMPARISONS = ("eq", "ne")
REASONS = {
    **dict.fromkeys(["group_norm", "native_layer_norm"], _COUPLES),
    **dict.fromkeys(["_softmax", "softmax.int", "_log_softmax", "log_softmax.int"], _COUPLES),
    **dict.fromkeys(["sum.dim_IntList", "sum", "mean", "cumsum", "linalg_vector_norm"]),
    **dict.fromkeys(["native_dropout", "bernoulli", "rand_like", "randn_like"], _RANDOM),
    **dict.fromkeys(["rand", "randn", "normal"], _RANDOM),
    **dict.fromkeys(["diag", "diag_embed", "triu", "tril", "arange"], _STRUCTURE),
    **dict.fromkeys(["_weight_norm", "_weight_norm_interface", "linalg_qr"], _STRUCTURE),
    "batch_norm": "it couples the elements of a batch, and has a memory of its own",
    **dict.fromkeys([f"{c}.{k}" for c in _COMPARISONS for k in ("Scalar", "Tensor")], _CHOICE),
    **dict.fromkeys(["conv1d", "convolution"], "it couples neighbouring units with shared weights"),
    "_trilinear": "it multiplies states through an array of three indices, which no matrix does",
    **dict.fromkeys(["complex", "polar", "view_as_complex", "view_as_real", "conj"], _COMPLEX),
    "roll": "it moves units around",
    "flip": "it moves units around",
}
REASONS = {name: reason or _COUPLES for name, reason in REASONS.items()}


def apply(name: str, context: Context, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The result of an operation: a value, or a list of values.

    Raises:
        RefusalError: the operation, or this use of it, has no meaning in a cell.
    """
    if name in LINEAR or name in FUNCTIONS:
        return _pointwise(name, context, args, kwargs)
    if name not in _OPERATIONS:
        if name.endswith("_scatter") or name in ("scatter", "index_put"):
            raise RefusalError("it writes into single units: the units of a cell are all alike")
        raise RefusalError(REASONS.get(name, "it is none of the operations of a cell"))
    return _OPERATIONS[name](context, *args, **kwargs)


def _pointwise(name: str, context: Context, args: Sequence[Any], kwargs: dict[str, Any]) -> Value:
    args = _with_stacks(args)
    matrices = [a for a in args if isinstance(a, TracedParameter) and len(a.long) > 1]
    if matrices:
        return _scaled(name, args, matrices[0])
    arrays = _aligned([a for a in args if isinstance(a, Array | TracedParameter)], context.width)
    keywords = {k: _keyword(v) for k, v in kwargs.items()}
    places = iter(arrays)
    given = [next(places) if isinstance(a, Array | TracedParameter) else a for a in args]

    def one(*parts: Polynomial) -> Polynomial:
        entries = iter(parts)
        values = [next(entries) if isinstance(a, Array) else a for a in given]
        if name in LINEAR:
            sums = [v if isinstance(v, Polynomial) else number(v) for v in values]
            done = LINEAR[name](*sums, **keywords)
            if done is not None:
                return done
        closed = [_expression(v, context.groups) for v in values]
        return Polynomial(rest=FUNCTIONS[name](*closed, **keywords))

    return _each(one, arrays)


def _with_stacks(args: Sequence[Any]) -> list[Any]:
    """Stacks of vectors, one a gate, as arrays where they meet an array with an axis of gates."""
    like = next((a for a in args if isinstance(a, Array) and a.unit == -1), None)
    if like is None or like.grid.ndim < 3 - (like.batch is None):
        return list(args)

    def meets(value: Any) -> bool:
        return (
            isinstance(value, TracedParameter)
            and len(value.long) == 2
            and value.axes[-1] is not None
            and value.shape[-1] == sum(like.widths)
        )

    return [grid_of_stack(a, like.widths) if meets(a) else a for a in args]


def _keyword(value: Any) -> Any:
    if is_constant(value) and isinstance(value, Array):
        return float(value.grid.item().rest)
    if is_number(value) and isinstance(value, Array):
        raise RefusalError("a constant of it is an average over units, which moves in time")
    return value


def _expression(value: Any, groups: Groups) -> Any:
    if isinstance(value, Polynomial):
        return groups.close(value)
    return exact(value) if is_number(value) else value


def _scaled(name: str, args: Sequence[Any], matrix: TracedParameter) -> TracedParameter:
    """A matrix times a number is one; everything else that is done to a matrix is refused."""
    others = [a for a in args if a is not matrix]
    if name == "mul.Tensor" and isinstance(others[0], TracedParameter):
        pair = sorted((matrix, others[0]), key=lambda m: m.density is not None)
        return masked(*pair)
    if all(is_constant(a) for a in others):
        (c,) = [float(_keyword(a)) for a in others] or (1.0,)
        if name in ("mul.Tensor", "mul.Scalar"):
            return replace(matrix, scale=matrix.scale * c)
        if name in ("div.Tensor", "div.Scalar") and args[0] is matrix and c:
            return replace(matrix, scale=matrix.scale / c)
        if name == "neg":
            return replace(matrix, scale=-matrix.scale)
    if any(isinstance(a, TracedParameter) and a.name == matrix.name for a in others):
        kind = "antisymmetric" if name.startswith(("sub", "rsub")) else "symmetric"
        raise RefusalError(
            f"it makes the {kind} matrix of the matrix {matrix.name!r} and its transpose, whose "
            "entries are not independent: a cell's matrices have independent entries (or are Haar "
            "orthogonal)"
        )
    if any(isinstance(a, Array) and not a.is_number for a in others):
        raise RefusalError(
            f"it meets the units with the matrix {matrix.name!r} entry by entry, a function of its "
            "own for each pair of units (a synapse): a preactivation is a product W y + V x + b"
        )
    raise RefusalError(
        f"it makes a matrix of the matrix {matrix.name!r}: the entries of a cell's matrices are "
        "independent (or the matrix is Haar orthogonal), so a matrix must be a parameter itself, "
        "or a block, a transpose or a multiple of one"
    )


def _aligned(values: Sequence[Value], width: int) -> list[Array]:
    """Arrays with the same axis of units and the same blocks; a vector takes those of the rest."""
    found = [v for v in values if isinstance(v, Array) and not v.is_number]
    vectors = [v for v in values if isinstance(v, TracedParameter)]
    if found:
        widths = found[0].widths
    elif vectors:
        widths = blocks(max(vectors[0].shape), width)
    else:
        return [v for v in values if isinstance(v, Array)]
    for vector in vectors:
        if max(vector.shape) != sum(widths):
            raise RefusalError(f"the shape of {vector.name!r} makes an outer product")
    arrays = [v if isinstance(v, Array) else grid_of(v, widths) for v in values]
    for one in arrays:
        if not one.is_number and (one.unit != _unit_of(arrays) or one.widths != widths):
            raise RefusalError("it combines units with other units")
    return arrays


def _unit_of(arrays: Sequence[Array]) -> int:
    """The axis of the units of the first that has one."""
    return next(a.unit for a in arrays if not a.is_number)


def _each(function: Callable[..., Polynomial], arrays: Sequence[Array]) -> Array:
    """Apply a function of sums entry by entry, with broadcasting."""
    grids = np.broadcast_arrays(*(a.grid for a in arrays))
    result = np.empty(grids[0].shape, dtype=object)
    for index in np.ndindex(result.shape):
        result[index] = function(*(g[index] for g in grids))
    typical = [a for a in arrays if not a.is_number]
    if not typical:
        return Array(result.reshape(()))
    batched = next((a for a in typical if a.batch is not None), typical[0])
    return replace(batched, grid=result)


def _same(context: Context, value: Value, *_: Any, dtype: Any = None, **__: Any) -> Value:
    if dtype is not None and not dtype.is_floating_point:
        raise RefusalError(f"it turns numbers into {dtype}")
    return value


def _detach(context: Context, value: Value) -> Value:
    if isinstance(value, TracedParameter) or is_number(value):
        return value
    raise RefusalError("it cuts the gradient, which the cell's equations would not say")


def _dropout(context: Context, value: Value, p: float = 0.5, train: bool = True) -> Value:
    if train and p > 0:
        raise RefusalError(_RANDOM)
    return value


def _filled(place: int) -> Callable[..., Array]:
    """A constant tensor; the fill value stands at this place of the arguments."""

    def operation(context: Context, *args: Any, **_: Any) -> Array:
        value = args[place]
        return value if isinstance(value, Array) else constant(float(value))

    return operation


def _zero(context: Context, *_: Any, **__: Any) -> Array:
    """Zeros, and memory that is written to before it is read (or the module is random)."""
    return constant(0.0)


def _one(context: Context, *_: Any, **__: Any) -> Array:
    return constant(1.0)


def _copied(context: Context, to: Value, value: Value, *_: Any, **__: Any) -> Value:
    """What is written over the whole of a tensor."""
    if is_number(value) or tuple(value.shape) == context.shape:
        return value
    return value.expand(context.shape)


def _identity(context: Context, size: int, *_: Any, **__: Any) -> TracedParameter:
    return TracedParameter("eye", ((0, size),) * 2, (0, 1), multiple=1.0)


def _number_of(context: Context, value: Value) -> Array:
    if isinstance(value, Array) and value.is_number:
        return value
    raise RefusalError("it takes the value of one unit out of the tensor")


def _affine(
    context: Context, bias: Value, a: Value, b: Value, *, beta: float = 1, alpha: float = 1
) -> Value:
    """beta * bias + alpha * (a @ b)."""
    product = _pointwise("mul.Scalar", context, [matmul(context, a, b), alpha], {})
    added = _pointwise("mul.Scalar", context, [bias, beta], {})
    return _pointwise("add.Tensor", context, [added, product], {})


def _linear(context: Context, x: Value, weight: Value, bias: Value | None = None) -> Value:
    if not isinstance(weight, TracedParameter):
        return matmul(context, x, transpose(context, weight, -1, -2))
    if isinstance(x, TracedParameter):
        return matmul(context, x, weight)
    product = linear(x, weight, context.width, context.groups)
    if bias is None:
        return product
    return _pointwise("add.Tensor", context, [product, bias], {})


_OPERATIONS: dict[str, Callable[..., Any]] = {
    **VIEWS,
    **average_operations(_pointwise),
    "linear": _linear,
    "einsum": einsum,
    **dict.fromkeys(["matmul", "mm", "mv", "bmm"], matmul),
    **dict.fromkeys(["addmm", "addmv", "baddbmm"], _affine),
    **dict.fromkeys(["clone", "alias", "contiguous", "_to_copy", "lift_fresh_copy"], _same),
    "detach": _detach,
    "copy": _copied,
    "slice_scatter": write_slice,
    "select_scatter": write_entry,
    **dict.fromkeys(["empty.memory_format", "zeros", "new_zeros", "new_empty"], _zero),
    **dict.fromkeys(["zeros_like", "empty_like", "new_empty_strided"], _zero),
    **dict.fromkeys(["ones", "new_ones", "ones_like"], _one),
    "eye": _identity,
    "new_full": _filled(2),
    **dict.fromkeys(["dropout", "alpha_dropout", "feature_dropout"], _dropout),
    "full": _filled(1),
    "full_like": _filled(1),
    "scalar_tensor": _filled(0),
    "_local_scalar_dense": _number_of,
    "item": _number_of,
}

# What is not decomposed further: what has a row above, and what is refused under its own name.
KEPT = (*LINEAR, *FUNCTIONS, *_OPERATIONS, *REASONS)
