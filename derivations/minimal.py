r"""minimalRNN.

The cell is $h' = u h + (1 - u) x$ with $u = \sigma(e)$, $e = W h + V x + b$ {cite}`chen2017`. Its
mean field with fresh weights at every step is the subject of {cite}`chen2018`. The gate $u$ is
independent of $h$ and $x$, so squares average term by term; the cross terms vanish because
$\mathbb{E}[x] = 0$:

$$
Q_{ab}' = \mathbb{E}[u_a u_b]\, Q_{ab} + \mathbb{E}[(1 - u_a)(1 - u_b)]\, c_x R .
$$

The slope of the correlation map has two parts: $Q_{ab}$ enters directly and, by Price's rule,
through $q_{ab}$:

$$
\chi = \mathbb{E}[u_a u_b] + \sigma_w^2\, (Q_{ab} + c_x R)\, \mathbb{E}[u_a' u_b'] .
$$

A step's Jacobian is $J = A + B W$ with the diagonals $A = u$, $B = \sigma'(e)\,(h - x)$. The
fourth power of $B$ needs $\mathbb{E}[h^4]$, which is not $3 Q^2$: $h$ is a mixture of Gaussians,
and its own recursion is asserted too.
"""

import sympy as sp

from rnnmft import cells
from rnnmft.activations import sigmoid
from rnnmft.expectation import gaussian_expectation
from rnnmft.theory.derivation import derive
from rnnmft.theory.equality import equation

cell = cells.minimal()
(unit,) = cell.preactivations
(state,) = cell.states
derived = derive(cell)

# The symbols: q is a variance, sigma_w, sigma_v, sigma_b are standard deviations.
n = derived.notation
q, q_ab, mu_b, sigma_w = n.q[unit], n.q_ab[unit], n.mu_b[unit], n.sigma_w[unit]
sigma_v, sigma_b, R, c_x = n.sigma_v[unit], n.sigma_b[unit], n.R, n.c_x
Q = n.moment(n.state_key(state, state))
Q_ab = n.moment(n.state_key(state, state, trajectories=2))
fourth = n.state_key(state, state, state, state)
H_4 = n.moment(fourth)
e, e_a, e_b = sp.symbols("e e_a e_b", real=True)
u, u_a, u_b = sigmoid(e), sigmoid(e_a), sigmoid(e_b)


def E(f):
    """The expectation over e ~ N(mu_b, q)."""
    return gaussian_expectation(f, e, mu_b, q)


def E2(f):
    """The expectation over a pair of covariance q_ab."""
    return gaussian_expectation(f, (e_a, e_b), (mu_b, mu_b), (q, q_ab, q))


def slope(gate):
    """The derivative of the logistic function, through its value."""
    return gate * (1 - gate)


# Forward.
q_typed = sigma_w**2 * Q + sigma_v**2 * R + sigma_b**2
q_ab_typed = sigma_w**2 * Q_ab + sigma_v**2 * c_x * R + sigma_b**2
print(equation("q", q_typed, derived.preactivation_variance["e"].rhs))
print(equation("q_ab", q_ab_typed, derived.preactivation_covariance["e"].rhs))
print(equation("Q'", Q * E(u**2) + R * E((1 - u) ** 2), derived.second_moment["h"].rhs))
Q_ab_typed = Q_ab * E2(u_a * u_b) + c_x * R * E2((1 - u_a) * (1 - u_b))
print(equation("Q_ab'", Q_ab_typed, derived.cross_moment["h"].rhs))

# E[h^4]: of the binomial's terms the odd powers of x vanish, and E[x^4] = 3 R^2.
H_4_typed = H_4 * E(u**4) + 6 * Q * R * E(u**2 * (1 - u) ** 2) + 3 * R**2 * E((1 - u) ** 4)
print(equation("E[h^4]'", H_4_typed, derived.theory.update(fourth)))

# The slope of the correlation map.
chi_typed = E2(u_a * u_b) + sigma_w**2 * (Q_ab + c_x * R) * E2(slope(u_a) * slope(u_b))
print(equation("chi", chi_typed, derived.chi))

# The Jacobian. E[B^2] and E[A^2 B^2] factorise into gate and state;
# E[(h - x)^4] = H_4 + 6 Q R + 3 R^2.
A2, A4 = E(u**2), E(u**4)
B2 = (Q + R) * E(slope(u) ** 2)
A2B2 = (Q + R) * E(u**2 * slope(u) ** 2)
B4 = (H_4 + 6 * Q * R + 3 * R**2) * E(slope(u) ** 4)
m_1_typed = A2 + sigma_w**2 * B2
# Orthogonal weights lack the square of the mean in the last bracket: g = 1 gaussian, 0 orthogonal.
for weights, g in (("gaussian", 1), ("orthogonal", 0)):
    m_2_typed = A4 + 2 * sigma_w**2 * (A2B2 + A2 * B2) + sigma_w**4 * (B4 + g * B2**2)
    print(equation(f"m_1, {weights}", m_1_typed, derived.jacobian.moment(1, weights)))
    print(equation(f"m_2, {weights}", m_2_typed, derived.jacobian.moment(2, weights)))
    variance = (A4 - A2**2) + 2 * sigma_w**2 * A2B2 + sigma_w**4 * (B4 + (g - 1) * B2**2)
    print(equation(f"sigma^2, {weights}", variance, derived.jacobian.variance(weights)))

# At c = 1 with identical inputs chi is m_1: perturbations in and gradients out grow alike.
at_one = chi_typed.subs({c_x: 1, Q_ab: Q, q_ab: q})
same = {E2(f): E(g) for f, g in ((u_a * u_b, u**2), (slope(u_a) * slope(u_b), slope(u) ** 2))}
at_one = at_one.xreplace({pair.subs(q_ab, q): one for pair, one in same.items()})
print(equation("chi at c = 1", at_one, derived.jacobian.moment(1)))
