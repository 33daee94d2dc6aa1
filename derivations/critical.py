r"""Critical initialization.

Read backwards, the untied theory is linear {cite}`chen2018`. Choose the variance $q$ and the mean
$\mu_b$ of the preactivation, the numbers with a meaning; then every Gaussian integral is a number,
and stationarity, criticality $m_1 = 1$ and the definition of $q$ give the rest. For the minimalRNN,
with $u = \sigma(e)$ and $\sigma_b = 0$:

$$
Q^* = R\,\frac{\mathbb{E}[(1-u)^2]}{1 - \mathbb{E}[u^2]}, \qquad
\sigma_w^2 = \frac{1 - \mathbb{E}[u^2]}{(Q^* + R)\,\mathbb{E}[u'^2]}, \qquad
\sigma_v^2 = \frac{q - \sigma_w^2 Q^*}{R} \ge 0 .
$$

At $\mu_b = 0$, $q = 16$, $R = 0.4616$ this is the published point, $\sigma_w = 6.88$ and
$\sigma_v = 1.39$. The inequality needs $q \ge 14.29$ there, and less for gates that are more open.

For the vanilla RNN $\sigma_w^2\,\mathbb{E}[\tanh'(e)^2] = 1$, and for small $q$

$$
\sigma_w^2 = 1 + 2q - 3q^2 + \dots, \qquad \sigma_v^2 R = \tfrac43 q^3 + \dots, \qquad
\sigma^2 = 8 q^2 T ,
$$

so that with orthogonal weights $q^* = \sigma_0 / \sqrt{8T}$ holds the variance of $J J^T$ over $T$
steps at $\sigma_0^2$ {cite}`pennington2017`.
"""

import sympy as sp

from rnnmft import cells
from rnnmft.activations import sigmoid, tanh
from rnnmft.cells import Inputs
from rnnmft.expectation import gaussian_expectation
from rnnmft.initialization.critical import critical
from rnnmft.initialization.design.backward import Backward
from rnnmft.initialization.design.design import design
from rnnmft.initialization.design.formula import critical_formula
from rnnmft.initialization.design.gating import gating
from rnnmft.solvers.closed.given_laws import ClosedLaws
from rnnmft.theory.equality import equation

q, R, Q = (sp.Symbol(name, real=True, nonnegative=True) for name in ("q", "R", "Q"))
sigma_w = sp.Symbol("sigma_w", real=True, nonnegative=True)
mu_b, z = sp.Symbol("mu_b", real=True), sp.Symbol("z")


def E(f, mean=0):
    """The expectation over e ~ N(mean, q)."""
    return gaussian_expectation(f, z, mean, q)


def close(name, value, wanted, within):
    """The sentence that a number holds."""
    assert abs(value - wanted) <= within, f"{name}: {value} is not {wanted}"
    return f"{name} holds: {wanted}, computed {value:.6g}"


def free_design(cell, inputs=Inputs(), **fixed):
    """What is chosen of a cell with one preactivation."""
    return design(cell, inputs, gating(cell), {"e": fixed}, 1.0, 0.1)


# minimalRNN: the engine's chain of equations is the one typed here.
u = sigmoid(z)
minimal = cells.minimal()
Q_star, weights, drive = critical_formula(free_design(minimal, mu_b=0.5))
Q_star, weights, drive = (e.subs(mu_b, 0) for e in (Q_star, weights, drive))
print(equation("Q*", R * E((1 - u) ** 2) / (1 - E(u**2)), Q_star.rhs))
slope = u * (1 - u)
typed = (1 - E(u**2)) / ((Q + R) * E(slope**2))
print(equation("1 / sigma_w^2", sp.expand(1 / typed), sp.expand(1 / weights.rhs)))
print(equation("sigma_v^2", (q - sigma_w**2 * Q) / R, drive.rhs))

# The published point.
published = critical(minimal, Inputs(R=0.4616), fix={"e": {"mu_b": 0, "q": 16}}, tying="untied")
law = published.ensemble["e"]
print(close("sigma_w", law.sigma_w, 6.8797, 5e-5))
print(close("sigma_v", law.sigma_v, 1.38991, 5e-6))
print(close("Q*", published.second_moment["h"], 0.31921, 5e-6))
print(close("chi_1", published.chi, 1.0, 1e-9))

# sigma_v^2 >= 0 needs q >= q_min, which falls as gates open; it does not depend on R.
LEAST = {0: 14.29, 1: 8.98, 2: 4.81, 3: 2.32, 4: 1.418, 5: 1.146, 6: 1.054}
backward = Backward(ClosedLaws(minimal, Inputs()), "gaussian", {})
for mean, least in LEAST.items():
    at = free_design(minimal, mu_b=float(mean))
    digit = 10.0 ** -len(str(least).partition(".")[2])
    below, above = (backward.balance(at, "e", least + side * digit) for side in (-1, 1))
    assert below < 0 < above, f"q_min({mean}): {below}, {above}"
    print(f"q_min holds: {least} at mu_b = {mean}")

# Vanilla: the equations, their small-q form by E[f] = sum_n f^(2n)(0) q^n / (2^n n!), isometry.
vanilla = cells.vanilla()
Q_star, weights, drive = critical_formula(free_design(vanilla))
print(equation("Q*, vanilla", E(tanh(z) ** 2), Q_star.rhs))
print(equation("1 / sigma_w^2, vanilla", E((1 - tanh(z) ** 2) ** 2), 1 / weights.rhs))


def small(f, order=4):
    """E[f(e)] as a series in q."""
    series = sp.series(f, z, 0, 2 * order).removeO()
    terms = (series.coeff(z, 2 * n) * sp.factorial2(2 * n - 1) * q**n for n in range(1, order))
    return series.subs(z, 0) + sum(terms)


gain = 1 - sp.tanh(z) ** 2
square = sp.series(1 / small(gain**2), q, 0, 4).removeO()
print(equation("sigma_w^2 for small q", 1 + 2 * q - 3 * q**2, square - square.coeff(q, 3) * q**3))
rest = sp.series(q - square * small(sp.tanh(z) ** 2), q, 0, 4).removeO()
print(equation("sigma_v^2 R for small q", sp.Rational(4, 3) * q**3, sp.expand(rest)))
spread = sp.series(small(gain**4) / small(gain**2) ** 2 - 1, q, 0, 3).removeO()
print(equation("sigma^2 a step for small q, orthogonal", 8 * q**2, sp.expand(spread)))

# The double scaling: the next term of q* is of relative order q* itself.
for T in (1_000, 10_000):
    wanted = (8 * T) ** -0.5
    found = critical(vanilla, weights="orthogonal", horizon=T, tying="untied")
    reached = found.theory().fixed_point().preactivation_variance["e"]
    print(close(f"q* = sigma_0 / sqrt(8T) at T = {T}", reached / wanted, 1.0, 8 * wanted))
