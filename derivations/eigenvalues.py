r"""Eigenvalues: the published boundaries.

The cloud of eigenvalues of the one-step Jacobian ends where the spectral radius of
$P_{rs} = \mathbb{E}[\sum_{k \in s} \sigma_{w,k}^2 |M_{rk}|^2]$, $M = C (\lambda - A)^{-1} B + D$,
is 1. For the GRU and the LSTM {cite}`can2020` give, at zero mean of the activations' arguments or
not, with $z, r, f, i, o$ the gates and primes their derivatives,

$$
\rho_t^2\, \mathbb{E} \frac{(1 - z)^2}{|\lambda - z|^2}
 + a_z^2\, \mathbb{E} \frac{z'^2 (h - \phi)^2}{|\lambda - z|^2} = 1, \qquad
\rho_t^2 = a_h^2\, \mathbb{E}[\phi'^2]\,
  \big(\mathbb{E}[r^2] + a_r^2\, \mathbb{E}[r'^2]\, \mathbb{E}[h^2]\big),
$$

$$
\frac{\mathbb{E}[q]}{|\lambda|^2} + \mathbb{E} \frac{p}{|\lambda - f|^2} = 1, \qquad
q = a_o^2\, o'^2 \phi(c)^2, \quad
p = o^2 \phi'(c)^2 (a_f^2 c_{-}^2 f'^2 + a_i^2 i'^2 \phi(y)^2 + a_h^2 i^2 \phi'(y)^2) .
$$

Asserted: a unit's entries of $P$ as they stand, with the averages left out, and that
$\det(1 - P) = 0$ is the published equation where averages of independent factors are multiplied.
"""

import sympy as sp

from rnnmft import cells
from rnnmft.activations import sigmoid, tanh
from rnnmft.eigenvalues.symbolic import unit_powers
from rnnmft.theory.equality import equation

u, w = sp.symbols("u w", real=True)
at = u + sp.I * w


def square(x):
    """|x|^2 of a complex number."""
    return sp.expand(sp.re(x) ** 2 + sp.im(x) ** 2)


# --- one matrix: J = A + B W ----------------------------------------------------------------------
for cell, old, slope in (
    (cells.vanilla(), 0, lambda e, h, x: sp.diff(tanh(e), e)),
    (cells.minimal(), sigmoid, lambda e, h, x: (h - x) * sp.diff(sigmoid(e), e)),
    (cells.rate(), None, None),
):
    found = unit_powers(cell, at)
    (e,), (h,) = cell.preactivations, cell.states
    scale = found.sigma_w[e.name] ** 2
    if slope is None:  # a rate network sees tanh(h): the slope is what is seen's, A = 1 - d
        (update,) = cell.update.values()
        keep, gain = sp.diff(update, h), sp.diff(update, e)
        typed = scale * (gain * sp.diff(tanh(h), h)) ** 2 / square(at - keep)
    else:
        x = cell.input
        typed = scale * slope(e, h, x) ** 2 / square(at - (old(e) if old else 0))
    print(equation(f"{cell.name}, boundary", typed, found.powers[0, 0]))

# --- GRU, reset before the product: two vectors are seen, h and r h -------------------------------
gru = cells.gru()
found = unit_powers(gru, at)
e = {p.name: p for p in gru.preactivations}
a = {name: found.sigma_w[name] for name in e}
(h,) = gru.states
names = {p.name: sigmoid(p) for p in gru.preactivations if p.name != "n"}
z, r, t = names["z"], names["r"], tanh(e["n"])
dz, dr, dt = (sp.diff(f, e[n]) for f, n in ((z, "z"), (r, "r"), (t, "n")))
distance = square(at - z)
from_gate = a["z"] ** 2 * (h - t) ** 2 * dz**2 / distance
from_candidate = a["n"] ** 2 * (1 - z) ** 2 * dt**2 / distance
see_h, see_rh = found.place("z"), found.place("n")
print(equation("GRU, h to h", from_gate, found.powers[see_h, see_h]))
print(equation("GRU, h to r h", from_candidate, found.powers[see_h, see_rh]))
typed = r**2 * from_gate + a["r"] ** 2 * h**2 * dr**2
print(equation("GRU, r h to h", typed, found.powers[see_rh, see_h]))
print(equation("GRU, r h to r h", r**2 * from_candidate, found.powers[see_rh, see_rh]))

# Averages of independent factors: with X = E[from_gate], Y = E[from_candidate] / (a_h^2 E[phi'^2]),
# E[r^2 ..] = E[r^2] E[..], the determinant is the published equation.
X, Y, scale, r_2, extra = sp.symbols("X Y s r_2 extra", positive=True)
P = sp.Matrix([[X, scale * Y], [r_2 * X + extra, r_2 * scale * Y]])
published = scale * (r_2 + extra) * Y + X - 1
print(equation("GRU, boundary", published, -(sp.eye(2) - P).det()))

# --- LSTM: every matrix sees h --------------------------------------------------------------------
lstm = cells.lstm()
found = unit_powers(lstm, at)
e = {p.name: p for p in lstm.preactivations}
a = {name: found.sigma_w[name] for name in e}
c = next(s for s in lstm.states if s.name == "c")
f, i, o, y = sigmoid(e["f"]), sigmoid(e["i"]), sigmoid(e["o"]), tanh(e["g"])
new = f * c + i * y
df, di, do, dy = (sp.diff(x, e[n]) for x, n in ((f, "f"), (i, "i"), (o, "o"), (y, "g")))
slope = sp.diff(tanh(w), w).subs(w, new)
q = a["o"] ** 2 * do**2 * tanh(new) ** 2
p = (o * slope) ** 2 * ((a["f"] * c * df) ** 2 + (a["i"] * y * di) ** 2 + (a["g"] * i * dy) ** 2)
published = q / square(at) + p / square(at - f)
print(equation("LSTM, boundary", published, found.powers[0, 0]))
