"""Sequences of real data as the law of an input: its Gram matrix over time, of two trajectories.

    K_ab(t, s) = E[x_i^{t,a} x_i^{s,b}],    the mean over features and sequences

V x is Gaussian whatever the data: V is, and x^t and x^s enter by their inner product alone. So a
network cannot tell data from anything else of the same K: a Gaussian input of that law, or numbers
of F features whose Gram matrices these are. Nothing is stationary: R_t = K(t, t).

Eq. (data-gram).
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnmft.errors import ParameterError

__all__ = ["InputData", "data_of_gram", "data_of_sequences"]

Array = NDArray[np.float64]

# Eigenvalues of a Gram matrix below this part of the largest are rounding (of 2^12 numbers, say),
# and one this far below 0 says that the matrix is none.
_ROUNDING = 1e-12
_NEGATIVE = 1e-9


class InputData:
    """The Gram matrices over time of two input trajectories a and b, T steps long.

    Two are equal where they were made of the same numbers.

    Args:
        gram: (2, 2, T, T), [side, side, t, s].
        paths: (2, T, F), numbers of these Gram matrices, paths paths^T / F; found when absent.
        made_of: what it was made of, for its digest.
        sequences, features: of the data.
    """

    def __init__(
        self,
        gram: Array,
        paths: Array | None = None,
        *,
        made_of: bytes,
        sequences: int,
        features: int,
    ) -> None:
        self.gram = gram
        self.sequences, self.features = sequences, features
        self.steps: int = gram.shape[-1]
        #: Whether both trajectories are the same.
        self.coincides = bool((gram[0, 0] == gram[0, 1]).all() and (gram[0, 1] == gram[1, 1]).all())
        self.paths = _paths(gram, self.coincides) if paths is None else paths
        for array in (self.gram, self.paths):
            array.setflags(write=False)
        self.digest = hashlib.sha256(made_of).hexdigest()

    @property
    def second_moment(self) -> Array:
        """R_t of each trajectory, (2, T)."""
        return np.array([np.diagonal(self.gram[a, a]) for a in range(2)])

    @property
    def R(self) -> float:
        """R_t averaged over steps and trajectories."""
        return float(self.second_moment.mean())

    @property
    def correlation(self) -> float:
        """E[x_a x_b] over R, averaged over the steps; 1 only where the trajectories coincide."""
        if self.coincides or self.R == 0.0:
            return 1.0
        overlap = float(np.diagonal(self.gram[0, 1]).mean()) / self.R
        return float(np.clip(overlap, -1.0, np.nextafter(1.0, 0.0)))

    def kappa(self, side: int = 0) -> Array:
        """K(t, s) / sqrt(R_t R_s) of one trajectory, (T, T); nan where a step has no variance."""
        size = np.sqrt(self.second_moment[side])
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.gram[side, side] / np.outer(size, size)

    def to_dict(self) -> dict[str, Any]:
        """What it is made of, JSON-safe: sizes, and the SHA-256 digest of the numbers."""
        return {
            "sequences": self.sequences,
            "steps": self.steps,
            "features": self.features,
            "sha256": self.digest,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, InputData) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return (
            f"InputData({self.sequences} sequences, {self.steps} steps, {self.features} features; "
            f"R = {self.R:.4g}, correlation {self.correlation:.4g})"
        )


def data_of_sequences(array: ArrayLike, second: ArrayLike | None = None) -> InputData:
    """The mean Gram matrices of sequences.

        K(t, s) = (1 / B F) sum_{b,i} x_bi^t x_bi^s        B sequences of F features

    Of a batch alone the overlap of two trajectories is the mean over all pairs of different
    sequences; with a second batch, over the pairs that stand in the same place.

    Args:
        array: (sequences, time, features), or one sequence (time, features).
        second: the second trajectory's, of the same shape; without it one sequence is both.

    Raises:
        ParameterError: another shape, or a number that is not finite.
    """
    a = _batch("array", array)
    made_of = a.tobytes()
    if second is not None:
        b = _batch("second", second)
        if a.shape != b.shape:
            raise ParameterError(f"second must have array's shape {a.shape}, got {b.shape}")
        gram, made_of = (
            np.array([[_mean(x, y) for y in (a, b)] for x in (a, b)]),
            made_of + b.tobytes(),
        )
    else:
        own = _mean(a, a)
        other = own if len(a) == 1 else _mean_over_pairs(a, own)
        gram, b = np.array([[own, other], [other.T, own]]), a
    count, steps, features = a.shape
    few = count == 1 and features <= 2 * steps
    paths = np.stack([a[0], b[0]]) if few else None
    return InputData(gram, paths, made_of=made_of, sequences=count, features=features)


def data_of_gram(gram: ArrayLike, overlap: ArrayLike | float | None = None) -> InputData:
    """Inputs of any given Gram matrix over time.

    Args:
        gram: K(t, s), (T, T), positive semidefinite.
        overlap: K_ab(t, s), (T, T), or a correlation c for K_ab = c K; the trajectories are one
            when absent.

    Raises:
        ParameterError: it is no square matrix, not finite, or not positive semidefinite, alone or
            together with the overlap.
    """
    own = _square("gram", gram)
    if np.abs(own - own.T).max() > _NEGATIVE * np.abs(own).max():
        raise ParameterError("gram must be symmetric")
    if overlap is None:
        other = own
    elif np.ndim(overlap) == 0:
        other = own * float(overlap)  # type: ignore[arg-type]
    else:
        other = _square("overlap", overlap)
    if own.shape != other.shape:
        raise ParameterError(f"overlap must have gram's shape {own.shape}, got {other.shape}")
    both = np.array([[own, other], [other.T, own]])
    return InputData(
        both,
        made_of=own.tobytes() + other.tobytes(),
        sequences=1,
        features=len(own),
    )


def _batch(name: str, array: ArrayLike) -> Array:
    """(B, T, F) in double precision."""
    found = _finite(name, array)
    found = found[None] if found.ndim == 2 else found
    if found.ndim != 3 or 0 in found.shape:
        raise ParameterError(
            f"{name} must have the axes (sequences, time, features) or (time, features), none of "
            f"them empty, got shape {np.shape(array)}"
        )
    return np.ascontiguousarray(found)


def _square(name: str, array: ArrayLike) -> Array:
    found = _finite(name, array)
    if found.ndim != 2 or found.shape[0] != found.shape[1] or not found.size:
        raise ParameterError(f"{name} must be a square matrix over time, got shape {found.shape}")
    return found


def _finite(name: str, array: ArrayLike) -> Array:
    given = np.asarray(array)
    if given.dtype.kind not in "fiu":
        raise ParameterError(f"{name} must hold real numbers, got {given.dtype}")
    found = given.astype(np.float64)
    if not np.isfinite(found).all():
        raise ParameterError(f"{name} must hold finite numbers")
    return found


def _mean(a: Array, b: Array) -> Array:
    """(1 / B F) sum_{b,i} a^t b^s, (T, T)."""
    count, _, features = a.shape
    return np.tensordot(a, b, axes=((0, 2), (0, 2))) / (count * features)


def _mean_over_pairs(a: Array, own: Array) -> Array:
    """The mean of a_j^t a_k^s over features and j != k: (B^2 m^t m^s - B K) / (B (B - 1))."""
    count, _, features = a.shape
    mean = a.mean(0)
    return (count * (mean @ mean.T) / features - own) / (count - 1)


def _paths(gram: Array, coincides: bool) -> Array:
    """Numbers (2, T, F) of these Gram matrices, F <= 2 T: a factor of the whole matrix."""
    steps = gram.shape[-1]
    whole = gram[0, 0] if coincides else gram.transpose(0, 2, 1, 3).reshape(2 * steps, 2 * steps)
    values, vectors = np.linalg.eigh((whole + whole.T) / 2.0)
    largest = max(float(values[-1]), 0.0)
    if values[0] < -_NEGATIVE * max(largest, np.finfo(float).tiny):
        raise ParameterError(
            "the Gram matrix over time must be positive semidefinite, of both trajectories "
            f"together; it has the eigenvalue {values[0]:.3g} beside {largest:.3g}"
        )
    kept = values > _ROUNDING * largest
    if not kept.any():
        return np.zeros((2, steps, 1))
    factor = vectors[:, kept] * np.sqrt(values[kept] * kept.sum())
    return np.stack([factor, factor]) if coincides else factor.reshape(2, steps, -1)
