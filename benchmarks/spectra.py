"""Spectra of Jacobians: the time of densities and moments, and how it grows with the horizon.

Run as `python -m benchmarks.spectra [--device cuda]`; writes benchmarks/results/spectra.json, or
spectra_cuda.json with what a GPU took. The yardstick of a density is one network: the product of
its one-step Jacobians and one singular value decomposition, which has that network's values, and no
error. Exponents are of processor time on the CPU, of wall time on a GPU; the sampling of the units
is included in the runs.
"""

import argparse
import json
import os
import platform
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch

from rnnmft import Inputs, MeanField, __version__, cells, simulate

RESULTS = Path(__file__).parent / "results"
LAWS = {"e": {"sigma_w": 4.0, "mu_b": 0.5, "sigma_b": 0.3}}
#: Of the resolvent, and of the moments.
HORIZONS, LONG_HORIZONS = (4, 8, 16), (8, 16, 32)
#: Of the network whose singular values are the yardstick, and its steps before them.
WIDTH, SETTLING = 1000, 50


def law(horizon, device, units=2_000):
    """A Jacobian law with a solver of its own, so that nothing is remembered between runs."""
    cell = cells.get("minimal")
    field = MeanField(cell, cell.ensemble(**LAWS), Inputs(), tying="tied", device=device)
    return field.jacobian(horizon, units=units)


def timed(what, run):
    """Processor and wall seconds of one run."""
    start = time.process_time(), time.perf_counter()
    found = run()
    row = {
        "what": what,
        "cpu_seconds": time.process_time() - start[0],
        "wall_seconds": time.perf_counter() - start[1],
        **found,
    }
    print(json.dumps(row), flush=True)
    return row


def density(horizon, points, device):
    """A density on a grid over most of the law."""
    spectrum = law(horizon, device).spectrum
    grid = np.geomspace(1e-3, 10.0, points)
    found = spectrum.density(grid)
    return {"units": len(spectrum.units.tau), "points": points, "status": found.status.name}


def moments(horizon, device):
    """m_1..m_4 by expansion."""
    spectrum = law(horizon, device).spectrum
    found = spectrum.moments(4)
    return {
        "units": len(spectrum.units.tau),
        "moments": found.value.tolist(),
        "standard_errors": found.error.tolist(),
    }


def decomposed(horizon, device):
    """The singular values of one network's T-step Jacobian."""
    cell = cells.get("minimal")
    found = simulate(
        cell,
        cell.ensemble(**LAWS),
        Inputs(),
        width=WIDTH,
        networks=1,
        steps=SETTLING,
        jacobian_horizons=(horizon,),
        spectrum=True,
        device=device,
    )
    return {"width": WIDTH, "status": found.status.name}


def exponent(measure, horizons, device):
    """The slope of log(seconds) against log(horizon)."""
    kind = "cpu_seconds" if device == "cpu" else "wall_seconds"
    seconds = [measure(t, device)[kind] for t in horizons]
    slope = float(np.polyfit(np.log(horizons), np.log(seconds), 1)[0])
    return {"horizons": horizons, kind: seconds, "exponent": slope}


def solved_points(horizon, device):
    """Seconds for ten points of the resolvent alone, the units already sampled."""
    spectrum = law(horizon, device, units=1_000).spectrum
    _ = spectrum.resolver
    grid = np.geomspace(1e-2, 3.0, 10) * np.exp(0.01j)
    return timed(f"resolvent, T = {horizon}", lambda: {"ok": bool(_reached(spectrum, grid))})


def _reached(spectrum, grid):
    return spectrum.resolver.resolve(grid, errors=True).reached.all()


def expanded(horizon, device):
    """Seconds for m_1..m_4 alone."""
    spectrum = law(horizon, device, units=1_000).spectrum
    _ = spectrum.units
    return timed(f"moments, T = {horizon}", lambda: {"m_1": float(spectrum.moments(4)[0])})


def main():
    """Measure everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    device = given.device
    name = "spectra.json" if device == "cpu" else f"spectra_{device}.json"
    output = given.output or RESULTS / name
    law(2, device, units=256).resolvent(1j)  # compile before timing
    runs = [
        timed("one-step density", lambda: density(1, 400, device)),
        timed("ten-step density", lambda: density(10, 100, device)),
        timed("ten steps of one network, and its SVD", lambda: decomposed(10, device)),
        timed("m_1..m_4 of 50 steps", lambda: moments(50, device)),
    ]
    document = {
        "runs": runs,
        "exponent_of_the_resolvent": exponent(solved_points, HORIZONS, device),
        "exponent_of_the_moments": exponent(expanded, LONG_HORIZONS, device),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "provenance": {
            "command": f"python -m benchmarks.spectra --device {device}",
            "rnnmft": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "device": device if device == "cpu" else torch.cuda.get_device_name(device),
            "threads": os.environ.get("OMP_NUM_THREADS", "default"),
            "load_average": os.getloadavg()[0],
            "seed": 0,
        },
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
