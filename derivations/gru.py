r"""GRU, reset before the product.

The cell of {cite}`cho2014`, the update gate multiplying the old state:

$$
h' = z h + (1 - z)\, t, \quad t = \tanh(n), \qquad
n = W_n (r h) + V_n x + b_n,
\qquad r = \sigma(e_r),\; z = \sigma(e_z) .
$$

The three preactivations are independent. $n$ sees $r h$, whose second moment is
$\mathbb{E}[r^2]\, Q$. Where $\mathbb{E}[t] \ne 0$ the mean of $h$ is needed too. (Untied weights as
in {cite}`gilboa2019`; $m_1$ has the brackets of the tied edge in {cite}`can2020`.)

The Jacobian is $J = A + B_z W_z + B_n W_n M$, $M = C + D W_r$, with the diagonals

$$
A = z, \quad B_z = z'(h - t), \quad B_n = (1 - z)\, t', \quad C = r, \quad D = h\, r' .
$$

$m_2$ follows by contracting the $W$'s in pairs: $W^T X W$ is $\sigma_w^2\, \mathrm{tr}(X)/N$
times the identity. For orthogonal weights each matrix has a fourth cumulant as well, which takes
off the square of a mean.
"""

import sympy as sp

from rnnmft import cells
from rnnmft.activations import sigmoid, tanh
from rnnmft.expectation import gaussian_expectation
from rnnmft.theory.derivation import derive
from rnnmft.theory.equality import equation

cell = cells.gru()
by_name = {p.name: p for p in cell.preactivations}
(state,) = cell.states
derived = derive(cell)

n = derived.notation
R, c_x = n.R, n.c_x
sigma_w = {name: n.sigma_w[p] for name, p in by_name.items()}
Q, m, M_3, M_4 = (n.moment(n.state_key(*[state] * power)) for power in (2, 1, 3, 4))
Q_ab = n.moment(n.state_key(state, state, trajectories=2))
e, e_a, e_b = sp.symbols("e e_a e_b", real=True)


def E(name, f):
    """The expectation of f(e) over the preactivation of that name."""
    p = by_name[name]
    return gaussian_expectation(f, e, n.mu_b[p], n.q[p])


def E2(name, f, g=None):
    """The expectation of f(e_a) g(e_b) over the pair of that name; g is f unless given."""
    p = by_name[name]
    product = f.subs(e, e_a) * (f if g is None else g).subs(e, e_b)
    return gaussian_expectation(product, (e_a, e_b), (n.mu_b[p],) * 2, (n.q[p], n.q_ab[p], n.q[p]))


gate, t = sigmoid(e), tanh(e)
gate_slope, t_slope = gate.diff(e), t.diff(e)

# Forward: what each preactivation sees, then the state.
for name, seen, seen_ab in (
    ("r", Q, Q_ab),
    ("z", Q, Q_ab),
    ("n", E("r", gate**2) * Q, E2("r", gate) * Q_ab),
):
    p = by_name[name]
    w, v, b = n.sigma_w[p] ** 2, n.sigma_v[p] ** 2, n.sigma_b[p] ** 2
    print(equation(f"q_{name}", w * seen + v * R + b, derived.preactivation_variance[name].rhs))
    pair = derived.preactivation_covariance[name].rhs
    print(equation(f"q_{name}_ab", w * seen_ab + v * c_x * R + b, pair))

keep, take = E("z", gate**2), E("z", (1 - gate) ** 2)
Q_typed = keep * Q + 2 * E("z", gate * (1 - gate)) * E("n", t) * m + take * E("n", t**2)
print(equation("Q'", Q_typed, derived.second_moment["h"].rhs))
m_typed = E("z", gate) * m + E("z", 1 - gate) * E("n", t)
print(equation("m'", m_typed, derived.other_moments[m].rhs))
Q_ab_typed = (
    E2("z", gate) * Q_ab
    + 2 * E2("z", gate, 1 - gate) * E("n", t) * m
    + E2("z", 1 - gate) * E2("n", t)
)
print(equation("Q_ab'", Q_ab_typed, derived.cross_moment["h"].rhs))

# The slope: directly, through q_z, and through q_n, which moves with Q_ab directly and through q_r.
through_z = E2("z", gate_slope) * (Q_ab - 2 * m * E("n", t) + E2("n", t))
through_n = E2("z", 1 - gate) * E2("n", t_slope)
q_n_slope = E2("r", gate) + sigma_w["r"] ** 2 * Q_ab * E2("r", gate_slope)
chi_typed = (
    E2("z", gate) + sigma_w["z"] ** 2 * through_z + sigma_w["n"] ** 2 * through_n * q_n_slope
)
print(equation("chi", chi_typed, derived.chi))

# Averages of the diagonals. h is independent of the gates and of t, t of the gates.
t_power = {k: E("n", t**k) for k in (1, 2, 3, 4)}
A2, A4 = E("z", gate**2), E("z", gate**4)
distance_2 = Q - 2 * m * t_power[1] + t_power[2]  # E[(h - t)^2]
distance_4 = M_4 - 4 * M_3 * t_power[1] + 6 * Q * t_power[2] - 4 * m * t_power[3] + t_power[4]
Bz2, Bz4 = E("z", gate_slope**2) * distance_2, E("z", gate_slope**4) * distance_4
Bn2 = E("z", (1 - gate) ** 2) * E("n", t_slope**2)
Bn4 = E("z", (1 - gate) ** 4) * E("n", t_slope**4)
A2Bz2 = E("z", gate**2 * gate_slope**2) * distance_2
A2Bn2 = E("z", gate**2 * (1 - gate) ** 2) * E("n", t_slope**2)
Bz2Bn2 = E("z", gate_slope**2 * (1 - gate) ** 2) * (
    Q * E("n", t_slope**2) - 2 * m * E("n", t * t_slope**2) + E("n", t**2 * t_slope**2)
)
C2, C4 = E("r", gate**2), E("r", gate**4)
D2, D4 = Q * E("r", gate_slope**2), M_4 * E("r", gate_slope**4)
C2D2 = Q * E("r", gate**2 * gate_slope**2)

# m_1 = (1/N) tr J J^T; M contributes tr M M^T / N.
sigma_r, sigma_z, sigma_n = sigma_w["r"] ** 2, sigma_w["z"] ** 2, sigma_w["n"] ** 2
trace_M = C2 + sigma_r * D2
m_1_typed = A2 + sigma_z * Bz2 + sigma_n * Bn2 * trace_M

for weights, g in (("gaussian", 1), ("orthogonal", 0)):
    trace_M2 = C4 + 2 * sigma_r * (C2D2 + C2 * D2) + sigma_r**2 * (D4 + g * D2**2)
    m_2_typed = (
        A4
        + 2 * sigma_z * (A2Bz2 + A2 * Bz2)
        + sigma_z**2 * (Bz4 + g * Bz2**2)
        + 2 * sigma_z * sigma_n * trace_M * (Bz2Bn2 + Bz2 * Bn2)
        # W_n's two neighbours: M M^T alone, or M^T M beside A^2, where A^2 C^2 share a unit.
        + 2 * sigma_n * (A2Bn2 * trace_M + Bn2 * (A2 * C2 + sigma_r * A2 * D2))
        + sigma_n**2 * (Bn4 * trace_M**2 + Bn2**2 * (trace_M2 - (1 - g) * trace_M**2))
    )
    print(equation(f"m_1, {weights}", m_1_typed, derived.jacobian.moment(1, weights)))
    print(equation(f"m_2, {weights}", m_2_typed, derived.jacobian.moment(2, weights)))
