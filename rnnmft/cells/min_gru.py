"""The minGRU: Feng et al. [feng2024], in its plain (not log-space) form.

The gate and the candidate see the input alone, so that there is no recurrent matrix and time can be
computed in parallel. The gate multiplies the candidate: z = 1 replaces the old state.
"""

from rnnmft.activations import sigmoid
from rnnmft.language.cell import Cell
from rnnmft.language.symbols import Preactivation, State

__all__ = ["min_gru"]


def min_gru() -> Cell:
    """h' = (1 - sigmoid(z)) h + sigmoid(z) g, with z and g of the input alone.

    >>> min_gru().preactivations[0].is_recurrent
    False
    """
    h = State("h")
    z, g = Preactivation("z", 0), Preactivation("g", 0)
    return Cell("min_gru", update={h: (1 - sigmoid(z)) * h + sigmoid(z) * g}, preactivations=(z, g))
