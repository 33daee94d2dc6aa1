r"""Spectra: the published laws.

For a vanilla RNN $J = D W$, with $D = \mathrm{diag}\,\phi'(e)$, S-transforms multiply:
$S = S_{D^2} S_{WW^T}$, with

$$
S(x) = \frac{1 + x}{x\, M^{-1}(x)}, \qquad M(z) = \sum_k m_k z^{-k}, \qquad
M_{D^2}(y) = \mathbb{E}\!\left[\frac{\phi'(e)^2}{y - \phi'(e)^2}\right] .
$$

At zero mean bias, $e \sim \mathcal{N}(0, q)$, the table of {cite}`pennington2018` is

| $\phi$ | $M_{D^2}(y)$ | $\mu_k = \mathbb{E}[\phi'^{2k}]$ | $S_{D^2}(x)$ |
|---|---|---|---|
| linear | $1 / (y - 1)$ | $1$ | $1$ |
| ReLU | $\tfrac12 / (y - 1)$ | $\tfrac12$ | $(1 + x) / (x + \tfrac12)$ |
| hard tanh | $p / (y - 1)$ | $p = \operatorname{erf}(1/\sqrt{2q})$ | $(1 + x) / (x + p)$ |
| $\operatorname{erf}(\tfrac{\sqrt\pi}{2} e)$ | $\Lambda(y)$ | $(1 + \pi k q)^{-1/2}$ | not closed |

with $\Lambda(y) = \frac{1}{\sqrt{\pi q}\,y} \Phi_L(\tfrac1y, \tfrac12, \tfrac{1 + \pi q}{\pi q})$
($\Phi_L$ is the Lerch transcendent). Over $T$ steps $S_T = S^T$, so that
$M_T = M_{D^2}(z^{1/T} F(M_T))$ with $F(M) = S_{WW^T}(M) ((1 + M)/M)^{1 - 1/T}$
{cite}`pennington2017`, the mean is $m_1^T$ and the variance $T (\sigma^2 / m_1^2)\, m_1^{2T}$
{cite}`chen2018`.

For a gated state $J = A + B W$ nothing factorises. One unit contributes like a small matrix of
characteristic function $\Delta = (z - a B^2)(1 - b) - A^2$, and

$$
u = \mathbb{E}\!\left[\frac{B^2 (1 - b)}{\Delta}\right], \quad
v = \mathbb{E}\!\left[\frac{z - a B^2}{\Delta}\right], \quad
a = \Phi(uv)\, v, \quad b = \Phi(uv)\, u, \qquad
G(z) = \mathbb{E}\!\left[\frac{1 - b}{\Delta}\right],
$$

where the weights enter by $\Phi = \sigma_w^2$ (gaussian) or
$2 \sigma_w^2 / (1 + \sqrt{1 + 4 \sigma_w^2 u v})$ (orthogonal). All of this is asserted, the
moments $m_1, \dots, m_4$ from the S-transforms against those of the engine's block equation.
"""

import sympy as sp

from rnnmft import cells
from rnnmft.activations import erf, gaussian_cdf, hard_tanh, identity, relu
from rnnmft.expectation import GaussianExpectation
from rnnmft.theory.derivation import derive
from rnnmft.theory.equality import equation
from rnnmft.theory.law_expectation import LawExpectation

ORDER = 4
x, y, k = sp.Symbol("x"), sp.Symbol("y"), sp.Symbol("k", integer=True, positive=True)
M, T, z = sp.Symbol("M"), sp.Symbol("T", positive=True), sp.Symbol("z")


def unbiased(expression):
    """At mu_b = 0, with the Gaussian distribution function as an error function."""
    (mu_b,) = n.mu_b.values()
    found = expression.subs(mu_b, 0).replace(gaussian_cdf, lambda a: (1 + erf(a / sp.sqrt(2))) / 2)
    return found.replace(erf, lambda a: erf(a) if not a.could_extract_minus_sign() else -erf(-a))


def averages_done(expression, square):
    """Expectations integrated; those of a phi' that is 0 or 1 are all one probability."""
    constant = square.is_closed
    return expression.replace(
        lambda node: isinstance(node, GaussianExpectation),
        lambda node: square.moment(sp.S.One) if constant else node.doit(),
    )


def inverse_series(coefficients):
    """g with f(g(y)) = y for f(x) = sum_k coefficients[k - 1] x^k, to the same order."""
    unknown = sp.symbols(f"g_1:{len(coefficients) + 1}")
    inside = sum(g * y**i for i, g in enumerate(unknown, 1))
    outside = sp.expand(sum(c * inside**i for i, c in enumerate(coefficients, 1)))
    known = {}
    for i, g in enumerate(unknown, 1):
        wanted = sp.expand(outside.coeff(y, i).subs(known)) - (1 if i == 1 else 0)
        known[g] = sp.cancel(sp.solve(wanted, g)[0])
    return [known[g] for g in unknown]


def moments_from(s_transform):
    """m_1..m_4 of an S-transform: M^-1(x) = (1 + x) / (x S(x))."""
    inverse = sp.series(s_transform.subs(x, y) * y / (1 + y), y, 0, ORDER + 1).removeO()
    return inverse_series([sp.cancel(sp.expand(inverse).coeff(y, i)) for i in range(1, ORDER + 1)])


# The table, typed: name, phi, M_{D^2}, mu_k, S_{D^2}.
q = next(iter(derive(cells.vanilla()).notation.q.values()))
p = erf(1 / sp.sqrt(2 * q))
lerch = sp.lerchphi(1 / y, sp.Rational(1, 2), (1 + sp.pi * q) / (sp.pi * q))
one, half = sp.S.One, sp.Rational(1, 2)
TABLE = [
    ("linear", identity, 1 / (y - 1), one, one),
    ("ReLU", relu, half / (y - 1), half, (1 + x) / (x + half)),
    ("hard tanh", hard_tanh, p / (y - 1), p, (1 + x) / (x + p)),
    (
        "erf",
        lambda e: erf(sp.sqrt(sp.pi) * e / 2),
        lerch / (sp.sqrt(sp.pi * q) * y),
        (1 + sp.pi * k * q) ** (-half),
        None,
    ),
]

for name, phi, M_typed, mu_typed, S_typed in TABLE:
    derived = derive(cells.vanilla(phi))
    n = derived.notation
    (sigma_w,) = n.sigma_w.values()
    of = derived.jacobian.generating_function
    square = of.chain.squares[-1]
    M_derived = square.at_mean(sp.S.Zero).generating_function(y)
    print(equation(f"{name}, M", sp.simplify(M_typed), sp.simplify(unbiased(M_derived))))
    mu_derived = unbiased(square.moment(k))
    print(equation(f"{name}, mu_k", mu_typed, sp.powsimp(mu_derived, force=True)))
    if S_typed is not None:
        print(
            equation(f"{name}, S", sp.cancel(S_typed), sp.cancel(unbiased(square.s_transform(x))))
        )

    for weights, S_W in (("gaussian", 1 / (sigma_w**2 * (1 + x))), ("orthogonal", sigma_w**-2)):
        s = sp.Function("S_B")(x) if S_typed is None else S_typed
        S_derived = unbiased(of.s_transform(weights)[0].rhs)
        equation(f"{name}, {weights}, S", sp.cancel(s * S_W), sp.cancel(S_derived))

        # The moments, by the S-transform in terms of mu_k and by the block equation.
        mu = sp.symbols(f"mu_1:{ORDER + 1}")
        D_inverse = inverse_series(mu)  # of M_{D^2} in 1/y
        S_D = sum(c * x**i for i, c in enumerate(D_inverse)) * (1 + x)
        for i, route in enumerate(moments_from(sp.series(S_D, x, 0, ORDER).removeO() * S_W), 1):
            typed = route.subs({m: sp.sympify(mu_typed).subs(k, j) for j, m in enumerate(mu, 1)})
            engine = averages_done(derived.jacobian.moment(i, weights), square)
            difference = sp.simplify(sp.expand(typed - unbiased(engine)))
            equation(f"{name}, {weights}, m_{i}", sp.S.Zero, difference)
        print(f"{name}, {weights}: m_1..m_{ORDER} hold, by the S-transform and by the engine")

# T steps: the published master equation, and mean and variance of S^T.
derived = derive(cells.vanilla(hard_tanh))
n = derived.notation
(sigma_w,) = n.sigma_w.values()
of = derived.jacobian.generating_function
for weights, S_W in (("gaussian", 1 / (sigma_w**2 * (1 + M))), ("orthogonal", sigma_w**-2)):
    F = S_W * ((1 + M) / M) ** (1 - 1 / T)
    typed = p / (z ** (1 / T) * F - 1)
    print(equation(f"master equation, {weights}", typed, unbiased(of.over_steps(weights)[-1].rhs)))

m_1, m_2 = sp.symbols("m_1 m_2")
# S = s_0 + s_1 x + O(x^2) of a law of moments m_1, m_2; to this order for T = 2, 3, 4.
s_0, s_1 = 1 / m_1, (m_1**2 - m_2) / m_1**3
for steps in (2, 3, 4):
    t_0, t_1 = s_0**steps, steps * s_0 ** (steps - 1) * s_1
    mean, variance = 1 / t_0, -t_1 / t_0**3
    values = {T: steps}
    print(equation(f"m_1({steps})", sp.cancel(mean), of.over_steps()[1].rhs.subs(values)))
    derived_variance = sp.cancel(of.over_steps()[2].rhs.subs(values))
    print(equation(f"variance({steps})", sp.cancel(variance), derived_variance))

# One gated state.
of = derive(cells.minimal()).jacobian.generating_function
A, B = (sp.Symbol(name, real=True) for name in "AB")
a, b, u, v = sp.symbols("a b u v")
(sigma_w,) = of.unit.theory.notation.sigma_w.values()
Delta = (z - a * B**2) * (1 - b) - A**2
print(equation("Delta", Delta, of.characteristic.polynomial))


def E(f):
    """The average over A and B; both sides are brought to one fraction."""
    return LawExpectation(sp.cancel(f), A, B)


phi = {
    "gaussian": sigma_w**2,
    "orthogonal": 2 * sigma_w**2 / (1 + sp.sqrt(1 + 4 * sigma_w**2 * u * v)),
}
for weights, Phi in phi.items():
    typed = {
        "u": E(B**2 * (1 - b) / Delta),
        "v": E((z - a * B**2) / Delta),
        "a": Phi * v,
        "b": Phi * u,
        "G": E((1 - b) / Delta),
    }
    for (name, side), line in zip(typed.items(), of.system(weights), strict=True):
        found = line.rhs.replace(
            lambda node: isinstance(node, LawExpectation), lambda node: E(node.integrand)
        )
        print(equation(f"{name}, {weights}", side, found))
