"""Maps of cells with a law: the search at many points together against one point after another.

Run as `python -m benchmarks.laws`; writes benchmarks/results/laws.json. Processor seconds of the
untied LSTM over the forget gate's weights and bias: `phase_diagram`, and a sample of its points by
`MeanField`, each from nothing, its time taken for all. The largest difference is in units of both
errors.
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np

from rnnmft import Inputs, MeanField, __version__, cells, phase_diagram
from rnnmft.solvers.transport.coefficient import coefficient

RESULTS = Path(__file__).parent / "results" / "laws.json"
R = 0.4616
QUANTITIES = ("second_moment", "gradient_growth", "xi_q")
PAIRS = ("correlation", "xi_c")


def single(field, wanted):
    """{quantity: (values, errors)} of one point."""
    found = {}
    at = field.fixed_point()
    found["second_moment"] = list(at.second_moment.values()), at.error
    found["gradient_growth"] = float(field.gradient_growth()), field.gradient_growth().error
    times = field.timescales()
    found["xi_q"] = float(times.quantity("xi_q")), times.quantity("xi_q").error
    if "xi_c" in wanted:
        found["xi_c"] = float(times.quantity("xi_c")), times.quantity("xi_c").error
        pair = field.correlation_fixed_point()
        found["correlation"] = list(pair.correlation.values()), pair.error
    return found


def measured(shape, wanted, sample):
    """Times of a map and of its sample, and by how much they differ."""
    axes = np.linspace(0.5, 4.0, shape[0]), np.linspace(-2.0, 4.0, shape[1])
    cell, inputs = cells.get("lstm"), Inputs(R=R, correlation=0.5)
    vary = dict(zip((("f", "sigma_w"), ("f", "mu_b")), axes, strict=True))
    coefficient.cache_clear()
    began, wall = time.process_time(), time.monotonic()
    found = phase_diagram(cell, None, inputs, vary, wanted, "untied")
    ours, wall = time.process_time() - began, time.monotonic() - wall
    alone, worst = 0.0, 0.0
    rng = np.random.default_rng(0)
    places = rng.permutation(list(np.ndindex(*shape)))[:sample]
    for i, j in places:
        coefficient.cache_clear()
        law = {"sigma_w": axes[0][i], "mu_b": axes[1][j]}
        began = time.process_time()
        values = single(MeanField(cell, cell.ensemble(f=law), inputs, "untied"), wanted)
        alone += time.process_time() - began
        for name in wanted:
            value, error = map(np.asarray, values[name])
            here, own = (found[n].values[..., i, j] for n in (name, f"{name}_error"))
            worst = max(worst, float(np.max(np.abs(here - value) / (own + error + 1e-13))))
    points = found.status.sizes
    return {
        "points": int(np.prod(shape)),
        "seconds": {
            "ours, processor": round(ours, 2),
            "ours, wall": round(wall, 2),
            "single points, all by the sample": round(alone / len(places) * np.prod(shape), 1),
        },
        "times faster": round(alone / len(places) * np.prod(shape) / ours, 2),
        "sample": len(places),
        "largest difference in errors": worst,
        "points one by one": found.attrs["points_one_by_one"],
        "known": float((found.status == "OK").sum() / np.prod(list(points.values()))),
    }


def main():
    """Time both maps, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--shape", type=int, nargs=2, default=(20, 15))
    parser.add_argument("--sample", type=int, default=12)
    options = parser.parse_args()
    # What any first map of a process loads and derives: imports are no algorithm.
    field = MeanField(cells.get("lstm"), tying="untied")
    single(field, PAIRS)
    few = tuple(max(2, n // 5) for n in options.shape)
    document = {
        "lstm, one trajectory": measured(options.shape, QUANTITIES, options.sample),
        "lstm, two trajectories": measured(few, (*QUANTITIES, *PAIRS), options.sample),
        "provenance": {
            "command": "python -m benchmarks.laws",
            "rnnmft": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "threads": os.environ.get("OMP_NUM_THREADS", "default"),
            "load_average": os.getloadavg()[0],
        },
    }
    options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    sys.exit(main())
