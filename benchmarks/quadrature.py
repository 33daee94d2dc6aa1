"""Gaussian integrals: time of the calls that everything else is made of, and their accuracy.

Run as `python -m benchmarks.quadrature`; writes benchmarks/results/quadrature.json. Accuracy is
against the references of tests/data/quadrature.json.
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
import sympy as sp

from rnnmft import __version__
from rnnmft.activations import sigmoid, sigmoid_prime, tanh, tanh_prime
from rnnmft.expectation import gaussian_expectation
from rnnmft.numerics.compile import compile_program

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "quadrature.json"
REFERENCES = HERE.parent / "tests" / "data" / "quadrature.json"
e, f, r, s = sp.symbols("e f r s", real=True)
mu, q, q_ab, v, v_ab = sp.symbols("mu q q_ab v v_ab", real=True)


def seconds(function, at_least=0.2):
    """The least processor time of one call among a few rounds of calls, after one to warm up."""
    function()
    best, spent = float("inf"), 0.0
    while spent < at_least:
        start = time.process_time()
        function()
        once = time.process_time() - start
        best, spent = min(best, once), spent + max(once, 1e-6)
    return best


def programs():
    """What is timed: six integrands of one law, two of a pair, a pair inside a pair."""
    gates = (sigmoid(e), sigmoid(e) ** 2, (1 - sigmoid(e)) ** 2, sigmoid(e) * (1 - sigmoid(e)))
    six = [*gates, sigmoid_prime(e) ** 2, sigmoid(e) ** 4]
    law = (e, f), (mu, mu), (q, q_ab, q)
    pair = [gaussian_expectation(g(e) * g(f), *law) for g in (tanh, tanh_prime)]
    inner_law = (
        q + sigmoid(r) ** 2 * v,
        q_ab + sigmoid(r) * sigmoid(s) * v_ab,
        q + sigmoid(s) ** 2 * v,
    )
    inner = gaussian_expectation(tanh(e) * tanh(f), (e, f), (0, 0), inner_law)
    nested = gaussian_expectation(inner, (r, s), (0, 0), (v, v_ab, v))
    return (
        compile_program([], [gaussian_expectation(g, e, mu, q) for g in six], [mu, q]),
        compile_program([], pair, [mu, q, q_ab]),
        compile_program([], [nested], [q, q_ab, v, v_ab]),
    )


def timings():
    """Seconds of processor time, by what is computed."""
    six, pair, nested = programs()
    random = np.random.default_rng(0)
    grid = random.uniform(-20, 20, 10_000), 10 ** random.uniform(-8, 4, 10_000)
    return {
        "one law, six integrands, q = 0.5": seconds(lambda: six(0.5, 0.5)),
        "one law, six integrands, q = 1e4": seconds(lambda: six(0.5, 1e4)),
        "10,000 laws, six integrands, q from 1e-8 to 1e4": seconds(lambda: six(*grid)),
        "one pair, two integrands, q = 10, c = 0.5": seconds(lambda: pair(0.5, 10.0, 5.0)),
        "one pair, two integrands, q = 1e4, c = 0.99": seconds(lambda: pair(0.5, 1e4, 9.9e3)),
        "1,000 pairs, two integrands, q from 0.01 to 100": seconds(
            lambda: pair(0.5, np.logspace(-2, 2, 1000), 0.0)
        ),
        "a pair inside a pair, q = 1 to 2": seconds(lambda: nested(1.0, 0.5, 2.0, 1.2)),
    }


def accuracy():
    """The worst relative errors against the references: true ones, and as reported."""
    rows = json.loads(REFERENCES.read_text())["univariate"]
    worst = {}
    for name, g, slope in (("tanh", tanh, tanh_prime), ("sigmoid", sigmoid, sigmoid_prime)):
        nodes = (g(e) ** 2, slope(e) ** 2, g(e) ** 2 * slope(e) ** 2)
        mine = [row for row in rows if row["function"] == name]
        program = compile_program([], [gaussian_expectation(n, e, mu, q) for n in nodes], [mu, q])
        found = program([row["mean"] for row in mine], [row["variance"] for row in mine])
        exact = [np.array([float(row[m]) for row in mine]) for m in ("f^2", "f'^2", "f^2 f'^2")]
        worst[name] = {
            "true": max(
                float(np.max(np.abs(value / x - 1)))
                for value, x in zip(found.values, exact, strict=True)
            ),
            "reported": max(
                float(np.max(error / x)) for error, x in zip(found.errors, exact, strict=True)
            ),
        }
    return worst


def provenance():
    """Where the numbers come from."""
    return {
        "command": "python -m benchmarks.quadrature",
        "rnnmft": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "sympy": sp.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "timing": "processor time, the least of repeated calls",
    }


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    found = {"seconds": timings(), "relative error": accuracy(), "provenance": provenance()}
    text = json.dumps(found, indent=2)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(text + "\n")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
