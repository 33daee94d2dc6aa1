"""Variants of a cell of the zoo that one page can switch between: its activation, its leak."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

from rnnmft import activations, cells
from rnnmft.errors import ParameterError
from rnnmft.language import Cell

__all__ = ["check_variants", "zoo_variants"]

# Bounded and unbounded, smooth and with kinks; the first is what the zoo's cells have.
_ACTIVATIONS = ("tanh", "erf", "relu", "softsign", "hard_tanh", "sin", "silu")
# From a long memory to none of its own, where a leak of 1 is the vanilla RNN.
_LEAKS = tuple(sp.Rational(1, n) for n in (5, 20, 10, 2, 1))


def zoo_variants(name: str) -> dict[str, Cell]:
    """{what is different: cell} for a cell of the zoo that has an activation or a leak to choose.

    >>> list(zoo_variants("leaky_rnn"))[:2], zoo_variants("gru")
    (['tanh, leak 0.2', 'tanh, leak 0.05'], {})
    """
    make: Callable[..., Cell] | None = getattr(cells, name, None)
    if name not in cells.names() or make is None:
        return {}
    choices = inspect.signature(make).parameters
    if "activation" not in choices:
        return {}
    leaks: tuple[Any, ...] = _LEAKS if "leak" in choices else (None,)
    found = {}
    for activation in _ACTIVATIONS:
        for leak in leaks:
            more = {} if leak is None else {"leak": leak}
            words = activation if leak is None else f"{activation}, leak {float(leak):g}"
            found[words] = make(activation=getattr(activations, activation), **more)
    return found


def check_variants(cell: Cell, variants: Mapping[str, Cell]) -> None:
    """Raise ParameterError unless the variants have the states and the parameters of the cell."""
    for name, other in variants.items():
        if _shape(other) != _shape(cell):
            raise ParameterError(
                f"variants: {name!r} has other states or preactivations than cell {cell.name!r}"
            )


def _shape(cell: Cell) -> tuple[Any, ...]:
    return (
        [s.name for s in cell.states],
        [(p.name, p.is_recurrent, p.has_input) for p in cell.preactivations],
    )
