"""Maps of known functions, in the shape of those that `phase_diagram` returns."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnnmft.analysis.map_dataset import definition
from rnnmft.analysis.phase_dataset import PhaseDataset
from rnnmft.language import Cell, Ensemble, Inputs


def known_map(
    cell: Cell,
    ensemble: Ensemble,
    axes: Mapping[str, Any],
    of: Callable[[Any, Any], Any],
    tying: str = "tied",
    error: float = 0.01,
) -> PhaseDataset:
    """Every quantity is f(x, y), of row k of it f + k; all points are known."""
    f = of(*np.meshgrid(*axes.values(), indexing="ij"))
    names = list(axes)
    data: dict[str, Any] = {"gradient_growth": (names, f), "xi_q": (names, f)}
    rows = {"second_moment": "state", "preactivation_variance": "preactivation"}
    over = {
        "state": [s.name for s in cell.states],
        "preactivation": [p.name for p in cell.preactivations],
    }
    for name, kind in rows.items():
        data[name] = ([kind, *names], np.stack([f + k for k in range(len(over[kind]))]))
    data |= {f"{n}_error": (dims, np.full(v.shape, error)) for n, (dims, v) in data.items()}
    quantities = ["gradient_growth", "xi_q", *rows]
    status = np.full((len(quantities), *f.shape), "OK", dtype="<U18")
    data["status"] = (["quantity", *names], status)
    attributes = {
        "definition": definition(cell),
        "ensemble": json.dumps(ensemble.to_dict()),
        "inputs": json.dumps(Inputs().to_dict()),
        "tying": tying,
        "error_kind": "standard error",
        **{f"start_{s.name}": 0.0 for s in cell.states},
    }
    return PhaseDataset(data, {**axes, **over, "quantity": quantities}, attributes)
