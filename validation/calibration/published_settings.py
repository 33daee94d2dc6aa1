"""Largest Lyapunov exponents of autonomous networks, from published work: growth is twice them.

h' = (1 - d) h + d W phi(h): the leaky RNN whose state is W's argument. Per unit of time d (Clark
2026): d = .5: .1077886 at gain 2 and .3788908 at gain 5; d = 1, per step: .0235347 at gain 1.25 and
.3102493 at gain 3. The zero state is a fixed point, so that they start away from it.
"""

from __future__ import annotations

from collections.abc import Callable

from rnnmft import Cell, Inputs, Preactivation, State, tanh
from validation.calibration.asked import Question
from validation.calibration.setting import Setting, Truth, Truths

__all__ = ["published_settings", "rate_network"]

# step d, gain, exponent per unit of time; the last digit is published.
_EXPONENTS = (
    (0.5, 2.0, 0.1077886),
    (0.5, 5.0, 0.3788908),
    (1.0, 1.25, 0.0235347),
    (1.0, 3.0, 0.3102493),
)
_LAST_DIGIT = 1e-7


def rate_network(step: float) -> Cell:
    """h' = (1 - d) h + d e, e = W tanh(h) + V x + b."""
    h = State("h")
    return Cell("rate", update={h: (1 - step) * h + step * Preactivation("e", tanh(h))})


def published_settings() -> list[Setting]:
    """One setting an exponent, each from states of standard deviation 1."""
    found = []
    for step, gain, exponent in _EXPONENTS:
        cell = rate_network(step)
        name = f"rate network, step {step}, gain {gain}"
        ensemble = cell.ensemble(e={"sigma_w": gain, "sigma_v": 0.0})
        truths = _truth(2 * step * exponent, 2 * step * _LAST_DIGIT)
        found.append(
            Setting(name, "exact", cell, ensemble, Inputs(R=0.0), "tied", truths, 1.0, ("chosen",))
        )
    return found


def _truth(growth: float, rounding: float) -> Callable[[], Truths]:
    return lambda: {Question("gradient growth"): Truth(growth, rounding)}
