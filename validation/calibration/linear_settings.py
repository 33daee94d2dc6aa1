"""Linear cells over random parameters: leaks from .05 to 1, radii from .3 to .99; exact truths."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rnnmft import Cell, Inputs, Preactivation, State
from validation.calibration.asked import Question
from validation.calibration.linear import LinearCell
from validation.calibration.setting import Setting, Truth, Truths

__all__ = ["linear_settings"]

_COUNT, _SEED = 24, 7
_EARLY, _LATE, _BURN_IN, _HORIZONS, _LAGS = 8, 64, 60, (5, 40), (1, 10)
# Limits and timescales of slow cells cost units minutes: these settings ask units for them.
_DEAR = (0, 5, 15, 20)
# A positive semidefinite autocorrelation: that of a sum of five steps of white noise.
_COLOURED = (1.0, 0.8, 0.6, 0.4, 0.2)


def linear_settings() -> list[Setting]:
    """`_COUNT` cells of one state, and four of two."""
    rng = np.random.default_rng(_SEED)
    one = [_one_state(i, rng) for i in range(_COUNT)]
    return one + [_two_states(i, rng) for i in range(4)]


def _one_state(number: int, rng: np.random.Generator) -> Setting:
    """h' = (1 - leak) h + leak e, of the radius 1 - leak + leak sigma_w."""
    leak = float(np.exp(rng.uniform(math.log(0.05), 0.0)))
    # The last is vanilla.
    leak = 1.0 if number == _COUNT - 1 else round(leak, 3)
    radius = rng.uniform(max(0.3, 1.02 - leak), 0.99)
    sigma_w = round((radius - 1.0 + leak) / leak, 3)
    return _setting(f"linear {number}", number, rng, ((1.0 - leak,),), (leak,), (1.0,), sigma_w)


def _two_states(number: int, rng: np.random.Generator) -> Setting:
    """c' = f c + i e, h' = g h + o c', e sees h: a linear LSTM whose output remembers."""
    f, i, g, o = (round(float(v), 3) for v in rng.uniform((0.5, 0.2, 0.0, 0.4), (0.9, 0.6, 0.5, 1)))
    A, b, y = ((f, 0.0), (o * f, g)), (i, o * i), (0.0, 1.0)
    # sigma_w for a radius: by bisection, for it grows with sigma_w.
    low, high, wanted = 0.0, 10.0, rng.uniform(max(f, g) + 0.03, 0.98)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if LinearCell(A, b, y, middle).radius < wanted else (low, middle)
    return _setting(f"linear, two states {number}", number, rng, A, b, y, round(low, 3))


def _setting(
    name: str,
    number: int,
    rng: np.random.Generator,
    A: tuple[tuple[float, ...], ...],
    b: tuple[float, ...],
    y: tuple[float, ...],
    sigma_w: float,
) -> Setting:
    """Inputs, biases and ensembles take turns, so that every combination comes."""
    temporal = ("white", "constant", _COLOURED)[number % 3]
    biased, shifted = number % 2 == 1, number % 4 >= 2
    law = {
        "sigma_w": sigma_w,
        "sigma_v": round(float(rng.uniform(0.5, 1.5)), 2),
        "mu_b": round(float(rng.uniform(-1, 1)), 2) if shifted else 0.0,
        "sigma_b": round(float(rng.uniform(0.1, 0.8)), 2) if biased else 0.0,
    }
    inputs = Inputs(0.7, correlation=0.5, temporal=temporal)
    exact = LinearCell(A, b, y, R=inputs.R, correlation=0.5, kappa=inputs.kappa, **law)
    cell = _cell(A, b, y)
    weights = "orthogonal" if number % 5 == 4 else "gaussian"
    names = [s.name for s in cell.states]
    ensemble = cell.ensemble(e=law, weights=weights)
    spared = () if number in _DEAR else ("gradient growth", "c*", "chi_1", "xi_q")
    truths = _truths(exact, names)
    return Setting(name, "exact", cell, ensemble, inputs, "tied", truths, spared=spared)


def _cell(A: tuple[tuple[float, ...], ...], b: tuple[float, ...], y: tuple[float, ...]) -> Cell:
    """The same cell in rnnmft's words."""
    states = [State(name) for name in ("c", "h")[-len(b) :]]
    e = Preactivation("e", sum(w * s for w, s in zip(y, states, strict=True)))
    rows = zip(A, b, states, strict=True)
    return Cell(
        "linear",
        update={
            state: sum(a * s for a, s in zip(row, states, strict=True)) + gain * e
            for row, gain, state in rows
        },
    )


def _truths(exact: LinearCell, names: list[str]) -> Callable[[], Truths]:
    def truths() -> Truths:
        found = _moments(exact, names) | _gradients(exact)
        return found | _late(exact, names) | _times(exact)

    return truths


def _moments(exact: LinearCell, names: list[str]) -> dict[Question, Truth]:
    """After finite times, and at stationarity."""
    at = exact.moments(_BURN_IN + max(_LAGS) + 1)
    found: dict[Question, float] = {}
    for i, name in enumerate(names):
        for T in (_EARLY, _LATE):
            found[Question("second moment", name, T)] = at.second_moment(T, i)
        found[Question("cross moment", name, _LATE)] = at.second_moment(_LATE, i, same=False)
        found[Question("correlation", name, _LATE)] = at.correlation(_LATE, i)
        found[Question("mean", name, _LATE)] = at.mean(_LATE, i)
        found[Question("second moment", name)] = float(exact.stationary()[i, i])
        last = _BURN_IN + max(_LAGS) + 1
        for lag in _LAGS:
            question = Question("autocorrelation C(tau)", name, lag, _BURN_IN)
            found[question] = float(at.two_time(last, last - lag)[i, i])
    for T in (_EARLY, _LATE):
        found[Question("preactivation variance", "e", T)] = at.preactivation(T, T)
    lag = _LAGS[0]
    found[Question("autocorrelation C(tau)", "e", lag, _BURN_IN)] = at.preactivation(
        last, last - lag
    )
    return {question: Truth(value) for question, value in found.items()}


def _gradients(exact: LinearCell) -> dict[Question, Truth]:
    means = exact.jacobian_means(max(_HORIZONS))
    found = {
        Question("m_1(T)", at=T, burn_in=_BURN_IN): Truth(float(means[T - 1])) for T in _HORIZONS
    }
    found[Question("gradient growth")] = Truth(exact.growth)
    return found


def _late(exact: LinearCell, names: list[str]) -> dict[Question, Truth]:
    """c* of every state, and chi_1."""
    at = np.diag(exact.stationary(same=False)) / np.diag(exact.stationary())
    found = {Question("c*", n): Truth(float(c)) for n, c in zip(names, at, strict=True)}
    return found | {Question("chi_1"): Truth(math.exp(exact.growth))}


def _times(exact: LinearCell) -> dict[Question, Truth]:
    """xi_q, where one mode alone decides it.

    A drive that changes leaves E[h^2] - Q* ~ sum_{n > T} <P_n, P_n>, of rate 2 log(a + b sigma_w).
    One that stays adds <P_T u, sum_n P_n u> = (a + b^2 sigma_w^2 / (1 - a))^T / (1 - a), slower.
    """
    still = exact.sigma_b > 0 or exact.mu_b != 0
    if len(exact.b) > 1:
        return {}
    a, gain = exact.A[0][0], exact.b[0] * exact.sigma_w
    if exact.kappa(10**6) == 1:
        return {Question("xi_q"): Truth(-1.0 / math.log(a + gain**2 / (1.0 - a)))}
    return {} if still else {Question("xi_q"): Truth(-0.5 / math.log(exact.radius))}
