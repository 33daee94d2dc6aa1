"""Initialization: files that come back, files that are refused, its report, networks, the zoo."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rnnmft import cells
from rnnmft.cells import Inputs
from rnnmft.cli.app import main
from rnnmft.errors import InfeasibleError, ParameterError, ParseError, Status
from rnnmft.initialization.critical import critical
from rnnmft.initialization.initialization import Initialization
from rnnmft.records import Quantity

PUBLISHED = {"e": {"mu_b": 0, "q": 16}}


@pytest.fixture(scope="module")
def published() -> Initialization:
    return critical(cells.minimal(), Inputs(R=0.4616), fix=PUBLISHED, tying="untied")


class TestFiles:
    def test_round_trip(self, published: Initialization, tmp_path: Path) -> None:
        published.to_json(tmp_path / "init.json")
        back = Initialization.from_json(tmp_path / "init.json")
        assert back == published
        assert back.formula == published.formula
        assert back.ensemble["e"].sigma_w == published.ensemble["e"].sigma_w

    def test_laws_orthogonal_weights_and_tied_growth_come_back(self, tmp_path: Path) -> None:
        init = critical(
            cells.vanilla(), Inputs(temporal=(1.0, 0.5)), weights="orthogonal", tying="tied"
        )
        init.to_json(tmp_path / "init.json")
        back = Initialization.from_json(tmp_path / "init.json")
        assert back == init
        assert back.growth() == init.growth()

    def test_a_newer_file_is_refused(self, published: Initialization, tmp_path: Path) -> None:
        path = _changed(published, tmp_path, version=99)
        with pytest.raises(ParseError, match="a newer rnnmft wrote"):
            Initialization.from_json(path)

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"schema": "other"}, "no initialization that rnnmft wrote"),
            ({"version": "one"}, "damaged: its version"),
            ({"tying": "tied"}, "does not belong to its digest"),
            ({"ensemble": {}}, "does not belong to its digest"),
        ],
    )
    def test_a_changed_file_is_refused(
        self, change: dict, sentence: str, published: Initialization, tmp_path: Path
    ) -> None:
        with pytest.raises(ParseError, match=sentence):
            Initialization.from_json(_changed(published, tmp_path, **change))

    @pytest.mark.parametrize("keep", [0, 1, 100, -2])
    def test_a_cut_file_is_refused(
        self, keep: int, published: Initialization, tmp_path: Path
    ) -> None:
        path = tmp_path / "init.json"
        published.to_json(path)
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(ParseError, match="damaged") as caught:
            Initialization.from_json(path)
        assert "\n" not in str(caught.value)

    def test_a_whole_file_of_nonsense_is_refused(
        self, published: Initialization, tmp_path: Path
    ) -> None:
        from rnnmft.initialization import files

        content = published.to_dict()
        del content["choices"]
        files.write(tmp_path / "init.json", content)
        with pytest.raises(ParseError, match="damaged"):
            Initialization.from_json(tmp_path / "init.json")


# A path into the content, and what no reader may take there.
_NUMBERS = (
    "horizon",
    "burn_in",
    "inputs.R",
    "inputs.correlation",
    "ensemble.e.sigma_w",
    "untied_ensemble.e.mu_b",
    "choices.e.share",
    "choices.e.mu_b",
    "choices.e.q",
    "fixed.e.q",
    "sampling.units",
    "sampling.seed",
    "sampling.tolerance",
)
_TEXTS = (
    "tying",
    "objective",
    "method",
    "solved_for",
    "choices.e.balance",
    "cell.toml",
    "ensemble.e.weights",
    "sampling.dtype",
    "inputs.temporal",
)
_TABLES = ("cell", "inputs", "ensemble", "ensemble.e", "choices", "choices.e", "fixed", "fixed.e")
_TABLES += ("tied_growth", "sampling", "untied_ensemble")
_NO_NUMBER = ["inf", "NaN", "1", True, [1.0], {}, float("inf"), float("-inf"), float("nan")]


def _damaged(init: Initialization, folder: Path, place: str, value: object) -> Path:
    """The file with one value changed by hand and the digest made to fit, where JSON has it."""
    from rnnmft.initialization import files

    content = json.loads(json.dumps(init.to_dict()))
    *tables, last = place.split(".")
    at = content
    for name in tables:
        at = at[name]
    assert last in at, place
    if value is MISSING:
        del at[last]
    else:
        at[last] = value
    path = folder / "init.json"
    try:
        files.write(path, content)
        text = path.read_text(encoding="utf-8")
        if isinstance(value, float):  # `write` turned it into a word
            path.write_text(json.dumps({**json.loads(text), **content}), encoding="utf-8")
    except ValueError:
        path.write_text(json.dumps(content), encoding="utf-8")
    return path


MISSING = object()


class TestDamage:
    """Every refusal is one sentence that names the file."""

    def refused(self, path: Path) -> str:
        with pytest.raises(ParseError) as caught:
            Initialization.from_json(path)
        said = str(caught.value)
        assert said.startswith(f"{path}"), said
        assert "damaged" in said
        assert "\n" not in said
        return said

    def test_the_damage_alone_is_refused(self, published: Initialization, tmp_path: Path) -> None:
        path = _damaged(published, tmp_path, "inputs.R", 0.4616)
        assert Initialization.from_json(path) == published

    @pytest.mark.parametrize("value", _NO_NUMBER, ids=repr)
    @pytest.mark.parametrize("place", _NUMBERS)
    def test_no_number(
        self, place: str, value: object, published: Initialization, tmp_path: Path
    ) -> None:
        said = self.refused(_damaged(published, tmp_path, place, value))
        named = place.rpartition(".")[2] in said
        assert named or "no finite number" in said, said

    @pytest.mark.parametrize("value", [1, 0.5, True, "neither", [], {}], ids=repr)
    @pytest.mark.parametrize("place", _TEXTS)
    def test_no_text(
        self, place: str, value: object, published: Initialization, tmp_path: Path
    ) -> None:
        if (place, value) == ("method", "neither"):
            return
        self.refused(_damaged(published, tmp_path, place, value))

    @pytest.mark.parametrize("value", [1, None, "text", [], [{}], {"x": 1}], ids=repr)
    @pytest.mark.parametrize("place", _TABLES)
    def test_no_table(
        self, place: str, value: object, published: Initialization, tmp_path: Path
    ) -> None:
        self.refused(_damaged(published, tmp_path, place, value))

    @pytest.mark.parametrize("place", [*_NUMBERS, *_TEXTS, *_TABLES, "reasons"])
    def test_missing(self, place: str, published: Initialization, tmp_path: Path) -> None:
        if place == "fixed.e":
            return
        if place == "fixed.e.q":
            return
        said = self.refused(_damaged(published, tmp_path, place, MISSING))
        assert "missing" in said or "no 'toml'" in said, said

    @pytest.mark.parametrize(
        "text", ["1e999", "NaN", "Infinity", "-Infinity", "1" + "0" * 5000, "[" * 100_000]
    )
    def test_what_json_does_not_know(
        self, text: str, published: Initialization, tmp_path: Path
    ) -> None:
        path = tmp_path / "init.json"
        published.to_json(path)
        whole = path.read_text(encoding="utf-8")
        path.write_text(whole.replace('"horizon": 10.0', f'"horizon": {text}'), encoding="utf-8")
        assert path.read_text(encoding="utf-8") != whole
        self.refused(path)

    def test_a_key_that_stands_twice(self, published: Initialization, tmp_path: Path) -> None:
        path = tmp_path / "init.json"
        published.to_json(path)
        whole = path.read_text(encoding="utf-8")
        path.write_text(whole.replace('"horizon"', '"burn_in"'), encoding="utf-8")
        assert "'burn_in' stands twice" in self.refused(path)

    def test_a_growth_that_is_not_finite_comes_back(
        self, published: Initialization, tmp_path: Path
    ) -> None:
        growth = Quantity("growth", -math.inf, 0.0, Status.OK, "per step")
        init = replace(published, tied_growth={"answer": growth})
        init.to_json(tmp_path / "init.json")
        assert Initialization.from_json(tmp_path / "init.json") == init
        wrong = replace(published, tied_growth={"answer": replace(growth, value=math.nan)})
        wrong.to_json(tmp_path / "wrong.json")
        assert "is nan" in self.refused(tmp_path / "wrong.json")


def _changed(init: Initialization, folder: Path, **change: object) -> Path:
    path = folder / "init.json"
    init.to_json(path)
    data = json.loads(path.read_text(encoding="utf-8")) | change
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


class TestReport:
    def test_it_has_the_numbers_of_both_tyings_and_the_reasons(
        self, published: Initialization
    ) -> None:
        text = published.report()
        for word in ("6.87974", "1.38991", "0.31921", "the value at which m_1 = 1", "| untied |"):
            assert word in text
        (row,) = (line for line in text.splitlines() if line.startswith("| growth"))
        assert row.count("+-") == 2

    def test_latex_and_repr(self, published: Initialization) -> None:
        latex = published._repr_latex_()
        assert latex is not None
        assert r"\sigma_{w}^{2}" in latex
        assert "sigma_w = 6.87974" in repr(published)

    def test_an_unknown_tying(self, published: Initialization) -> None:
        with pytest.raises(ParameterError, match="tying must be"):
            published.fixed_point("loose")


class TestNetworks:
    def test_a_module_gets_the_ensemble(self) -> None:
        init = critical(cells.lstm(), tying="untied")
        module = torch.nn.LSTM(32, 256)
        assert init.apply_(module, generator=torch.Generator().manual_seed(0)) is module
        # PyTorch's order is i, f, g, o.
        block = module.weight_hh_l0.detach()[512:768]
        sigma_w = float(block.std()) * 256**0.5
        # 4 standard errors of a standard deviation of 256^2 numbers.
        assert sigma_w == pytest.approx(init.ensemble["g"].sigma_w, rel=4 / (2 * 256**2) ** 0.5)

    def test_source_is_of_the_ensemble(self, published: Initialization) -> None:
        assert repr(published.ensemble["e"].sigma_w) in published.source("numpy")


class TestCommand:
    def test_json_and_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "init.json"
        words = ["critical", "minimal", "-R", "0.4616", "--fix", "e.mu_b=0", "--fix", "e.q=16"]
        words += ["--tying", "untied"]
        assert main([*words, "--json", "--output", str(path)]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["ensemble"]["e"]["sigma_w"] == pytest.approx(6.8797, abs=5e-5)
        assert Initialization.from_json(path).to_dict() == printed

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (
                ["minimal", "--fix", "e.mu_b=0", "--fix", "e.q=10"],
                "--fix e.mu_b=0.0 --fix e.q=14.2",
            ),
            (["min_gru"], "no recurrent weights"),
            (["gru", "--objective", "best"], "objective must be one of"),
            (["gru", "--fix", "q=1"], "--fix needs"),
            (["gru", "--length", "0"], "horizon must be"),
        ],
    )
    def test_bad_input_is_one_line(
        self, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["critical", *words]) == 2
        said = capsys.readouterr().err
        assert sentence in said
        assert said.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", cells.names())
def test_every_cell_of_the_zoo_has_an_answer_or_a_sentence(name: str) -> None:
    cell = cells.get(name)
    if name in ("min_gru", "min_lstm"):
        with pytest.raises(InfeasibleError, match="no recurrent weights"):
            critical(cell, parameters=cells.typical_laws(name), tying="untied")
        return
    if name == "layer_norm_minimal":
        # Its gate sees a standard normal variable whatever sigma_w is, and answers too little.
        with pytest.raises(InfeasibleError, match="nothing is critical"):
            critical(cell, tying="untied")
        return
    init = critical(cell, particles=1 << 14, repetitions=8, device="cpu", tying="untied")
    assert init.reasons
    if not init.design.gating.recurrent:
        # Without W it is the horizon's m_1 that is 1, to a thousandth.
        found, near = init.mean_square(round(init.horizon)), 1e-3
        assert abs(float(found) - 1.0) <= near + 4 * float(found.error)
        return
    # Where units are sampled the solution has a standard error of the size of this one's.
    growth = init.growth()
    assert abs(float(growth)) <= 1e-5 + 4 * 2**0.5 * float(growth.error)
    if growth.error_kind == "bound":
        assert abs(float(init.mean_square(1)) - 1.0) <= 1e-5
