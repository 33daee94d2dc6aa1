"""How quick and how right the explorer's page is in a headless Chromium, beside Python.

Run as `python -m benchmarks.explorer`; writes benchmarks/results/explorer.json. In milliseconds:
the first paint; a slider's step, after what the page computes by itself when it is opened, with
everything that follows from it but the map (charts that are drawn in the next frame are counted),
one step right after the other, as by a hand that drags; the processor time on the page's thread
from one step to the next, with layout and style and whatever earlier steps asked of the worker; the
map of 60 x 60 points, in its worker. The yardstick is `phase_diagram` of as many points in Python,
in the same run.

`agreement`: fixed points, q*, c*, chi_1, xi_q and xi_c of the page against `MeanField` at random
settings, a third of them beside one with three fixed points: the largest
|page - Python| / (|Python| + .001).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from rnnmft import Explorer, Inputs, __version__, cells, phase_diagram
from tests.explorer.browser import CHROMIUM, browser
from tests.explorer.maps import known_map
from tests.explorer.settings import CELLS, compared, settings

RESULTS = Path(__file__).parent / "results" / "explorer.json"
POINTS = 60
# What a page must hold: bytes, and milliseconds of its first paint and of a slider's step.
LIMITS = {"kilobytes": 2000, "first paint": 1000, "slider step": 50}


def of_page(page, file, rounds):
    """Milliseconds of one page: every step and map, and the first paint."""
    page.send("Performance.disable")
    page.send("Performance.enable", timeDomain="threadTicks")
    page.open(file)
    page.wait("state.phase && state.network && state.warm")
    paint = page.value("performance.getEntriesByType('paint')[0].startTime")
    steps, worked, maps = [], [], []
    for k in range(1, rounds + 1):
        before = processor(page)
        page.value(f"setParameter(2, {1 + 0.3 * k})")
        page.wait("state.timings.frame !== null")
        worked.append(processor(page) - before)
        steps.append(page.value("state.timings.step + state.timings.frame"))
    found = {"first paint": paint, "slider step": steps, "slider step, processor": worked}
    if page.value("model.closed"):
        for k in range(1, rounds + 1):
            page.value(f"setParameter(0, {1 + 0.1 * k})")
            page.wait(f"state.phase && state.phase.p[0] === {1 + 0.1 * k}")
            maps.append(page.value("state.phase.milliseconds"))
        found["map"] = maps
    return {name: spread(values) for name, values in found.items()}


def processor(page):
    """Milliseconds that the page's thread has worked so far."""
    metrics = page.send("Performance.getMetrics")["metrics"]
    return 1e3 * next(m["value"] for m in metrics if m["name"] == "TaskDuration")


def spread(values):
    """The least, the middle and the largest."""
    least, middle, most = (float(f(np.atleast_1d(values))) for f in (np.min, np.median, np.max))
    return {"best": round(least, 1), "median": round(middle, 1), "worst": round(most, 1)}


def in_python(cell):
    """Milliseconds of a map of as many points in Python, after one to warm up."""
    first = cell.preactivations[0].name
    times = []
    for top in (3.9, 4.0):
        vary = {(first, "sigma_w"): np.linspace(0.1, top, POINTS)}
        vary[(first, "mu_b")] = np.linspace(-3.0, 3.0, POINTS)
        start = time.perf_counter()
        phase_diagram(cell, cell.ensemble(), Inputs(), vary, ["gradient_growth"], tying="untied")
        times.append(1e3 * (time.perf_counter() - start))
    return round(times[-1], 1)


def stored_lstm(file):
    """A page of the LSTM with maps of 12 x 10 points: how quick it is hangs on their size alone."""
    cell = cells.lstm()
    axes = {"g.sigma_w": np.linspace(0.5, 8.0, 12), "f.mu_b": np.linspace(-3.0, 3.0, 10)}
    both = {
        t: known_map(cell, cell.ensemble(), axes, lambda x, y: x - y, t) for t in ("tied", "untied")
    }
    Explorer(cell, **both).to_html(file)


def hardware():
    """What the timings hang on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((row.split(":")[1].strip() for row in lines if row.startswith("model name")), "?")
    version = subprocess.run([CHROMIUM, "--version"], capture_output=True, text=True, check=False)
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {model}",
        "browser": version.stdout.strip(),
    }


def main():
    """Time every page, print and write; 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--settings", type=int, default=100)
    options = parser.parse_args()
    if CHROMIUM is None:
        print("no Chromium here: nothing to time")
        return 0
    rows, agreement = {}, {}
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder) / "profile") as page:
        for name, make in CELLS.items():
            file = Path(folder) / f"{name}.html"
            Explorer(make()).to_html(file)
            rows[name] = of_page(page, file, options.rounds)
            rows[name]["kilobytes"] = round(file.stat().st_size / 1e3)
            rows[name]["phase_diagram in Python"] = in_python(make())
            found = compared(page, name, settings(name, options.settings))
            agreement[name] = {"settings": options.settings, **found._asdict()}
        file = Path(folder) / "lstm.html"
        stored_lstm(file)
        rows["lstm, stored"] = of_page(page, file, options.rounds)
        rows["lstm, stored"]["kilobytes"] = round(file.stat().st_size / 1e3)
    document = {
        "milliseconds": rows,
        "agreement": agreement,
        "provenance": {
            "command": "python -m benchmarks.explorer",
            "rnnmft": __version__,
            "python": platform.python_version(),
            **hardware(),
            "load_average": os.getloadavg()[0],
            "rounds": options.rounds,
        },
    }
    options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for name, row in rows.items():
        print(f"{name}: {row} {agreement.get(name, '')}")
    return int(any(passed(row) for row in rows.values()))


def passed(row):
    """The limits that a page passes."""
    return [
        name
        for name, limit in LIMITS.items()
        if (row[name]["worst"] if isinstance(row[name], dict) else row[name]) >= limit
    ]


if __name__ == "__main__":
    sys.exit(main())
