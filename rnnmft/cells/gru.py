"""The GRU in its two conventions: Cho et al. [cho2014] (reset before the product) and PyTorch's.

In both the update gate z multiplies the old state: z = 1 keeps it, as in torch.nn.GRUCell.
"""

from rnnmft.activations import sigmoid, tanh
from rnnmft.language.cell import Cell, Preactivation, State

__all__ = ["gru", "gru_torch"]


def gru() -> Cell:
    """h' = z h + (1 - z) tanh(n); n = W_n (sigmoid(r) h) + V_n x + b_n: reset before the product.

    >>> gru()
    Cell 'gru': states h; preactivations r, z, n
    """
    h = State("h")
    r, z = Preactivation("r", h), Preactivation("z", h)
    n = Preactivation("n", sigmoid(r) * h)
    return Cell(
        "gru", update={h: sigmoid(z) * h + (1 - sigmoid(z)) * tanh(n)}, preactivations=(r, z, n)
    )


def gru_torch() -> Cell:
    """h' = z h + (1 - z) tanh(n_x + sigmoid(r) n_h), as torch.nn.GRUCell: reset after the product.

    n_x = V x + b_in sees the input alone; n_h = W h + b_hn sees the state alone.

    >>> gru_torch()
    Cell 'gru_torch': states h; preactivations r, z, n_x, n_h
    """
    h = State("h")
    r, z = Preactivation("r", h), Preactivation("z", h)
    n_x, n_h = Preactivation("n_x", 0), Preactivation("n_h", h, input=None)
    candidate = tanh(n_x + sigmoid(r) * n_h)
    return Cell(
        "gru_torch",
        update={h: sigmoid(z) * h + (1 - sigmoid(z)) * candidate},
        preactivations=(r, z, n_x, n_h),
    )
