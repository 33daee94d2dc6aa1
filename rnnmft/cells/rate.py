"""The rate network: Sompolinsky, Crisanti & Sommers [sompolinsky1988].

The Euler step of dh/dt = -h + J phi(h) + I with leak = dt / tau: W sees the rates phi(h), and the
preactivation itself leaks in. So h is linear in e, and Gaussian where e is. The leak multiplies the
new value; leak -> 0 is continuous time, leak = 1 the vanilla RNN seen at its preactivations.
"""

from collections.abc import Callable
from typing import Any

import sympy as sp

from rnnmft.activations import tanh
from rnnmft.errors import ParameterError
from rnnmft.language.cell import Cell
from rnnmft.language.symbols import Preactivation, State, real_number

__all__ = ["leak_of", "rate"]

_LEAK = sp.Rational(1, 5)


def rate(leak: Any = _LEAK, activation: Callable[..., Any] = tanh) -> Cell:
    """h' = (1 - leak) h + leak e, e = W phi(h) + V x + b, 0 < leak <= 1.

    >>> cell = rate(leak=0.5)
    >>> cell
    Cell 'rate': states h; preactivations e
    >>> cell.preactivations[0].sees
    tanh(h)
    """
    leaking = leak_of(leak)
    h = State("h")
    e = Preactivation("e", activation(h))
    return Cell("rate", update={h: (1 - leaking) * h + leaking * e})


def leak_of(leak: Any) -> sp.Expr:
    """A leak as SymPy has it.

    Raises:
        ParameterError: it is not in (0, 1].
    """
    leaking = real_number("leak", leak)
    if not 0 < leaking <= 1:
        raise ParameterError(f"leak must be a number from 0 (excluded) to 1, got {leak!r}")
    return leaking
