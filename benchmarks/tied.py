"""Sampled units of the tied theory: time, memory, growth of cost, gain of each kind of normals.

Run as `python -m benchmarks.tied`; writes benchmarks/results/tied.json. Variances are measured over
repetitions; a gain is the variance of plain pseudo-random units over that of another kind, at
equal processor time: by how much fewer seconds reach the same error.
"""

import argparse
import json
import math
import os
import platform
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch

from rnnmft import Inputs, __version__, cells, simulate
from rnnmft.sampling import NORMALS, Sampling
from rnnmft.units.averaged_tangent import AveragedTangent
from rnnmft.units.normals import Draws
from rnnmft.units.particles import UnitProcess

RESULTS = Path(__file__).parent / "results" / "tied.json"
#: The settings of the gains and biases: a cell and its laws.
SETTINGS = {
    "minimal": {"e": {"sigma_w": 4.0, "mu_b": 0.5, "sigma_b": 0.3}},
    "gru": {"z": {"mu_b": 1.0}, "r": {"sigma_w": 2.0}, "n": {"sigma_w": 1.5}},
    "lstm": {"f": {"sigma_w": 3.0, "mu_b": 2.0}, "g": {"sigma_w": 2.0}, "o": {"sigma_b": 0.5}},
}
UNITS, REPETITIONS, STEPS, HORIZON = 4096, 64, 20, 5


class Antithetic(Draws):
    """Half of the units get the negative numbers of the other half."""

    def _normal(self, count):
        """Standard normal numbers in pairs of opposite sign."""
        half = [
            torch.randn((count, self.shape[1] // 2), generator=g, dtype=self.dtype)
            for g in self._random
        ]
        return torch.stack([torch.cat([z, -z], 1) for z in half])


class Stratified(Draws):
    """Latin hypercube: each column has one number in each of M equally likely intervals."""

    def _normal(self, count):
        """Standard normal numbers through the inverse distribution function."""
        return torch.special.ndtri(self.uniform(count))


#: Kinds of normal numbers: the package's own, and what was tried and left out.
KINDS = {name: (name, Draws) for name in NORMALS} | {
    "antithetic": ("random", Antithetic),
    "stratified": ("random", Stratified),
}


def setting(name):
    """Cell, ensemble and inputs."""
    cell = cells.get(name)
    return cell, cell.ensemble(**SETTINGS[name]), Inputs()


def process_of(name, units, repetitions, seed=0, kind="sobol", trajectories=2, **options):
    """Sampled units with one kind of normal numbers."""
    normals, draws = KINDS[kind]
    sampling = Sampling(units * repetitions, repetitions, seed, "cpu", normals=normals, **options)
    process = UnitProcess(*setting(name), "tied", sampling, trajectories)
    if draws is not Draws:
        process.draws = draws(sampling, range(repetitions), process.like)
    return process


def measured(name, units, repetitions, seed, kind):
    """Per repetition: E[h^2], E[h_a h_b] after STEPS updates, and m_1(HORIZON) from there."""
    process = process_of(name, units, repetitions, seed, kind)
    for _ in range(STEPS):
        process.step()
    moments = process.second_moments()["h"]
    found = {"E[h^2]": moments[:, 0, 0].numpy(), "E[h_a h_b]": moments[:, 0, 1].numpy()}
    tangent = AveragedTangent(process)
    for _ in range(HORIZON):
        process.step()
        tangent.step()
    return {**found, f"m_1({HORIZON})": tangent.mean_square().numpy()}


def many(name, units, repetitions, kind, batch=16):
    """`measured` over many repetitions, and the processor time of one of them."""
    start = time.process_time()
    parts = [
        measured(name, units, batch, seed, kind) for seed in range(math.ceil(repetitions / batch))
    ]
    seconds = (time.process_time() - start) / (batch * len(parts))
    return {q: np.concatenate([p[q] for p in parts]) for q in parts[0]}, seconds


def gains(name):
    """Variance ratios against plain pseudo-random numbers, alone and at equal processor time."""
    plain, cost = many(name, UNITS, REPETITIONS, "random")
    rows = {}
    for kind in KINDS:
        found, seconds = many(name, UNITS, REPETITIONS, kind)
        ratios = {q: float(plain[q].var(ddof=1) / v.var(ddof=1)) for q, v in found.items()}
        rows[kind] = {
            "seconds_a_repetition": seconds,
            "variance_ratio": ratios,
            "gain_at_equal_time": {q: r * cost / seconds for q, r in ratios.items()},
        }
    return rows


def control_variates(name):
    """How much a regression on functions of e^t with known Gaussian means could gain.

    A gate's or an activation's average over e^t is a Gaussian integral: the untied closed theory
    knows it given the variance of e^t. The gain is 1 / (1 - R^2) of the regression of h^2 on them,
    against that on e^t and (e^t)^2 alone, which Sobol numbers have already.
    """
    process = process_of(name, 1 << 14, 4, kind="random", trajectories=1)
    history = []
    for _ in range(STEPS):
        process.step()
        history.append({n: e.reshape(-1).numpy() for n, e in process.e.items()})
    target = process.states["h"].reshape(-1).numpy() ** 2
    linear, gates = [], []
    for row in history[-3:]:
        for e in row.values():
            u = 1 / (1 + np.exp(-e))
            linear += [e, e**2]
            gates += [u, u**2, u**3, np.tanh(e), np.tanh(e) ** 2]
    with_gates, without = _explained(target, linear + gates), _explained(target, linear)
    return {
        "gain_of_linear_and_square": 1 / (1 - without),
        "further_gain_of_gates": (1 - without) / (1 - with_gates),
    }


def _explained(target, columns):
    """R^2 of a linear regression."""
    design = np.stack([c - c.mean() for c in columns], 1)
    centred = target - target.mean()
    residual = centred - design @ np.linalg.lstsq(design, centred, rcond=None)[0]
    return 1 - float((residual**2).sum() / (centred**2).sum())


def biases(name):
    """The O(1/M) bias of E[h^2] in units of E[h^2] / M: value - truth over several M, fitted."""
    found = {}
    truth, _ = many(name, 1 << 15, 16, "sobol", batch=8)
    centre, sizes = truth["E[h^2]"].mean(), (256, 512)
    for kind in NORMALS:
        x, y, w = [], [], []
        for units in sizes:
            values, _ = many(name, units, (1 << 19) // units, kind, batch=128)
            error = values["E[h^2]"].std(ddof=1) / math.sqrt(len(values["E[h^2]"]))
            x.append(1 / units)
            y.append(values["E[h^2]"].mean() / centre - 1)
            w.append((error / centre) ** -2)
        x, y, w = map(np.array, (x, y, w))
        slope = float((w * x * y).sum() / (w * x * x).sum())
        found[kind] = {"coefficient": slope, "error": float((w * x * x).sum() ** -0.5)}
    return found


def timed(name, units, steps, trajectories=1, dtype="float64", tying="tied", normals="random"):
    """Processor and wall seconds of one run."""
    start = time.process_time(), time.perf_counter()
    sampling = Sampling(units, 8, 0, "cpu", dtype, normals)
    process = UnitProcess(*setting(name), tying, sampling, trajectories)
    for _ in range(steps):
        process.step()
    return {
        "cell": name,
        "tying": tying,
        "units": sampling.total,
        "steps": steps,
        "trajectories": trajectories,
        "dtype": dtype,
        "normals": normals,
        "cpu_seconds": time.process_time() - start[0],
        "wall_seconds": time.perf_counter() - start[1],
    }


def least(*arguments, runs=3, **options):
    """The quickest of a few runs."""
    found = [timed(*arguments, **options) for _ in range(runs)]
    return min(found, key=lambda row: row["cpu_seconds"])


def rate_network(units=2048, networks=4, steps=600):
    """A slow rate network by units, and as dense networks of the same width: processor seconds."""
    cell = cells.get("rate")
    ensemble = cell.ensemble(e={"sigma_w": 2.0, "sigma_v": 0.0, "sigma_b": 0.1})
    found = {"units": units, "networks": networks, "steps": steps, "E[h^2]": {}, "cpu_seconds": {}}
    start = time.process_time()
    sampling = Sampling(units * networks, networks, 0, "cpu")
    process = UnitProcess(cell, ensemble, Inputs(R=0.0), "tied", sampling, 1)
    rows = []
    for _ in range(steps):
        process.step()
        rows.append(float(process.second_moments()["h"][:, 0, 0].mean()))
    found["cpu_seconds"]["basis"] = time.process_time() - start
    found["E[h^2]"]["basis"] = float(np.mean(rows[steps // 2 :]))
    start = time.process_time()
    network = simulate(
        cell, ensemble, Inputs(R=0.0), width=units, networks=networks, steps=steps, device="cpu"
    )
    found["cpu_seconds"]["dense networks"] = time.process_time() - start
    late = network.second_moment["h"].mean[steps // 2 :]
    found["E[h^2]"]["dense networks"] = float(np.mean(late))
    return found


def exponents():
    """Slopes of log(processor seconds): in the steps (large), the units, and the preactivations."""

    def slope(sizes, seconds):
        return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])

    steps, units = (100, 200, 400), (1 << 15, 1 << 16, 1 << 17)
    of_steps = [least("minimal", 1 << 15, t)["cpu_seconds"] for t in steps]
    of_units = [least("minimal", m, 100)["cpu_seconds"] for m in units]
    one, four = (least(name, 1 << 15, 200)["cpu_seconds"] for name in ("minimal", "lstm"))
    return {
        "steps": {"sizes": steps, "cpu_seconds": of_steps, "exponent": slope(steps, of_steps)},
        "units": {"sizes": units, "cpu_seconds": of_units, "exponent": slope(units, of_units)},
        "lstm_over_minimal_at_200_steps": four / one,
    }


def main():
    """Measure everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    output = parser.parse_args().output
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    headline = least("minimal", 100_000, 100)
    headline["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    headline["memory_before_bytes"] = before * 1024
    runs = [
        headline,
        least("minimal", 100_000, 100, normals="sobol"),
        least("minimal", 100_000, 100, dtype="float32"),
        least("minimal", 100_000, 100, trajectories=2),
        least("lstm", 100_000, 100),
        least("lstm", 100_000, 100, trajectories=2),
        least("lstm", 100_000, 10, trajectories=2, tying="untied"),
    ]
    document = {
        "about": {
            "runs": "Least of 3 runs.",
            "gains": f"{REPETITIONS} repetitions of {UNITS} units: ratios to about 25 %.",
            "biases": "(value / truth - 1) times M, fitted at M = 256 and 512.",
        },
        "runs": runs,
        "rate_network": rate_network(),
        "exponents": exponents(),
        "gains": {name: gains(name) for name in SETTINGS},
        "control_variates": {name: control_variates(name) for name in SETTINGS},
        "biases": {name: biases(name) for name in SETTINGS},
        "provenance": {
            "command": "python -m benchmarks.tied",
            "rnnmft": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "threads": torch.get_num_threads(),
            "load_average": os.getloadavg()[0],
            "seeds": "0, 1, .. a batch of repetitions",
        },
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(document, indent=1) + "\n")
    for row in runs:
        print(
            f"{row['cell']} {row['tying']}, {row['units']} units, {row['steps']} steps, "
            f"{row['trajectories']} trajectories, {row['dtype']}: {row['cpu_seconds']:.2f} s cpu, "
            f"{row['wall_seconds']:.2f} s wall"
        )
    print("rate network", json.dumps(document["rate_network"]))
    print("peak memory", headline["peak_memory_bytes"] / 2**20, "MiB")
    print(
        "exponents",
        {k: v["exponent"] for k, v in document["exponents"].items() if isinstance(v, dict)},
    )
    for name, rows in document["gains"].items():
        for kind, row in rows.items():
            shown = ", ".join(f"{q} {g:.2f}" for q, g in row["gain_at_equal_time"].items())
            print(f"gain of {kind}, {name}: {shown}")
    print(json.dumps(document["control_variates"]), json.dumps(document["biases"]))


if __name__ == "__main__":
    sys.exit(main())
