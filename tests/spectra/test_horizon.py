"""Five steps of gated cells: the tied law holds for networks that keep their weights, only.

Data of simulated networks of width 640 to 1024 (tests/data/horizon_5.json: mean and standard error
over networks, real and imaginary part, from programs that share no code with rnnmft), of both
kinds. A prediction is rejected beyond 5 standard errors plus 0.6 % for the finite width; chance
alone does so with probability 6e-7 a number.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import Inputs, get

DATA = json.loads((Path(__file__).parents[1] / "data" / "horizon_5.json").read_text())
#: Standard errors by which tied and untied networks must differ for a point to tell them apart.
APART = 6.0


def _excess(predicted: complex, mean: list[float], sem: list[float]) -> float:
    """Over 1: rejected."""
    allowed = 5 * math.hypot(*sem) + 0.006 * abs(complex(*mean))
    return abs(predicted - complex(*mean)) / allowed


@pytest.mark.parametrize(
    "name",
    [
        "minimal-gaussian",
        pytest.param("minimal-orthogonal", marks=pytest.mark.slow),
        pytest.param("gru-gaussian", marks=pytest.mark.slow),
        pytest.param("lstm-gaussian", marks=pytest.mark.slow),
    ],
)
def test_tied_and_untied_networks_are_told_apart(name: str) -> None:
    """Each version holds for its own networks; the tied one is rejected for the untied."""
    row = DATA[name]
    config, told = row["config"], 0
    cell = get(config["cell"])
    ensemble = cell.ensemble(weights=config["ensemble"], **config["params"])
    inputs = Inputs(R=config["R"], correlation=config["c_x"])
    z = np.array([complex(*point) for point in config["resolvent_z"]])
    found = {
        tying: MeanField(cell, ensemble, inputs, tying=tying).jacobian(5, units=2_000).resolvent(z)
        for tying in ("tied", "untied")
    }
    for j in range(len(z)):
        data = {t: (row[t]["mean"][j], row[t]["sem"][j]) for t in found}
        for tying, law in found.items():
            assert _excess(law.value[j], *data[tying]) < 1
        gap = abs(complex(*data["tied"][0]) - complex(*data["untied"][0]))
        if gap > APART * math.hypot(*data["tied"][1], *data["untied"][1]):
            told += 1
            assert _excess(found["tied"].value[j], *data["untied"]) > 1
    assert told >= 2
