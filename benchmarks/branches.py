"""No wrong branch: the resolvent on a grid of complex z, reached along two different paths.

Run as `python -m benchmarks.branches`; writes benchmarks/results/branches.json. For each setting
200 x 50 points, log-spaced in |z| from 1e-3 to 1e3 times m_1 and with arg z from 0.001 to pi, are
reached twice: down the imaginary direction and then by angle; and in along the negative axis, which
lies on the other side of every point. Both must agree, and be a resolvent: Im G < 0,
|G| <= 1 / dist(z, [0, infinity)), |z G - 1| small far out. That is done with 64 units, all of which
walk, each point by itself. Then 1,024 units are led by few of them and by what is known near by, as
usual, to every point, asked for in random order and in batches; every ninth is compared with where
all of them walk along the second path.
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

from rnnmft import Inputs, MeanField, __version__, cells
from rnnmft.spectra.block_equation import BlockEquation
from rnnmft.spectra.branch import Branch
from rnnmft.spectra.walk import Walk

RESULTS = Path(__file__).parent / "results" / "branches.json"
GRID = (200, 50)
UNITS, MANY, EVERY, BATCHES = 64, 1024, 9, 20
#: name: (cell, laws, weights, tying, horizon).
SETTINGS = {
    "minimal, gaussian, tied, T = 1": (
        "minimal",
        {"e": {"sigma_w": 4.0, "mu_b": 0.5, "sigma_b": 0.3}},
        "gaussian",
        "tied",
        1,
    ),
    "minimal, orthogonal, untied, T = 2": (
        "minimal",
        {"e": {"sigma_w": 6.88, "sigma_v": 1.39}},
        "orthogonal",
        "untied",
        2,
    ),
    "minimal, orthogonal, tied, T = 3": (
        "minimal",
        {"e": {"sigma_w": 4.0, "mu_b": 0.5}},
        "orthogonal",
        "tied",
        3,
    ),
    "gru, mixed, untied, T = 1": (
        "gru",
        {"r": {"sigma_w": 2.0}, "z": {"sigma_w": 3.0, "mu_b": 1.0}, "n": {"sigma_w": 2.0}},
        {"n": "orthogonal"},
        "untied",
        1,
    ),
    "lstm, gaussian, tied, T = 1": (
        "lstm",
        {"f": {"sigma_w": 3.0, "mu_b": 2.0}, "g": {"sigma_w": 2.0}},
        "gaussian",
        "tied",
        1,
    ),
    "vanilla, orthogonal, tied, T = 3": (
        "vanilla",
        {"e": {"sigma_w": 1.5, "sigma_v": 0.5}},
        "orthogonal",
        "tied",
        3,
    ),
}


def units_of(name, count):
    """The units of a setting: of all T steps, also where the law is a free power."""
    cell_name, laws, weights, tying, horizon = SETTINGS[name]
    cell = cells.get(cell_name)
    theory = MeanField(cell, cell.ensemble(weights=weights, **laws), Inputs(), tying=tying)
    return theory.jacobian(horizon, units=4 * count).spectrum.sampled_units(horizon).thinned(count)


def grid(scale):
    """200 x 50 points of the upper half plane."""
    sizes = scale * np.geomspace(1e-3, 1e3, GRID[0])
    angles = np.linspace(1e-3, math.pi, GRID[1])
    return (sizes[:, None] * np.exp(1j * angles)).ravel()


def compared(name):
    """What different paths give over the grid."""
    start = time.process_time()
    units, many = units_of(name, UNITS), units_of(name, MANY)
    z = grid(float((units.weight @ (units.tau[:, 0] ** 2)).sum()))
    some = np.arange(0, len(z), EVERY)
    one, other = (Walk(BlockEquation(units), angle).to(z) for angle in (math.pi / 2, math.pi))
    led, walked = in_batches(Branch(many), z), Walk(BlockEquation(many), math.pi).to(z[some])
    distance = np.where(z.real > 0, np.abs(z.imag), np.abs(z))
    found = [one, other, led]
    return {
        "points": len(z),
        "not_reached": int(sum((~reached).sum() for _, reached in [*found, walked])),
        "largest_relative_difference": difference(one[0].value, other[0].value),
        "largest_relative_difference_when_led": difference(led[0].value[some], walked[0].value),
        "wrong_sign": int(sum((s.value.imag > 1e-12 * np.abs(s.value)).sum() for s, _ in found)),
        "beyond_bound": int(sum((np.abs(s.value) * distance > 1.0 + 1e-9).sum() for s, _ in found)),
        "not_proper": int(sum((~s.proper).sum() for s, _ in found)),
        "cpu_seconds": time.process_time() - start,
    }


def in_batches(branch, z):
    """Solutions at all points, asked for in random order, and which were reached."""
    order, reached = np.random.default_rng(0).permutation(len(z)), np.zeros(len(z), dtype=bool)
    solutions = branch.equation.unsolved(z)
    for rows in np.array_split(order, BATCHES):
        solutions[rows], reached[rows] = branch.at(z[rows])
    return solutions, reached


def difference(a, b):
    """The largest relative one."""
    return float(np.abs(a / b - 1.0).max())


def main():
    """Compare everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    output = parser.parse_args().output
    found = {}
    for name in SETTINGS:
        found[name] = compared(name)
        print(name, json.dumps(found[name]), flush=True)
    document = {
        "about": f"{GRID[0]} x {GRID[1]} points, {UNITS} units, two paths; {MANY} units, led.",
        "settings": found,
        "provenance": {
            "command": "python -m benchmarks.branches",
            "rnnmft": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "seed": 0,
        },
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
