r"""Lyapunov exponents: from the stationary bath to the published formula of memoryless networks.

Perturbations in a frame that grows as $e^{\mu t}$ see the unit $B = e^{-\mu} D$ of $J = D W$, with
$A = 0$ and $C = 1$. Nothing couples times, and at each of them

$$
\begin{bmatrix} 1 & -B^2 S_u \\ S_v & 1 \end{bmatrix}^{-1} =
\begin{bmatrix} R & P_u \\ -P_v & R \end{bmatrix},
$$

with $S_u = \sigma_w^2 \psi\, g_v$, $g_v = \mathbb{E}[P_u]$ and $g_u = \mathbb{E}[B^2 P_v]$.

Asserted: with the fraction $u = 1 - \mathbb{E}[R]$ of exponents above $\mu$ this is

$$
\mu = \tfrac12 \log\left[\sigma_w^2\, u\, y\, \psi\right], \qquad
\mathbb{E}\left[\frac{D^2}{y + D^2}\right] = u,
$$

as {cite}`kargin2008,tucci2010` have it; its limits, ReLU in closed form with dimension and entropy,
and the square law of a linear network.
"""

import sympy as sp

from rnnmft.theory.equality import equation

D, S_u, S_v, sigma, psi, grown = sp.symbols("D S_u S_v sigma_w psi grown", positive=True)
u, y, p, x, t, b = sp.symbols("u y p x t b", positive=True)
B = D / sp.sqrt(grown)  # grown = e^(2 mu)


def holds(name, typed, derived):
    """Two ratios, without their common factors."""
    print(equation(name, sp.cancel(typed), sp.cancel(derived)))


# --- one unit -------------------------------------------------------------------------------------
inverse = sp.Matrix([[1, -(B**2) * S_u], [S_v, 1]]).inv()
R, P_u, P_v = inverse[0, 0], inverse[0, 1], -inverse[1, 0]
holds("R", 1 / (1 + S_u * S_v * B**2), R)
holds("P_u", B**2 * S_u / (1 + S_u * S_v * B**2), P_u)
holds("P_v", S_v / (1 + S_u * S_v * B**2), P_v)

# S_u times a unit's part of g_u is its part of u, and so is S_v times its part of g_v.
holds("S_u g_u", 1 - R, S_u * B**2 * P_v)
holds("S_v g_v", 1 - R, S_v * P_u)

# S_u = sigma_w^2 psi g_v and S_v g_v = u: S_u S_v = sigma_w^2 psi u. With y = e^(2 mu) / (S_u S_v):
product = sigma**2 * psi * u
holds("a unit's part of u", D**2 / (y + D**2), (1 - R).subs(S_u, x / S_v).subs(x, grown / y))
exponent = sp.log(product * y) / 2
holds("the exponent", sigma**2 * u * y * psi, sp.exp(2 * exponent))

# --- ReLU: D^2 is 1 with probability p, else 0 ----------------------------------------------------
(root,) = sp.solve(p / (y + 1) - u, y)
holds("ReLU, y", (p - u) / u, root)
gaussian = sp.exp(2 * exponent.subs(psi, 1).subs(y, root))
holds("ReLU, gaussian", sigma**2 * (p - u), gaussian)
orthogonal = sp.exp(2 * exponent.subs(psi, 1 / (1 - u)).subs(y, root))
holds("ReLU, orthogonal", sigma**2 * (p - u) / (1 - u), orthogonal)
holds("ReLU, largest", sigma**2 * p, gaussian.subs(u, 0))

# The sum of the largest exponents, in t = sigma_w^2 (p - u) from c down: at t = 1 the entropy,
# and where it is 0 there is the dimension.
c = sigma**2 * p
integral = sp.integrate(sp.log(t) / 2, t) / sigma**2
partial = integral.subs(t, c) - integral
typed = (c * sp.log(c) - c - t * sp.log(t) + t) / (2 * sigma**2)
print(equation("ReLU, sum of the largest", sp.expand(typed), sp.expand(partial)))
typed = (p * sp.log(c) - p + 1 / sigma**2) / 2
print(equation("ReLU, entropy", sp.expand(typed), sp.expand(partial.subs(t, 1))))

# --- a linear network, J = b W: D^2 = b^2, the radii of a disc that is filled evenly --------------
(root,) = sp.solve(b**2 / (y + b**2) - u, y)
disc = sp.exp(2 * exponent.subs(psi, 1).subs(y, root))
holds("linear: |lambda|^2", sigma**2 * b**2 * (1 - u), disc)
