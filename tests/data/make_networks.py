"""Make finite_networks.json, horizon_5.json, spectra.json and reference/*.json again, or check.

    OMP_NUM_THREADS=1 python -m tests.data.make_networks --check      (see README.md for the time)

Every number is measured anew by plain_networks.py, which shares no code with the package, from
seeds of its own. --check compares with the committed files and writes nothing: a number is
rejected if it differs by more than the standard errors of both sides allow (Welch's t, at
FALSE_ALARM for all numbers of a run together). In the same run every file must be rejected with its
numbers moved by CONTROL, so that agreement says something. Without --check the files are written.
--small measures four networks a setting and an eighth of the particles; --only NAME takes the
settings whose name holds NAME.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from pathlib import Path

import numpy as np
from scipy import stats

from tests.data.plain_networks import Setting, limit, simulate

FOLDER = Path(__file__).parent
FILES = ("finite_networks.json", "horizon_5.json", "spectra.json")
SEED, NETWORKS, REPETITIONS, UNITS = 20260507, 8, 16, 50_000
FALSE_ALARM, CONTROL = 1e-3, 1.05
# The committed files keep six digits.
ROUNDING = 1e-5


def law(sigma_w, sigma_v=1.0, mu_b=0.0, sigma_b=0.0):
    return {"sigma_w": sigma_w, "sigma_v": sigma_v, "mu_b": mu_b, "sigma_b": sigma_b}


LAWS = {
    "vanilla-gaussian": {"e": law(1.5, 0.5, 0.1, 0.2)},
    "vanilla-orthogonal": {"e": law(1.2, 0.3, 0.0, 0.1)},
    "minimal-gaussian": {"e": law(4.0, 1.0, 0.5, 0.3)},
    "minimal-orthogonal": {"e": law(3.0, 1.0, 1.0, 0.0)},
    "gru-gaussian": {"r": law(2.0), "z": law(3.0, mu_b=1.0, sigma_b=0.2), "n": law(2.0)},
    "lstm-gaussian": {
        "f": law(3.0, mu_b=2.0), "i": law(1.0), "g": law(2.0), "o": law(1.0, sigma_b=0.5),
    },
}  # fmt: skip
SETTINGS = {
    f"{name}-{tying}": Setting(
        cell=name.split("-")[0], laws=laws, weights=name.split("-")[1], tied=tying == "tied",
        width=640 if "lstm" in name else 1024,
    )
    for name, laws in LAWS.items()
    for tying in ("tied", "untied")
}  # fmt: skip


def committed():
    """{path: document} of every file, by its path below this folder."""
    paths = [*FILES, *sorted(f"reference/{p.name}" for p in FOLDER.glob("reference/*.json"))]
    return {path: json.loads((FOLDER / path).read_text(encoding="utf-8")) for path in paths}


def places(path, document):
    """Where a file keeps its numbers: (setting, source, key, node, steps or None).

    A node is a dict with "mean" and "sem" (a row of five in spectra.json); `steps` are the updates
    after which a moment was taken, `key` is a key of what plain_networks.py returns.
    """
    if path == "spectra.json":
        for one in document:
            for horizon, rows in one["resolvent"].items():
                for i, row in enumerate(rows):
                    yield one["id"], "simulation", ("resolvent", int(horizon)), row, i
    elif path == "horizon_5.json":
        for name, one in document.items():
            for tying in ("tied", "untied"):
                yield f"{name}-{tying}", "simulation", ("resolvent", 5), one[tying], None
    else:
        single = {Path(path).stem: document}
        several = document.get("settings", document)
        for name, one in (single if "config" in document else several).items():
            yield from _places_of_one(name, one)


def _places_of_one(name, one):
    at = np.array(one.get("steps", range(1, 31))) - 1
    for source in ("simulation", "limit"):
        for quantity, nodes in one.get(source, {}).items():
            if quantity != "jacobian":
                for of, node in nodes.items():
                    yield name, source, (quantity, of), node, at
    spectra = one.get("jacobian") or one["simulation"].get("jacobian", {})
    for horizon, nodes in spectra.items():
        for kind, node in nodes.items():
            key = "m" if kind in ("m_1", "moments") else kind
            yield name, "simulation", (key, int(horizon)), node, 0 if kind == "m_1" else None


def measure(name, sources, networks, units):
    """{(source, key): (mean, sem, number of samples)} of one setting."""
    setting, found = SETTINGS[name], {}
    index = list(SETTINGS).index(name)
    for source in sources:
        count = networks if source == "simulation" else REPETITIONS
        rngs = [np.random.default_rng([SEED, index, source == "limit", i]) for i in range(count)]
        if source == "simulation":
            runs = [simulate(setting, rng) for rng in rngs]
        else:
            runs = [limit(setting, units, rng) for rng in rngs]
        for key in runs[0]:
            samples = np.stack([run[key] for run in runs])
            if np.iscomplexobj(samples):
                samples = np.stack([samples.real, samples.imag], -1)
            sem = samples.std(0, ddof=1) / np.sqrt(count)
            found[source, key] = samples.mean(0), sem, count
    return found


def made(found, key, at):
    """The mean, its standard error and the number of samples that belong in one place."""
    mean, sem, count = found[key]
    return (mean, sem, count) if at is None else (mean[at], sem[at], count)


def stored(node):
    """The mean and the standard error of a place."""
    if isinstance(node, list):
        return np.array(node[2:4]), np.array(node[4])
    return np.array(node["mean"]), np.array(node["sem"])


def deviation(other, other_sem, other_count, mean, sem, count):
    """|difference| in standard errors of both, and Welch's degrees of freedom, elementwise."""
    a, b = other_sem**2 * np.ones_like(mean), sem**2 * np.ones_like(mean)
    floor = (ROUNDING * np.abs(mean)) ** 2 + 1e-24
    degrees = (a + b + floor) ** 2 / (
        a**2 / (other_count - 1) + b**2 / (count - 1) + floor**2 / 1e6
    )
    return np.abs(other - mean) / np.sqrt(a + b + floor), degrees


def p_values(place, found, factor=1.0):
    """Of every number of one place, times `factor`: how likely is so large a difference."""
    _, source, key, node, at = place
    mean, sem = (factor * value for value in stored(node))
    count = REPETITIONS if source == "limit" else NETWORKS
    size, degrees = deviation(mean, sem, count, *made(found, (source, key), at))
    return np.atleast_1d(2 * stats.t.sf(size, degrees)).ravel()


def check(places_by_file, found, factor=1.0):
    """{file: its smallest p-value times the number of all numbers of all files}."""
    p = {
        path: np.concatenate([p_values(place, found[place[0]], factor) for place in rows])
        for path, rows in places_by_file.items()
    }
    total = sum(map(len, p.values()))
    return {path: float(min(1.0, values.min() * total)) for path, values in p.items()}


def write(path, document, found):
    """Put the numbers made in their places and write the file."""
    document = copy.deepcopy(document)
    for name, source, key, node, at in places(path, document):
        mean, sem, _ = made(found[name], (source, key), at)
        if isinstance(node, list):
            node[2:] = [*_digits(mean), float(_digits(np.sqrt((sem**2).sum())))]
        else:
            node["mean"], node["sem"] = _digits(mean), _digits(sem)
    (FOLDER / path).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _digits(values):
    return np.vectorize(lambda v: float(f"{v:.6g}"))(values).tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--small", action="store_true", help="fewer networks and particles")
    parser.add_argument("--only", default="", help="settings whose name holds this; with --check")
    options = parser.parse_args()
    if (options.only or options.small) and not options.check:
        parser.error("--only and --small are for --check: a file is written whole")
    documents = committed()
    rows = {
        path: [place for place in places(path, document) if options.only in place[0]]
        for path, document in documents.items()
    }
    rows = {path: found for path, found in rows.items() if found}
    found = {}
    networks, units = (4, UNITS // 8) if options.small else (NETWORKS, UNITS)
    for name in sorted({place[0] for found in rows.values() for place in found}):
        started = time.process_time()
        sources = {place[1] for found in rows.values() for place in found if place[0] == name}
        found[name] = measure(name, sorted(sources), networks, units)
        print(f"{name}: {time.process_time() - started:.0f} s", flush=True)
    if not options.check:
        for path, document in documents.items():
            write(path, document, found)
        return
    agreement, control = check(rows, found), check(rows, found, CONTROL)
    for path in rows:
        print(f"{path}: p = {agreement[path]:.2g}; moved by {CONTROL}: p = {control[path]:.2g}")
    wrong = min(agreement.values()) < FALSE_ALARM or max(control.values()) > FALSE_ALARM
    sys.exit("the files and these numbers do not agree" if wrong else 0)


if __name__ == "__main__":
    main()
