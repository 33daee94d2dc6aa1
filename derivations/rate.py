r"""Rate network.

The cell is $h' = (1 - d) h + d e$ with $e = W \tanh(h) + V x + b$: the Euler step of
$\dot h = -h + J \tanh(h) + I$ {cite}`sompolinsky1988`. The weights are the same at every step, so
$e$ is a Gaussian process, and $h$, a linear filter of it, is one too. Their two-time covariances
$C(t, s)$ and $S(t, s)$ close:

$$
C = \sigma_w^2\, \mathbb{E}[\tanh(h_t) \tanh(h_s)] + \sigma_v^2 R\, \kappa(t - s) + \sigma_b^2,
\qquad (\Delta + d)_t (\Delta + d)_s\, S = d^2 C, \quad \Delta S(t) = S(t + 1) - S(t) .
$$

The second is asserted to be what the engine finds from the cell's expressions, and so are the
rules of Price and Bonnet for the slopes, which decide how perturbations grow: with the answer of
the average to the covariance, $\mathbb{E}[\phi' \phi']$, and to a variance,
$\frac{1}{2} \mathbb{E}[\phi'' \phi]$. For a linear network the stationary spectrum is typed in
closed form and put into the equation.
"""

import sympy as sp

from rnnmft import Cell, Preactivation, State, cells
from rnnmft.activations import tanh
from rnnmft.expectation import gaussian_expectation
from rnnmft.theory.derivation import derive
from rnnmft.theory.equality import equation
from rnnmft.theory.gaussian_states import gaussian_states_theory

d = sp.Rational(1, 5)
cell = cells.rate(leak=d)
derived = derive(cell, tying="tied")
(unit,) = cell.preactivations
n = derived.notation
sigma_w, sigma_v, sigma_b, R = n.sigma_w[unit], n.sigma_v[unit], n.sigma_b[unit], n.R

t, s = sp.Symbol("t", integer=True), sp.Symbol("s", integer=True)
S, C, kappa, m = (sp.Function(name, real=True) for name in ("S", "C", "kappa", "m_h"))
z_a, z_b = sp.symbols("z_a z_b", real=True)


def pair(f, g):
    """E[f(h_t) g(h_s)] over the Gaussian pair of the states."""
    law = (m(t), m(s)), (S(t, t), S(t, s), S(s, s))
    return gaussian_expectation(f(z_a) * g(z_b), (z_a, z_b), *law)


# The covariance of the preactivations, and the filter that the state is.
found = derived.kernel
typed = sigma_w**2 * pair(tanh, tanh) + sigma_v**2 * R * kappa(t - s) + sigma_b**2
print(equation("C(t, s)", typed, found["e"].rhs))
leaking = S(t + 1, s + 1) - (1 - d) * S(t, s + 1) - (1 - d) * S(t + 1, s) + (1 - d) ** 2 * S(t, s)
filtered = sp.expand(leaking - d**2 * C(t, s))
print(equation("the filter", filtered, sp.expand(found["S"].lhs - found["S"].rhs)))


def difference(f, time):
    """(Delta + d) f in one of the times."""
    return f.subs(time, time + 1) - f + d * f


twice = difference(difference(S(t, s), t), s)
print(equation("(Delta + d)_t (Delta + d)_s S", sp.expand(twice), sp.expand(leaking)))

# Price and Bonnet, with tanh' = 1 - tanh^2 and tanh'' = -2 tanh (1 - tanh^2).
averages = gaussian_states_theory(cell).averages(unit)
mu_t, mu_s, q_t, q_ts, q_s = averages.arguments


def average(f, g):
    """E[f(u_t) g(u_s)] in the symbols of the engine."""
    law = (mu_t, mu_s), (q_t, q_ts, q_s)
    return gaussian_expectation(f(z_a) * g(z_b), (z_a, z_b), *law)


def slope(u):
    """tanh'."""
    return 1 - tanh(u) ** 2


def bend(u):
    """tanh''."""
    return -2 * tanh(u) * (1 - tanh(u) ** 2)


print(equation("E[y y]", average(tanh, tanh), averages.overlap))
print(equation("E[y' y']", average(slope, slope), averages.slope))
print(equation("E[y'' y] / 2", average(bend, tanh) / 2, averages.curvature))
print(equation("dE[y y] / dq_ts", sp.diff(averages.overlap, q_ts), averages.slope))
print(equation("dE[y y] / dq_t", sp.diff(averages.overlap, q_t), averages.curvature))

# A linear network: phi(h) = h. The spectrum of h solves the equation of the filter,
# |e^{i omega} - a|^2 S = b^2 (sigma_w^2 S + S_in), and a bias that of its plateau.
h = State("h")
line = derive(Cell("line", update={h: (1 - d) * h + d * Preactivation("e", h)}), tying="tied")
a, b = 1 - d, d
omega, S_in = sp.symbols("omega S_in", real=True)
gain = 1 + a**2 - 2 * a * sp.cos(omega)
spectrum = b**2 * S_in / (gain - b**2 * sigma_w**2)
C_of = line.kernel["e"].rhs.subs(R, 0).subs(sigma_b, 0).subs(m(t), 0)
print(equation("C of a linear network", sigma_w**2 * S(t, s), C_of))
print(
    equation(
        "its spectrum", sp.simplify(gain * spectrum - b**2 * (sigma_w**2 * spectrum + S_in)), 0
    )
)
plateau = b**2 * sigma_b**2 / ((1 - a) ** 2 - b**2 * sigma_w**2)
balance = (1 - a) ** 2 * plateau - b**2 * (sigma_w**2 * plateau + sigma_b**2)
print(equation("what a bias adds to every lag", sp.simplify(balance), 0))
