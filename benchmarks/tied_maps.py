"""Tied maps: growth rates of many points together, against what one would do without.

Run as `python -m benchmarks.tied_maps [minimal] [lstm] [gru]`; writes
benchmarks/results/tied_maps.json, a cell at a time (those that are not run stay as they are there).
Of every cell:

    ours      processor and wall seconds of `phase_diagram` over the grid, its statuses and errors,
              and how many points it predicted from others
    points    `MeanField.gradient_growth` of single points to half of the tolerance, with other
              random numbers: a sample, half of it of predicted points, its time taken for all
    networks  2 lambda_1 of gaussian networks of so many units over so many steps (`simulate`): a
              sample, the time that it would take to the tolerance
    z         differences of points to the map over their errors, and the probability of as large a
              sum of squares by chance; a control moves every rate of the map by .03
"""

import argparse
import json
import math
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from rnnmft import Inputs, MeanField, __version__, cells, phase_diagram, simulate

RESULTS = Path(__file__).parent / "results" / "tied_maps.json"
TOLERANCE, SAMPLE, MOVED = 0.005, 20, 0.03
SHAPE = (30, 25)
#: Width, number, steps until they have settled and steps of the rate, of networks; how many points.
NETWORKS, NETWORK_SAMPLE = (512, 8, 100, 400), 3
#: Cell, what is held, R, and the ends of the two axes.
MAPS = {
    "minimal": (
        cells.minimal,
        {"e": {"sigma_v": 1.39}},
        0.4616,
        {("e", "sigma_w"): (2.0, 12.0), ("e", "mu_b"): (-1.0, 6.0)},
    ),
    "gru": (cells.gru, {}, 1.0, {("n", "sigma_w"): (0.5, 6.0), ("z", "mu_b"): (-2.0, 2.0)}),
    "lstm": (cells.lstm, {}, 1.0, {("g", "sigma_w"): (0.5, 6.0), ("f", "mu_b"): (-2.0, 2.0)}),
}


def measured(name, shape, sample):
    """The map of one cell, by itself and again with its comparison, which takes longer."""
    make, held, R, ends = MAPS[name]
    cell, inputs = make(), Inputs(R=R)
    ensemble = cell.ensemble(**held)
    vary = {k: np.linspace(*v, n) for (k, v), n in zip(ends.items(), shape, strict=True)}
    began, wall, load = time.process_time(), time.monotonic(), os.getloadavg()[0]

    def progress(done, total):
        spent = time.process_time() - began
        sys.stderr.write(f"\r{name}: {done} of {total}, {spent:.0f} s of processor ")

    quantities = ["gradient_growth", "second_moment"]
    found = phase_diagram(
        cell, ensemble, inputs, vary, quantities, progress=progress, tolerance=TOLERANCE
    )
    processor, wall = time.process_time() - began, time.monotonic() - wall
    status = found.status.sel(quantity="gradient_growth").values
    errors = found.gradient_growth_error.values[status == "OK"]
    line = found.critical_line(".".join(next(iter(vary))))
    names, counts = np.unique(status, return_counts=True)
    row = {
        "points": int(status.size),
        "axes": {
            ".".join(k): [*map(float, v), n] for (k, v), n in zip(ends.items(), shape, strict=True)
        },
        "seconds": {
            "ours, processor": round(processor, 1),
            "ours, wall": round(wall, 1),
        },
        "predicted": int(found.predicted.sum()),
        "statuses": dict(zip(names.tolist(), counts.tolist(), strict=True)),
        "largest standard error": float(errors.max()),
        "median standard error": float(np.median(errors)),
        "critical line, largest error": float(line[f"{next(iter(line.data_vars))}_error"].max()),
        "load_average": [load, os.getloadavg()[0]],
        "threads": torch.get_num_threads(),
    }
    yield row
    if sample:
        row["sample"], single, networks = compared(found, cell, held, inputs, vary, sample)
        for name, seconds in (("single points", single), ("networks", networks)):
            row["seconds"][f"{name}, all by the sample"] = round(seconds * status.size, 1)
            row[f"times faster than {name}"] = round(seconds * status.size / processor, 1)
        yield row


def compared(found, cell, held, inputs, vary, sample):
    """Single points against the map: z, its chance and that of the control; seconds a point.

    And seconds a point of networks.
    """
    rng = np.random.default_rng(0)
    axes = list(vary.items())
    gaps, errors, seconds, dense = [], [], {0: [], 1: []}, []
    known = found.status.sel(quantity="gradient_growth").values == "OK"
    predicted = found.predicted.values
    kinds = [rng.permutation(np.argwhere(known & (predicted == kind))) for kind in seconds]
    places = np.concatenate([places[: sample // 2] for places in kinds])
    for place in rng.permutation(places):
        laws = {k: dict(v) for k, v in held.items()}
        for ((preactivation, parameter), values), i in zip(axes, place, strict=True):
            laws.setdefault(preactivation, {})[parameter] = float(values[i])
        began = time.process_time()
        ensemble = cell.ensemble(**laws)
        field = MeanField(cell, ensemble, inputs, tolerance=TOLERANCE / 2, seed=1)
        growth = field.gradient_growth()
        seconds[predicted[tuple(place)]].append(time.process_time() - began)
        value = float(found.gradient_growth.values[tuple(place)])
        error = float(found.gradient_growth_error.values[tuple(place)])
        gaps.append(value - float(growth))
        errors.append(math.hypot(error, float(growth.error)))
        if len(dense) < NETWORK_SAMPLE:
            dense.append(by_networks(cell, ensemble, inputs) | {"tied map": [value, error]})
    z, moved = np.divide(gaps, errors), np.divide(np.add(gaps, MOVED), errors)
    count = len(z)
    row = {
        "points": count,
        "z": [round(float(v), 2) for v in z],
        "chance": float(stats.chi2.sf((z**2).sum(), count)),
        "chance of the control": float(stats.chi2.sf((moved**2).sum(), count)),
        "networks": dense,
    }
    single = sum(np.mean(s) * (predicted == kind).mean() for kind, s in seconds.items() if s)
    return row, float(single), float(np.mean([d["seconds to the tolerance"] for d in dense]))


def by_networks(cell, ensemble, inputs):
    """2 lambda_1 of some networks, its standard error, and how long it takes to the tolerance."""
    width, count, settling, steps = NETWORKS
    began = time.process_time()
    found = simulate(
        cell,
        ensemble,
        inputs,
        width=width,
        networks=count,
        steps=settling,
        lyapunov=1,
        lyapunov_steps=steps,
        device="cpu",
    ).lyapunov.exponents
    seconds = time.process_time() - began
    rate, error = 2 * float(found.mean[0]), 2 * float(found.sem[0])
    times = (error / TOLERANCE) ** 2
    return {
        "networks": [rate, error],
        "width, count, steps": [width, count, settling + steps],
        "seconds to the tolerance": round(seconds * times, 2),
    }


def main():
    """Measure the cells that are asked for, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cells", nargs="*", choices=[*MAPS, []], default=list(MAPS))
    parser.add_argument("--shape", type=int, nargs=2, default=SHAPE)
    parser.add_argument("--sample", type=int, default=SAMPLE, help="0: no single points")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    document = {}
    if options.output.exists():
        document = json.loads(options.output.read_text(encoding="utf-8"))
    for name in options.cells:
        for row in measured(name, options.shape, options.sample):
            document[name] = row
            document["provenance"] = {
                "command": "python -m benchmarks.tied_maps",
                "rnnmft": __version__,
                "python": platform.python_version(),
                "numpy": np.__version__,
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            }
            options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
            print(name, json.dumps(row, indent=1))


if __name__ == "__main__":
    sys.exit(main())
