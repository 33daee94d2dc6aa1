"""Make quadrature.json beside this file: Gaussian integrals by rules the package does not use.

    python tests/data/make_quadrature.py

Univariate moments: mpmath's tanh-sinh rule on pieces, 50 digits, 30 kept. Pairs: Gauss-Legendre
panels in 80-bit floating point, e_a given e_b (the package conditions e_b on e_a), twice with
different orders; what the two have in common to 1e-17 of the integral's magnitude is kept. All
arguments are the doubles that the JSON holds, so that the reference and the package integrate the
same law.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import mpmath as mp
import numpy as np

DIGITS, WORK = 30, 50
FUNCTIONS = {
    "tanh": (mp.tanh, lambda e: mp.sech(e) ** 2),
    "sigmoid": (lambda e: 1 / (1 + mp.exp(-e)), lambda e: 1 / (2 * mp.cosh(e / 2)) ** 2),
}
MOMENTS = {
    "f^2": lambda f, p: f * f,
    "f'^2": lambda f, p: p * p,
    "f^2 f'^2": lambda f, p: (f * p) ** 2,
}
MEANS = (0.0, 0.5, -3.0, 8.0, 20.0, -20.0)
VARIANCES = (1e-8, 1e-4, 0.01, 0.25, 1.0, 4.0, 10.0, 100.0, 1e3, 1e4)
# (mean, mean), (variance, variance); each with every correlation.
PAIRS = (
    *(((0.0, 0.0), (q, q)) for q in (1e-8, 0.01, 1.0, 10.0, 100.0, 1e4)),
    ((0.5, 0.5), (1.0, 1.0)),
    ((3.0, 3.0), (10.0, 10.0)),
    ((-20.0, -20.0), (4.0, 4.0)),
    ((20.0, 20.0), (1e4, 1e4)),
    ((1.0, -2.0), (0.5, 30.0)),
    ((0.0, 1.0), (400.0, 0.01)),
)
CORRELATIONS = (-1.0, -0.999, -0.5, 0.0, 0.3, 0.9, 0.9999, 0.99999999, 1.0)


def univariate(name: str, mean: float, variance: float) -> list[str]:
    """E[f^2], E[f'^2], E[f^2 f'^2] as strings of 30 digits."""
    mp.mp.dps = WORK
    mu, s = mp.mpf(mean), mp.sqrt(mp.mpf(variance))
    value, slope = FUNCTIONS[name]
    cuts = {mu + s * k for k in range(-40, 41, 2)}
    cuts |= {mp.mpf(k) for k in range(-40, 41, 2) if abs(k - mu) < 40 * s}
    points = sorted(cuts)
    results = []
    for moment in MOMENTS.values():

        def log_integrand(e: mp.mpf, moment=moment) -> mp.mpf:
            size = moment(value(e), slope(e))
            return mp.log(size) - ((e - mu) / s) ** 2 / 2 if size else mp.mpf("-inf")

        # mpmath's tolerance is absolute: bring the integrand to order one, first.
        top = max(log_integrand(mu + s * (k + mp.mpf("0.01")) / 8) for k in range(-320, 321))

        def integrand(e: mp.mpf, moment=moment, top=top) -> mp.mpf:
            z = (e - mu) / s
            return moment(value(e), slope(e)) * mp.exp(-z * z / 2 - top)

        # Pieces that hold nothing cost as much as the others.
        kept = [
            (a, b)
            for a, b in itertools.pairwise(points)
            if max(integrand(a), integrand((a + b) / 2), integrand(b)) > mp.mpf(10) ** -45
        ]
        total = mp.fsum(mp.quad(integrand, piece) for piece in kept)
        results.append(mp.nstr(total * mp.exp(top) / (s * mp.sqrt(2 * mp.pi)), DIGITS))
    return results


LONG = np.longdouble
REACH = LONG(26)
GEOMETRIC = np.concatenate([[0.0], 0.5 * 2.0 ** np.arange(0, 10)]).astype(LONG)


def legendre(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on [-1, 1] in 80-bit precision."""
    mp.mp.dps = 30
    nodes, weights = [], []
    for guess in np.polynomial.legendre.leggauss(order)[0]:
        x = mp.findroot(lambda t: mp.legendre(order, t), mp.mpf(guess))
        slope = order * (x * mp.legendre(order, x) - mp.legendre(order - 1, x)) / (x * x - 1)
        nodes.append(LONG(mp.nstr(x, 25)))
        weights.append(LONG(mp.nstr(2 / ((1 - x * x) * slope**2), 25)))
    return np.array(nodes), np.array(weights)


def panels(centres: list[tuple[LONG, LONG]], rule: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in z and weights (Gaussian density included), refined around (place, width) pairs."""
    edges = [np.arange(-REACH, REACH + 1, 2, dtype=LONG)]
    for place, width in centres:
        edges += [place + width * GEOMETRIC, place - width * GEOMETRIC]
    cuts = np.unique(np.clip(np.concatenate(edges), -REACH, REACH))
    half, middle = (cuts[1:] - cuts[:-1]) / 2, (cuts[1:] + cuts[:-1]) / 2
    z = (middle[:, None] + half[:, None] * rule[0]).ravel()
    density = np.exp(-z * z / 2) / np.sqrt(2 * LONG("3.14159265358979323846264"))
    return z, (half[:, None] * rule[1]).ravel() * density


def long_functions(name: str, e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f and f' in 80-bit precision."""
    if name == "tanh":
        small = np.exp(-2 * np.abs(e))
        return np.tanh(e), 4 * small / (1 + small) ** 2
    small = np.exp(-np.abs(e))
    return np.where(e > 0, 1, small) / (1 + small), small / (1 + small) ** 2


def pair(name: str, law: dict, rule: tuple) -> tuple[np.ndarray, LONG]:
    """E[f f], E[f' f'], and E|f f|."""
    (mu_a, mu_b), (q_a, q_ab, q_b) = law["means"], law["covariance"]
    mu_a, mu_b, q_a, q_ab, q_b = (LONG(v) for v in (mu_a, mu_b, q_a, q_ab, q_b))
    s_b = np.sqrt(q_b)
    residual = q_a - q_ab * q_ab / q_b
    s = np.sqrt(max(residual, LONG(0)))
    centres = [(-mu_b / s_b, 1 / s_b)]
    if q_ab != 0:
        slope = q_ab / s_b
        centres.append((-mu_a / slope, np.maximum(1, s) / abs(slope)))
    outer, outer_weight = panels(centres, rule)
    found, size = np.zeros(2, LONG), LONG(0)
    for y, weight in zip(outer, outer_weight, strict=True):
        if weight < 1e-80:
            continue
        fb, pb = long_functions(name, mu_b + s_b * y)
        m = mu_a + q_ab / s_b * y
        if s == 0:
            fa, pa = long_functions(name, m)
            inner, inner_size = np.array([fa, pa]), abs(fa)
        else:
            x, w = panels([(-m / s, 1 / s)], rule)
            fa, pa = long_functions(name, m + s * x)
            inner, inner_size = np.array([(w * fa).sum(), (w * pa).sum()]), (w * abs(fa)).sum()
        found += weight * inner * np.array([fb, pb])
        size += weight * inner_size * abs(fb)
    return found, size


def make_pairs() -> list[dict]:
    if np.finfo(LONG).eps > 2e-19:
        raise SystemExit("the pair references need 80-bit floating point (x86)")
    rules = legendre(18), legendre(24)
    rows = []
    for (means, (q_a, q_b)), c in itertools.product(PAIRS, CORRELATIONS):
        q_ab = float(c * np.sqrt(q_a * q_b))
        law = {"means": means, "covariance": (q_a, q_ab, q_b), "correlation": c}
        for name in FUNCTIONS:
            (first, size), (second, _) = (pair(name, law, rule) for rule in rules)
            scale = np.array([size, abs(second[1])])
            worst = float(np.max(np.abs(first - second) / scale))
            if worst > 1e-16:
                raise SystemExit(f"{name} {law}: the two rules differ by {worst:g}")
            values = {"ff": f"{second[0]:.19e}", "f'f'": f"{second[1]:.19e}"}
            rows.append({"function": name, **law, **values, "size": f"{size:.6e}"})
        print(means, q_a, q_b, c, flush=True)
    return rows


def main() -> None:
    """Write the file."""
    rows = []
    for name, mean, variance in itertools.product(FUNCTIONS, MEANS, VARIANCES):
        values = dict(zip(MOMENTS, univariate(name, mean, variance), strict=True))
        rows.append({"function": name, "mean": mean, "variance": variance, **values})
        print(name, mean, variance, flush=True)
    data = {"made by": "tests/data/make_quadrature.py", "univariate": rows, "pairs": make_pairs()}
    text = json.dumps(data, indent=1)
    Path(__file__).with_name("quadrature.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
