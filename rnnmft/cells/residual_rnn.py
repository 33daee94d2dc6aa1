"""The RNN with a weighted residual connection (FastRNN): Kusupati et al. [kusupati2018].

`shortcut` multiplies the old state, `step` what is added. shortcut = 1 is the plain residual update
h' = h + step tanh(e), whose second moment grows without bound; hence the default below 1.
"""

from collections.abc import Callable
from typing import Any

import sympy as sp

from rnnmft.activations import tanh
from rnnmft.language.cell import Cell
from rnnmft.language.symbols import Preactivation, State, real_number

__all__ = ["residual_rnn"]

_STEP, _SHORTCUT = sp.Rational(1, 2), sp.Rational(9, 10)


def residual_rnn(
    step: Any = _STEP,
    shortcut: Any = _SHORTCUT,
    activation: Callable[..., Any] = tanh,
) -> Cell:
    """h' = shortcut h + step phi(e).

    >>> residual_rnn(step=0.1, shortcut=1)
    Cell 'residual_rnn': states h; preactivations e
    """
    h = State("h")
    e = Preactivation("e", h)
    kept, added = real_number("shortcut", shortcut), real_number("step", step)
    return Cell("residual_rnn", update={h: kept * h + added * activation(e)})
