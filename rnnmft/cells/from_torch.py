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

    The module's forward takes the input and the states, one by one, in a tuple, list, dictionary
    or named tuple, or in one tensor, (B, 2 N), (2, B, N), (1, B, N), and returns the new states
    in the same form, alone or beside outputs; forward(h) has no input. The module is run on random
    numbers to see how it is called, exported by `torch.export` in evaluation mode, and run again
    beside the cell that was read, in value and in derivative; nothing of it changes. A matrix
    times a state or the input becomes a preactivation, with everything that is added to it; a
    fused matrix becomes one for each gate; elementwise operations become SymPy; a vector that
    multiplies units, or a bias that is not added to one matrix product alone, becomes a
    `RandomParameter`; a scalar becomes the number that it is.

    Args:
        module: a `torch.nn.Module` of two units or more; wrappers (DataParallel, torch.compile)
            are taken off, and parametrized weights are read as what they make.
        states: the names of the states in forward's order, or {name: width}. Needed only where
            they cannot be told from forward's signature and the shapes of the parameters.
        input: the width of the input, its argument's name, or {name: width}, likewise; several
            {name: width} are one input whose parts stand one behind the other.
        arguments: {further argument of forward: its value}, a number, or a law of
            `rnnmft.language.laws` for one number a unit (or an input), which becomes a
            `RandomParameter`; so does what a matrix makes of it.
        returned: the places of the new states among the tensors that forward returns, counted
            from 0; needed where an output is as wide as a state and no name tells them apart.
        name: the cell's name; the module's class where it is not given.

    Raises:
        CellError: naming what is no part of a cell, and where it stands in the module's source:
            normalisation over units, dropout that stays on in evaluation, products of states,
            nonlinear synapses, matrices that are made of others, masks with a structure, one
            matrix in two places, branches on values, a further argument without a value; a
            backward that is not the forward's derivative; or showing both where the module and
            the cell that was read from it differ.

    `rnnmft.tracing.trace` gives the cell together with the places of its parameters in the module.

    >>> import torch
    >>> from rnnmft import cells
    >>> from_torch(torch.nn.LSTMCell(3, 4)) == cells.lstm()
    True
    """
    from rnnmft.tracing import trace
    from rnnmft.tracing.effective import plain
    from rnnmft.tracing.wrappers import unwrapped

    traced = trace(
        plain(unwrapped(module)),
        states=states,
        input=input,
        arguments=arguments,
        returned=returned,
        name=name,
    )
    return traced.cell
