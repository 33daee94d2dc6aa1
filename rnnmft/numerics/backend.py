"""The backend contract: an array library, its dtype and device, and one table of functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sympy as sp

from rnnmft.errors import CompileError

__all__ = ["Backend"]


@dataclass(frozen=True, eq=False)
class Backend:
    """Where and in what precision an expression is evaluated.

    Attributes:
        name: "numpy" or "torch".
        xp: the array namespace (the module `numpy` or `torch`).
        functions: SymPy function class -> elementwise implementation; the one border from
            symbols to numbers.
        dtype: the floating dtype of `xp`.
        device: "cpu", "cuda", "cuda:1" ...
        chunk: how many points are evaluated at once; bounds the memory of the quadrature.
        quiet: a context in which overflow and 0 * inf do not warn; what they make gets a status.
    """

    name: str
    xp: Any
    functions: Mapping[type, Callable[..., Any]]
    dtype: Any
    device: str
    chunk: int
    quiet: Callable[[], AbstractContextManager[Any]]

    @property
    def eps(self) -> float:
        """The spacing of the dtype at 1."""
        return float(self.xp.finfo(self.dtype).eps)

    @property
    def tiny(self) -> float:
        """The smallest normal number of the dtype."""
        return float(self.xp.finfo(self.dtype).tiny)

    def asarray(self, value: Any) -> Any:
        """The value as an array of this backend: its dtype, on its device."""
        if self.name == "numpy":
            return self.xp.asarray(value, dtype=self.dtype)
        # A broadcast array may not be written to, and torch's tensors know no such thing.
        if getattr(getattr(value, "flags", None), "writeable", True) is False:
            value = value.copy()
        return self.xp.as_tensor(value, dtype=self.dtype, device=self.device)

    def as_complex(self, value: Any) -> Any:
        """The value as complex numbers of double precision, on its device."""
        if self.name == "numpy":
            return self.xp.asarray(value, dtype=self.xp.complex128)
        return self.xp.as_tensor(value, dtype=self.xp.complex128, device=self.device)

    def complex_zeros(self, *shape: int) -> Any:
        """Zeros, complex of double precision."""
        device = {} if self.name == "numpy" else {"device": self.device}
        return self.xp.zeros(shape, dtype=self.xp.complex128, **device)

    def times_complex(self, left: Any, right: Any) -> Any:
        """left @ right, (.., a, b) and complex (.., b, c); half the work where left is real."""
        if left.dtype == self.xp.complex128:
            return left @ right
        if self.name == "numpy":
            wide = self.xp.ascontiguousarray(right).view(self.xp.float64)
            return (left @ wide).view(self.xp.complex128)
        wide = self.xp.view_as_real(right.contiguous()).flatten(-2)
        return self.xp.view_as_complex((left @ wide).unflatten(-1, (-1, 2)))

    def places(self, value: Any) -> Any:
        """Whole numbers to index with, on its device."""
        if self.name == "numpy":
            return self.xp.asarray(value, dtype=self.xp.intp)
        return self.xp.as_tensor(value, dtype=self.xp.int64, device=self.device)

    def full(self, shape: tuple[int, ...], value: float) -> Any:
        """An array filled with one number."""
        if self.name == "numpy":
            return self.xp.full(shape, value, dtype=self.dtype)
        return self.xp.full(shape, value, dtype=self.dtype, device=self.device)

    def codes(self, shape: tuple[int, ...], code: int) -> Any:
        """An array of status codes: places in `tuple(Status)`."""
        if self.name == "numpy":
            return self.xp.full(shape, code, dtype=self.xp.int8)
        return self.xp.full(shape, code, dtype=self.xp.int8, device=self.device)

    def as_codes(self, array: Any) -> Any:
        """Integers as status codes."""
        if self.name == "numpy":
            return array.astype(self.xp.int8)
        return array.to(self.xp.int8)

    def distinct(self, array: Any) -> list[int]:
        """The different whole numbers in an array, ascending."""
        first = int(array[0])
        if bool((array == first).all()):
            return [first]
        return [int(v) for v in self.to_numpy(self.xp.unique(array))]

    def range(self, size: int) -> Any:
        """The places 0 .. size - 1."""
        if self.name == "numpy":
            return self.xp.arange(size)
        return self.xp.arange(size, device=self.device)

    def broadcast(self, array: Any, shape: tuple[int, ...]) -> Any:
        """The array in that shape; `broadcast_to` is slow where there is nothing to do."""
        return array if array.shape == shape else self.xp.broadcast_to(array, shape)

    def dots(self, arrays: Sequence[Any], weight: Any) -> Any:
        """sum_n arrays[k][b, n] weight[b, n], shape (K, B)."""
        sums = self.xp.empty((len(arrays), len(weight)), **self._like())
        dot = self.xp.vecdot if self.name == "numpy" else self.xp.linalg.vecdot
        for k, array in enumerate(arrays):
            dot(array, weight, out=sums[k])
        return sums

    def solve(self, matrix: Any, right: Any) -> Any:
        """matrix^(-1) right for (.., n, n) and (.., n, c), leading axes broadcast.

        On a GPU a singular matrix gives nan or inf and is not asked for, which would wait for it.
        """
        if self.name == "numpy":
            return self.xp.linalg.solve(matrix, right)
        right = right.expand(*matrix.shape[:-1], right.shape[-1])
        return self.xp.linalg.solve_ex(matrix, right).result

    def _like(self) -> dict[str, Any]:
        return {"dtype": self.dtype} | ({} if self.name == "numpy" else {"device": self.device})

    def to_numpy(self, array: Any) -> Any:
        """The array as NumPy's, on the host."""
        return array if self.name == "numpy" else array.detach().cpu().numpy()

    def function(self, function_class: type) -> Callable[..., Any]:
        """The implementation of a SymPy function, or CompileError saying how to add it."""
        found = self.functions.get(function_class)
        if found is None:
            if function_class is sp.DiracDelta:
                raise CompileError(
                    "a function that jumps has a Dirac delta in its derivative, which has no "
                    "values, and whose square has no mean: there is no mean squared derivative"
                )
            name = function_class.__name__
            hint = (
                "add it with rnnmft.numerics.backends.register"
                f"({name}, numpy=..., torch=...), where each is an elementwise function of arrays, "
                "or give it a definition by functions that are there"
            )
            raise CompileError(f"the {self.name} table has no function {name!r}: {hint}")
        return found
