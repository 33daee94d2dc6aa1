"""Critical networks whose variance grows: activations with a linear variance map.

Where phi is positively homogeneous (ReLU, leaky ReLU, the identity), m_1 = sigma_w^2 E[phi'^2] = 1
is sigma_w^2 a = 1 at every variance, and there q -> sigma_w^2 a q + (input and bias) has slope 1:

    q_T = T (sigma_v^2 R + sigma_b^2) + (T - 1) mu_b^2

No variance is stationary; what a step adds stays, and every input of a sequence counts alike.
Gradients do not know q, so the input's share is free. It is chosen such that q_T is the wanted
variance at the horizon. (At one time the laws of tied and untied weights are the same, and so are
these numbers.)

Eq. (growing), Eq. (homogeneous).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rnnmft.errors import InfeasibleError
from rnnmft.initialization.design.backward import Backward, Solution
from rnnmft.initialization.design.design import Design
from rnnmft.solvers.closed.homogeneous import Homogeneous

__all__ = ["solve_growing"]

# A given sigma_w is critical if m_1 is within this of 1: what a person writes with ten digits.
_PRECISION = 1e-9
# As in `backward`: what rounding may leave below zero.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class _Budget:
    """What each step may add to the variance: q_T / T = sigma_v^2 R + sigma_b^2 + (mean's part)."""

    name: str
    horizon: float
    from_mean: float
    R: float

    def left(self, q: float, taken: float, what: str) -> float:
        """What is left for one of its parts.

        Raises:
            InfeasibleError: less than nothing.
        """
        left = q / self.horizon - self.from_mean - taken
        if left < -_ROUNDING * q:
            least = self.horizon * (self.from_mean + taken)
            raise InfeasibleError(
                f"{what}^2 >= 0 of {self.name!r} fails ({left:.4g}): the variance grows by "
                f"{self.from_mean + taken:.4g} a step without it, to {least:.4g} after "
                f"{self.horizon:g} steps, more than q = {q:.4g}. The nearest that can be had is "
                f"q = {least:.4g} of {self.name!r}, all else being equal",
                f"{what}^2 >= 0 of {self.name!r}",
                {(self.name, "q"): least},
            )
        return max(left, 0.0)


@dataclass(frozen=True)
class _Shares:
    """What feeds the network, and q_T; `balance` is the one of them that follows."""

    sigma_v: float
    sigma_b: float
    q: float
    balance: str


def solve_growing(
    slopes: Homogeneous, backward: Backward, start: Design, horizon: float, variance: float
) -> tuple[Solution, tuple[str, ...]]:
    """The critical ensemble, and why each number is what it is.

    Args:
        slopes: of phi.
        backward: the equations.
        start: the design; its fixed numbers stay.
        horizon: T.
        variance: the wanted q_T where the user gives none.

    Raises:
        InfeasibleError: a mean with a phi that is not even in its slopes, a sigma_w that is not
            critical, a variance that is too small, or nothing that feeds the network.
    """
    ((name, choice),) = start.choices.items()
    fixed = start.fixed.get(name, {})
    square = _critical_square(slopes, start, name)
    budget = _Budget(name, horizon, choice.mu_b**2 * (1.0 - 1.0 / horizon), start.inputs.R)
    given = {key: fixed.get(key) for key in ("q", "sigma_v", "sigma_b")}
    has_input = start.cell.preactivations[0].has_input and budget.R > 0
    shares = _shares(budget, given, has_input, variance)
    q = shares.q
    row = {
        "sigma_w": math.sqrt(square),
        "sigma_v": shares.sigma_v,
        "mu_b": choice.mu_b,
        "sigma_b": shares.sigma_b,
    }
    by_bias = shares.balance == "sigma_b"
    design = start.with_(
        name, q=q, balance=shares.balance, sigma_b=None if by_bias else shares.sigma_b
    )
    averages = backward.theory.at({name: q}, {name: choice.mu_b})
    ensemble = design.cell.ensemble(backward.weights, backward.laws, **{name: row})
    squares = {name: square}
    solution = Solution(design, ensemble, {name: q}, squares, averages, averages.tangent(squares))
    return solution, _reasons(solution, name, horizon)


def _critical_square(slopes: Homogeneous, start: Design, name: str) -> float:
    """sigma_w^2 = 1 / a, or the user's if that is it."""
    mu_b, square = start.choices[name].mu_b, 1.0 / slopes.mean_square
    if mu_b != 0.0 and not slopes.even_slope:
        raise InfeasibleError(
            f"mu_b = 0 of {name!r} fails ({mu_b:.4g}): with a mean E[phi^2] is no multiple of q, "
            "and wherever m_1 = 1 the variance map has slope 1 and is curved, so that no critical "
            f"variance is stable. The nearest that can be had is mu_b = 0 of {name!r}",
            f"mu_b = 0 of {name!r}",
            {(name, "mu_b"): 0.0},
        )
    given = start.choices[name].sigma_w
    if given is None:
        return square
    if abs(given**2 / square - 1.0) > _PRECISION:
        raise InfeasibleError(
            f"sigma_w^2 E[phi'^2] = 1 of {name!r} fails ({given**2 / square:.6g}): the variance "
            f"map is linear, and m_1 is that at every variance. The nearest that can be had is "
            f"sigma_w = {math.sqrt(square):.10g} of {name!r}",
            f"m_1 = 1 of {name!r}",
            {(name, "sigma_w"): math.sqrt(square)},
        )
    return given**2


def _shares(
    budget: _Budget, given: dict[str, float | None], has_input: bool, variance: float
) -> _Shares:
    """Two of them as they are given, or as they are usable; the third follows."""
    q, sigma_v, sigma_b = given["q"], given["sigma_v"], given["sigma_b"]
    if has_input and sigma_v is None:
        wanted = variance if q is None else q
        left = budget.left(wanted, (sigma_b or 0.0) ** 2, "sigma_v")
        return _Shares(math.sqrt(left / budget.R), sigma_b or 0.0, wanted, "sigma_v")
    driven = (sigma_v or 0.0) ** 2 * budget.R if has_input else 0.0
    # A bias that is left open feeds what has no input.
    if sigma_b is None and (q is not None or driven + budget.from_mean == 0.0):
        wanted = variance if q is None else q
        left = budget.left(wanted, driven, "sigma_b")
        return _Shares(sigma_v or 0.0, math.sqrt(left), wanted, "sigma_b")
    added = driven + (sigma_b or 0.0) ** 2 + budget.from_mean
    if added == 0.0:
        raise InfeasibleError(
            f"sigma_v^2 R + sigma_b^2 > 0 of {budget.name!r} fails: nothing feeds the network, and "
            "its state stays zero; leave sigma_v or sigma_b open",
            f"sigma_v^2 R + sigma_b^2 > 0 of {budget.name!r}",
        )
    return _Shares(sigma_v or 0.0, sigma_b or 0.0, budget.horizon * added, "q")


def _reasons(solution: Solution, name: str, horizon: float) -> tuple[str, ...]:
    law, q = solution.ensemble[name], solution.q[name]
    parts = [f"{k} = {getattr(law, k):.6g}" for k in ("sigma_v", "mu_b", "sigma_b")]
    fed = " and ".join(text for text in parts if not text.endswith("= 0"))
    return (
        f"sigma_w of {name} = {law.sigma_w:.6g}: there m_1 = 1, whatever the variance is.",
        f"The variance map of {name} is linear, with slope 1 at m_1 = 1: no variance is "
        "stationary, nothing is forgotten (xi_q and xi_c are infinite), and what each step adds is "
        f"a free choice. With {fed} the variance grows by {q / horizon:.4g} a step, to q = "
        f"{q:.4g} after {horizon:g} steps from the zero state; gradients do not depend on it.",
        "A network of width N has a growth of its own, of order 1 / sqrt(N) a step, which no "
        f"nonlinearity bounds: over {horizon:g} steps that is little where N is well above "
        f"{horizon**2:.0f}.",
    )
