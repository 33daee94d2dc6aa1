"""The LSTM with coupled input and forget gates (CIFG): Greff et al. [greff2017].

What is forgotten is replaced: i = 1 - f. The gate f multiplies the old state: f = 1 keeps it.
States in the order c, h.
"""

from rnnmft.activations import sigmoid, tanh
from rnnmft.language.cell import Cell
from rnnmft.language.symbols import Preactivation, State

__all__ = ["coupled_lstm"]


def coupled_lstm() -> Cell:
    """c' = sigmoid(f) c + (1 - sigmoid(f)) tanh(g), h' = sigmoid(o) tanh(c').

    >>> coupled_lstm()
    Cell 'coupled_lstm': states c, h; preactivations f, g, o
    """
    c, h = State("c"), State("h")
    f, g, o = (Preactivation(name, h) for name in "fgo")
    new = sigmoid(f) * c + (1 - sigmoid(f)) * tanh(g)
    return Cell(
        "coupled_lstm", update={c: new, h: sigmoid(o) * tanh(new)}, preactivations=(f, g, o)
    )
