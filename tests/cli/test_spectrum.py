"""`rnnmft spectrum`: known laws, what it prints and draws, one line for bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnmft.activations import identity
from rnnmft.analysis.mean_field import MeanField
from rnnmft.cells import vanilla
from rnnmft.cli import main
from rnnmft.cli.setting import resolve_setting
from rnnmft.spectra.law import JacobianLaw

LINEAR = """
name = "linear"
states = ["h"]
[preactivations]
e = { sees = "h" }
[update]
h = "e"
"""


@pytest.fixture
def linear(tmp_path: Path) -> str:
    file = tmp_path / "linear.toml"
    file.write_text(LINEAR, encoding="utf-8")
    return str(file)


def printed_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main([*words, "--json"]) == 0
    found = capsys.readouterr()
    assert found.err == ""
    return json.loads(found.out)


def test_marchenko_pastur(capsys: pytest.CaptureFixture[str], linear: str) -> None:
    """h' = W h, gaussian: Catalan moments, support [0, 4 sigma_w^2], the law's density."""
    words = ["spectrum", linear, "--set", "e.sigma_w=0.5", "--points", "9", "--moments", "5"]
    found = printed_json(capsys, *words)
    wanted = [c * 0.25**k for k, c in enumerate([1, 2, 5, 14, 42], 1)]
    assert found["moments"]["value"] == pytest.approx(wanted, rel=1e-9)
    assert found["variance"]["value"] == pytest.approx(0.0625, rel=1e-9)
    assert found["support"]["intervals"][0] == pytest.approx([0.0, 1.0], abs=1e-6)
    assert found["atoms"]["place"] == []
    s = np.array(found["density"]["singular_values"])
    rho = np.array(found["density"]["of_squares"]["value"])
    exact = np.sqrt(1.0 / s**2 - 1.0) * 2 / np.pi
    assert rho == pytest.approx(exact, rel=1e-6)


def test_haar_is_an_atom(capsys: pytest.CaptureFixture[str], linear: str) -> None:
    """h' = W h, orthogonal: every squared singular value is sigma_w^2, and no density is given."""
    words = ["spectrum", linear, "--set", "e.sigma_w=0.5", "--weights", "orthogonal"]
    found = printed_json(capsys, *words)
    assert found["atoms"]["place"] == pytest.approx([0.25], rel=1e-6)
    assert found["atoms"]["mass"] == pytest.approx([1.0], rel=1e-6)
    assert found["support"]["intervals"] == []
    assert found["density"] is None
    value, error = (np.array(found["quantiles"][name]) for name in ("value", "error"))
    assert (np.abs(value - 0.5) <= error + 1e-6).all()


def test_it_agrees_with_the_library_and_says_what_is_free(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gated cell's free power: its moments, and that they are an approximation.

    The rest of the law takes a minute: it is that of a linear cell here.
    """
    s = resolve_setting("minimal", ["e.sigma_w=2"])
    law = MeanField(s.cell, s.ensemble, s.inputs, tying="untied").jacobian(
        2, method="free", units=256
    )
    linear = vanilla(identity)
    easy = MeanField(linear, linear.ensemble(e={"sigma_w": 0.5}), tying="untied").jacobian()
    for name in ("support", "atoms", "quantiles", "condition", "density"):
        known = getattr(easy, name)
        monkeypatch.setattr(JacobianLaw, name, lambda _, *a, known=known: known(*a))
    words = ["spectrum", "minimal", "--set", "e.sigma_w=2", "--units", "256", "--horizon", "2"]
    words += ["--moments", "2", "--points", "5", "--method", "free", "--tying", "untied"]
    found = printed_json(capsys, *words)
    assert found["moments"]["value"] == law.moments(2).value.tolist()
    assert found["jacobian"]["approximation"] is True
    assert found["quantiles"]["value"] == easy.quantiles(found["probabilities"]).value.tolist()
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "T = 2, free (an approximation" in shown
    assert "m_2 - m_1^2" in shown
    assert "\u2588" in shown


def test_the_density_is_drawn(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, linear: str
) -> None:
    file = tmp_path / "density.svg"
    words = ["spectrum", linear, "--set", "e.sigma_w=0.5", "--points", "5", "--output", str(file)]
    assert main(words) == 0
    assert "nan" not in capsys.readouterr().out
    assert file.read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "Missing argument"),
        ("nothing", "no cell named 'nothing'"),
        ("vanilla --horizon -1", "horizon must be"),
        ("vanilla --moments 0", "highest must be"),
        ("vanilla --points -1", "points must be"),
        ("vanilla --method magic", "method must be"),
        ("vanilla --tying loose", "tying must be"),
        ("vanilla --units 0", "units must be"),
        ("vanilla --burn-in -1", "burn_in must be"),
        ("vanilla --points 0 --output density.svg", "--points must be"),
        ("vanilla --output no/such/folder/density.svg", "No such folder"),
    ],
)
def test_bad_input_is_one_line(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["spectrum", *words.split()]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert sentence in found.err
    assert found.err.count("\n") == 1
