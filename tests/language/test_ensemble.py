"""Ensembles and inputs: defaults, domains, and a message for everything outside them."""

from __future__ import annotations

import copy
import json
import math
import pickle

import numpy as np
import pytest

from rnnmft import cells
from rnnmft.activations import relu, tanh
from rnnmft.cells import Cell, Inputs, Normal, Preactivation, RandomParameter, State, Uniform
from rnnmft.errors import ParameterError
from rnnmft.language.ensemble import Ensemble, PreactivationLaw

h = State("h")
u, v = RandomParameter("u"), RandomParameter("v")
DIAGONAL = Cell("diagonal", {h: relu(Preactivation("e", 0) + u * h + v)})
BAD_NUMBERS = [math.nan, math.inf, -math.inf, "1", True, None, [1.0], 1j]


# --- preactivations ------------------------------------------------------------------------------


def test_defaults() -> None:
    law = cells.minimal().ensemble()["e"]
    assert law == PreactivationLaw(1.0, 1.0, 0.0, 0.0, "gaussian")
    assert law.to_dict() == {
        "sigma_w": 1.0,
        "sigma_v": 1.0,
        "mu_b": 0.0,
        "sigma_b": 0.0,
        "weights": "gaussian",
    }


def test_what_a_preactivation_lacks_is_zero() -> None:
    ensemble = cells.gru_torch().ensemble()
    assert ensemble["n_x"].sigma_w == 0.0
    assert ensemble["n_h"].sigma_v == 0.0
    assert list(ensemble) == ["r", "z", "n_x", "n_h"]
    assert len(ensemble) == 4


def test_the_given_values_are_floats_of_what_was_given() -> None:
    law = cells.minimal().ensemble(e={"sigma_w": 4, "mu_b": np.float32(0.5)})["e"]
    assert (law.sigma_w, law.mu_b) == (4.0, 0.5)
    assert type(law.sigma_w) is type(law.mu_b) is float


@pytest.mark.parametrize("key", ["sigma_w", "sigma_v", "mu_b", "sigma_b"])
@pytest.mark.parametrize("value", BAD_NUMBERS, ids=repr)
def test_a_parameter_is_a_finite_number(key: str, value: object) -> None:
    with pytest.raises(ParameterError, match=rf"e\.{key} must be a finite number.*, got"):
        cells.minimal().ensemble(e={key: value})  # type: ignore[dict-item]


@pytest.mark.parametrize("key", ["sigma_w", "sigma_v", "sigma_b"])
def test_a_standard_deviation_is_not_negative(key: str) -> None:
    with pytest.raises(ParameterError, match=rf"e\.{key} must be a finite number >= 0, got -0.5"):
        cells.minimal().ensemble(e={key: -0.5})
    assert cells.minimal().ensemble(e={key: 0})["e"].to_dict()[key] == 0.0


def test_a_mean_may_be_negative() -> None:
    assert cells.minimal().ensemble(e={"mu_b": -3})["e"].mu_b == -3.0


def test_unknown_names() -> None:
    with pytest.raises(ParameterError, match="unknown preactivation 'f'; this cell has e"):
        cells.minimal().ensemble(f={})
    with pytest.raises(ParameterError, match="unknown preactivation 'f'; this cell has none"):
        Cell("k", {h: h / 2}).ensemble(f={})
    with pytest.raises(ParameterError, match=r"unknown parameter e\.sigma .*'sigma_w'\?"):
        cells.minimal().ensemble(e={"sigma": 1.0})
    with pytest.raises(ParameterError, match="e must be a mapping of parameters, got 3"):
        cells.minimal().ensemble(e=3)  # type: ignore[arg-type]


def test_what_a_preactivation_lacks_cannot_be_given() -> None:
    with pytest.raises(ParameterError, match=r"n_x\.sigma_w must be 0 or absent: 'n_x' has no rec"):
        cells.gru_torch().ensemble(n_x={"sigma_w": 1.0})
    with pytest.raises(ParameterError, match=r"n_h\.sigma_v must be 0 or absent: 'n_h' has no inp"):
        cells.gru_torch().ensemble(n_h={"sigma_v": 1.0})
    assert cells.gru_torch().ensemble(n_x={"sigma_w": 0})["n_x"].sigma_w == 0.0


# --- kinds of weights ----------------------------------------------------------------------------


def test_orthogonal_is_for_every_recurrent_matrix() -> None:
    kinds = {n: law.weights for n, law in cells.gru_torch().ensemble("orthogonal").items()}
    assert kinds == {"r": "orthogonal", "z": "orthogonal", "n_x": "gaussian", "n_h": "orthogonal"}


def test_weights_by_name() -> None:
    kinds = {n: law.weights for n, law in cells.gru().ensemble({"z": "orthogonal"}).items()}
    assert kinds == {"r": "gaussian", "z": "orthogonal", "n": "gaussian"}


@pytest.mark.parametrize("kind", ["orthogonl", "", None, 3, {"e": "haar"}])
def test_an_unknown_kind_of_weights(kind: object) -> None:
    # Kinds that others registered in this process stand behind the two.
    with pytest.raises(ParameterError, match=r"weights must be one of gaussian, orthogonal.*, got"):
        cells.minimal().ensemble(kind)  # type: ignore[arg-type]


def test_orthogonal_needs_a_recurrent_matrix() -> None:
    alone = Cell("k", {h: h / 2 + tanh(Preactivation("a", 0))})
    for weights in ("orthogonal", {"a": "orthogonal"}):
        with pytest.raises(ParameterError, match="'a' cannot be 'orthogonal': it has no recurrent"):
            alone.ensemble(weights)
    assert alone.ensemble("gaussian")["a"].weights == "gaussian"


def test_weights_of_an_unknown_preactivation() -> None:
    with pytest.raises(ParameterError, match="weights names unknown preactivation 'f'"):
        cells.minimal().ensemble({"f": "orthogonal"})


# --- elementwise random parameters ---------------------------------------------------------------


def test_laws_are_stored_by_name() -> None:
    ensemble = DIAGONAL.ensemble(parameters={"v": Normal(0, 1), "u": Uniform(-1, 1)})
    assert dict(ensemble.parameters) == {"u": Uniform(-1, 1), "v": Normal(0, 1)}
    assert dict(cells.minimal().ensemble().parameters) == {}
    assert "v: Normal(mean=0.0, std=1.0)" in repr(ensemble)


def test_every_parameter_needs_a_law() -> None:
    with pytest.raises(ParameterError, match="no law for the elementwise random parameter u, v"):
        DIAGONAL.ensemble()
    with pytest.raises(ParameterError, match="no law for the elementwise random parameter v;"):
        DIAGONAL.ensemble(parameters={"u": Normal()})


def test_wrong_laws() -> None:
    laws = {"u": Normal(), "v": Normal()}
    with pytest.raises(ParameterError, match=r"unknown parameter 'w'; .* of this cell are u, v"):
        DIAGONAL.ensemble(parameters={**laws, "w": Normal()})
    with pytest.raises(ParameterError, match=r"unknown parameter 'u'; .* of this cell are none"):
        cells.minimal().ensemble(parameters=laws)
    for wrong in (0.5, "normal", Normal, None):
        with pytest.raises(ParameterError, match=r"parameters\['v'\] must be a law"):
            DIAGONAL.ensemble(parameters={**laws, "v": wrong})
    with pytest.raises(ParameterError, match="parameters must map names to laws"):
        DIAGONAL.ensemble(parameters=[Normal()])  # type: ignore[arg-type]


# --- the record ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ensemble",
    [
        cells.gru().ensemble({"z": "orthogonal"}, n={"mu_b": 1.5}),
        DIAGONAL.ensemble(parameters={"u": Normal(0, 1), "v": Uniform(0, 2)}),
    ],
    ids=["gru", "diagonal"],
)
def test_ensembles_compare_hash_pickle_and_go_into_json(ensemble: Ensemble) -> None:
    for other in (pickle.loads(pickle.dumps(ensemble)), copy.deepcopy(ensemble)):
        assert other == ensemble
        assert hash(other) == hash(ensemble)
    data = json.loads(json.dumps(ensemble.to_dict()))
    assert set(data) == {*ensemble, *(["parameters"] if ensemble.parameters else [])}


def test_different_ensembles_are_different() -> None:
    cell = cells.minimal()
    assert cell.ensemble() != cell.ensemble(e={"mu_b": 1})
    assert cell.ensemble() != cell.ensemble("orthogonal")
    one, two = ({"u": Normal(), "v": Normal(0, s)} for s in (1, 2))
    assert DIAGONAL.ensemble(parameters=one) != DIAGONAL.ensemble(parameters=two)


def test_an_ensemble_does_not_change() -> None:
    ensemble = cells.minimal().ensemble()
    with pytest.raises(AttributeError):
        ensemble.laws = {}  # type: ignore[misc]
    with pytest.raises(TypeError):
        ensemble.laws["e"] = PreactivationLaw()  # type: ignore[index]
    with pytest.raises(AttributeError):
        ensemble["e"].sigma_w = 2.0  # type: ignore[misc]
    with pytest.raises(KeyError):
        ensemble["f"]


# --- inputs --------------------------------------------------------------------------------------


def test_input_defaults() -> None:
    inputs = Inputs()
    assert (inputs.R, inputs.correlation, inputs.temporal) == (1.0, 0.5, "white")
    assert inputs.to_dict() == {"R": 1.0, "correlation": 0.5, "temporal": "white"}


@pytest.mark.parametrize("value", [*BAD_NUMBERS, -0.1], ids=repr)
def test_R_is_a_finite_number_not_negative(value: object) -> None:
    with pytest.raises(ParameterError, match="R must be a finite number >= 0, got"):
        Inputs(R=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [*BAD_NUMBERS, -1.001, 1.001, 2], ids=repr)
def test_a_correlation_is_at_most_one(value: object) -> None:
    with pytest.raises(ParameterError, match="correlation must be a number from -1 to 1, got"):
        Inputs(correlation=value)  # type: ignore[arg-type]


def test_the_ends_of_the_domains_belong_to_them() -> None:
    assert [Inputs(R=0, correlation=c).correlation for c in (-1, 1)] == [-1.0, 1.0]


@pytest.mark.parametrize(
    ("temporal", "expected"),
    [
        ("white", [1, 0, 0, 0]),
        ("constant", [1, 1, 1, 1]),
        ((1.0, 0.5, 0.25), [1, 0.5, 0.25, 0]),
        (np.array([1.0, -0.4]), [1, -0.4, 0, 0]),
        ([1], [1, 0, 0, 0]),
    ],
)
def test_autocorrelation(temporal: object, expected: list[float]) -> None:
    inputs = Inputs(temporal=temporal)  # type: ignore[arg-type]
    assert [inputs.kappa(lag) for lag in range(4)] == expected
    assert [inputs.kappa(-lag) for lag in range(4)] == expected
    assert pickle.loads(pickle.dumps(inputs)) == inputs
    assert hash(inputs) == hash(copy.copy(inputs))
    json.dumps(inputs.to_dict())


@pytest.mark.parametrize(
    ("temporal", "message"),
    [
        ("pink", "temporal must be 'white', 'constant' or a sequence"),
        ("", "temporal must be 'white'"),
        (3, "temporal must hold numbers"),
        (None, "temporal must hold numbers"),
        ((), "at least one number"),
        ((1.0, math.nan), "all finite"),
        ((1.0, math.inf), "all finite"),
        (("a",), "must hold numbers"),
        ((0.9, 0.1), r"kappa\(0\) = 1"),
        ((1.0, 1.1), r"within \[-1, 1\]"),
        ((1.0, 0.9), "not a positive semidefinite autocorrelation: its spectrum is"),
        ((1.0, 0.0, -0.8), "not a positive semidefinite autocorrelation"),
    ],
)
def test_what_is_not_an_autocorrelation(temporal: object, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Inputs(temporal=temporal)  # type: ignore[arg-type]
