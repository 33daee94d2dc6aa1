"""What the benchmarks compare: ours, the yardstick and their ratio, read from their results.

A ratio above 1 says that we need less time than the yardstick (or less variance at equal time). The
page of benchmarks and `python -m benchmarks.compare` are made from this list. Nothing is typed by
hand: every number is looked up in benchmarks/results.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["LISTED", "RESULTS", "Ratio", "machine", "ratios", "read_results"]

RESULTS = Path(__file__).parent / "results"

#: (file, what, yardstick, where ours stands, where the yardstick stands), both in seconds. With one
#: place alone, that of a ratio.
LISTED = (
    (
        "maps",
        "minimalRNN, untied map, first of a process",
        "vectorised NumPy Picard",
        ("minimal, sigma_w x mu_b", "seconds", "ours, first"),
        ("minimal, sigma_w x mu_b", "seconds", "picard"),
    ),
    (
        "maps",
        "minimalRNN, untied map",
        "scipy.integrate and brentq, point by point",
        ("minimal, sigma_w x mu_b", "seconds", "ours, first"),
        ("minimal, sigma_w x mu_b", "seconds", "scipy, all points by its sample"),
    ),
    (
        "maps",
        "GRU, untied map, first of a process",
        "vectorised NumPy Picard",
        ("gru, z.mu_b x n.sigma_w", "seconds", "ours, first"),
        ("gru, z.mu_b x n.sigma_w", "seconds", "picard"),
    ),
    (
        "laws",
        "LSTM, untied map, one trajectory",
        "our own single points, by their sample",
        ("lstm, one trajectory", "seconds", "ours, processor"),
        ("lstm, one trajectory", "seconds", "single points, all by the sample"),
    ),
    (
        "laws",
        "LSTM, untied map with c* and xi_c",
        "our own single points, by their sample",
        ("lstm, two trajectories", "seconds", "ours, processor"),
        ("lstm, two trajectories", "seconds", "single points, all by the sample"),
    ),
    (
        "tied_maps",
        "minimalRNN, tied map",
        "our own single points, by their sample",
        ("minimal", "seconds", "ours, processor"),
        ("minimal", "seconds", "single points, all by the sample"),
    ),
    (
        "tied_maps",
        "LSTM, tied map",
        "our own single points, by their sample",
        ("lstm", "seconds", "ours, processor"),
        ("lstm", "seconds", "single points, all by the sample"),
    ),
    *(
        (
            "kernels",
            f"kernels of all pairs, {name}",
            "neural-tangents",
            (name, "seconds", "ours"),
            (name, "seconds", "neural-tangents"),
        )
        for name in ("erf", "tanh, 25 nodes", "tanh, 200 nodes")
    ),
    (
        "campaigns",
        "map in chunks, two workers, wall",
        "one worker",
        ("map of the untied lstm", "times faster"),
    ),
    (
        "campaigns",
        "finite networks in chunks, two workers, wall",
        "one worker",
        ("networks of the minimalRNN", "times faster"),
    ),
    (
        "campaigns",
        "map in chunks, two workers, by their processor seconds",
        "one worker",
        ("map of the untied lstm", "times faster on two free cores"),
    ),
    (
        "campaigns",
        "finite networks in chunks, two workers, by their processor seconds",
        "one worker",
        ("networks of the minimalRNN", "times faster on two free cores"),
    ),
    (
        "tied",
        "rate network, tied, 600 steps",
        "four dense networks of as many units",
        ("rate_network", "cpu_seconds", "basis"),
        ("rate_network", "cpu_seconds", "dense networks"),
    ),
    *(
        (
            "tied",
            f"{cell}, tied, quasi-random units, {quantity}",
            "random units, variance at equal time",
            ("gains", cell, "sobol", "gain_at_equal_time", quantity),
        )
        for cell in ("minimal", "gru", "lstm")
        for quantity in ("E[h^2]", "E[h_a h_b]", "m_1(5)")
    ),
    *(
        ("dynamics", f"{cell}, {what}", yardstick, (part, cell, "seconds", "ours"), place)
        for cell in ("minimal", "gru", "lstm")
        for part, what, yardstick, place in (
            (
                "exponent",
                "largest Lyapunov exponent, tied",
                "QR on networks of width 256, for the same standard error",
                ("exponent", cell, "seconds", "networks, for our error"),
            ),
            (
                "cloud",
                "boundary of the eigenvalues' cloud",
                "eigenvalues of one network of width 1000",
                ("cloud", cell, "seconds", "a network"),
            ),
            (
                "spectrum",
                "Lyapunov spectrum, tied",
                "all exponents of one network of width 256",
                ("spectrum", cell, "seconds", "one network"),
            ),
        )
    ),
)


@dataclass(frozen=True)
class Ratio:
    """One comparison.

    Attributes:
        file: of the results.
        what: is timed.
        yardstick: against what.
        ours, theirs: seconds; nan where only the ratio was kept.
        ratio: theirs over ours.
    """

    file: str
    what: str
    yardstick: str
    ours: float
    theirs: float
    ratio: float


def read_results(folder: Path = RESULTS) -> dict[str, Any]:
    """{file: its content} of a folder of results."""
    files = sorted(folder.glob("*.json"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def ratios(results: Mapping[str, Any]) -> Iterator[Ratio]:
    """Every comparison whose numbers are there."""
    for file, what, yardstick, *places in LISTED:
        values = [_at(results.get(file), place) for place in places]
        if any(value is None for value in values):
            continue
        ours, theirs = values if len(values) == 2 else (math.nan, math.nan)
        yield Ratio(
            file, what, yardstick, ours, theirs, values[0] if len(values) == 1 else theirs / ours
        )
    yield from _networks(results.get("simulation", {}))


def _networks(found: Mapping[str, Any]) -> Iterator[Ratio]:
    """Simulations against the matrix products and random numbers that they cannot do without."""
    for run in found.get("runs", ()):
        bound = run["bound_seconds"]
        if bound is not None:
            horizon, networks = (
                run["jacobian_horizon"],
                f"{run['networks']} {run['tying']} networks",
            )
            more = f", Jacobian of {horizon} steps" if horizon else ""
            what = f"{networks}, {run['cell']}, N = {run['width']}{more}"
            ours = run["cpu_seconds"]
            yield Ratio(
                "simulation",
                what,
                "its matrix products and normals alone",
                ours,
                bound,
                bound / ours,
            )


def _at(content: Any, place: tuple[str, ...]) -> float | None:
    for key in place:
        if not isinstance(content, Mapping) or key not in content:
            return None
        content = content[key]
    return float(content)


def machine(content: Mapping[str, Any]) -> str:
    """On what, how busy, and with which version results were measured."""
    of = {**content, **content.get("provenance", {}), **content.get("hardware", {})}
    parts = [of.get("machine") or of.get("processor"), of.get("device")]
    parts.append(f"{of['threads']} threads" if "threads" in of else None)
    load = of.get("load_average")
    parts.append(f"load {load:.1f}" if isinstance(load, float) else None)
    version = of.get("rnnmft") or of.get("version") or content.get("versions", {}).get("rnnmft")
    parts.append(f"rnnmft {version}" if version else None)
    return ", ".join(str(part) for part in parts if part) or "not noted"
