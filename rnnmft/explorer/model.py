"""What the page knows of a cell: its parameters, one unit of it, and its recursion if it closes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnmft.explorer.closed_programs import ClosedPrograms
from rnnmft.explorer.programs import ProgramWriter
from rnnmft.explorer.unit_programs import unit_script
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.solvers.closed.recursion import UntiedRecursion

__all__ = ["LAWS", "RANGES", "PageModel", "json_text"]

#: The parameters of each preactivation, in the order of the page's p.
LAWS = ("sigma_w", "sigma_v", "mu_b", "sigma_b")
#: Ranges of the sliders, in the units of the ensemble: what the literature's diagrams span.
RANGES = {
    "sigma_w": (0.0, 8.0),
    "sigma_v": (0.0, 4.0),
    "mu_b": (-5.0, 5.0),
    "sigma_b": (0.0, 4.0),
    "R": (0.0, 4.0),
    "correlation": (-1.0, 1.0),
}
# Quantiles of each elementwise random parameter: as many as a network of the page has units.
_QUANTILES = 128


@dataclass(frozen=True)
class PageModel:
    """The generated half of the page's script.

    `recursion` is untied and closed, or None: then the page has stored maps in its place.
    `ensemble` and `inputs` are where the page opens.
    """

    cell: Cell
    recursion: UntiedRecursion | None
    ensemble: Ensemble
    inputs: Inputs

    def parameters(self) -> list[dict[str, Any]]:
        """One entry a parameter, in the order of the page's p: name, law, value, range."""
        found = [
            _parameter("", "R", self.inputs.R),
            _parameter("", "correlation", self.inputs.correlation),
        ]
        for p in self.cell.preactivations:
            # What no input or no state enters has weights that do not matter.
            idle = {"sigma_w": not p.is_recurrent, "sigma_v": not p.has_input}
            for law in LAWS:
                value = getattr(self.ensemble[p.name], law)
                found.append(_parameter(p.name, law, value, not idle.get(law, False)))
        return found

    def script(self) -> str:
        """A function of the page that makes `programs` and `model`.

        Raises:
            CompileError: a function that the page lacks.
        """
        writer, written = ProgramWriter(), {"unit": unit_script(self.cell)}
        described = self._described()
        if self.recursion is not None:
            closed = ClosedPrograms(self.recursion)
            written |= closed.written(writer)
            described |= closed.described()
        described |= {"closed": self.recursion is not None, "cross": "crossSlope" in written}
        fields = ",\n".join(f"{name}: {text}" for name, text in written.items())
        made = f"return {{ programs: {{\n{fields}\n}}, model: {json_text(described)} }};"
        return f"() => {{\n{writer.families()}\n{made}\n}}"

    def _described(self) -> dict[str, Any]:
        cell, parameters = self.cell, self.parameters()
        place = {p["name"]: i for i, p in enumerate(parameters) if p["matters"]}
        middles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        return {
            "name": cell.name,
            "stateCount": len(cell.states),
            "states": [s.name for s in cell.states],
            "index": {"R": 0, "c_x": 1},
            "parameters": parameters,
            "preactivations": [
                {
                    "name": p.name,
                    "parameters": [place.get(f"{p.name}.{law}", -1) for law in LAWS],
                }
                for p in cell.preactivations
            ],
            "averages": len(cell.averages),
            # As Python, for who copies the setting.
            "laws": ", ".join(
                f"{name!r}: mft.cells.{law!r}" for name, law in self.ensemble.parameters.items()
            ),
            "own": [
                self.ensemble.parameters[p.name].quantile(middles).tolist() for p in cell.parameters
            ],
        }


def _parameter(preactivation: str, law: str, value: float, matters: bool = True) -> dict[str, Any]:
    low, high = RANGES[law]
    return {
        "name": f"{preactivation}.{law}" if preactivation else law,
        "preactivation": preactivation,
        "law": law,
        "value": float(value),
        "low": min(low, float(value)),
        "high": max(high, float(value)),
        "matters": matters,
    }


def json_text(value: Any) -> str:
    """JSON that cannot end a script, whatever a name holds."""
    return json.dumps(value).replace("<", "\\u003c")
