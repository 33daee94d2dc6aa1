"""Transitions: at which value of a parameter fixed points appear, vanish, gain or lose stability.

The fixed points are counted at evenly spaced values; between two at which they differ in number the
interval is halved, and where one's stability differs the root of log(gain) is found.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq

from rnnmft.errors import Status
from rnnmft.records import Quantity, Record
from rnnmft.rest.resting_state import RestingState

__all__ = ["Transition", "transitions"]

States = list[RestingState]
#: Halvings of an interval: a millionth of the range, more than the errors of folds deserve.
_HALVINGS = 24
#: Of the interval: where a root is closed.
_CLOSED = 1e-12


@dataclass(frozen=True)
class Transition(Record):
    """A change of the fixed points at one value of a parameter.

    Attributes:
        value: of the parameter, with a bound of its error.
        what: "fixed points appear", "fixed points vanish", "a fixed point loses stability", "a
            fixed point gains stability"; of zero: "the zero state loses stability", ..
        before, after: the phases on both sides of the interval in which it lies.
    """

    value: Quantity
    what: str
    before: str
    after: str

    def __float__(self) -> float:
        return float(self.value)

    def __repr__(self) -> str:
        return f"{self.what} at {float(self.value):.8g} +- {self.value.error:.1g}"


def transitions(
    name: str,
    values: np.ndarray,
    states: Callable[[float], States],
    count: Callable[[float], int],
    blur: Callable[[float, float, float], float],
    phase: Callable[[States], str],
) -> list[Transition]:
    """The transitions between values of a parameter, in their order.

    Args:
        name: of the parameter.
        values: increasing.
        states: the fixed points at a value.
        count: how many they are, without their stability.
        blur: what errors of averages leave open of a fold between two values, beside a third.
        phase: the name of a set of fixed points.
    """
    found: list[Transition] = []
    every = [states(float(v)) for v in values]
    for (low, high), (left, right) in zip(pairwise(values.tolist()), pairwise(every), strict=True):
        sides = phase(left), phase(right)
        for quantity, what in _events(name, low, high, left, right, states, count):
            if what.startswith("fixed points"):
                beside = blur(low, high, float(quantity))
                quantity = replace(quantity, error=quantity.error + beside)
            found.append(Transition(quantity, what, *sides))
    return sorted(found, key=float)


def _events(
    name: str,
    low: float,
    high: float,
    left: States,
    right: States,
    states: Callable[[float], States],
    count: Callable[[float], int],
) -> list[tuple[Quantity, str]]:
    found = []
    same = len(left) == len(right)
    for i in range(len(left) if same else min(1, len(left), len(right))):
        if left[i].stable != right[i].stable and left[i].is_zero == right[i].is_zero:
            who = "the zero state" if left[i].is_zero else "a fixed point"
            verb = "loses" if left[i].stable else "gains"
            found.append((_crossing(name, low, high, i, states), f"{who} {verb} stability"))
    if not same:
        verb = "appear" if len(right) > len(left) else "vanish"
        found.append((_fold(name, low, high, len(left), count), f"fixed points {verb}"))
    return found


def _crossing(
    name: str, low: float, high: float, i: int, states: Callable[[float], States]
) -> Quantity:
    """Where what the i-th fixed point loses stability by is 1."""

    def log_gain(value: float) -> float:
        return math.log(max(float(states(value)[i].growth), math.ulp(0.0)))

    closed = _CLOSED * max(abs(low), abs(high))
    if log_gain(low) * log_gain(high) > 0:  # units that are unstable by themselves
        return Quantity(name, (low + high) / 2, (high - low) / 2, Status.NOT_CONVERGED)
    at = float(brentq(log_gain, low, high, xtol=closed))
    here, step = states(at)[i], 1e-4 * (high - low)
    slope = abs(log_gain(min(high, at + step)) - log_gain(max(low, at - step))) / (2 * step)
    growth = here.growth
    error = growth.error / (float(growth) * slope) if slope else high - low
    return Quantity(name, at, closed + error, here.status)


def _fold(
    name: str, low: float, high: float, before: int, count: Callable[[float], int]
) -> Quantity:
    """Where the number of fixed points changes."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if count(middle) == before:
            low = middle
        else:
            high = middle
    return Quantity(name, (low + high) / 2, (high - low) / 2)
