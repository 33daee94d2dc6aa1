"""The LSTM with chrono-initialized gates: Tallec & Ollivier [tallec2018].

The forget gate's bias is b, the input gate's is -b: one number a unit, log-uniform in effect, whose
law is `rnnmft.language.laws.ChronoBias(T_max)`. Otherwise `rnnmft.cells.lstm`; f = 1 keeps the old
state. States in the order c, h.
"""

from rnnmft.activations import sigmoid, tanh
from rnnmft.language.cell import Cell
from rnnmft.language.symbols import Preactivation, RandomParameter, State

__all__ = ["chrono_lstm"]


def chrono_lstm() -> Cell:
    """c' = sigmoid(f + b) c + sigmoid(i - b) tanh(g), h' = sigmoid(o) tanh(c').

    >>> from rnnmft.language.laws import ChronoBias
    >>> chrono_lstm().ensemble(parameters={"b": ChronoBias(784)}).parameters["b"]
    ChronoBias(T_max=784.0)
    """
    c, h = State("c"), State("h")
    i, f, g, o = (Preactivation(name, h) for name in "ifgo")
    b = RandomParameter("b")
    new = sigmoid(f + b) * c + sigmoid(i - b) * tanh(g)
    return Cell(
        "chrono_lstm", update={c: new, h: sigmoid(o) * tanh(new)}, preactivations=(i, f, g, o)
    )
