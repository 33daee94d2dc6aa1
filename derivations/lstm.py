r"""LSTM.

The cell of `torch.nn.LSTM` {cite}`hochreiter1997,gers2000`,

$$
c' = f c + i g, \qquad h' = o \tanh(c'), \qquad
f, i, o = \sigma(W h + V x + b), \quad g = \tanh(W h + V x + b),
$$

has two states, one of which enters nonlinearly: its second moment
$\mathbb{E}[h^2] = \mathbb{E}[o^2]\, \mathbb{E}[\tanh^2 c']$ needs the law of $c$, not only its
moments {cite}`gilboa2019`. That of $c$ closes. All four matrices see $h$, so the Jacobian of a
step, on the pair $(c, h)$, is

$$
J = \begin{pmatrix} A & \textstyle\sum_k B_k W_k \end{pmatrix}, \qquad
A = \begin{pmatrix} f \\ o\, t' f \end{pmatrix}, \qquad
B_k = \begin{pmatrix} \partial c' / \partial e_k \\ \partial h' / \partial e_k \end{pmatrix},
$$

with $t' = \tanh'(c')$: one column of diagonals and one of random matrices. With scalar products
over the two states, contracting the $W$'s in pairs gives

$$
2 m_1 = \mathbb{E}|A|^2 + \textstyle\sum_k \sigma_k^2\, \mathbb{E}|B_k|^2 =: \mathbb{E}|A|^2 + s,
$$

$$
2 m_2 = \mathbb{E}|A|^4 + 2 \textstyle\sum_k \sigma_k^2\, \mathbb{E}(A \cdot B_k)^2
+ \sum_{jk} \sigma_j^2 \sigma_k^2\, \mathbb{E}(B_j \cdot B_k)^2 + s^2
$$

for gaussian weights. For orthogonal ones each matrix has a fourth cumulant as well, which takes off
$\sum_k (\sigma_k^2\, \mathbb{E}|B_k|^2)^2$.
"""

import sympy as sp

from rnnmft import cells
from rnnmft.activations import sigmoid, tanh
from rnnmft.expectation import gaussian_expectation
from rnnmft.theory.derivation import derive
from rnnmft.theory.equality import equation
from rnnmft.theory.law_expectation import LawExpectation

cell = cells.lstm()
by_name = {p.name: p for p in cell.preactivations}
f, i, g, o = (by_name[name] for name in "figo")
c, h = cell.states
derived = derive(cell)

n = derived.notation
R, c_x = n.R, n.c_x
Q_c, Q_h = (n.moment(n.state_key(s, s)) for s in (c, h))
m_c = n.moment(n.state_key(c))
e = sp.Symbol("e", real=True)
new_c = sigmoid(f) * c + sigmoid(i) * tanh(g)


def E(p, function):
    """The expectation of a function of e over the preactivation p."""
    return gaussian_expectation(function, e, n.mu_b[p], n.q[p])


def over_law(function):
    """The average over the law of c and the gates that make the new c."""
    return LawExpectation(function, c, f, g, i)


# Forward: every gate sees h; c closes, h needs the law of the new c.
for p in cell.preactivations:
    w, v, b = n.sigma_w[p] ** 2, n.sigma_v[p] ** 2, n.sigma_b[p] ** 2
    typed = w * Q_h + v * R + b
    print(equation(f"q_{p.name}", typed, derived.preactivation_variance[p.name].rhs))
gate, t = sigmoid(e), tanh(e)
Q_c_typed = (
    E(f, gate**2) * Q_c + 2 * E(f, gate) * E(i, gate) * E(g, t) * m_c + E(i, gate**2) * E(g, t**2)
)
print(equation("Q_c'", Q_c_typed, derived.second_moment["c"].rhs))
c_prime = sp.Symbol("c'", real=True)
Q_h_typed = E(o, gate**2) * LawExpectation(tanh(c_prime) ** 2, c_prime)
print(equation("Q_h'", Q_h_typed, derived.second_moment["h"].rhs))

# m_1: what c' alone needs is Gaussian; every term of h' holds tanh'(c') or tanh(c').
slope, t_slope = gate.diff(e), t.diff(e)
t_new, t_new_slope = tanh(new_c), t_slope.subs(e, new_c)
s_f, s_i, s_g, s_o = (n.sigma_w[p] ** 2 for p in (f, i, g, o))
o_2 = E(o, gate**2)
of_c = (
    E(f, gate**2)
    + s_f * Q_c * E(f, slope**2)
    + s_i * E(i, slope**2) * E(g, t**2)
    + s_g * E(i, gate**2) * E(g, t_slope**2)
)
through_c = sum(
    weight * over_law(factor**2 * t_new_slope**2)
    for weight, factor in (
        (1, sigmoid(f)),
        (s_f, c * sp.diff(sigmoid(f), f)),
        (s_i, tanh(g) * sp.diff(sigmoid(i), i)),
        (s_g, sigmoid(i) * sp.diff(tanh(g), g)),
    )
)
of_h = o_2 * through_c + s_o * E(o, slope**2) * over_law(t_new**2)
for weights in ("gaussian", "orthogonal"):
    print(equation(f"m_1, {weights}", (of_c + of_h) / 2, derived.jacobian.moment(1, weights)))

# m_2: A and B_k as vectors over the two states; their averages are the engine's.
average = derived.jacobian.average


def mean(polynomial):
    """The average of a polynomial in the diagonals, term by term."""
    return sp.Add(*(average(term) for term in sp.Add.make_args(sp.expand(polynomial))))


update = [cell.update[s] for s in (c, h)]
A = sp.Matrix([sp.diff(F, c) for F in update])
B = {p: sp.Matrix([sp.diff(F, p) for F in update]) for p in (f, i, g, o)}
sigma_2 = {p: n.sigma_w[p] ** 2 for p in B}
s_k = {p: sigma_2[p] * mean(B[p].dot(B[p])) for p in B}
s = sum(s_k.values())
m_2_gaussian = (
    mean(A.dot(A) ** 2)
    + 2 * sum(sigma_2[p] * mean(A.dot(B[p]) ** 2) for p in B)
    + sum(sigma_2[p] * sigma_2[r] * mean(B[p].dot(B[r]) ** 2) for p in B for r in B)
    + s**2
) / 2
m_2_orthogonal = m_2_gaussian - sum(x**2 for x in s_k.values()) / 2
equation("m_2, gaussian", m_2_gaussian, derived.jacobian.moment(2))
equation("m_2, orthogonal", m_2_orthogonal, derived.jacobian.moment(2, "orthogonal"))
print("m_2 holds, gaussian: pairings of the W's, with scalar products over the two states")
print("m_2 holds, orthogonal: the same less half the sum of (sigma_k^2 E|B_k|^2)^2")
