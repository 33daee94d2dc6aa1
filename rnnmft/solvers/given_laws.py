"""The untied theory at preactivation laws that are given: the forward problem without its loop.

Backwards, one starts from q_k and mu_k, the numbers with a meaning. Then nothing is fed back:
every Gaussian integral is a number, second moments follow at once, and m_1 is a polynomial in the
sigma_w,k^2, linear in each of them.

Eq. (given-laws), Eq. (balance).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rnnmft.solvers.closed.given_laws import ClosedAverages
from rnnmft.solvers.tangents import Tangent

__all__ = ["Averages", "GivenLaws"]


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

    @property
    def closed(self) -> ClosedAverages | None:
        """Itself where moments close: what xi_c, m_2 and the slope of the moment map need."""
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
    def closes(self) -> bool:
        """Whether moments close, so that an objective can be searched along a direction."""
        ...

    @property
    def is_sampled(self) -> bool:
        """Whether averages are means of samples."""
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
