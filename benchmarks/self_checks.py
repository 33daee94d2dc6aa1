"""What it costs that sampled units check themselves: processor time with the checks and without.

Run as `python -m benchmarks.self_checks`; writes benchmarks/results/self_checks.json. Each check is
left out alone, and all together, of a stationary state and of m_1(T), T = 1, .., 20: every run in
turn, the least time of each. A product of matrices, timed in between, tells machines apart.
"""

import argparse
import json
import os
import platform
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import torch

from rnnmft import Inputs, Status, __version__, cells
from rnnmft.analysis.mean_field import MeanField
from rnnmft.solvers.sampled.sampled_units import SampledUnits
from rnnmft.units import repetitions, sampled
from rnnmft.units.averaged_tangent import AveragedTangent
from rnnmft.units.particles import UnitProcess

RESULTS = Path(__file__).parent / "results" / "self_checks.json"
CELLS, HORIZON, BURN_IN = ("minimal", "gru", "lstm", "rate"), 20, 30


def without_small(run, sampling, unit_bytes, read):
    """`draw_repetitions` without the repetitions of fewer units."""
    memory = sampling.batch_memory()
    return repetitions._drawn(run, sampling, unit_bytes, memory, read)


def enough(tangent):
    """`effective_units` without looking: (R,)."""
    return tangent.process.like.new_full((tangent.process.shape[0],), 1e9)


def left_out(check):
    """Patches that leave a check out."""
    if check == "fewer units (1/M bias)":
        return [mock.patch.object(sampled, "draw_repetitions", without_small)]
    if check == "basis":
        return [mock.patch.object(UnitProcess, "defect", 0.0)]
    if check == "variances and repetitions":
        return [mock.patch.object(sampled, "check", return_value=Status.OK)]
    return [mock.patch.object(AveragedTangent, "effective_units", enough)]


CHECKS = (
    "fewer units (1/M bias)",
    "basis",
    "variances and repetitions",
    "units that decide a gradient",
)


def runs(name):
    """What is timed, by its name: fresh solvers, by units also where `MeanField` integrates."""
    cell = cells.get(name)
    sampling = MeanField(cell).sampling

    def units():
        return SampledUnits(cell, cell.ensemble(), Inputs(), "tied", sampling)

    return {
        "fixed_point": lambda: units().fixed_point(),
        "jacobian_means": lambda: units().jacobian_means(HORIZON, BURN_IN),
    }


def seconds(call, without=()):
    """Processor seconds of a call with some checks left out."""
    with ExitStack() as stack:
        for check in without:
            for patch in left_out(check):
                stack.enter_context(patch)
        start = time.process_time()
        call()
        return time.process_time() - start


def yardstick():
    """A product of two matrices of 1024 rows."""
    a = torch.ones((1024, 1024), dtype=torch.float64)
    start = time.process_time()
    a @ a
    return time.process_time() - start


def measured(call, rounds):
    """The least time whole and without each check, and the share of the whole that all take."""
    options = {"whole": (), **{f"without {c}": (c,) for c in CHECKS}, "without all": CHECKS}
    times = {name: [] for name in (*options, "yardstick")}
    for _ in range(rounds):
        for name, without in options.items():
            times[name].append(seconds(call, without))
        times["yardstick"].append(yardstick())
    found = {name: round(min(t), 4) for name, t in times.items()}
    share = 1.0 - found["without all"] / found["whole"]
    return {"cpu_seconds": found, "share_of_the_checks": round(share, 3)}


def main():
    """Time every cell, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = {
        f"{name}, {what}": measured(call, options.rounds)
        for name in CELLS
        for what, call in runs(name).items()
    }
    document = {
        "runs": rows,
        "largest_share": max(row["share_of_the_checks"] for row in rows.values()),
        "provenance": {
            "command": "python -m benchmarks.self_checks",
            "rnnmft": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "threads": torch.get_num_threads(),
            "load_average": os.getloadavg()[0],
            "rounds": options.rounds,
        },
    }
    options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for name, row in rows.items():
        print(f"{name}: {row['share_of_the_checks']:.1%} of {row['cpu_seconds']['whole']:.2f} s")


if __name__ == "__main__":
    sys.exit(main())
