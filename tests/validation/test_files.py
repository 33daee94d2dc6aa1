"""Files of claims: what they may hold; the committed results are those of the committed claims."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rnnmft import cells
from rnnmft.cli.sequences import read_inputs
from rnnmft.errors import ParameterError, ParseError
from rnnmft.parameters import TYINGS
from rnnmft.validation.files import read_claims

ROOT = Path(__file__).parents[2] / "validation"
CLAIMS = sorted((ROOT / "claims").glob("*.toml"))

GOOD = """
cell = "indrnn"
widths = [16, 32, 64]
networks = [4, 4, 4]
seed = 1
steps = 3

[parameters.u]
law = "uniform"
low = 0.0
high = 0.9

[inputs]
R = 0.5
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "claims.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_into_what_validate_takes(tmp_path: Path) -> None:
    request = read_claims(written(tmp_path, GOOD), cells.get)
    assert request.cell == cells.indrnn()
    assert request.ensemble.parameters["u"].to_dict()["high"] == 0.9
    assert request.inputs.R == 0.5
    assert request.options == {
        "widths": [16, 32, 64],
        "networks": [4, 4, 4],
        "seed": 1,
        "steps": 3,
    }


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (("seed = 1", "seeds = 1"), ParseError, "unknown key 'seeds'"),
        (("seed = 1", ""), ParseError, "'seed' is missing"),
        (("[4, 4, 4]", "[4, 4"), ParseError, "claims.toml"),
        (('"indrnn"', "3"), ParseError, "cell must be text, got 3"),
        (("seed = 1", "seed = 1\nensemble = 3"), ParseError, "ensemble must be a table"),
        (("R = 0.5", "R = -1"), ParameterError, "R must be"),
        (("R = 0.5", "Q = 1"), ParseError, "unknown key 'Q' in inputs"),
        (('"uniform"', '"cauchy"'), ParameterError, "cauchy"),
        (('"indrnn"', '"nothing"'), ValueError, "no cell named 'nothing'"),
    ],
)
def test_what_is_refused(
    change: tuple[str, str], error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=sentence):
        read_claims(written(tmp_path, GOOD.replace(*change)), cells.get)


NOT_NUMBERS = ("inf", "-inf", "nan", "1e999", '"NaN"', '"1"', "true", "{}", "[[1]]", "1979-05-27")


@pytest.mark.parametrize("value", NOT_NUMBERS)
@pytest.mark.parametrize(
    "place",
    [
        "widths = %s",
        "networks = %s",
        "seed = %s",
        "steps = %s",
        "horizons = %s",
        "horizons = [1, %s]",
        "lags = %s",
        "false_alarm_rate = %s",
        "control = %s",
        "sampling.particles = %s",
        "start.h = %s",
        "inputs.R = %s",
        "inputs.correlation = %s",
        "inputs.temporal = [1.0, %s]",
        "ensemble.e.sigma_w = %s",
        "parameters.u.high = %s",
    ],
)
def test_a_number_that_is_none_is_refused_in_a_sentence(
    place: str, value: str, tmp_path: Path
) -> None:
    key = place.split(" ")[0]
    lines = [line for line in GOOD.splitlines() if not line.startswith(f"{key} ")]
    text = "\n".join(lines)
    if key == "inputs.R" or key.startswith("inputs"):
        text = text.replace("[inputs]\nR = 0.5", "")
    if key.startswith("parameters"):
        head, _, tail = text.partition("[parameters.u]")
        text = (
            f'{head}parameters.u.law = "uniform"\nparameters.u.low = 0.0\n[inputs]'
            + (tail.partition("[inputs]")[2])
        )
    path = written(tmp_path, f"{place % value}\n{text}")
    with pytest.raises((ParseError, ParameterError)) as caught:
        read_claims(path, cells.get)
    said = str(caught.value)
    assert said.startswith(str(path)), said
    assert "\n" not in said
    # The sentence is about the number, not about the damage that this test did beside it.
    assert key.rpartition(".")[2] in said, said


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "claims.toml"
    path.write_bytes(b"cell = '\xff'")
    with pytest.raises(ParseError, match=r"claims\.toml"):
        read_claims(path, cells.get)


def test_a_file_says_where_the_states_start(tmp_path: Path) -> None:
    for text, start in (("start = 0.5\n", 0.5), ("[start]\nh = 0.5\n", {"h": 0.5})):
        at = "seed = 1" if "[" not in text else "[parameters.u]"
        request = read_claims(written(tmp_path, GOOD.replace(at, f"{text}{at}")), cells.get)
        assert request.options["start"] == start
        assert request.run(device="cpu").start == {"h": 0.5}


#: Files that decide some claims alone, and how the names of the others begin: of gradients from
#: layer to layer 750 networks tell 2 to 10 %, and the file's m_1, d_eff and growth 2 %.
UNDECIDED = {"stacked_lstm_digits_gradients": ("m_1(1<-", "m_1(2<-", "m_1(3<-")}


def committed(path: Path) -> dict[str, Any]:
    return json.loads((ROOT / "results" / f"{path.stem}.json").read_text(encoding="utf-8"))


def test_every_file_of_claims_has_a_result() -> None:
    results = {path.stem for path in (ROOT / "results").glob("*.json")}
    assert {path.stem for path in CLAIMS} <= results


def test_every_cell_of_the_zoo_is_validated_tied_and_untied() -> None:
    validated: dict[str, set[str]] = {}
    for path in CLAIMS:
        found = committed(path)
        accepted = {tying for tying, verdict in found["verdicts"].items() if verdict == "accepted"}
        validated.setdefault(found["cell"], set()).update(accepted)
    assert set(cells.names()) <= set(validated)
    assert all(tyings == {"tied", "untied"} for tyings in validated.values())


@pytest.mark.parametrize("path", CLAIMS, ids=lambda path: path.stem)
def test_the_committed_results_are_of_the_committed_claims(path: Path) -> None:
    request, found = read_claims(path, cells.get, read_inputs), committed(path)
    assert found["cell"] == request.cell.name
    assert found["ensemble"] == request.ensemble.to_dict()
    assert found["inputs"] == request.inputs.to_dict()
    assert all(v == 0.0 for v in found.get("start", {}).values())
    assert found["seed"] == request.options["seed"]
    assert found["control"] == request.options.get("control", 0.02)
    assert found["horizons"] == request.options["horizons"]
    tyings = request.options.get("tyings", list(TYINGS))
    assert list(found["verdicts"]) == tyings
    for tying in tyings:
        assert found["design"][tying]["widths"] == request.options["widths"]
        assert found["design"][tying]["networks"] == request.options["networks"]
    assert found["passed"] is (path.stem not in UNDECIDED)
    if path.stem in UNDECIDED:
        undecided = [c["name"] for c in found["claims"] if not c["verdict"]["control_rejected"]]
        assert all(name.startswith(UNDECIDED[path.stem]) for name in undecided)
    outcomes = [claim["verdict"]["outcome"] for claim in found["claims"]]
    assert outcomes
    assert "rejected" not in outcomes
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", found["provenance"]["date"])
    assert (
        found["provenance"]["command"] == f"rnnmft validate --claims validation/claims/{path.name}"
    )


GATED = ("minimal", "gru", "lstm")


@pytest.mark.parametrize("name", GATED)
def test_tied_networks_of_gated_cells_tell_the_theories_apart(name: str) -> None:
    gaps = committed(ROOT / "claims" / f"{name}.toml")["gaps"]
    assert any(abs(gap["gap"]) > 5 * gap["gap_error"] for gap in gaps)
    for gap in gaps:
        error = (gap["gap_error"] ** 2 + gap["theory_gap_error"] ** 2) ** 0.5
        assert abs(gap["gap"] - gap["theory_gap"]) < 5 * error
