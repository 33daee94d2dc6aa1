"""The phases of LSTMs without input over two parameters, and what networks do there.

    python validation/lstm_phases.py validation/results/lstm_phases.json

The map is of `autonomous`. Networks of width 400 start small (all states of size 0.001) and large
(c of size 30, h of 0.5) at some points of it, for 400 steps; one is active where E[h^2] > 1e-6
then. It holds where networks that start small are active in chaos alone, and those that start
large never in the quiet phase. Both occur, so that a map that is quiet, or chaos, everywhere fails.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import rnnmft as mft
from rnnmft.validation.provenance import provenance

GAIN, FORGET = np.linspace(0.35, 2.65, 24), np.linspace(0.0, 12.0, 13)
AT_GAIN, AT_FORGET = (0.8, 1.2, 1.6, 1.8, 2.4), (1.0, 5.0, 10.0)
WIDTH, NETWORKS, STEPS, SEED, ACTIVE = 400, 4, 400, 20261128, 1e-6
STARTS: dict[str, Any] = {"small": 1e-3, "large": {"c": 30.0, "h": 0.5}}


def committed() -> dict[str, Any]:
    """What the repository holds."""
    path = Path(__file__).parent / "results" / "lstm_phases.json"
    return json.loads(path.read_text(encoding="utf-8"))


def active(cell: mft.Cell, gain: float, forget: float) -> dict[str, Any]:
    """How many of the networks are still active from each start, and the phase."""
    ensemble = cell.ensemble(g={"sigma_w": gain}, f={"sigma_w": forget})
    found: dict[str, Any] = {"g.sigma_w": gain, "f.sigma_w": forget}
    for name, start in STARTS.items():
        run = mft.simulate(
            cell, ensemble, mft.Inputs(R=0.0), width=WIDTH, networks=NETWORKS, steps=STEPS,
            start=start, seed=SEED, device="cpu",
        ).second_moment["h"]  # fmt: skip
        found[name] = int((run.samples[:, -1] > ACTIVE).sum())
    phase = mft.autonomous(cell, ensemble).phase
    quiet = found["large"] == 0 if phase == "quiet" else True
    small = found["small"] == (NETWORKS if phase == "chaos" else 0)
    return found | {"phase": phase, "holds": quiet and small}


def main(path: Path) -> None:
    """Run all of it and write what was found."""
    cell = mft.cells.lstm()
    points = [active(cell, g, f) for f in AT_FORGET for g in AT_GAIN]
    vary = {("g", "sigma_w"): GAIN.tolist(), ("f", "sigma_w"): FORGET.tolist()}
    phases = mft.autonomous(cell, cell.ensemble()).phase_diagram(vary)
    content = {
        "map": phases.to_dict(),
        "networks": points,
        "width": WIDTH,
        "networks_a_point": NETWORKS,
        "steps": STEPS,
        "seed": SEED,
        "holds": all(p["holds"] for p in points) and len({p["phase"] for p in points}) == 3,
        "provenance": provenance("cpu", f"python validation/lstm_phases.py {path}").to_dict(),
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"holds: {content['holds']}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
