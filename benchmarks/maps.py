"""Untied maps: a whole phase diagram against what one would write oneself, in one run.

Run as `python -m benchmarks.maps`; writes benchmarks/results/maps.json. Processor seconds of

    ours      `phase_diagram`: the first of a cell in the process, and the next
    picard    vectorised NumPy: q -> moments by Gauss-Hermite quadrature -> q until all stand still,
              points that do leave the batch
    scipy     scipy.integrate and brentq point by point: a sample, its time taken for all
    hermite   the same fixed points with 25 nodes, for their error

and the relative errors at random points against mpmath with 30 digits.
"""

import argparse
import json
import math
import os
import platform
import sys
import time
from pathlib import Path

import mpmath
import numpy as np
import scipy
from scipy.integrate import quad
from scipy.optimize import brentq

from rnnmft import Inputs, __version__, cells, phase_diagram

RESULTS = Path(__file__).parent / "results" / "maps.json"
R, SIGMA_V = 0.4616, 1.39
QUANTITIES = ("second_moment", "preactivation_variance", "chi_1", "gradient_growth")
#: Nodes whose moments are good to 1e-9 at the widest law of these maps, sigma = 12.
NODES, COARSE = 128, 25
TOLERANCE, MOST = 1e-10, 3000
SAMPLE, EXACT = 8, 50


def seconds(call):
    """What a call gives, and its processor seconds."""
    start = time.process_time()
    found = call()
    return found, time.process_time() - start


def hermite(nodes):
    """Nodes and weights of the standard normal."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    return z, w / w.sum()


def sigmoid(e):
    """1 / (1 + exp(-e))."""
    return 1.0 / (1.0 + np.exp(-e))


# --- minimalRNN ----------------------------------------------------------------------------------


def minimal_grid(shape):
    """sigma_w and mu_b of the map."""
    return np.linspace(0.5, 12.0, shape[0]), np.linspace(-2.0, 6.0, shape[1])


def minimal_picard(sigma, mu, nodes, tolerance=TOLERANCE):
    """Q*, q*, chi_1, growth of every point, (4, B), how many points did not end."""
    z, w = hermite(nodes)
    square, active = np.zeros_like(sigma), np.arange(len(sigma))

    def gates(rows):
        q = sigma[rows] ** 2 * square[rows] + SIGMA_V**2 * R
        return q, sigmoid(mu[rows, None] + np.sqrt(q)[:, None] * z)

    for _ in range(MOST):
        _, u = gates(active)
        mean, second = u @ w, (u * u) @ w
        new = second * square[active] + (1.0 - 2.0 * mean + second) * R
        change = np.abs(new - square[active])
        square[active] = new
        active = active[change > tolerance * new]
        if not len(active):
            break
    found = np.empty((4, len(sigma)))
    for rows in np.array_split(np.arange(len(sigma)), 1 + len(sigma) // 4096):
        q, u = gates(rows)
        slope = (u * (1.0 - u)) ** 2 @ w
        chi = (u * u) @ w + sigma[rows] ** 2 * (square[rows] + R) * slope
        found[:, rows] = square[rows], q, chi, np.log(chi)
    return found, len(active)


def minimal_scipy(sigma, mu):
    """Q* of one point by adaptive quadrature and bracketing, lowest root first."""

    def mean(f, q):
        def integrand(z):
            return f(sigmoid(mu + math.sqrt(q) * z)) * math.exp(-0.5 * z * z)

        return quad(integrand, -12, 12, epsabs=1e-12, epsrel=1e-10, limit=200)[0] / math.sqrt(
            2.0 * math.pi
        )

    def gap(square):
        q = sigma**2 * square + SIGMA_V**2 * R
        second = mean(lambda u: u * u, q)
        return R * mean(lambda u: (1.0 - u) ** 2, q) / (1.0 - second) - square

    grid = np.linspace(0.0, 1.2 * R, 25)
    values = [gap(s) for s in grid]
    k = next(k for k in range(len(grid) - 1) if values[k] > 0 >= values[k + 1])
    return brentq(gap, grid[k], grid[k + 1], xtol=1e-14)


def minimal_exact(sigma, mu, near):
    """Q*, q*, chi_1, growth to 30 digits, from a start near them."""
    with mpmath.workdps(30):
        sigma, mu, r = mpmath.mpf(sigma), mpmath.mpf(mu), mpmath.mpf(R)
        step = mpmath.mpf(1) / 32

        def mean(f, q):
            # The trapezoidal rule: analytic within pi / sqrt(q), so off by less than 1e-20.
            s = mpmath.sqrt(q)
            h = min(step, mpmath.mpf(1) / (4 * s))
            k = int(13 / h)
            total = mpmath.mpf(0)
            for i in range(-k, k + 1):
                z = i * h
                total += f(1 / (1 + mpmath.exp(-(mu + s * z)))) * mpmath.exp(-z * z / 2)
            return total * h / mpmath.sqrt(2 * mpmath.pi)

        def gap(square):
            q = sigma**2 * square + mpmath.mpf(SIGMA_V) ** 2 * r
            return r * mean(lambda u: (1 - u) ** 2, q) / (1 - mean(lambda u: u**2, q)) - square

        near = mpmath.mpf(near)
        ends = (near * (1 - mpmath.mpf("1e-9")), near * (1 + mpmath.mpf("1e-9")))
        square = mpmath.findroot(gap, ends, solver="secant", tol=1e-40, verify=False)
        q = sigma**2 * square + mpmath.mpf(SIGMA_V) ** 2 * r
        slope = mean(lambda u: (u * (1 - u)) ** 2, q)
        chi = mean(lambda u: u**2, q) + sigma**2 * (square + r) * slope
        return np.array([float(square), float(q), float(chi), float(mpmath.log(chi))])


def minimal_ours(axes, quantities):
    """Our map."""
    cell = cells.minimal()
    ensemble = cell.ensemble(e={"sigma_v": SIGMA_V})
    vary = dict(zip((("e", "sigma_w"), ("e", "mu_b")), axes, strict=True))
    return phase_diagram(cell, ensemble, Inputs(R=R), vary, quantities, "untied")


def minimal(shape):
    """Times and errors of the minimalRNN's map."""
    axes = minimal_grid(shape)
    sigma, mu = (a.ravel() for a in np.meshgrid(*axes, indexing="ij"))
    _, first = seconds(lambda: minimal_ours(axes, QUANTITIES))
    found, again = seconds(lambda: minimal_ours(axes, QUANTITIES))
    wide, more = seconds(lambda: minimal_ours(axes, (*QUANTITIES, "xi_c", "m_2")))
    (theirs, left), picard = seconds(lambda: minimal_picard(sigma, mu, NODES))
    ours = np.stack([found[q].values.reshape(-1) for q in QUANTITIES])
    rng = np.random.default_rng(0)
    rows = rng.choice(len(sigma), EXACT, replace=False)
    exact = np.stack([minimal_exact(sigma[i], mu[i], ours[0, i]) for i in rows], axis=1)
    some = rows[:SAMPLE]
    by_scipy, scalar = seconds(lambda: [minimal_scipy(sigma[i], mu[i]) for i in some])
    (coarse, _), _ = seconds(lambda: minimal_picard(sigma[rows], mu[rows], COARSE))
    bounds = np.stack([found[f"{q}_error"].values.reshape(-1)[rows] for q in QUANTITIES])

    def worst(values):
        return float(np.max(np.abs(values - exact) / np.abs(exact)))

    return {
        "points": len(sigma),
        "seconds": {
            "ours, first": round(first, 3),
            "ours, again": round(again, 3),
            "ours, with xi_c and m_2": round(more, 3),
            "picard": round(picard, 3),
            "scipy, all points by its sample": round(scalar / SAMPLE * len(sigma), 1),
        },
        "times faster than picard": {
            "first": round(picard / first, 1),
            "again": round(picard / again, 1),
        },
        "points one by one": found.attrs["points_one_by_one"],
        "known with xi_c and m_2": float((wide.status == "OK").mean()),
        "points where picard did not end": left,
        "relative error at random points": {
            "points": EXACT,
            "ours": worst(ours[:, rows]),
            "picard": worst(theirs[:, rows]),
            "hermite, 25 nodes": worst(coarse),
            "scipy, Q*": float(np.max(np.abs(np.array(by_scipy) / exact[0, :SAMPLE] - 1.0))),
        },
        "errors within their bounds": bool((np.abs(ours[:, rows] - exact) <= bounds).all()),
    }


# --- GRU -----------------------------------------------------------------------------------------


def gru_picard(mu_z, sigma_n, nodes):
    """E[h], E[h^2], (2, B), how many points did not end; all other parameters at 1 and 0."""
    z, w = hermite(nodes)
    mean, square, active = np.zeros_like(mu_z), np.zeros_like(mu_z), np.arange(len(mu_z))
    for _ in range(MOST):
        q = square[active] + R
        root = np.sqrt(q)[:, None] * z
        reset, keep = sigmoid(root), sigmoid(mu_z[active, None] + root)
        q_n = sigma_n[active] ** 2 * square[active] * ((reset * reset) @ w) + R
        new = np.tanh(np.sqrt(q_n)[:, None] * z)
        u1, u2 = keep @ w, (keep * keep) @ w
        n1, n2 = new @ w, (new * new) @ w
        next_mean = mean[active] * u1 + (1.0 - u1) * n1
        next_square = square[active] * u2 + 2.0 * mean[active] * (u1 - u2) * n1
        next_square += (1.0 - 2.0 * u1 + u2) * n2
        change = np.abs(next_square - square[active])
        mean[active], square[active] = next_mean, next_square
        active = active[change > TOLERANCE * next_square]
        if not len(active):
            break
    return np.stack([mean, square]), len(active)


def gru(shape):
    """Times of the GRU's map over the update gate's bias and the candidate's weights."""
    axes = np.linspace(-2.0, 6.0, shape[0]), np.linspace(0.5, 6.0, shape[1])
    mu, sigma = (a.ravel() for a in np.meshgrid(*axes, indexing="ij"))
    vary = dict(zip((("z", "mu_b"), ("n", "sigma_w")), axes, strict=True))

    def ours():
        return phase_diagram(cells.gru(), None, Inputs(R=R), vary, QUANTITIES, "untied")

    _, first = seconds(ours)
    found, again = seconds(ours)
    (theirs, left), picard = seconds(lambda: gru_picard(mu, sigma, NODES // 2))
    difference = np.abs(found.second_moment.values.reshape(-1) / theirs[1] - 1.0)
    return {
        "points": len(mu),
        "seconds": {
            "ours, first": round(first, 3),
            "ours, again": round(again, 3),
            "picard": round(picard, 3),
        },
        "times faster than picard": {
            "first": round(picard / first, 1),
            "again": round(picard / again, 1),
        },
        "points one by one": found.attrs["points_one_by_one"],
        "points where picard did not end": left,
        "median relative difference of E[h^2]": float(np.median(difference)),
    }


def main():
    """Time both maps, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--shape", type=int, nargs=2, default=(300, 250))
    options = parser.parse_args()
    # What any first map of a process loads and derives, another cell's: imports are no algorithm.
    vanilla = cells.vanilla()
    phase_diagram(vanilla, None, None, {("e", "sigma_w"): [0.5, 1.0]}, QUANTITIES, "untied")
    document = {
        "minimal, sigma_w x mu_b": minimal(options.shape),
        "gru, z.mu_b x n.sigma_w": gru(options.shape),
        "provenance": {
            "command": "python -m benchmarks.maps",
            "rnnmft": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "threads": os.environ.get("OMP_NUM_THREADS", "default"),
            "load_average": os.getloadavg()[0],
        },
    }
    options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for name, row in document.items():
        if name != "provenance":
            print(name, json.dumps(row, indent=1))


if __name__ == "__main__":
    sys.exit(main())
