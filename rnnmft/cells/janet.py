"""JANET, an LSTM with a forget gate alone: [vanderwesthuizen2018].

The gate multiplies the old state: 1 keeps it. The input's gate is 1 minus the forget gate with its
preactivation lowered by beta, so that a little more is let in than is forgotten.
"""

from typing import Any

from rnnmft.activations import sigmoid, tanh
from rnnmft.language.cell import Cell
from rnnmft.language.symbols import Preactivation, State, real_number

__all__ = ["janet"]


def janet(beta: Any = 1) -> Cell:
    """h' = sigmoid(f) h + (1 - sigmoid(f - beta)) tanh(c); beta = 1 in the paper's experiments.

    >>> janet()
    Cell 'janet': states h; preactivations f, c
    """
    h = State("h")
    f, c = Preactivation("f", h), Preactivation("c", h)
    let_in = 1 - sigmoid(f - real_number("beta", beta))
    return Cell("janet", update={h: sigmoid(f) * h + let_in * tanh(c)}, preactivations=(f, c))
