"""Kernels E[phi(h_a) phi(h_b)] of all pairs of inputs, against neural-tangents, where it installs.

Run as `python -m benchmarks.kernels`; writes benchmarks/results/kernels.json. neural-tangents is
not a dependency: without it nothing is measured, and a sentence says so. Its version 0.6.5 needs
jax 0.4.30, jaxlib 0.4.30 and tf2jax 0.3.6. Both are compiled before, on one thread, in double
precision. Its kernels of erf are closed forms, as ours are; those of tanh a product rule of so many
nodes, whose error is at least its distance from ours less our own bound.
"""

import argparse
import importlib.util
import json
import os
import platform
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import sympy as sp

from benchmarks.quadrature import seconds
from rnnmft import __version__
from rnnmft.activations import erf, tanh
from rnnmft.closed_forms import closed_form
from rnnmft.expectation import gaussian_expectation
from rnnmft.numerics.compile import compile_program

RESULTS = Path(__file__).parent / "results" / "kernels.json"
#: Inputs, and how far their standard deviations reach: from nearly linear units to saturated ones.
COUNT, DECADES = 60, (-1, 1)
NODES = (25, 200)


def ours(g, x):
    """The kernel of every pair, once each, its largest error bound, and the seconds it takes."""
    e, f, q_a, q_b, q_ab = sp.symbols("e f q_a q_b q_ab", real=True)
    kernel = closed_form(gaussian_expectation(g(e) * g(f), (e, f), (0, 0), (q_a, q_ab, q_b)))
    program = compile_program([], [kernel], [q_a, q_b, q_ab])
    i, j = np.triu_indices(len(x))
    covariance = x @ x.T / x.shape[1]
    law = covariance[i, i], covariance[j, j], covariance[i, j]
    found = program(*law)
    return found.values[0], float(np.max(found.errors[0])), seconds(lambda: program(*law))


def theirs(layer, x):
    """The same by neural-tangents, which has a whole matrix."""
    import jax
    from neural_tangents import stax

    kernel = stax.serial(stax.Dense(1, W_std=1.0, b_std=0.0), layer)[2]
    compiled = jax.jit(kernel, static_argnums=(1, 2))

    def run():
        return np.asarray(compiled(x, None, "nngp"))

    return run()[np.triu_indices(len(x))], seconds(run)


def measured():
    """Seconds and errors of both, by activation."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from jax import numpy
    from neural_tangents import stax

    random = np.random.default_rng(0)
    x = random.standard_normal((COUNT, 16)) * 10 ** random.uniform(*DECADES, (COUNT, 1))
    numerical = {f"tanh, {n} nodes": (tanh, n) for n in NODES}
    found = {}
    for name, (g, nodes) in {"erf": (erf, 0), **numerical}.items():
        layer = stax.ElementwiseNumerical(numpy.tanh, deg=nodes) if nodes else stax.Erf()
        value, bound, own = ours(g, x)
        other, time = theirs(layer, x)
        found[name] = {
            "seconds": {"ours": own, "neural-tangents": time},
            "our largest bound": bound,
            "largest difference": float(np.abs(value - other).max()),
        }
    return found


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if importlib.util.find_spec("neural_tangents") is None:
        sys.stdout.write("neural-tangents is not installed: its kernels were not measured\n")
        return
    warnings.simplefilter("ignore")  # of the numerical layer, that its error is not known
    made = {
        "command": "python -m benchmarks.kernels",
        "rnnmft": __version__,
        **{name: version(name) for name in ("neural-tangents", "jax", "numpy")},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "timing": "processor time, the least of repeated calls",
    }
    text = json.dumps(
        {"pairs": COUNT * (COUNT + 1) // 2, **measured(), "provenance": made}, indent=2
    )
    arguments.output.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
