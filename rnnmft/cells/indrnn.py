"""The independently recurrent network (IndRNN): Li et al. [li2018].

Each unit sees itself alone, by the recurrent weight u, one number a unit: an elementwise random
parameter. The paper draws u uniformly from 0 to 2^(1/T) or less, T the length of the sequences.
"""

from collections.abc import Callable
from typing import Any

from rnnmft.activations import relu
from rnnmft.language.cell import Cell
from rnnmft.language.symbols import Preactivation, RandomParameter, State

__all__ = ["indrnn"]


def indrnn(activation: Callable[..., Any] = relu) -> Cell:
    """h' = phi(e + u h), e = V x + b.

    >>> from rnnmft.language.laws import Uniform
    >>> indrnn().ensemble(parameters={"u": Uniform(0, 1)}).parameters["u"]
    Uniform(low=0.0, high=1.0)
    """
    h, u = State("h"), RandomParameter("u")
    e = Preactivation("e", 0)
    return Cell("indrnn", update={h: activation(e + u * h)})
