r"""GRU of PyTorch, reset after the product.

`torch.nn.GRUCell` multiplies by the reset gate after the matrix product:

$$
h' = z h + (1 - z)\, t, \quad t = \tanh(y), \qquad
y = n_x + r\, n_h, \qquad
n_x = V x + b_x, \quad n_h = W_h h + b_h .
$$

$t$ depends on three independent Gaussians, but only through $r$ and $y$: given $r$, $y$ is
Gaussian of mean $\mu_x + r \mu_h$ and variance $v = q_x + r^2 q_h$, so every expectation nests
one integral in another, $\mathbb{E}_r \mathbb{E}_y$.

The matrices all see $h$, so $J = A + \sum_k B_k W_k$ with $A = z$ and

$$
B_r = (1 - z)\, t'(y)\, r'\, n_h, \qquad B_z = z'(h - t), \qquad B_h = (1 - z)\, t'(y)\, r,
$$

which for gaussian weights is the law of $A + s W$ with $s^2 = \sum_k \sigma_k^2 B_k^2$. $B_r$
holds $n_h$ itself. Given $r$ and $y$ it is Gaussian, of mean $\mu_h + r q_h (y - \mu_x - r \mu_h)
/ v$ and variance $q_h - r^2 q_h^2 / v$.
"""

import sympy as sp

from rnnmft import cells
from rnnmft.activations import sigmoid, tanh
from rnnmft.expectation import gaussian_expectation
from rnnmft.regression import SafeInverse
from rnnmft.theory.derivation import derive
from rnnmft.theory.equality import equation

cell = cells.gru_torch()
by_name = {p.name: p for p in cell.preactivations}
(state,) = cell.states
derived = derive(cell)

n = derived.notation
R, c_x = n.R, n.c_x
q, q_ab, mu = ({name: of[p] for name, p in by_name.items()} for of in (n.q, n.q_ab, n.mu_b))
sigma = {name: n.sigma_w[p] ** 2 for name, p in by_name.items() if p.is_recurrent}
Q, m, M_3, M_4 = (n.moment(n.state_key(*[state] * power)) for power in (2, 1, 3, 4))
Q_ab = n.moment(n.state_key(state, state, trajectories=2))
e, e_a, e_b, y, y_a, y_b = sp.symbols("e e_a e_b y y_a y_b", real=True)
gate, t = sigmoid(e), tanh(y)
gate_slope, t_slope = gate.diff(e), t.diff(y)


def E(name, f):
    """The expectation of f(e) over the preactivation of that name."""
    return gaussian_expectation(f, e, mu[name], q[name])


def E_pair(name, f, g):
    """The expectation of f(e_a) g(e_b) over the pair of that name."""
    product = f.subs(e, e_a) * g.subs(e, e_b)
    return gaussian_expectation(
        product, (e_a, e_b), (mu[name],) * 2, (q[name], q_ab[name], q[name])
    )


# Given the reset gate: y's mean and variance.
mean_y = mu["n_x"] + gate * mu["n_h"]
v = q["n_x"] + gate**2 * q["n_h"]


def E_ry(f):
    """The expectation of f(e_r, y): over y given the reset gate, then over the gate."""
    return E("r", gaussian_expectation(f, y, mean_y, v))


def E_t_pair():
    """E[t_a t_b]: the pair y_a, y_b given both reset gates, then the pair of gates."""
    gates = [gate.subs(e, side) for side in (e_a, e_b)]
    means = [mean_y.subs(e, side) for side in (e_a, e_b)]
    covariance = q_ab["n_x"] + gates[0] * gates[1] * q_ab["n_h"]
    law = (v.subs(e, e_a), covariance, v.subs(e, e_b))
    inner = gaussian_expectation(tanh(y_a) * tanh(y_b), (y_a, y_b), means, law)
    return gaussian_expectation(inner, (e_a, e_b), (mu["r"],) * 2, (q["r"], q_ab["r"], q["r"]))


# Forward.
for name, seen, seen_ab, drive in (
    ("r", Q, Q_ab, R),
    ("z", Q, Q_ab, R),
    ("n_x", 0, 0, R),
    ("n_h", Q, Q_ab, 0),
):
    p = by_name[name]
    w, v_in, b = n.sigma_w[p] ** 2, n.sigma_v[p] ** 2, n.sigma_b[p] ** 2
    typed = w * seen + v_in * drive + b
    print(equation(f"q_{name}", typed, derived.preactivation_variance[name].rhs))
    typed = w * seen_ab + v_in * c_x * drive + b
    print(equation(f"q_{name}_ab", typed, derived.preactivation_covariance[name].rhs))

Q_typed = (
    E("z", gate**2) * Q
    + 2 * E("z", gate * (1 - gate)) * E_ry(t) * m
    + E("z", (1 - gate) ** 2) * E_ry(t**2)
)
print(equation("Q'", Q_typed, derived.second_moment["h"].rhs))
m_typed = E("z", gate) * m + E("z", 1 - gate) * E_ry(t)
print(equation("m'", m_typed, derived.other_moments[m].rhs))
Q_ab_typed = (
    E_pair("z", gate, gate) * Q_ab
    + 2 * E_pair("z", gate, 1 - gate) * E_ry(t) * m
    + E_pair("z", 1 - gate, 1 - gate) * E_t_pair()
)
print(equation("Q_ab'", Q_ab_typed, derived.cross_moment["h"].rhs))

# The Jacobian: averages of squares and fourth powers of the diagonals.
mean_h = mu["n_h"] + gate * q["n_h"] * (y - mean_y) * SafeInverse(v)
var_h = q["n_h"] - gate**2 * q["n_h"] ** 2 * SafeInverse(v)
n_h_2 = mean_h**2 + var_h  # E[n_h^2 | r, y]
n_h_4 = mean_h**4 + 6 * mean_h**2 * var_h + 3 * var_h**2
A2, A4 = E("z", gate**2), E("z", gate**4)


def distance(weight, power):
    """E[weight (h - t)^power], the weight a function of e_r and y."""
    h_power = {0: 1, 1: m, 2: Q, 3: M_3, 4: M_4}
    return sum(
        sp.binomial(power, k) * (-1) ** k * h_power[power - k] * E_ry(weight * t**k)
        for k in range(power + 1)
    )


# What B_r^2 and B_h^2 have beside (1 - z)^2, in terms of r and y; and their products.
in_ry = {"r": t_slope**2 * gate_slope**2 * n_h_2, "n_h": t_slope**2 * gate**2}
products = {
    ("r", "r"): t_slope**4 * gate_slope**4 * n_h_4,
    ("r", "n_h"): t_slope**4 * gate_slope**2 * gate**2 * n_h_2,
    ("n_h", "n_h"): t_slope**4 * gate**4,
}
squares = {k: E("z", (1 - gate) ** 2) * E_ry(f) for k, f in in_ry.items()}
squares["z"] = E("z", gate_slope**2) * distance(1, 2)
with_A = {k: E("z", gate**2 * (1 - gate) ** 2) * E_ry(f) for k, f in in_ry.items()}
with_A["z"] = E("z", gate**2 * gate_slope**2) * distance(1, 2)
fourth = {k: E("z", (1 - gate) ** 4) * E_ry(f) for k, f in products.items()}
fourth["z", "z"] = E("z", gate_slope**4) * distance(1, 4)
for k, f in in_ry.items():
    fourth[k, "z"] = E("z", (1 - gate) ** 2 * gate_slope**2) * distance(f, 2)

s2 = sum(sigma[k] * B2 for k, B2 in squares.items())
A2s2 = sum(sigma[k] * A2B2 for k, A2B2 in with_A.items())
s4 = sum((1 + (j != k)) * sigma[j] * sigma[k] * B4 for (j, k), B4 in fourth.items())
m_2_gaussian = A4 + 2 * (A2s2 + A2 * s2) + s4 + s2**2
recurrent = dict.fromkeys(sigma, "orthogonal")
m_2_orthogonal = m_2_gaussian - sum((sigma[k] * B2) ** 2 for k, B2 in squares.items())
print(equation("m_1", A2 + s2, derived.jacobian.moment(1)))
equation("m_2, gaussian", m_2_gaussian, derived.jacobian.moment(2))
equation("m_2, orthogonal", m_2_orthogonal, derived.jacobian.moment(2, recurrent))
print("m_2 holds, gaussian: E[A^4] + 2 (E[A^2 s^2] + E[A^2] E[s^2]) + E[s^4] + E[s^2]^2")
print("m_2 holds, orthogonal: the same less the sum of (sigma_k^2 E[B_k^2])^2")
