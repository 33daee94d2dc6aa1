r"""Networks without input: the published fixed points and the transition of the zero state.

At a fixed point a unit's states follow from its preactivations, which are independent Gaussians,

$$
e_k \sim \mathcal{N}(\mu_k, \sigma_{w,k}^2\, \mathbb{E}[y_k^2] + \sigma_{b,k}^2).
$$

For the GRU {cite}`can2020` give $C_h = \mathbb{E}[\phi(y)^2]$ and
$C_y = C_h\, \mathbb{E}[r^2]$, without the update gate; a fixed point is stable where
$\rho_t < 1$, and zero where $z + (1 - z) r a_h < 1$. For the LSTM zero is stable where
$f + o\, i\, a_h < 1$.

Asserted: what each unit is at rest; a unit's entries of the passage $P(1)$ there, in which the
update gate has dropped out; and that $\det(1 - P(1)) = 0$ at zero is the published transition.
"""

import sympy as sp

from rnnmft import cells
from rnnmft.activations import sigmoid, tanh
from rnnmft.eigenvalues.symbolic import unit_powers
from rnnmft.theory.equality import equation
from rnnmft.theory.rest import resting_unit

# --- GRU ------------------------------------------------------------------------------------------
gru = cells.gru()
unit, found = resting_unit(gru), unit_powers(gru, sp.S.One)
e = {p.name: p for p in gru.preactivations}
a = found.sigma_w
(h,) = gru.states
r, z, t = sigmoid(e["r"]), sigmoid(e["z"]), tanh(e["n"])
dr, dt = sp.diff(r, e["r"]), sp.diff(t, e["n"])
see_h, see_rh = found.place("z"), found.place("n")
print(equation("GRU, h", t, unit.states[h]))
print(equation("GRU, what W_n sees", r * t, unit.seen[unit.row[e["n"]]]))
rest = found.powers.applyfunc(lambda x: sp.simplify(unit.of(x)))
typed = {
    (see_h, see_h): sp.S.Zero,
    (see_h, see_rh): a["n"] ** 2 * dt**2,
    (see_rh, see_h): a["r"] ** 2 * t**2 * dr**2,
    (see_rh, see_rh): a["n"] ** 2 * r**2 * dt**2,
}
for (i, j), entry in typed.items():
    print(equation(f"GRU, P_{i}{j} at lambda = 1", entry, rest[i, j]))

# rho_t^2 = a_h^2 C_phi' (C_r + a_r^2 C_r' C_h), where averages of independent factors multiply.
slope, r_2, extra = sp.symbols("slope r_2 extra", positive=True)
P = sp.Matrix([[0, slope], [extra, slope * r_2]])
print(equation("GRU, transition", slope * (r_2 + extra) - 1, -(sp.eye(2) - P).det()))

# --- LSTM -----------------------------------------------------------------------------------------
lstm = cells.lstm()
unit, found = resting_unit(lstm), unit_powers(lstm, sp.S.One)
e = {p.name: p for p in lstm.preactivations}
c, h = lstm.states
f, i, o, g = sigmoid(e["f"]), sigmoid(e["i"]), sigmoid(e["o"]), tanh(e["g"])
held = sp.cancel(unit.states[c] * (1 - f))
print(equation("LSTM, (1 - f) c", i * g, held))
print(equation("LSTM, h", o * tanh(unit.states[c]), unit.states[h]))

# At zero, where g = 0: P(1) = (a_h o i / (1 - f))^2, which is 1 where f + o i a_h is.
zero = unit.of(found.powers[0, 0]).subs(e["g"], 0).doit()
typed = found.sigma_w["g"] ** 2 * o**2 * i**2
print(equation("LSTM, P at zero", typed, sp.cancel(zero * (1 - f) ** 2)))
