"""Gram matrices of data: against loops, by the numbers that stand for them, and what is refused."""

from __future__ import annotations

import pickle
from itertools import permutations

import numpy as np
import pytest

from rnnmft import cells, critical, phase_diagram
from rnnmft.errors import ParameterError
from rnnmft.input_data import data_of_gram, data_of_sequences
from rnnmft.language import Inputs
from rnnmft.report import make_report

RNG = np.random.default_rng(0)
BATCH = RNG.normal(size=(5, 4, 3)) + 0.5


def test_a_batch_by_hand() -> None:
    """The mean over sequences, and over all ordered pairs of different ones."""
    found = data_of_sequences(BATCH)
    own = np.mean([x @ x.T for x in BATCH], axis=0) / 3
    other = np.mean([x @ y.T for x, y in permutations(BATCH, 2)], axis=0) / 3
    np.testing.assert_allclose(found.gram[0, 0], own, rtol=1e-13)
    np.testing.assert_allclose(found.gram[1, 1], own, rtol=1e-13)
    np.testing.assert_allclose(found.gram[0, 1], other, rtol=1e-12)
    np.testing.assert_allclose(found.second_moment[0], (BATCH**2).mean((0, 2)), rtol=1e-13)
    assert pytest.approx(found.R) == (BATCH**2).mean()
    assert found.correlation == pytest.approx(np.trace(other) / np.trace(own))
    assert np.diagonal(found.kappa()) == pytest.approx(1.0)


def test_two_batches_pair_their_sequences() -> None:
    second = RNG.normal(size=BATCH.shape)
    found = data_of_sequences(BATCH, second)
    other = np.mean([x @ y.T for x, y in zip(BATCH, second, strict=True)], axis=0) / 3
    np.testing.assert_allclose(found.gram[0, 1], other, rtol=1e-12)
    np.testing.assert_allclose(found.gram[1, 0], other.T, rtol=1e-12)


@pytest.mark.parametrize("kind", ["batch", "two", "one", "pair of many features", "gram"])
def test_paths_have_the_gram_matrix(kind: str) -> None:
    """The numbers that networks read: at most 2 T features, and the same inner products."""
    wide = RNG.normal(size=(2, 4, 50))
    data = {
        "batch": lambda: data_of_sequences(BATCH),
        "two": lambda: data_of_sequences(BATCH[0], BATCH[1]),
        "one": lambda: data_of_sequences(BATCH[0]),
        "pair of many features": lambda: data_of_sequences(wide[0], wide[1]),
        "gram": lambda: data_of_gram(np.eye(4) + 1.0, 0.3),
    }[kind]()
    _, steps, features = data.paths.shape
    assert features <= 2 * steps
    found = np.einsum("atf,bsf->abts", data.paths, data.paths) / features
    assert np.abs(found - data.gram).max() <= 1e-12 * np.abs(data.gram).max()
    assert data.coincides == (kind == "one")


def test_few_features_of_a_pair_are_read_as_they_are() -> None:
    assert (data_of_sequences(BATCH[0], BATCH[1]).paths == BATCH[:2]).all()


def test_one_sequence_is_both_trajectories() -> None:
    for one in (BATCH[0], BATCH[:1]):
        inputs = Inputs.from_data(one)
        assert inputs.correlation == 1.0
    nearly = Inputs.from_data(BATCH[0], BATCH[0] * (1 + 1e-15))
    assert nearly.correlation < 1.0


def test_a_gram_matrix_may_be_singular_and_must_not_be_negative() -> None:
    assert data_of_gram(np.ones((3, 3))).paths.shape == (2, 3, 1)
    assert data_of_gram(np.zeros((2, 2))).R == 0.0
    for gram, overlap in (([[1.0, 2.0], [2.0, 1.0]], None), (np.eye(2), 1.5)):
        with pytest.raises(ParameterError, match="positive semidefinite"):
            data_of_gram(gram, overlap)


def test_inputs_of_data_compare_pickle_and_say_what_they_are() -> None:
    inputs = Inputs.from_data(BATCH)
    assert inputs == Inputs.from_data(BATCH.copy())
    assert inputs != Inputs.from_data(BATCH[::-1] * 2)
    assert hash(inputs) == hash(pickle.loads(pickle.dumps(inputs)))
    assert pickle.loads(pickle.dumps(inputs)) == inputs
    said = inputs.to_dict()
    assert said["temporal"] == "data"
    assert (said["data"]["sequences"], said["data"]["steps"]) == (5, 4)
    with pytest.raises(ParameterError, match=r"kappa\(lag\) needs inputs of a stationary law"):
        inputs.kappa(0)
    with pytest.raises(ParameterError, match="data of 4 steps, and 5 are needed"):
        inputs.require_steps(5)
    with pytest.raises(ParameterError, match="where there is data and nowhere else"):
        Inputs(temporal="data")


def test_what_is_about_stationary_states_refuses_data() -> None:
    inputs, cell = Inputs.from_data(BATCH), cells.vanilla()
    for ask in (
        lambda: critical(cell, inputs),
        lambda: phase_diagram(cell, inputs=inputs, vary={"R": [1.0]}),
        lambda: make_report(cell, inputs=inputs),
    ):
        with pytest.raises(ParameterError, match="needs inputs of a stationary law"):
            ask()


@pytest.mark.parametrize(
    ("array", "second", "said"),
    [
        (np.zeros(3), None, r"must have the axes"),
        (np.zeros((2, 0, 1)), None, r"none of them empty"),
        (np.full((3, 1), np.nan), None, r"must hold finite numbers"),
        ([["a", "b"]], None, r"must hold real numbers"),
        (np.zeros((3, 1)), np.zeros((4, 1)), r"second must have array's shape"),
    ],
    ids=["one axis", "empty", "nan", "text", "two lengths"],
)
def test_what_is_no_data(array: object, second: object, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        Inputs.from_data(array, second)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gram", "overlap", "said"),
    [
        (np.zeros((2, 3)), None, "square matrix"),
        (np.array([[1.0, 0.5], [0.0, 1.0]]), None, "symmetric"),
        (np.eye(2), np.eye(3), "overlap must have gram's shape"),
    ],
    ids=["no square", "not symmetric", "two sizes"],
)
def test_what_is_no_gram_matrix(gram: object, overlap: object, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        Inputs.from_gram(gram, overlap)  # type: ignore[arg-type]
