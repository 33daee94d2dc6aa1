"""How quick the explorer's page is in a headless Chromium, beside the same numbers from Python.

Run as `python -m benchmarks.explorer`; writes benchmarks/results/explorer.json. In milliseconds:
the first paint; a slider's step, with everything that follows from it but the map; the map of
60 x 60 points, in its worker. The yardstick is `phase_diagram` of as many points in Python, in the
same run.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from rnnmft import Explorer, Inputs, __version__, cells, phase_diagram
from tests.explorer.browser import CHROMIUM, browser

RESULTS = Path(__file__).parent / "results" / "explorer.json"
CELLS, POINTS = ("minimal", "vanilla", "gru"), 60


def of_page(page, file, rounds):
    """Milliseconds of one page: every step and map, and the first paint."""
    page.open(file)
    page.wait("state.phase && state.network")
    paint = page.value("performance.getEntriesByType('paint')[0].startTime")
    steps, maps = [], []
    for k in range(1, rounds + 1):
        page.value(f"setParameter(2, {1 + 0.3 * k})")
        steps.append(page.value("state.timings.step"))
    for k in range(1, rounds + 1):
        page.value(f"setParameter(0, {1 + 0.1 * k})")
        page.wait(f"state.phase && state.phase.p[0] === {1 + 0.1 * k}")
        maps.append(page.value("state.phase.milliseconds"))
    found = {"first paint": paint, "slider step": steps, "map": maps}
    return {name: spread(values) for name, values in found.items()}


def spread(values):
    """The least, the middle and the largest."""
    least, middle, most = (float(f(np.atleast_1d(values))) for f in (np.min, np.median, np.max))
    return {"best": round(least, 1), "median": round(middle, 1), "worst": round(most, 1)}


def in_python(name):
    """Milliseconds of a map of as many points in Python, after one to warm up."""
    cell = cells.get(name)
    first = cell.preactivations[0].name
    times = []
    for top in (3.9, 4.0):
        vary = {(first, "sigma_w"): np.linspace(0.1, top, POINTS)}
        vary[(first, "mu_b")] = np.linspace(-3.0, 3.0, POINTS)
        start = time.perf_counter()
        phase_diagram(cell, cell.ensemble(), Inputs(), vary, ["gradient_growth"], tying="untied")
        times.append(1e3 * (time.perf_counter() - start))
    return round(times[-1], 1)


def main():
    """Time every page, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if CHROMIUM is None:
        print("no Chromium here: nothing to time")
        return
    rows = {}
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder) / "profile") as page:
        for name in CELLS:
            file = Path(folder) / f"{name}.html"
            Explorer(cells.get(name)).to_html(file)
            rows[name] = of_page(page, file, options.rounds)
            rows[name]["kilobytes"] = round(file.stat().st_size / 1e3)
            rows[name]["phase_diagram in Python"] = in_python(name)
    document = {
        "milliseconds": rows,
        "provenance": {
            "command": "python -m benchmarks.explorer",
            "rnnmft": __version__,
            "python": platform.python_version(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "load_average": os.getloadavg()[0],
            "rounds": options.rounds,
        },
    }
    options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for name, row in rows.items():
        print(f"{name}: {row}")


if __name__ == "__main__":
    sys.exit(main())
