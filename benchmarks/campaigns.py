"""Campaigns in chunks: two worker processes against one, for a map and for networks.

Run as `python -m benchmarks.campaigns`; writes benchmarks/results/campaigns.json. Wall seconds, the
least of some rounds in turn, with what it takes to start the workers; one worker is this process
itself. On two cores that others use, too, two workers have what these leave: there the processor
seconds, of this process and its workers, tell what dividing the work costs, and half of them is
what two free cores would take.
"""

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from rnnmft import Inputs, __version__, cells, phase_diagram
from rnnmft.validation.network_chunks import simulate_in_chunks
from rnnmft.validation.plan import make_plan
from rnnmft.validation.setting import make_setting

RESULTS = Path(__file__).parent / "results" / "campaigns.json"
WORKERS = (1, 2)


def of_laws(side):
    """A map of the untied LSTM, side x side points; what remains to be said is where."""
    axes = np.linspace(0.5, 4.0, side), np.linspace(-2.0, 4.0, side)
    vary = dict(zip((("f", "sigma_w"), ("f", "mu_b")), axes, strict=True))
    setting = cells.get("lstm"), None, Inputs(R=0.5), vary, ["gradient_growth", "xi_q"], "untied"
    return lambda store, cluster: phase_diagram(*setting, store=store, cluster=cluster)


def of_networks(networks):
    """The networks of a validation of the minimalRNN, whose theories are solved before."""
    setting = make_setting(
        cells.get("minimal"), None, None, 30, (1, 2, 5), (1, 2, 5, 10), 0, "cpu", "float32"
    )
    units = {"particles": 4096, "repetitions": 4}
    plan = make_plan(setting, ["tied"], (64, 128, 256), networks, False, 1e-3, 0.02, units)
    return lambda store, cluster: simulate_in_chunks(plan, store, cluster, None, None)


def processor_seconds():
    """Of this process and of the workers that have ended."""
    used = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measured(campaign, rounds):
    """Wall seconds by the number of workers, and whether all left the same bytes."""
    seconds, processor = ({count: [] for count in WORKERS} for _ in range(2))
    stores, load = [], os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            for count in WORKERS:
                store = Path(folder) / f"{turn}-{count}"
                began, used = time.monotonic(), processor_seconds()
                campaign(store, f"processes:{count}")
                seconds[count].append(time.monotonic() - began)
                processor[count].append(processor_seconds() - used)
                files = (p for p in sorted(store.rglob("*")) if p.is_file())
                stores.append({str(p.relative_to(store)): p.read_bytes() for p in files})
    one, two = (min(seconds[count]) for count in WORKERS)
    return {
        "seconds": {f"{n} workers": [round(s, 2) for s in row] for n, row in seconds.items()},
        "processor seconds": {
            f"{n} workers": [round(s, 2) for s in row] for n, row in processor.items()
        },
        "times faster": round(one / two, 2),
        "times faster on two free cores": round(2 * min(processor[1]) / min(processor[2]), 2),
        "chunks": len([name for name in stores[0] if name.startswith("checksums")]) - 1,
        "same bytes": all(store == stores[0] for store in stores),
        "load_average": [load, os.getloadavg()[0]],
    }


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--side", type=int, default=30, help="of the map; 0 for no map")
    parser.add_argument("--networks", type=int, default=2600, help="of each width; 0 for none")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    document = {}
    if options.output.exists():
        document = json.loads(options.output.read_text(encoding="utf-8"))
    if options.side:
        found = measured(of_laws(options.side), options.rounds)
        document["map of the untied lstm"] = {"points": options.side**2, **found}
    if options.networks:
        found = measured(of_networks(options.networks), options.rounds)
        document["networks of the minimalRNN"] = {"networks of a width": options.networks, **found}
    document["provenance"] = {
        "command": "python -m benchmarks.campaigns",
        "rnnmft": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
    }
    options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    sys.exit(main())
