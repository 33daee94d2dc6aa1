"""Digits: what ships with scikit-learn, and a user's own files, sound or damaged."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from rnnmft.errors import ParseError
from rnnmft.experiments.digits import digits_from, sklearn_digits

IMAGES = np.random.default_rng(0).integers(0, 255, (30, 28, 28)).astype(np.uint8)
LABELS = np.arange(30).astype(np.uint8) % 10


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def test_the_default_set_is_standardized_and_split() -> None:
    found = sklearn_digits(8)
    every = np.concatenate([found.images, found.test_images])
    assert every.shape == (1797, 64)
    assert found.side == 8
    assert every.mean() == pytest.approx(0.0, abs=1e-5)
    assert every.std() == pytest.approx(1.0, rel=1e-5)
    assert sklearn_digits(28).images.shape[1] == 784
    assert set(found.labels) == set(range(10))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_idx_files(tmp_path: Path, packed: bool) -> None:
    pack = gzip.compress if packed else bytes
    (tmp_path / "train-images-idx3-ubyte").write_bytes(pack(idx(IMAGES)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(pack(idx(LABELS)))
    found = digits_from(tmp_path)
    assert len(found.images) + len(found.test_images) == 30
    # The same images in the same order as from the other formats.
    np.savez(tmp_path / "mnist.npz", x_train=IMAGES, y_train=LABELS)
    other = digits_from(tmp_path / "mnist.npz")
    assert np.array_equal(found.images, other.images)
    assert np.array_equal(found.labels, other.labels)


def test_json_files(tmp_path: Path) -> None:
    for digit in range(10):
        pixels = (IMAGES[digit == LABELS] / 255).ravel().tolist()
        (tmp_path / f"{digit}.json").write_text(json.dumps({"data": pixels}), "utf-8")
    found = digits_from(tmp_path, side=14)
    assert found.images.shape == (24, 196)


def test_damaged_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES)[:-1])
    with pytest.raises(ParseError, match="fewer bytes than its head says"):
        digits_from(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"PNG")
    with pytest.raises(ParseError, match="no IDX file"):
        digits_from(tmp_path)
    np.savez(tmp_path / "x.npz", x_train=IMAGES)
    with pytest.raises(ParseError, match="lacks y_train"):
        digits_from(tmp_path / "x.npz")
    folder = tmp_path / "json"
    folder.mkdir()
    for digit in range(10):
        (folder / f"{digit}.json").write_text('{"data": [1, 2]}', "utf-8")
    with pytest.raises(ParseError, match=r"0\.json holds no images"):
        digits_from(folder)
    with pytest.raises(ParseError, match="has no file train-images"):
        digits_from(tmp_path / "nothing")
