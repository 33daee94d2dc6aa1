"""Cells from PyTorch modules: the door to `rnnmft.tracing`, which is loaded when it is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rnnmft.language.cell import Cell

__all__ = ["from_torch"]


def from_torch(
    module: Any,
    *,
    states: Sequence[str] | Mapping[str, int] | None = None,
    input: int | str | Mapping[str, int] | None = None,
    arguments: Mapping[str, Any] | None = None,
    returned: int | Sequence[int] | None = None,
    name: str | None = None,
) -> Cell:
    """Read a cell from a PyTorch module: nn.RNNCell, GRUCell, LSTMCell, or one's own.

    The module's forward takes the input and the states, as forward(x, h), forward(x, (h, c)) or
    forward(x, h, c), and returns the new states, alone or after an output. It is run by
    `torch.export` in evaluation mode; nothing of the module changes. A matrix times a state or the
    input becomes a preactivation, with everything that is added to it; a fused matrix becomes one
    for each gate; elementwise operations become SymPy; a vector that multiplies units, or a bias
    that is not added to one matrix product alone, becomes a `RandomParameter`; a scalar becomes
    the number that it is.

    Args:
        module: a `torch.nn.Module` whose parameters have widths of at least 2.
        states: the names of the states in forward's order, or {name: width}. Needed only where
            they cannot be told from forward's signature and the shapes of the parameters.
        input: the width of the input, under the same condition.
        name: the cell's name; the module's class where it is not given.

    Raises:
        CellError: naming what is no part of a cell, and where it stands in the module's source:
            normalisation over units, dropout that stays on in evaluation, products of states,
            matrices that are made of others, one matrix in two places, choices by value.

    `rnnmft.tracing.trace` gives the cell together with the places of its parameters in the module.

    >>> import torch
    >>> from rnnmft import cells
    >>> from_torch(torch.nn.LSTMCell(3, 4)) == cells.lstm()
    True
    """
    from rnnmft.tracing import trace

    return trace(
        module, states=states, input=input, arguments=arguments, returned=returned, name=name
    ).cell
