"""Maps on a GPU: a whole untied map and a tied one there, against the CPU in double precision.

Run as `python -m benchmarks.device_maps --device cuda`; writes benchmarks/results/device_maps.json.
Wall seconds of

    untied    minimalRNN, sigma_w x mu_b, 2000 x 2000: every integral by quadrature on the device;
              the CPU's tables for the same map
    tied      minimalRNN, sigma_w x mu_b, 100 x 100: units of many points together on the device; a
              sample of the points on the CPU, its time taken for all

and the largest difference at random points, in units of both errors. Without a GPU there is nothing
to measure, and a sentence says so; `--device cpu` tries the command.
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

from rnnmft import Inputs, ParameterError, __version__, cells, phase_diagram
from rnnmft.numerics.devices import choose_device, device_name

RESULTS = Path(__file__).parent / "results" / "device_maps.json"
R, SIGMA_V = 0.4616, 1.39
QUANTITIES = ("second_moment", "chi_1", "gradient_growth")
UNTIED, TIED = (2000, 2000), (100, 100)


def grid(shape):
    """The axes of the minimalRNN's maps."""
    return np.linspace(0.5, 12.0, shape[0]), np.linspace(-1.0, 6.0, shape[1])


def mapped(axes, tying, device):
    """The map and its wall seconds."""
    cell = cells.get("minimal")
    held = cell.ensemble(e={"sigma_v": SIGMA_V})
    vary = dict(zip((("e", "sigma_w"), ("e", "mu_b")), axes, strict=True))
    began = time.monotonic()
    found = phase_diagram(cell, held, Inputs(R=R), vary, QUANTITIES, tying, device=device)
    return found, time.monotonic() - began


def difference(found, exact):
    """The largest difference of what both know, in units of both errors, and the part known."""
    worst = 0.0
    for name in QUANTITIES:
        here, there = found[name].values, exact[name].values
        error = found[f"{name}_error"].values + exact[f"{name}_error"].values
        known = np.isfinite(here) & np.isfinite(there)
        apart = np.abs(here - there)[known] / (error[known] + 1e-12)
        worst = max(worst, float(apart.max(initial=0.0)))
    return {
        "largest difference in errors": worst,
        "known": float((found.status == "OK").mean()),
        "known on the CPU": float((exact.status == "OK").mean()),
    }


def untied(shape, device):
    """A whole map on both."""
    mapped(grid((2, 2)), "untied", device)
    found, seconds = mapped(grid(shape), "untied", device)
    exact, tables = mapped(grid(shape), "untied", "cpu")
    times = {"device": round(seconds, 3), "tables on the CPU": round(tables, 3)}
    return {"points": int(np.prod(shape)), "wall seconds": times, **difference(found, exact)}


def tied(shape, device):
    """A whole map on the device, a sample on the CPU."""
    sigma, mu = grid(shape)
    found, seconds = mapped((sigma, mu), "tied", device)
    rng = np.random.default_rng(0)
    rows, columns = (np.sort(rng.choice(n, min(3, n), replace=False)) for n in shape)
    exact, sample = mapped((sigma[rows], mu[columns]), "tied", "cpu")
    dims = dict(zip(("e.sigma_w", "e.mu_b"), (rows, columns), strict=True))
    whole = round(sample / exact.gradient_growth.size * np.prod(shape), 1)
    times = {"device": round(seconds, 1), "CPU, all by its sample": float(whole)}
    chosen = found.isel(dims)
    return {"points": int(np.prod(shape)), "wall seconds": times, **difference(chosen, exact)}


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--untied", type=int, nargs=2, default=UNTIED)
    parser.add_argument("--tied", type=int, nargs=2, default=TIED)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    try:
        choose_device(options.device)
    except ParameterError as error:
        print(f"nothing is measured: {error}")
        return
    document = {
        "untied": untied(tuple(options.untied), options.device),
        "tied": tied(tuple(options.tied), options.device),
        "provenance": {
            "command": f"python -m benchmarks.device_maps --device {options.device}",
            "rnnmft": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "device": device_name(options.device),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "load_average": os.getloadavg()[0],
        },
    }
    options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    sys.exit(main())
