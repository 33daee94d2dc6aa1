"""The LSTM with peepholes: [gers2000b], [gers2002].

The gates also see the accumulated state: i and f the old c, o the new one. Diagonal peepholes (one
weight a unit) are those of Graves [graves2013]; here they are random parameters p_i, p_f,
p_o. Dense peepholes are the general case of [gers2002], where every cell of a memory block
reaches the gates; here i_c, f_c, o_c are preactivations without input, whose biases are zero unless
given. States in the order c, h; the forget gate multiplies the old state: f = 1 keeps it.
"""

from rnnmft.activations import sigmoid, tanh
from rnnmft.language.cell import Cell
from rnnmft.language.symbols import Preactivation, RandomParameter, State

__all__ = ["diagonal_peephole_lstm", "peephole_lstm"]


def peephole_lstm() -> Cell:
    """c' = sigmoid(f + f_c) c + sigmoid(i + i_c) tanh(g), h' = sigmoid(o + o_c) tanh(c').

    i_c = P_i c, f_c = P_f c, o_c = P_o c' with full matrices P.

    >>> peephole_lstm()
    Cell 'peephole_lstm': states c, h; preactivations i, f, g, o, i_c, f_c, o_c
    """
    c, h = State("c"), State("h")
    i, f, g, o = (Preactivation(name, h) for name in "ifgo")
    i_c, f_c = (Preactivation(name, c, input=None) for name in ("i_c", "f_c"))
    new = sigmoid(f + f_c) * c + sigmoid(i + i_c) * tanh(g)
    o_c = Preactivation("o_c", new, input=None)
    return Cell(
        "peephole_lstm",
        update={c: new, h: sigmoid(o + o_c) * tanh(new)},
        preactivations=(i, f, g, o, i_c, f_c, o_c),
    )


def diagonal_peephole_lstm() -> Cell:
    """c' = sigmoid(f + p_f c) c + sigmoid(i + p_i c) tanh(g), h' = sigmoid(o + p_o c') tanh(c').

    >>> diagonal_peephole_lstm().parameters
    (p_f, p_i, p_o)
    """
    c, h = State("c"), State("h")
    i, f, g, o = (Preactivation(name, h) for name in "ifgo")
    p_i, p_f, p_o = (RandomParameter(name) for name in ("p_i", "p_f", "p_o"))
    new = sigmoid(f + p_f * c) * c + sigmoid(i + p_i * c) * tanh(g)
    return Cell(
        "diagonal_peephole_lstm",
        update={c: new, h: sigmoid(o + p_o * new) * tanh(new)},
        preactivations=(i, f, g, o),
    )
