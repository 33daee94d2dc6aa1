"""The minLSTM: Feng et al. [feng2024], in its plain (not log-space) form.

The gates and the candidate see the input alone, and the gates are normalised to sum to 1. The
forget gate multiplies the old state.
"""

from rnnmft.activations import sigmoid
from rnnmft.language.cell import Cell
from rnnmft.language.symbols import Preactivation, State

__all__ = ["min_lstm"]


def min_lstm() -> Cell:
    """h' = (F h + I g) / (F + I), F = sigmoid(f), I = sigmoid(i); f, i, g of the input alone.

    >>> min_lstm()
    Cell 'min_lstm': states h; preactivations f, i, g
    """
    h = State("h")
    f, i, g = (Preactivation(name, 0) for name in "fig")
    total = sigmoid(f) + sigmoid(i)
    return Cell(
        "min_lstm",
        update={h: sigmoid(f) / total * h + sigmoid(i) / total * g},
        preactivations=(f, i, g),
    )
