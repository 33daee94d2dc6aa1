r"""Vanilla RNN.

The cell is $h' = \tanh(e)$ with $e = W h + V x + b$. Untied, a preactivation is Gaussian over
units, with mean $\mu_b$ and a covariance between two trajectories $a$, $b$ that follows from the
states before it {cite}`poole2016,schoenholz2017,chen2018`:

$$
q_{ab} = \sigma_w^2 Q_{ab} + \sigma_v^2 c_x R + \sigma_b^2, \qquad
Q_{ab}' = \mathbb{E}[\tanh(e_a)\tanh(e_b)], \qquad
\chi = \sigma_w^2\, \mathbb{E}[\tanh'(e_a)\tanh'(e_b)] .
$$

The Jacobian of a step is $J = D W$ with $D = \mathrm{diag}\,\tanh'(e)$, so the moments of $J J^T$
also follow from the S-transform, $S_{JJ^T} = S_{D^2}\, S_{WW^T}$ {cite}`pennington2017`. That is
a second route to what the engine finds from its block equation, and the two are asserted equal up
to $m_4$.
"""

import sympy as sp

from rnnmft import cells
from rnnmft.activations import tanh
from rnnmft.expectation import gaussian_expectation
from rnnmft.theory.derivation import derive
from rnnmft.theory.equality import equation

cell = cells.vanilla()
(unit,) = cell.preactivations
(state,) = cell.states
derived = derive(cell)

# The symbols: q is a variance, sigma_w, sigma_v, sigma_b are standard deviations.
n = derived.notation
q, q_ab, mu_b, sigma_w = n.q[unit], n.q_ab[unit], n.mu_b[unit], n.sigma_w[unit]
sigma_v, sigma_b, R, c_x = n.sigma_v[unit], n.sigma_b[unit], n.R, n.c_x
Q = n.moment(n.state_key(state, state))
Q_ab = n.moment(n.state_key(state, state, trajectories=2))
e, e_a, e_b = sp.symbols("e e_a e_b", real=True)


def E(f):
    """The expectation over e ~ N(mu_b, q)."""
    return gaussian_expectation(f, e, mu_b, q)


def E2(f):
    """The expectation over a pair of covariance q_ab."""
    return gaussian_expectation(f, (e_a, e_b), (mu_b, mu_b), (q, q_ab, q))


# Forward: variance and correlation.
print(
    equation(
        "q", sigma_w**2 * Q + sigma_v**2 * R + sigma_b**2, derived.preactivation_variance["e"].rhs
    )
)
print(equation("Q'", E(tanh(e) ** 2), derived.second_moment["h"].rhs))
print(
    equation(
        "q_ab",
        sigma_w**2 * Q_ab + sigma_v**2 * c_x * R + sigma_b**2,
        derived.preactivation_covariance["e"].rhs,
    )
)
print(equation("Q_ab'", E2(tanh(e_a) * tanh(e_b)), derived.cross_moment["h"].rhs))

# The slope of the correlation map: d/dq_ab E[f(e_a) g(e_b)] = E[f' g'], dq_ab/dQ_ab = sigma_w^2.
chi = sigma_w**2 * E2((1 - tanh(e_a) ** 2) * (1 - tanh(e_b) ** 2))
print(equation("chi", chi, derived.chi))

# One step of the Jacobian, with mu_k = E[tanh'(e)^2k]. Gaussian weights have s_1 = -1, orthogonal
# ones s_1 = 0: m_2 = sigma_w^4 (mu_2 - s_1 mu_1^2).
mu_1, mu_2 = (E((1 - tanh(e) ** 2) ** (2 * k)) for k in (1, 2))
for weights, s_1 in (("gaussian", -1), ("orthogonal", 0)):
    m_1, m_2 = (derived.jacobian.moment(k, weights) for k in (1, 2))
    print(equation(f"m_1, {weights}", sigma_w**2 * mu_1, m_1))
    print(equation(f"m_2, {weights}", sigma_w**4 * (mu_2 - s_1 * mu_1**2), m_2))


# The other route. With psi(x) = sum_k m_k x^k and psi(chi(y)) = y, S(y) = chi(y) (1 + y) / y.
ORDER = 4
mu = sp.symbols(f"mu_1:{ORDER + 1}")
y = sp.Symbol("y")


def inverse_series(coefficients):
    """g with f(g(y)) = y for f(x) = sum_k coefficients[k - 1] x^k, to the same order."""
    unknown = sp.symbols(f"g_1:{len(coefficients) + 1}")
    inside = sum(g * y**k for k, g in enumerate(unknown, 1))
    outside = sp.expand(sum(c * inside**k for k, c in enumerate(coefficients, 1)))
    known = {}
    for k, g in enumerate(unknown, 1):
        wanted = sp.expand(outside.coeff(y, k).subs(known)) - (1 if k == 1 else 0)
        known[g] = sp.cancel(sp.solve(wanted, g)[0])
    return [known[g] for g in unknown]


chi_of_d = sum(c * y**k for k, c in enumerate(inverse_series(mu), 1))
for weights, s_of_w in (("gaussian", 1 / (sigma_w**2 * (1 + y))), ("orthogonal", 1 / sigma_w**2)):
    chi_of_j = sp.series(sp.expand(chi_of_d) * s_of_w, y, 0, ORDER + 1).removeO()
    moments = inverse_series([sp.expand(chi_of_j).coeff(y, k) for k in range(1, ORDER + 1)])
    values = {m: E((1 - tanh(e) ** 2) ** (2 * k)) for k, m in enumerate(mu, 1)}
    for k, moment in enumerate(moments, 1):
        route = sp.expand(moment).subs(values)
        equation(
            f"m_{k}, {weights}, by the S-transform", route, derived.jacobian.moment(k, weights)
        )
        print(f"m_{k}, {weights}, is the same by the S-transform: {sp.expand(moment)}")
