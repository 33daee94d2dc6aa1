"""Exponents and eigenvalues by theory against what one would do without: networks.

Run as `python -m benchmarks.dynamics [PART:CELL ..]`; writes benchmarks/results/dynamics.json, in
which what is not asked for stays. Processor seconds, each the first of its process: what is
imported does not count, what is derived does.

    exponent   `lyapunov()`; QR of one direction through networks of width 256, as many as make the
               same standard error (their spread is measured on a few; that they are not wide
               is no part of it)
    cloud      `eigenvalues().boundary()`; one network of width 1000 run to stationarity, its
               Jacobian and the eigenvalues of it, which is a cloud of points and no boundary
    spectrum   `lyapunov_spectrum()`; QR of all directions through one network of width 256
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import torch

import rnnmft as mft
from benchmarks.comparisons import RESULTS

CELLS = ("minimal", "gru", "lstm")
WIDTH, WIDE, NETWORKS, STEPS, MEASURED, GAIN = 256, 1000, 8, 100, 200, 2.0


def setting(name):
    """Cell, ensemble and inputs: one sigma_w for all matrices."""
    cell = mft.cells.get(name)
    recurrent = [p.name for p in cell.preactivations if p.is_recurrent]
    return cell, cell.ensemble(**{k: {"sigma_w": GAIN} for k in recurrent}), mft.Inputs()


def clocked(work):
    """What some work gives, and its processor seconds."""
    began = time.process_time()
    found = work()
    return found, time.process_time() - began


def qr(name, directions, networks):
    """Exponents of networks."""
    return mft.simulate(
        *setting(name), width=WIDTH, networks=networks, steps=STEPS, device="cpu",
        lyapunov=directions, lyapunov_steps=MEASURED,
    ).lyapunov  # fmt: skip


def exponent(name):
    """The largest exponent."""
    ours, seconds = clocked(mft.MeanField(*setting(name), device="cpu").lyapunov)
    theirs, of_networks = clocked(lambda: qr(name, 1, NETWORKS))
    error = float(theirs.sem[0])
    return {
        "value": float(ours),
        "error": float(ours.error),
        "networks": float(theirs.mean[0]),
        "networks_error": error,
        "seconds": {
            "ours": seconds,
            f"{NETWORKS} networks": of_networks,
            "networks, for our error": of_networks * (error / float(ours.error)) ** 2,
        },
    }


def cloud(name):
    """Where the cloud of eigenvalues ends."""
    field = mft.MeanField(*setting(name), device="cpu")
    law, of_units = clocked(field.eigenvalues)
    curves, seconds = clocked(law.boundary)
    radius, of_radius = clocked(lambda: law.radius)

    def network():
        return mft.simulate(
            *setting(name), width=WIDE, networks=1, steps=STEPS, device="cpu",
            jacobian_horizons=(1,), eigenvalues=True,
        ).jacobian[1].eigenvalues  # fmt: skip

    points, theirs = clocked(network)
    return {
        "curves": len(curves),
        "radius": radius.to_dict(),
        "largest_modulus": float(abs(points).max()),
        "seconds": {
            "ours": of_units + seconds,
            "ours, the radius besides": of_radius,
            "a network": theirs,
        },
    }


def spectrum(name):
    """The law of all exponents."""
    ours, seconds = clocked(mft.MeanField(*setting(name), device="cpu").lyapunov_spectrum)
    directions = len(setting(name)[0].states) * WIDTH
    _, theirs = clocked(lambda: qr(name, directions, 1))
    return {
        "dimension": ours.quantity("dimension").to_dict(),
        "seconds": {"ours": seconds, "one network": theirs},
    }


PARTS = {"exponent": exponent, "cloud": cloud, "spectrum": spectrum}


def provenance():
    """On what."""
    return {
        "command": "python -m benchmarks.dynamics",
        "rnnmft": mft.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "load_average": os.getloadavg()[0],
    }


def main():
    """Each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", nargs="*", default=[f"{p}:{c}" for p in PARTS for c in CELLS])
    parser.add_argument("--here", action="store_true", help="one, in this process, to be printed")
    parser.add_argument("--output", type=Path, default=RESULTS / "dynamics.json")
    given = parser.parse_args()
    if given.here:
        part, name = given.work[0].split(":")
        sys.stdout.write(json.dumps(PARTS[part](name)))
        return
    for work in given.work:
        command = [sys.executable, "-m", "benchmarks.dynamics", "--here", work]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        kept = json.loads(given.output.read_text()) if given.output.exists() else {}
        part, name = work.split(":")
        # The load of when it was measured stands beside every time.
        kept.setdefault(part, {})[name] = found | {"load_average": os.getloadavg()[0]}
        kept |= {"provenance": provenance()}
        given.output.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        sys.stdout.write(f"{work} {json.dumps(found['seconds'])}\n")


if __name__ == "__main__":
    sys.exit(main())
