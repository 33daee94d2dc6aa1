"""Critical initialization: seconds until the default answer, for every cell and both tyings.

Run as `python -m benchmarks.critical`; writes benchmarks/results/critical.json. Each answer is
found in a process of its own, and its seconds include starting Python and importing everything.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

from rnnmft import InfeasibleError, __version__, cells, critical

RESULTS = Path(__file__).parent / "results" / "critical.json"
TYINGS = ("untied", "tied")


def answer(name, tying):
    """What one process finds."""
    try:
        found = critical(cells.get(name), tying=tying, device="cpu")
    except InfeasibleError as error:
        return {"infeasible": str(error)}
    main = found.solved_for
    growth = found.tied_growth.get("untied answer")
    return {
        "method": found.method,
        "solved_for": main,
        "sigma_w": {n: law.sigma_w for n, law in found.ensemble.items()},
        "mu_b": {n: law.mu_b for n, law in found.ensemble.items()},
    } | ({} if growth is None else {"tied_growth_of_the_untied_answer": float(growth)})


def timed(name, tying):
    """One fresh process: its wall and processor seconds, and what it found."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.critical", "--cell", name, "--tying", tying]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "wall_seconds": round(wall, 2),
        "processor_seconds": round(used, 2),
        **json.loads(printed),
    }


def main():
    """Time every cell and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--cell", help="only print what one cell's answer is")
    parser.add_argument("--tying", choices=TYINGS, default="untied")
    given = parser.parse_args()
    if given.cell:
        print(json.dumps(answer(given.cell, given.tying)))
        return
    # Not before: answers that need no units do not load it.
    import torch

    load = os.getloadavg()[0]
    found = {name: {tying: timed(name, tying) for tying in TYINGS} for name in cells.names()}
    document = {
        "cells": found,
        "slowest": {
            tying: {
                kind: max((rows[tying][kind], name) for name, rows in found.items())
                for kind in ("wall_seconds", "processor_seconds")
            }
            for tying in TYINGS
        },
        "provenance": {
            "command": "python -m benchmarks.critical",
            "rnnmft": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "threads": torch.get_num_threads(),
            "load_average": {"before": load, "after": os.getloadavg()[0]},
        },
    }
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(document, indent=1) + "\n")
    for name, rows in found.items():
        shown = ", ".join(f"{t} {r['wall_seconds']:.1f} s" for t, r in rows.items())
        print(f"{name}: {shown}")


if __name__ == "__main__":
    sys.exit(main())
