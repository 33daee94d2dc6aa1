"""Digits to learn from: scikit-learn's 1,797 of 8 x 8 pixels, or MNIST from a user's own files.

Pixels are standardized over the set, so that the second moment of an input is R = 1.
"""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from rnnmft.content import json_content
from rnnmft.errors import ParameterError, ParseError

__all__ = ["Digits", "digits_from", "sklearn_digits"]

#: The share that is kept for testing.
_TEST = 0.2
#: Of IDX files: unsigned bytes, and the number of axes in the last byte of the magic number.
_BYTES = 0x08
#: Images of MNIST and of its excerpts, which are stored as one row of pixels.
_SIDE = 28


@dataclass(frozen=True)
class Digits:
    """Images (n, side^2) and their classes (n,), split once and for all.

    Attributes:
        images, labels: to learn from.
        test_images, test_labels: kept aside.
        source: where they come from.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int64]
    source: str

    @property
    def side(self) -> int:
        """Pixels along an edge."""
        return round(self.images.shape[1] ** 0.5)


def sklearn_digits(side: int = 8, seed: int = 0) -> Digits:
    """The set that ships inside scikit-learn, resampled to `side` x `side` pixels.

    Raises:
        ParameterError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ParameterError(
            "the default digits ship with scikit-learn: install rnnmft[experiments], or give the "
            "path of MNIST files"
        ) from error
    images, labels = load_digits(return_X_y=True)
    return _split(images.reshape(-1, 8, 8), labels, side, seed, "scikit-learn digits")


def digits_from(path: Path, side: int | None = None, seed: int = 0) -> Digits:
    """Digits of a user's own files.

    A folder of IDX files (train-images, train-labels, packed or not), a .npz file with x_train and
    y_train, or a folder of JSON files 0.json .. 9.json, {"data": [pixels of one after the other]}.

    Raises:
        ParseError: the files hold something else.
        OSError: they cannot be read.
    """
    images, labels = _read(path)
    return _split(images, labels, side or images.shape[1], seed, path.name)


def _read(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as found:
            missing = {"x_train", "y_train"} - set(found)
            if missing:
                raise ParseError(f"{path.name} lacks {', '.join(sorted(missing))}")
            return found["x_train"].astype(float), found["y_train"].astype(np.int64)
    if (path / "0.json").exists():
        return _of_json(path)
    images, labels = (_idx(_only(path, f"train-{kind}*")) for kind in ("images", "labels"))
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise ParseError(f"{path.name}: images and labels do not fit each other")
    return images.astype(float), labels.astype(np.int64)


def _of_json(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    images, labels = [], []
    for digit in range(10):
        content = json_content((path / f"{digit}.json").read_text("utf-8"), f"{digit}.json")
        pixels = np.asarray(content.get("data", []) if isinstance(content, dict) else [], float)
        if not pixels.size or pixels.size % _SIDE**2:
            raise ParseError(f"{digit}.json holds no images of {_SIDE} x {_SIDE} pixels")
        images.append(pixels.reshape(-1, _SIDE, _SIDE))
        labels += [digit] * len(images[-1])
    return np.concatenate(images), np.array(labels)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise ParseError(f"{folder.name} has no file {pattern}")
    return found[0]


def _idx(path: Path) -> NDArray[np.uint8]:
    content = path.read_bytes()
    data = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _BYTES:
        raise ParseError(f"{path.name} is no IDX file of bytes")
    axes, start = data[3], 4 + 4 * data[3]
    shape = struct.unpack(f">{axes}I", data[4:start])
    if len(data) - start != int(np.prod(shape)):
        raise ParseError(f"{path.name} holds fewer bytes than its head says")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _split(
    images: NDArray[np.float64], labels: NDArray[np.int64], side: int, seed: int, source: str
) -> Digits:
    """Resampled, standardized over the set, shuffled and split."""
    if side != images.shape[1]:
        # The ratio that gives exactly `side` pixels: splines of first order, as for a screen.
        images = zoom(images, (1, side / images.shape[1], side / images.shape[2]), order=1)
    flat = images.reshape(len(images), -1)
    flat = ((flat - flat.mean()) / flat.std()).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(flat))
    test = round(_TEST * len(flat))
    kept, learnt = order[:test], order[test:]
    classes = labels.astype(np.int64)
    return Digits(flat[learnt], classes[learnt], flat[kept], classes[kept], source)
