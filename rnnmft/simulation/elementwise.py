"""What a step does elementwise: compiled functions of named vectors of one width.

Averages over units are numbers, one a trajectory; here they are repeated along the units.

Eq. (cell), Eq. (widths).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import sympy as sp
import torch
from torch import Tensor

from rnnmft.numerics.backend import Backend
from rnnmft.numerics.compile import compile_elementwise

__all__ = ["Elementwise", "elementwise_derivatives"]


class Elementwise:
    """Expressions as a function of {symbol: (networks, trajectories, units)}.

    Args:
        expressions: of the symbols that they hold.
        size: units of the vectors.
        backend: of torch.
    """

    def __init__(self, expressions: Sequence[sp.Expr], size: int, backend: Backend) -> None:
        held = set[sp.Basic]().union(*(f.free_symbols for f in expressions))
        self.arguments = tuple(sorted(held, key=str))
        self.size = size
        self._function = compile_elementwise(expressions, self.arguments, backend)

    def __call__(self, known: Mapping[sp.Basic, Tensor], like: Tensor) -> list[Tensor]:
        """Its values, (networks, trajectories, units), on the networks and trajectories of like."""
        shape = (*like.shape[:2], self.size)
        return [value.expand(shape) for value in self._function(*self._given(known))]

    def derivatives(self, known: Mapping[sp.Basic, Tensor]) -> list[list[Tensor | None]]:
        """d(value)/d(argument), (networks, units), along trajectory 0; None where it vanishes."""
        return elementwise_derivatives(self._function, [a[:, 0] for a in self._given(known)])

    def _given(self, known: Mapping[sp.Basic, Tensor]) -> list[Tensor]:
        return [known[a].expand(*known[a].shape[:2], self.size) for a in self.arguments]


def elementwise_derivatives(
    function: Callable[..., tuple[Tensor, ...]], arguments: Sequence[Tensor]
) -> list[list[Tensor | None]]:
    """d(output i)/d(argument j), elementwise, as [i][j]; None where it vanishes identically."""
    with torch.enable_grad():
        leaves = [a.detach().requires_grad_() for a in arguments]
        rows: list[list[Tensor | None]] = []
        for output in function(*leaves):
            if not output.requires_grad:
                rows.append([None] * len(leaves))
                continue
            gradients = torch.autograd.grad(
                output.sum(), leaves, retain_graph=True, allow_unused=True
            )
            rows.append(list(gradients))
    return rows
