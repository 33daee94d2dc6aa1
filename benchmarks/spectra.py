"""Spectra of Jacobians: the time of densities and moments, and how it grows with the horizon.

Run as `python -m benchmarks.spectra`; writes benchmarks/results/spectra.json. Seconds are processor
time, sampling of the units included.
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

from rnnmft import Inputs, MeanField, __version__, cells

RESULTS = Path(__file__).parent / "results" / "spectra.json"
LAWS = {"e": {"sigma_w": 4.0, "mu_b": 0.5, "sigma_b": 0.3}}
#: Of the resolvent, and of the moments.
HORIZONS, LONG_HORIZONS = (4, 8, 16), (8, 16, 32)


def law(horizon, tying="tied", units=2_000, name="minimal", laws=LAWS):
    """A Jacobian law with a solver of its own, so that nothing is remembered between runs."""
    cell = cells.get(name)
    return MeanField(cell, cell.ensemble(**laws), Inputs(), tying=tying).jacobian(
        horizon, units=units
    )


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


def density(horizon, points, tying="tied", **options):
    """A density on a grid over most of the law."""
    spectrum = law(horizon, tying, **options).spectrum
    grid = np.geomspace(1e-3, 10.0, points)
    found = spectrum.density(grid)
    return {"units": len(spectrum.units.tau), "points": points, "status": found.status.name}


def moments(horizon, highest=4):
    """m_1..m_4 by expansion."""
    spectrum = law(horizon).spectrum
    found = spectrum.moments(highest)
    return {
        "units": len(spectrum.units.tau),
        "moments": found.value.tolist(),
        "standard_errors": found.error.tolist(),
    }


def exponent(measure, horizons):
    """The slope of log(seconds) against log(horizon)."""
    seconds = [measure(t)["cpu_seconds"] for t in horizons]
    slope = float(np.polyfit(np.log(horizons), np.log(seconds), 1)[0])
    return {"horizons": horizons, "cpu_seconds": seconds, "exponent": slope}


def solved_points(horizon, points=10):
    """Seconds for points of the resolvent alone, the units already sampled."""
    spectrum = law(horizon, units=1_000).spectrum
    _ = spectrum.resolver
    grid = np.geomspace(1e-2, 3.0, points) * np.exp(0.01j)
    return timed(f"resolvent, T = {horizon}", lambda: {"ok": bool(_reached(spectrum, grid))})


def _reached(spectrum, grid):
    return spectrum.resolver.resolve(grid, errors=True).reached.all()


def expanded(horizon):
    """Seconds for m_1..m_4 alone."""
    spectrum = law(horizon, units=1_000).spectrum
    _ = spectrum.units
    return timed(f"moments, T = {horizon}", lambda: {"m_1": float(spectrum.moments(4)[0])})


def main():
    """Measure everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    output = parser.parse_args().output
    law(1, units=256).resolvent(1j)  # compile before timing
    runs = [
        timed("one-step density", lambda: density(1, 400)),
        timed("ten-step density", lambda: density(10, 100)),
        timed("m_1..m_4 of 50 steps", lambda: moments(50)),
    ]
    document = {
        "runs": runs,
        "exponent_of_the_resolvent": exponent(solved_points, HORIZONS),
        "exponent_of_the_moments": exponent(expanded, LONG_HORIZONS),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "provenance": {
            "command": "python -m benchmarks.spectra",
            "rnnmft": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "threads": os.environ.get("OMP_NUM_THREADS", "default"),
            "load_average": os.getloadavg()[0],
            "seed": 0,
        },
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
