"""Slow, autonomous and constantly driven cells against networks of three widths, extrapolated.

The numbers are in tests/data/slow_networks.json; tests/data/make_slow_networks.py, which shares no
code with the package, made them and makes them again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rnnmft import Inputs, cells
from validation.calibration.asked import Question
from validation.calibration.published_settings import rate_network
from validation.calibration.setting import Setting, Truth, Truths

__all__ = ["NETWORKS", "network_settings"]

NETWORKS = Path(__file__).parents[2] / "tests" / "data" / "slow_networks.json"
_CELLS = {
    "rate_slow": lambda: rate_network(0.1),
    "rate": lambda: rate_network(0.2),
    "leaky": lambda: cells.leaky_rnn(0.2),
}
_KINDS = {
    "second_moment": "second moment",
    "cross_moment": "cross moment",
    "mean": "mean",
    "preactivation_variance": "preactivation variance",
}


def network_settings() -> list[Setting]:
    """One setting a block of the file, tied."""
    document = json.loads(NETWORKS.read_text(encoding="utf-8"))
    found = []
    for name, block in document["settings"].items():
        cell = _CELLS.get(block["cell"], lambda block=block: cells.get(block["cell"]))()
        inputs = Inputs(block["R"], block["correlation"], block["temporal"])
        truths = _truths(block["numbers"], document["burn_in"], block["R"] > 0)
        ensemble = cell.ensemble(**block["laws"])
        found.append(Setting(f"{name}", "networks", cell, ensemble, inputs, "tied", truths))
    return found


def _truths(numbers: list[Mapping[str, Any]], burn_in: int, driven: bool) -> Callable[[], Truths]:
    def truths() -> Truths:
        found = {}
        for number in numbers:
            degrees = number["degrees"] or math.inf
            if number["kind"] == "log_m_1":
                # The error of a logarithm is relative.
                value = math.exp(number["mean"])
                question = Question("m_1(T)", at=number["at"], burn_in=burn_in)
                found[question] = Truth(value, value * number["sem"], degrees)
            elif number["kind"] != "cross_moment" or driven:
                question = Question(_KINDS[number["kind"]], number["name"], number["at"])
                found[question] = Truth(number["mean"], number["sem"], degrees)
        return found

    return truths
