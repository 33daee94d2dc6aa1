"""The LSTM with forget gates: [hochreiter1997], [gers2000].

The forget gate multiplies the old state: f = 1 keeps it. Torch twin: `torch.nn.LSTMCell`; states in
the order c, h.
"""

from rnnmft.activations import sigmoid, tanh
from rnnmft.language.cell import Cell, Preactivation, State

__all__ = ["lstm"]


def lstm() -> Cell:
    """c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c').

    >>> lstm()
    Cell 'lstm': states c, h; preactivations i, f, g, o
    """
    c, h = State("c"), State("h")
    i, f, g, o = (Preactivation(name, h) for name in "ifgo")
    new = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return Cell("lstm", update={c: new, h: sigmoid(o) * tanh(new)}, preactivations=(i, f, g, o))
