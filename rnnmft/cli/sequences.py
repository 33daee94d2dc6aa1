"""From a word on the command line to sequences of data: a file, or the digits of scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnmft.errors import ParameterError, ParseError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rnnmft.language import Inputs

__all__ = ["is_data", "read_inputs"]

_FILES = (".npy", ".npz")
_DIGITS = ("digits:rows", "digits:pixels")


def is_data(text: str) -> bool:
    """Whether a word names data.

    >>> is_data("walk.npy"), is_data("digits:rows:0,1"), is_data("1,0.5")
    (True, True, False)
    """
    return text.endswith(_FILES) or text.startswith(_DIGITS)


def read_inputs(text: str) -> Inputs:
    """Inputs of the data that a word names.

    A .npy file holds sequences (sequences, time, features) or one (time, features); a .npz file one
    such array, or one for each of two trajectories. "digits:rows" and "digits:pixels" are the 8 x 8
    digits of scikit-learn, standardized, read row by row (8 steps of 8) or pixel by pixel (64 of
    1): all of them, or two by their numbers, "digits:rows:0,1".

    Raises:
        ParseError: a file that is not what its name says.
        ParameterError: arrays of another shape, or unknown digits.
        OSError: a file cannot be read.
    """
    from rnnmft.language import Inputs

    if text.endswith(_FILES):
        return Inputs.from_data(*_arrays(Path(text)))
    return Inputs.from_data(*_digits(text))


def _arrays(path: Path) -> list[NDArray[Any]]:
    """One array of a file, or two."""
    import numpy as np

    try:
        found = np.load(path, allow_pickle=False)
        arrays = [found] if isinstance(found, np.ndarray) else list(found.values())
    except (ValueError, EOFError, KeyError) as error:
        # NumPy's own sentences about pickles and headers have several lines.
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ParseError(f"it holds no arrays of numbers: {reason}", source=str(path)) from None
    if not 1 <= len(arrays) <= 2:
        raise ParameterError(
            f"{path} must hold one array, or one for each of two trajectories, got {len(arrays)}"
        )
    return arrays


def _digits(text: str) -> list[NDArray[Any]]:
    from rnnmft.experiments.digits import sklearn_digits

    _, order, *rest = text.split(":")
    images = sklearn_digits().images
    sequences = images.reshape(len(images), *((8, 8) if order == "rows" else (64, 1)))
    if not rest:
        return [sequences]
    numbers = rest[0].split(",")
    if len(rest) > 1 or len(numbers) != 2 or not all(n.isdecimal() for n in numbers):
        raise ParameterError(f"digits are named as digits:rows or digits:rows:0,1, got {text!r}")
    places = [int(n) for n in numbers]
    if max(places) >= len(images):
        raise ParameterError(f"there are {len(images)} digits, from 0 on, got {text!r}")
    return [sequences[n] for n in places]
