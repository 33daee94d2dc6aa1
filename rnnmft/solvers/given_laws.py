"""The untied theory at preactivation laws that are given: the forward problem without its loop.

Backwards, one starts from q_k and mu_k, the numbers with a meaning. Then nothing is fed back:
every Gaussian integral is a number, second moments follow at once, and m_1 is a polynomial in the
sigma_w,k^2, linear in each of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.language.laws import Law

__all__ = ["Averages", "GivenLaws", "Tangent", "given_ensemble", "tangent_of"]

Array = NDArray[np.float64]
_MOST_POWERS = 2000


@dataclass(frozen=True)
class Tangent:
    """One step of a perturbation.

    Attributes:
        mean_square: m_1 of the one-step Jacobian.
        operator, start: the step of second moments and where they start, where both are known.
    """

    mean_square: float
    operator: Array | None = field(default=None, compare=False, repr=False)
    start: Array | None = field(default=None, compare=False, repr=False)

    @cached_property
    def growth(self) -> float:
        """The growth of m_1(T) per step, log of the operator's spectral radius; nan if unknown."""
        if self.operator is None or self.start is None:
            return math.nan
        radius = _radius(self.operator, self.start)
        return math.log(radius) if radius > 0 else -math.inf


class Averages(Protocol):
    """What follows from the laws N(mu_k, q_k) of all preactivations."""

    @property
    def second(self) -> Mapping[str, float]:
        """{state: E[s^2]}."""
        ...

    @property
    def seen(self) -> Mapping[str, float]:
        """{preactivation: E[y^2]} of what recurrent weights see."""
        ...

    def tangent(self, squares: Mapping[str, float]) -> Tangent:
        """m_1 and growth at the given sigma_w^2, each with sigma_w^2 E[y^2] <= q."""
        ...


class GivenLaws(Protocol):
    """One cell's untied theory as a function of the laws of its preactivations."""

    @property
    def method(self) -> str:
        """How the averages are found."""
        ...

    @property
    def precision(self) -> float:
        """To how much of itself a variance that is searched for is worth being found."""
        ...

    @property
    def coarse(self) -> GivenLaws:
        """The same theory to search with, where a rougher one costs less; else itself."""
        ...

    def at(self, q: Mapping[str, float], mu: Mapping[str, float]) -> Averages:
        """The averages at variances q and means mu.

        Raises:
            ConvergenceError: there is no stationary state.
        """
        ...


def given_ensemble(
    cell: Cell,
    inputs: Inputs,
    q: Mapping[str, float],
    mu: Mapping[str, float],
    squares: Mapping[str, float],
    seen: Mapping[str, float],
    laws: Mapping[str, Law],
) -> Ensemble:
    """An ensemble whose preactivations have variances q whatever it is made of.

    What sigma_w^2 E[y^2] leaves of q is given to the input where it has one, else to the bias.
    """
    rows = {}
    for p in cell.preactivations:
        square = squares.get(p.name, 0.0)
        rest = max(q[p.name] - square * seen.get(p.name, 0.0), 0.0)
        driven = p.has_input and inputs.R > 0
        rows[p.name] = {
            "sigma_w": math.sqrt(square),
            "sigma_v": math.sqrt(rest / inputs.R) if driven else 0.0,
            "mu_b": mu[p.name],
            "sigma_b": 0.0 if driven else math.sqrt(rest),
        }
    return cell.ensemble("gaussian", laws, **rows)


def tangent_of(operator: Array, start: Array, total: Array, states: int) -> Tangent:
    """m_1 = total . operator start / states."""
    return Tangent(float(total @ operator @ start) / states, operator, start)


def _radius(operator: Array, start: Array) -> float:
    """The leading eigenvalue by power iteration from a positive start; by all of them if slow."""
    if len(operator) > 3:
        vector, last = start / start.sum(), 0.0
        for _ in range(_MOST_POWERS):
            vector = operator @ vector
            size = float(vector.sum())
            if size <= 0 or not math.isfinite(size):
                break
            vector /= size
            if abs(size - last) <= 1e-14 * size:
                return size
            last = size
    return float(np.abs(np.linalg.eigvals(operator)).max())
