"""The leaky-integrator RNN: Jaeger et al. [jaeger2007].

Also the Euler step of the rate equations of neuroscience, with leak = dt / tau. The leak multiplies
the new value: leak = 1 is the vanilla RNN.
"""

from collections.abc import Callable
from typing import Any

import sympy as sp

from rnnmft.activations import tanh
from rnnmft.cells.rate import leak_of
from rnnmft.language.cell import Cell
from rnnmft.language.symbols import Preactivation, State

__all__ = ["leaky_rnn"]

_LEAK = sp.Rational(1, 5)


def leaky_rnn(leak: Any = _LEAK, activation: Callable[..., Any] = tanh) -> Cell:
    """h' = (1 - leak) h + leak phi(e), 0 < leak <= 1.

    >>> leaky_rnn(leak=0.5)
    Cell 'leaky_rnn': states h; preactivations e
    """
    rate = leak_of(leak)
    h = State("h")
    e = Preactivation("e", h)
    return Cell("leaky_rnn", update={h: (1 - rate) * h + rate * activation(e)})
