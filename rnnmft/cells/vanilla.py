"""The vanilla RNN, h' = phi(W h + V x + b): [elman1990]; mean field as in [chen2018].

Torch twin: `torch.nn.RNNCell` (its two bias vectors add up to b).
"""

from collections.abc import Callable
from typing import Any

from rnnmft.activations import tanh
from rnnmft.language.cell import Cell, Preactivation, State

__all__ = ["vanilla"]


def vanilla(activation: Callable[..., Any] = tanh) -> Cell:
    """h' = phi(e), e = W h + V x + b, with any activation phi.

    >>> vanilla()
    Cell 'vanilla': states h; preactivations e
    """
    h = State("h")
    e = Preactivation("e", h)
    return Cell("vanilla", update={h: activation(e)})
