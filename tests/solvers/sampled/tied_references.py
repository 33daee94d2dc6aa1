"""The tied reference settings: cell, ensemble, inputs, and the numbers measured elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

from rnnmft import Cell, Inputs, Preactivation, State, cells, sigmoid, tanh

FOLDER = Path(__file__).parents[2] / "data" / "reference"
NAMES = sorted(p.stem for p in FOLDER.glob("*-tied.json"))


def gru():
    """As the reference has it: z keeps the old state, n sees sigmoid(r) h."""
    h = State("h")
    r, z = Preactivation("r", h), Preactivation("z", h)
    n = Preactivation("n", sigmoid(r) * h)
    return Cell("gru", update={h: sigmoid(z) * h + (1 - sigmoid(z)) * tanh(n)})


CELLS = {"vanilla": cells.vanilla, "minimal": cells.minimal, "gru": gru, "lstm": cells.lstm}


def reference(name):
    """Cell, ensemble, inputs and data of one file."""
    data = json.loads((FOLDER / f"{name}.json").read_text())
    config = data["config"]
    cell = CELLS[config["cell"]]()
    ensemble = cell.ensemble(**config["params"], weights=config["ensemble"])
    temporal = "constant" if config["constant_input"] else "white"
    return cell, ensemble, Inputs(config["R"], config["c_x"], temporal), data
