"""The update gate RNN: Collins et al. [collins2017].

The gate multiplies the old state: g = 1 keeps it.
"""

from rnnmft.activations import sigmoid, tanh
from rnnmft.language.cell import Cell
from rnnmft.language.symbols import Preactivation, State

__all__ = ["ugrnn"]


def ugrnn() -> Cell:
    """h' = sigmoid(g) h + (1 - sigmoid(g)) tanh(c).

    >>> ugrnn()
    Cell 'ugrnn': states h; preactivations g, c
    """
    h = State("h")
    g, c = Preactivation("g", h), Preactivation("c", h)
    return Cell(
        "ugrnn",
        update={h: sigmoid(g) * h + (1 - sigmoid(g)) * tanh(c)},
        preactivations=(g, c),
    )
