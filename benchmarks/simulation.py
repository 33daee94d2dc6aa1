"""Finite networks, timed against what bounds them: drawing numbers, reading weights, multiplying.

Run as `python -m benchmarks.simulation`; writes benchmarks/results/simulation.json.
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch

from rnnmft import Inputs, __version__, cells, simulate
from rnnmft.simulation.weights import standard_normals

WIDTH, NETWORKS, STEPS, HORIZON = 1024, 8, 30, 5
RESULTS = Path(__file__).parent / "results" / "simulation.json"


def best_of(function, repetitions=3):
    """The least processor time and the least wall-clock time of a few runs, after one to warm up.

    On a machine that others use too, processor time says what the work costs.
    """
    function()
    pairs = []
    for _ in range(repetitions):
        start = time.process_time(), time.perf_counter()
        function()
        pairs.append((time.process_time() - start[0], time.perf_counter() - start[1]))
    return tuple(min(column) for column in zip(*pairs, strict=True))


def bounds():
    """What the machine does at most in a second of processor time, one operation at a time."""
    generators = [torch.Generator().manual_seed(i) for i in range(NETWORKS)]
    weights = torch.empty(NETWORKS, WIDTH, WIDTH)
    shape = (WIDTH, WIDTH)
    draw, _ = best_of(lambda: standard_normals(generators, shape, torch.float32, weights))
    vectors = torch.randn(NETWORKS, 2, WIDTH)
    read, _ = best_of(lambda: torch.bmm(vectors, weights.mT))
    square = weights[0]
    multiply, _ = best_of(lambda: square @ square)
    double = square.double()
    decompose, _ = best_of(lambda: torch.linalg.svdvals(double))
    return {
        "normals_per_second": weights.numel() / draw,
        "weights_applied_per_second": weights.numel() / read,
        "float32_flops_per_second": 2 * WIDTH**3 / multiply,
        "svdvals_float64_seconds": decompose,
    }


def timed(cell, limits, tying, weights="gaussian", horizon=None):
    """Seconds of one simulation, and the seconds that the bounds alone would take."""
    ensemble = cell.ensemble(weights=weights)
    options = {"width": WIDTH, "networks": NETWORKS, "steps": STEPS, "device": "cpu"}
    if horizon:
        options |= {"jacobian_horizons": (horizon,), "spectrum": True}
    cpu, wall = best_of(lambda: simulate(cell, ensemble, Inputs(), tying=tying, **options))
    recurrent = sum(p.is_recurrent for p in cell.preactivations)
    matrices = recurrent + sum(p.has_input for p in cell.preactivations)
    steps = STEPS + (horizon or 0)
    drawn = matrices * NETWORKS * WIDTH**2 * (steps if tying == "untied" else 1)
    bound = drawn / limits["normals_per_second"]
    bound += matrices * NETWORKS * WIDTH**2 * steps / limits["weights_applied_per_second"]
    if horizon:
        states = len(cell.states)
        flops = horizon * recurrent * 2 * states * WIDTH**3 + 4 * (states * WIDTH) ** 3
        bound += NETWORKS * flops / limits["float32_flops_per_second"]
        bound += NETWORKS * states**3 * limits["svdvals_float64_seconds"]
    return {
        "cell": cell.name,
        "tying": tying,
        "weights": weights,
        "width": WIDTH,
        "networks": NETWORKS,
        "steps": STEPS,
        "jacobian_horizon": horizon,
        "cpu_seconds": cpu,
        "wall_seconds": wall,
        "bound_seconds": None if weights == "orthogonal" else bound,
    }


def processor():
    """The processor's name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main():
    """Time everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    output = parser.parse_args().output
    load = os.getloadavg()[0]
    limits = bounds()
    minimal, lstm = cells.minimal(), cells.lstm()
    runs = [
        timed(minimal, limits, "tied"),
        timed(minimal, limits, "untied"),
        timed(minimal, limits, "tied", weights="orthogonal"),
        timed(minimal, limits, "untied", weights="orthogonal"),
        timed(minimal, limits, "tied", horizon=HORIZON),
        timed(minimal, limits, "untied", horizon=HORIZON),
        timed(lstm, limits, "tied"),
        timed(lstm, limits, "untied"),
    ]
    document = {
        "about": "Least of 3 runs; bound_seconds is the processor time of the bounds alone.",
        "command": f"python -m benchmarks.simulation, {torch.get_num_threads()} thread(s)",
        "hardware": {
            "processor": processor(),
            "threads": torch.get_num_threads(),
            "load_average": load,
        },
        "versions": {
            "rnnmft": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "bounds": limits,
        "runs": runs,
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(document, indent=1) + "\n")
    for run in runs:
        bound = "" if run["bound_seconds"] is None else f", bound {run['bound_seconds']:.2f} s"
        horizon = f", J({run['jacobian_horizon']})" if run["jacobian_horizon"] else ""
        name = f"{run['cell']} {run['tying']} {run['weights']}{horizon}"
        print(f"{name}: {run['cpu_seconds']:.2f} s cpu, {run['wall_seconds']:.2f} s wall{bound}")


if __name__ == "__main__":
    sys.exit(main())
