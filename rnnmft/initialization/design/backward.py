"""The backward solution: from variances and means of the preactivations to a critical ensemble.

    stationarity       Q* from the given laws
    criticality        growth 0, the step of second moments being linear in one sigma_w^2
    definition of q    sigma_v^2 = (q - sigma_w^2 E[y^2] - sigma_b^2) / R

([chen2018] for the minimalRNN; here for any cell.)

Eq. (critical), Eq. (given-laws), Eq. (balance).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq, newton, root

from rnnmft.errors import ConvergenceError, InfeasibleError
from rnnmft.initialization.design.design import Choice, Design
from rnnmft.language import Ensemble
from rnnmft.language.laws import Law
from rnnmft.solvers.given_laws import Averages, GivenLaws
from rnnmft.solvers.tangents import Tangent

__all__ = ["Backward", "Solution"]

# Rounding may leave a balance this far below zero, relative to q: thousands of eps, far below the
# least share of the input.
_ROUNDING = 1e-12
# A search for log q by secants: how far (e^20 = 5e8), and the last step, far above the error that
# it leaves.
_FARTHEST, _SECANT_STEP = 20.0, 1e-8
# Its first two points, or how far from a near one the second lies.
_FIRST, _BESIDE = (0.0, 0.5), 0.01
# What a balance may then be off by.
_MET = 1e-9
# Where secants do not end: eight decades of q, a factor of 1.5 apart.
_GRID = np.linspace(math.log(1e-4), math.log(1e4), 47)
# 500 eps.
_XTOL, _RTOL = 1e-13, 1e-13
# Of several q at once: Newton's tolerance in log q, and what balances may be off by.
_NEWTON, _CLOSED = 1e-12, 1e-8
# Beside nothing that is seen: weights come out as too large, and are refused.
_TINY = np.finfo(float).tiny


@dataclass(frozen=True)
class Solution:
    """A critical ensemble and what it was found from.

    Attributes:
        squares: {preactivation: sigma_w^2}.
        averages: at the preactivations' laws.
        tangent: m_1 and growth there.
    """

    design: Design
    ensemble: Ensemble
    q: Mapping[str, float]
    squares: Mapping[str, float]
    averages: Averages
    tangent: Tangent

    def input_share(self, name: str) -> float:
        """The part of q_k that the input brings."""
        law = self.ensemble[name]
        return law.sigma_v**2 * self.design.inputs.R / self.q[name]


class Backward:
    """The equations of one cell's critical ensembles.

    Args:
        theory: the averages at given laws.
        weights: "gaussian" or "orthogonal", or by preactivation.
        laws: of elementwise random parameters.
    """

    def __init__(
        self, theory: GivenLaws, weights: str | Mapping[str, str], laws: Mapping[str, Law]
    ) -> None:
        self.theory, self.weights, self.laws = theory, weights, laws
        # Averages by (q, mu): a root is asked for again once it is found.
        self._known: dict[Any, Averages] = {}

    @property
    def coarse(self) -> Backward:
        """The same equations with averages to search with."""
        theory = self.theory.coarse
        return self if theory is self.theory else Backward(theory, self.weights, self.laws)

    def solve(self, design: Design, near: Solution | None = None) -> Solution:
        """The critical ensemble of a design.

        Args:
            design: what is chosen.
            near: the solution of a neighbour, from which a search for one q starts; from q = 1
                where there is none.

        Raises:
            InfeasibleError: no ensemble is; the message says which inequality fails.
        """
        return self._at(design, self._variances(design, near))[0]

    def balance(self, design: Design, name: str, q: float) -> float:
        """What its equation leaves for the balance of one preactivation at variance q, over q."""
        asked = design.with_(name, q=q)
        return self._at(asked, self._variances(asked), check=False)[1][name] / q

    def _variances(self, design: Design, near: Solution | None = None) -> dict[str, float]:
        """Every q: those that are chosen, and those that agree with the numbers that are fixed."""
        unknown = [n for n, c in design.choices.items() if c.q is None]
        known = {n: c.q for n, c in design.choices.items() if c.q is not None}
        if not unknown:
            return known

        def gap(logs: list[float]) -> list[float]:
            q = {**known, **{n: math.exp(v) for n, v in zip(unknown, logs, strict=True)}}
            rests = self._at(design, q, check=False)[1]
            return [rests[n] / q[n] for n in unknown]

        if len(unknown) == 1:
            (name,) = unknown
            start = None if near is None else math.log(near.q[name])
            logs = [_first_root(lambda v: gap([v])[0], name, start)]
        else:
            found = root(gap, np.zeros(len(unknown)), tol=_NEWTON)
            logs = list(found.x)
            if not (found.success and all(abs(v) <= _CLOSED for v in gap(logs))):
                raise InfeasibleError(
                    f"no variances q of {', '.join(unknown)} agree with the fixed numbers",
                    "q = sigma_w^2 E[y^2] + sigma_v^2 R + sigma_b^2",
                )
        return {**known, **{n: math.exp(v) for n, v in zip(unknown, logs, strict=True)}}

    def _at(
        self, design: Design, q: Mapping[str, float], check: bool = True
    ) -> tuple[Solution, dict[str, float]]:
        """The solution at variances q, and what each balance by q is off by."""
        mu = {n: c.mu_b for n, c in design.choices.items()}
        averages = self._averages(q, mu)
        squares = self._squares(design, q, averages)
        rows, rests = {}, {}
        for name, choice in design.choices.items():
            rest = _rest(design, name, choice, q[name], squares.get(name, 0.0), averages)
            rows[name], rests[name] = self._row(design, name, choice, q, squares, rest, check)
        ensemble = design.cell.ensemble(self.weights, self.laws, **rows)
        usable = {n: min(w, q[n] / averages.seen[n]) for n, w in squares.items() if w > 0}
        tangent = averages.tangent(usable) if check else Tangent(math.nan)
        return Solution(design, ensemble, dict(q), squares, averages, tangent), rests

    def _averages(self, q: Mapping[str, float], mu: Mapping[str, float]) -> Averages:
        laws = tuple((name, q[name], mu[name]) for name in mu)
        if laws not in self._known:
            try:
                self._known[laws] = self.theory.at(q, mu)
            except ConvergenceError as error:
                raise InfeasibleError(str(error), "E[gain^2] < 1") from None
        return self._known[laws]

    def _squares(
        self, design: Design, q: Mapping[str, float], averages: Averages
    ) -> dict[str, float]:
        """Every sigma_w^2: chosen, by its share of q, by its balance, or by criticality."""
        squares: dict[str, float] = {}
        for name in design.gating.recurrent:
            choice, seen = design.choices[name], averages.seen[name]
            if choice.sigma_w is not None:
                squares[name] = choice.sigma_w**2
            elif name != design.main:
                left = q[name] - (choice.sigma_b or 0.0) ** 2
                if choice.balance == "sigma_w":
                    drive = (choice.sigma_v or 0.0) ** 2 * design.inputs.R
                    squares[name] = _nonnegative(
                        left - drive, q[name], f"sigma_w^2 >= 0 of {name!r}", "its q is too small"
                    ) / max(seen, _TINY)
                else:
                    squares[name] = choice.share * left / max(seen, _TINY)
        if design.main is not None:
            squares[design.main] = self._critical(design.main, q, squares, averages)
        return squares

    def _critical(
        self, main: str, q: Mapping[str, float], squares: Mapping[str, float], averages: Averages
    ) -> float:
        """The sigma_w^2 at which gradients do not grow; m_1 = 1 where only that is known."""
        if averages.seen[main] <= 0:
            raise InfeasibleError(
                f"what {main!r} sees vanishes: without input and bias the state is zero", "Q* > 0"
            )
        # Any trial value does, m_1 being linear; half leaves room for what sampled units need to
        # leave the zero state.
        trial = 0.5 * q[main] / averages.seen[main]
        usable = {n: min(w, q[n] / averages.seen[n]) for n, w in squares.items()}
        tangents = [averages.tangent({**usable, main: w}) for w in (0.0, trial)]
        if all(t.operator is not None for t in tangents):
            return _without_growth(main, *tangents) * trial
        low, high = (t.mean_square for t in tangents)
        if low > 1.0:
            raise InfeasibleError(
                f"sigma_w^2 >= 0 fails for {main!r}: without its recurrent weights m_1 is already "
                f"{low:.4g} > 1",
                f"sigma_w^2 >= 0 of {main!r}",
            )
        if high <= low:
            raise InfeasibleError(
                f"m_1 = 1 cannot be reached: it is {low:.4g} whatever sigma_w of {main!r} is",
                "m_1 = 1",
            )
        return (1.0 - low) / (high - low) * trial

    def _row(
        self,
        design: Design,
        name: str,
        choice: Choice,
        q: Mapping[str, float],
        squares: Mapping[str, float],
        rest: float,
        check: bool,
    ) -> tuple[dict[str, float], float]:
        row = {
            "sigma_w": math.sqrt(squares.get(name, 0.0)),
            "sigma_v": choice.sigma_v or 0.0,
            "mu_b": choice.mu_b,
            "sigma_b": choice.sigma_b or 0.0,
        }
        if choice.balance in ("sigma_v", "sigma_b"):
            left = rest
            if check:
                recurrent = q[name] - rest - (choice.sigma_b or 0.0) ** 2
                left = _nonnegative(
                    rest,
                    q[name],
                    f"{choice.balance}^2 >= 0 of {name!r}",
                    f"q = {q[name]:.4g} is less than sigma_w^2 E[y^2] = {recurrent:.4g}, which its "
                    "recurrent weights bring alone",
                )
            scale = design.inputs.R if choice.balance == "sigma_v" else 1.0
            row[choice.balance] = math.sqrt(max(left, 0.0) / scale)
        return row, rest


def _without_growth(main: str, without: Tangent, trial: Tangent) -> float:
    """The sigma_w^2, over that of the trial, at which growth is 0.

    The step of second moments is O_0 + w O_1: its spectral radius is 1 where
    w = 1 / rho((1 - O_0)^(-1) O_1), if that of O_0 is below 1. Of one state it is m_1 = 1.
    Eq. (growth-zero).

    Raises:
        InfeasibleError: there is none.
    """
    assert without.operator is not None
    assert trial.operator is not None
    if without.growth >= 0.0 or trial.growth == math.inf:
        raise InfeasibleError(
            f"sigma_w^2 >= 0 fails for {main!r}: without its recurrent weights m_1 is already "
            f"{without.mean_square:.4g}, and does not decay from step to step",
            f"sigma_w^2 >= 0 of {main!r}",
        )
    one = np.eye(len(without.operator))
    returned = np.linalg.solve(one - without.operator, trial.operator - without.operator)
    gain = float(np.abs(np.linalg.eigvals(returned)).max())
    if gain <= _TINY or not math.isfinite(gain):
        raise InfeasibleError(
            f"m_1 = 1 cannot be reached: gradients decay whatever sigma_w of {main!r} is",
            "growth 0",
        )
    return 1.0 / gain


def _rest(
    design: Design, name: str, choice: Choice, q: float, square: float, averages: Averages
) -> float:
    """q less all of its terms that are known."""
    drive = (choice.sigma_v or 0.0) ** 2 * design.inputs.R
    recurrent = square * averages.seen.get(name, 0.0)
    return q - recurrent - drive - (choice.sigma_b or 0.0) ** 2


def _nonnegative(value: float, scale: float, inequality: str, reason: str) -> float:
    if value < -_ROUNDING * scale:
        raise InfeasibleError(f"{inequality} fails ({value:.4g}): {reason}", inequality)
    return max(value, 0.0)


def _first_root(gap: Callable[[float], float], name: str, near: float | None) -> float:
    """The log q at which a preactivation's q agrees with what it is made of, near q = 1.

    Looked for near a neighbour's where there is one.
    """

    def safe(log_q: float) -> float:
        try:
            return gap(log_q)
        except InfeasibleError:
            return math.nan

    def close(log_q: float) -> float:
        if abs(log_q) > _FARTHEST:
            raise InfeasibleError("the search for q leads nowhere", "q < inf")
        return gap(log_q)

    first, second = _FIRST if near is None else (near, near + _BESIDE)
    with contextlib.suppress(InfeasibleError, RuntimeError):
        at = float(newton(close, first, x1=second, tol=_SECANT_STEP))
        if abs(close(at)) < _MET:
            return at
    grid = _GRID
    values = np.array([safe(v) for v in grid])
    change = np.flatnonzero(values[:-1] * values[1:] <= 0)
    if not len(change):
        raise InfeasibleError(
            f"no variance q of {name!r} agrees with the fixed numbers at m_1 = 1",
            "q = sigma_w^2 E[y^2] + sigma_v^2 R + sigma_b^2",
        )
    i = min(change, key=lambda j: abs(grid[j] + grid[j + 1]))
    return float(brentq(safe, grid[i], grid[i + 1], xtol=_XTOL, rtol=_RTOL))
