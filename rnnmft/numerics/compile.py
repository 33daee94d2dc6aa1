"""From expressions to functions of arrays: elementwise ones, and programs with expectations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from rnnmft.errors import CompileError, Status
from rnnmft.expectation import GaussianExpectation
from rnnmft.numerics.backend import Backend
from rnnmft.numerics.backends import get_backend
from rnnmft.numerics.block import Block
from rnnmft.numerics.build import build_block
from rnnmft.numerics.laws import INVALID, OK, STATUSES, UNDEFINED
from rnnmft.numerics.quadrature import RTOL

__all__ = ["STATUSES", "Evaluation", "Program", "compile_elementwise", "compile_program"]


@dataclass(frozen=True)
class Evaluation:
    """What a program gives at each element of a batch of shape (...,).

    Attributes:
        values: one array of that shape for each output.
        errors: bounds on |value - true|, of the same shapes.
        status: integer codes of that shape, places in `STATUSES`; 0 is `Status.OK`. A value is nan
            only where its status is not OK.
    """

    values: tuple[Any, ...]
    errors: tuple[Any, ...]
    status: Any

    def status_at(self, *index: int) -> Status:
        """The status of one element."""
        return STATUSES[int(self.status[index])]

    @property
    def ok(self) -> bool:
        """Whether every element met its tolerance."""
        return not bool((self.status != OK).any())


@dataclass(frozen=True)
class Program:
    """Outputs as functions of arrays: `program(*arrays)` broadcasts them and gives an `Evaluation`.

    The error of an expectation is the change at the last doubling of its nodes, plus rounding, plus
    what the errors of earlier expectations do to its law (dE/dmu, dE/dq) and its integrand. Through
    the rest of the program errors move forward to first order and add up in absolute value, so
    correlated errors that would cancel do not.
    """

    arguments: tuple[sp.Symbol, ...]
    backend: Backend
    block: Block

    def __call__(self, *arrays: Any) -> Evaluation:
        """Evaluate at arguments that broadcast together to shape (...,)."""
        if len(arrays) != len(self.arguments):
            raise TypeError(f"the program takes {len(self.arguments)} arrays, got {len(arrays)}")
        backend = self.backend
        given = [backend.asarray(a) for a in arrays]
        shape = np.broadcast_shapes(*(tuple(a.shape) for a in given))
        flat = [backend.broadcast(a, shape).reshape(-1) for a in given]
        size = len(flat[0]) if flat else 1
        if size == 0:
            nothing = tuple(backend.full(shape, 0.0) for _ in self.block.outputs)
            return Evaluation(nothing, nothing, backend.codes(shape, OK))
        with backend.quiet():
            state = self.block.run(flat)
            found = [self._full(state.values[i], size) for i in self.block.outputs]
            errors = [self._full(state.errors[i], size) for i in self.block.outputs]
            status = self._status(state.status, flat, found, size)
        return Evaluation(
            tuple(a.reshape(shape) for a in found),
            tuple(a.reshape(shape) for a in errors),
            status.reshape(shape),
        )

    def _full(self, value: Any, size: int) -> Any:
        if value is None or isinstance(value, (int, float)):
            return self.backend.full((size,), value or 0.0)
        return self.backend.broadcast(value, (size,))

    def _status(self, status: Any, given: list[Any], found: list[Any], size: int) -> Any:
        """The gravest status met; arguments and outputs that are not finite have their own."""
        backend, xp = self.backend, self.backend.xp
        code = backend.codes((size,), OK)
        if status is not None:
            code = xp.maximum(code, xp.broadcast_to(status, (size,)))
        for arrays, meaning in ((given, INVALID), (found, UNDEFINED)):
            bad = backend.codes((size,), OK) > 0
            for array in arrays:
                bad = bad | ~xp.isfinite(array)
            code = xp.where(bad & (code == OK), backend.codes((size,), meaning), code)
        return code


def compile_program(
    assignments: Sequence[tuple[sp.Symbol, Any]],
    outputs: Sequence[Any],
    arguments: Sequence[sp.Symbol],
    backend: str | Backend = "numpy",
    rtol: float = RTOL,
) -> Program:
    """Compile expressions with Gaussian expectations, of any nesting, to a function of arrays.

    Args:
        assignments: (symbol, expression) in order; each may use the arguments and earlier symbols.
        outputs: expressions in the arguments and the assigned symbols.
        arguments: the symbols of the arrays.
        backend: "numpy", "torch" or a `Backend`.
        rtol: wanted relative accuracy of each expectation (beside rounding).

    Returns:
        A `Program`. Expectations of equal law are evaluated together on the same nodes.

    Raises:
        CompileError: a symbol that is neither an argument nor assigned, or a function that the
            backend's table lacks.

    >>> import sympy as sp
    >>> from rnnmft.activations import tanh
    >>> from rnnmft.expectation import gaussian_expectation
    >>> e, q = sp.Symbol("e", real=True), sp.Symbol("q", positive=True)
    >>> program = compile_program([], [gaussian_expectation(tanh(e) ** 2, e, 0, q)], [q])
    >>> round(float(program(1.0).values[0]), 12)
    0.394294490398
    """
    found = get_backend(backend)
    block = build_block(outputs, arguments, found, rtol, assignments)
    return Program(tuple(arguments), found, block)


def compile_elementwise(
    expressions: Sequence[Any], arguments: Sequence[sp.Symbol], backend: str | Backend = "numpy"
) -> Callable[..., tuple[Any, ...]]:
    """Compile expressions without expectations to an elementwise function.

    Args:
        expressions: SymPy expressions in the arguments.
        arguments: the symbols, in the order in which the function takes its arrays.
        backend: "numpy", "torch" or a `Backend`.

    Returns:
        A function of arrays of any shapes that broadcast together; it returns one array of the
        broadcast shape for each expression.

    Raises:
        CompileError: an unknown symbol or function, or an expectation.

    >>> import numpy as np
    >>> import sympy as sp
    >>> from rnnmft.activations import relu
    >>> x = sp.Symbol("x", real=True)
    >>> compile_elementwise([relu(x), sp.Integer(1)], [x])(np.array([-1.0, 2.0]))
    (array([0., 2.]), array([1., 1.]))
    """
    found = get_backend(backend)
    for expression in expressions:
        if sp.sympify(expression, strict=True).has(GaussianExpectation):
            raise CompileError(
                f"{expression} holds an expectation: it is not elementwise (use compile_program)"
            )
    block = build_block(expressions, arguments, found, 0.0)

    def evaluate(*given: Any) -> tuple[Any, ...]:
        arrays = [a if hasattr(a, "shape") else found.asarray(a) for a in given]
        # Shapes are plain tuples: torch's own function loads a quarter of a second's code for them.
        shape = np.broadcast_shapes(*(tuple(a.shape) for a in arrays))
        with found.quiet():
            state = block.run(arrays)
        return tuple(_expand(found, state.values[i], shape, arrays) for i in block.outputs)

    return evaluate


def _expand(backend: Backend, value: Any, shape: tuple[int, ...], arrays: Sequence[Any]) -> Any:
    """A result in the full shape: constants and lower-dimensional results are broadcast."""
    if isinstance(value, (int, float)):
        if not arrays:
            return backend.full((), float(value))
        xp, like = backend.xp, arrays[0]
        extra = {} if backend.name == "numpy" else {"device": like.device}
        return xp.full(shape, float(value), dtype=like.dtype, **extra)
    return value if tuple(value.shape) == tuple(shape) else backend.xp.broadcast_to(value, shape)
