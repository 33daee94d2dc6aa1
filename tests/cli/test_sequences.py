"""Data and stacks from the command line: what a word names, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rnnmft import cells
from rnnmft.cli.app import app
from rnnmft.cli.sequences import read_inputs
from rnnmft.cli.setting import resolve_cell, resolve_setting
from rnnmft.errors import ParameterError, ParseError
from rnnmft.experiments.digits import sklearn_digits
from rnnmft.language import Inputs

ARRAY = np.random.default_rng(0).normal(size=(4, 5, 2))


def test_files_of_sequences_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "batch.npy", ARRAY)
    np.savez(tmp_path / "pair.npz", a=ARRAY[0], b=ARRAY[1])
    np.savez(tmp_path / "one.npz", ARRAY)
    assert read_inputs(str(tmp_path / "batch.npy")) == Inputs.from_data(ARRAY)
    assert read_inputs(str(tmp_path / "one.npz")) == Inputs.from_data(ARRAY)
    assert read_inputs(str(tmp_path / "pair.npz")) == Inputs.from_data(ARRAY[0], ARRAY[1])


def test_digits_are_read_by_rows_or_pixels() -> None:
    images = sklearn_digits().images
    assert read_inputs("digits:rows") == Inputs.from_data(images.reshape(-1, 8, 8))
    pair = images[[3, 7]].reshape(2, 64, 1)
    assert read_inputs("digits:pixels:3,7") == Inputs.from_data(*pair)


def test_what_is_no_file_of_sequences(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("no array", encoding="utf-8")
    np.savez(tmp_path / "three.npz", a=ARRAY, b=ARRAY, c=ARRAY)
    np.save(tmp_path / "words.npy", np.array(["a"]))
    for name, error, said in (
        ("objects.npy", ParseError, "holds no arrays of numbers"),
        ("text.npy", ParseError, "holds no arrays of numbers"),
        ("three.npz", ParameterError, "one array, or one for each of two trajectories, got 3"),
        ("words.npy", ParameterError, "must hold real numbers"),
    ):
        with pytest.raises(error, match=said) as caught:
            read_inputs(str(tmp_path / name))
        assert "\n" not in str(caught.value)
    for text in ("digits:rows:1", "digits:rows:0,x", "digits:rows:0,1:2"):
        with pytest.raises(ParameterError, match="digits are named as"):
            read_inputs(text)
    with pytest.raises(ParameterError, match="there are 1438 digits"):
        read_inputs("digits:rows:0,5000")


def test_names_with_commas_are_a_stack() -> None:
    assert (
        resolve_cell("lstm, gru")
        == cells.get("lstm,gru")
        == cells.stack([cells.lstm(), cells.gru()])
    )
    s = resolve_setting("vanilla,indrnn", ["e.mu_b=0.5", "e_1.sigma_w=1.2"])
    assert s.ensemble["e_1"].sigma_w == 1.2
    assert list(s.ensemble.parameters) == ["u_2"]
    with pytest.raises(ValueError, match="no cell named 'nothing'"):
        resolve_cell("lstm,nothing")


def test_commands_take_data_and_stacks(tmp_path: Path) -> None:
    path = tmp_path / "pair.npz"
    np.savez(path, a=ARRAY[0], b=ARRAY[1])
    setting = ["vanilla,vanilla", "--temporal", str(path), "--steps", "5", "--json"]
    run = CliRunner()
    theory = json.loads(run.invoke(app, ["evolve", *setting]).stdout)
    found = run.invoke(app, ["simulate", *setting, "--width", "16", "--networks", "2"])
    networks = json.loads(found.stdout)
    assert set(theory["second_moment"]) == set(networks["second_moment"]) == {"h_1", "h_2"}
    assert networks["inputs"]["data"]["sequences"] == 1
    late = run.invoke(app, ["evolve", *setting[:-2], "6"])
    assert "data of 5 steps, and 6 are needed" in str(late.exception)
