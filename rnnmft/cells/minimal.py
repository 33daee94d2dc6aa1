"""The minimalRNN: Chen [chen2017]; mean field in [chen2018].

The gate multiplies the old state: u = 1 keeps it. The input also enters elementwise.

Eq. (minimal-q), Eq. (minimal-chi), Eq. (minimal-critical).
"""

from rnnmft.activations import sigmoid
from rnnmft.language.cell import Cell, Input, Preactivation, State

__all__ = ["minimal"]


def minimal() -> Cell:
    """h' = u h + (1 - u) x, u = sigmoid(W h + V x + b).

    >>> minimal()
    Cell 'minimal': states h; preactivations e; input x elementwise
    """
    h, x = State("h"), Input("x")
    e = Preactivation("e", h)
    return Cell("minimal", update={h: sigmoid(e) * h + (1 - sigmoid(e)) * x})
