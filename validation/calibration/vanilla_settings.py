"""Vanilla cells with phi = erf: every average is an arcsine or a root, tied or untied.

    E[erf(e_a) erf(e_b)]   = (2 / pi) arcsin(2 q_ab / (1 + 2 q))
    E[erf'(e_a) erf'(e_b)] = (4 / pi) ((1 + 2 q)^2 - 4 q_ab^2)^(-1/2)

(Williams 1996.) The one-time law, correlations and gradients of tied and untied weights agree; each
lag's covariance has a fixed point of its own, and those are of tied weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rnnmft import Inputs, cells, erf
from validation.calibration.asked import Question
from validation.calibration.setting import Setting, Truth, Truths

__all__ = ["Erf", "vanilla_settings"]

_STEPS, _HORIZONS, _BURN_IN, _ITERATIONS = (3, 12), (3, 12), 30, 20_000


@dataclass(frozen=True)
class Erf:
    """The vanilla cell of phi = erf at one ensemble, mu_b = 0."""

    sigma_w: float
    sigma_v: float
    sigma_b: float
    R: float
    correlation: float
    constant: bool

    def drive(self, share: float) -> float:
        """What input and bias add to E[e_a e_b] where the inputs share this part of R."""
        return self.sigma_v**2 * self.R * share + self.sigma_b**2

    def seen(self, covariance: float, q: float) -> float:
        """E[h h] of two preactivations of variance q."""
        return 2.0 / math.pi * math.asin(min(2.0 * covariance / (1.0 + 2.0 * q), 1.0))

    def slope(self, covariance: float, q: float) -> float:
        """sigma_w^2 E[phi' phi']."""
        return 4.0 / math.pi * self.sigma_w**2 / math.sqrt((1 + 2 * q) ** 2 - 4 * covariance**2)

    def path(self, steps: int) -> list[tuple[float, float]]:
        """(q, q_ab) of the preactivations of updates 1, .., steps."""
        found = [(self.drive(1.0), self.drive(self.correlation))]
        for _ in range(steps - 1):
            q, q_ab = found[-1]
            found.append((
                self.sigma_w**2 * self.seen(q, q) + self.drive(1.0),
                self.sigma_w**2 * self.seen(q_ab, q) + self.drive(self.correlation),
            ))  # fmt: skip
        return found

    def lagged(self, q: float) -> float:
        """The covariance of the preactivation with its own past, any lag >= 1: only what stays."""
        share, covariance = float(self.constant), self.drive(float(self.constant))
        for _ in range(_ITERATIONS):
            covariance = self.sigma_w**2 * self.seen(covariance, q) + self.drive(share)
        return covariance


_CASES = (
    Erf(0.6, 1.0, 0.0, 1.0, 0.5, constant=False),
    Erf(0.9, 0.3, 0.2, 1.0, 0.5, constant=False),
    Erf(1.2, 0.5, 0.4, 0.8, 0.3, constant=True),
    Erf(2.0, 0.4, 0.3, 1.0, 0.9, constant=False),
    Erf(3.0, 1.0, 0.1, 0.5, 0.0, constant=True),
)


def vanilla_settings() -> list[Setting]:
    """Each tied twice, by quadrature and by units, and untied."""
    cell, found = cells.vanilla(erf), []
    for i, case in enumerate(_CASES):
        law = {"sigma_w": case.sigma_w, "sigma_v": case.sigma_v, "sigma_b": case.sigma_b}
        ensemble = cell.ensemble(e=law, weights="orthogonal" if i == 1 else "gaussian")
        inputs = Inputs(case.R, case.correlation, "constant" if case.constant else "white")
        for asked, tying in (("chosen", "tied"), ("sampled", "tied"), ("chosen", "untied")):
            name = f"vanilla erf {i}, {tying}, {asked}"
            truths = _truths(case, asked == "chosen", tying == "tied")
            found.append(Setting(name, "exact", cell, ensemble, inputs, tying, truths, 0, (asked,)))
    return found


def _truths(case: Erf, exact: bool, tied: bool) -> Callable[[], Truths]:
    """Timescales are asked of quadrature alone: an approach of a few steps shows none to units."""

    def truths() -> Truths:
        found = _moments(case) | _gradients(case)
        q, q_ab = case.path(_ITERATIONS)[-1]
        if tied:
            lagged = case.lagged(q)
            found[Question("autocorrelation C(tau)", "e", 2)] = lagged
            found[Question("autocorrelation C(tau)", "h", 2)] = case.seen(lagged, q)
        if exact:
            # d/dq of asin(2 q / (1 + 2 q)).
            slope_q = 4 / math.pi * case.sigma_w**2 / ((1 + 2 * q) * math.sqrt(1 + 4 * q))
            found[Question("chi_1")] = case.slope(q, q)
            found[Question("xi_q")] = -1.0 / math.log(slope_q)
            found[Question("xi_c")] = -1.0 / math.log(case.slope(q_ab, q))
        return {question: Truth(value) for question, value in found.items()}

    return truths


def _moments(case: Erf) -> dict[Question, float]:
    found: dict[Question, float] = {}
    path = case.path(max(_STEPS))
    for T in _STEPS:
        q, q_ab = path[T - 1]
        found[Question("second moment", "h", T)] = case.seen(q, q)
        found[Question("cross moment", "h", T)] = case.seen(q_ab, q)
    q, q_ab = case.path(_ITERATIONS)[-1]
    found[Question("second moment", "h")] = case.seen(q, q)
    found[Question("c*", "h")] = case.seen(q_ab, q) / case.seen(q, q)
    return found


def _gradients(case: Erf) -> dict[Question, float]:
    path = case.path(_BURN_IN + max(_HORIZONS))
    slopes = [case.slope(q, q) for q, _ in path[_BURN_IN:]]
    found = {Question("m_1(T)", at=T, burn_in=_BURN_IN): math.prod(slopes[:T]) for T in _HORIZONS}
    q, _ = case.path(_ITERATIONS)[-1]
    found[Question("gradient growth")] = math.log(case.slope(q, q))
    return found
