"""The minimal gated unit: Zhou et al. [zhou2016].

One gate both resets and updates. It multiplies the candidate: f = 1 replaces the old state.
"""

from rnnmft.activations import sigmoid, tanh
from rnnmft.language.cell import Cell
from rnnmft.language.symbols import Preactivation, State

__all__ = ["mgu"]


def mgu() -> Cell:
    """h' = (1 - sigmoid(f)) h + sigmoid(f) tanh(g), g = W_g (sigmoid(f) h) + V_g x + b_g.

    >>> mgu()
    Cell 'mgu': states h; preactivations f, g
    """
    h = State("h")
    f = Preactivation("f", h)
    g = Preactivation("g", sigmoid(f) * h)
    return Cell(
        "mgu", update={h: (1 - sigmoid(f)) * h + sigmoid(f) * tanh(g)}, preactivations=(f, g)
    )
