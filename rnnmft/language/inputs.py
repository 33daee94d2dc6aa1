"""The law of a cell's inputs: stationary, with its memory, or that of real data.

    E[x_i^t x_i^s] = R kappa(t - s); between two trajectories, times the correlation
    E[x_i^{t,a} x_i^{s,b}] = K_ab(t, s) of data: `rnnmft.input_data`

Eq. (ensemble), Eq. (data-gram).
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnnmft import parameters
from rnnmft.errors import ParameterError

if TYPE_CHECKING:
    from rnnmft.input_data import InputData

__all__ = ["Inputs"]


@dataclass(frozen=True)
class Inputs:
    """The law of the input: zero mean, second moment R, correlation in time and between two runs.

    `Inputs.from_data` takes it from sequences, and is not stationary; then R and the correlation
    are averages over the steps.

    Args:
        R: E[x_i^2], >= 0.
        correlation: of the two trajectories' inputs, c_x in [-1, 1].
        temporal: "white", "constant", or kappa(0), kappa(1), .. with kappa(0) = 1, a positive
            semidefinite autocorrelation; zero after its last entry. "data" where there is data.
        data: Gram matrices over time, as `from_data` and `from_gram` make them.
    """

    R: float = 1.0
    correlation: float = 0.5
    temporal: str | tuple[float, ...] = "white"
    data: InputData | None = None

    @classmethod
    def from_data(cls, array: Any, second: Any = None) -> Inputs:
        """Inputs that are sequences of data: their mean Gram matrix over time. Eq. (data-gram).

            K(t, s) = (1 / B F) sum_{b,i} x_bi^t x_bi^s

        Trajectory a and b are two sequences. Of a batch alone, their overlap is the mean over all
        pairs of different sequences; with a second batch, over pairs that stand in the same place.
        The theory is exact for one or two sequences. Of many it is the theory of a network that
        reads all of them side by side, not the mean over networks that read one each: unlike
        sequences, as those of one feature, have unlike Gram matrices.

        Numbers are taken as they are, means included: what a network sees is their products.

        Args:
            array: (sequences, time, features), or one sequence (time, features).
            second: the other trajectory's, of the same shape; without it one sequence is both.

        Raises:
            ParameterError: another shape, or numbers that are not finite.

        >>> Inputs.from_data([[1.0], [2.0], [0.0]], [[1.0], [0.0], [1.0]]).data.gram[0, 1].tolist()
        [[1.0, 0.0, 1.0], [2.0, 0.0, 2.0], [0.0, 0.0, 0.0]]
        """
        from rnnmft.input_data import data_of_sequences

        return cls(temporal="data", data=data_of_sequences(array, second))

    @classmethod
    def from_gram(cls, gram: Any, overlap: Any = None) -> Inputs:
        """Inputs of any Gram matrix over time, K(t, s) = E[x_i^t x_i^s].

        Args:
            gram: (T, T), positive semidefinite.
            overlap: of two trajectories, K_ab(t, s) (T, T), or a number c for c K; when absent the
                trajectories are one.

        Raises:
            ParameterError: it is not positive semidefinite, alone or with the overlap.

        >>> inputs = Inputs.from_gram([[2.0, 1.0], [1.0, 1.0]], overlap=0.5)
        >>> inputs.R, round(inputs.correlation, 12)
        (1.5, 0.5)
        """
        from rnnmft.input_data import data_of_gram

        return cls(temporal="data", data=data_of_gram(gram, overlap))

    def __post_init__(self) -> None:
        is_data = isinstance(self.temporal, str) and self.temporal == "data"
        if (self.data is not None) != is_data:
            raise ParameterError(
                "temporal is 'data' where there is data and nowhere else: use Inputs.from_data"
            )
        if self.data is not None:
            object.__setattr__(self, "R", self.data.R)
            object.__setattr__(self, "correlation", self.data.correlation)
        object.__setattr__(self, "R", parameters.R.validate(self.R))
        object.__setattr__(self, "correlation", parameters.CORRELATION.validate(self.correlation))
        if isinstance(self.temporal, str):
            if self.temporal not in ("white", "constant", "data"):
                raise ParameterError(
                    "temporal must be 'white', 'constant' or a sequence kappa(0), kappa(1), .., "
                    f"got {self.temporal!r}"
                )
        else:
            object.__setattr__(self, "temporal", _autocorrelation(self.temporal))

    def kappa(self, lag: int) -> float:
        """The autocorrelation of the input at a lag in steps.

        Raises:
            ParameterError: the inputs are data, which have none: see `data.kappa`.
        """
        self.require_stationary("kappa(lag)")
        if self.temporal == "constant":
            return 1.0
        if self.temporal == "white":
            return 1.0 if lag == 0 else 0.0
        return float(self.temporal[abs(lag)]) if abs(lag) < len(self.temporal) else 0.0

    def require_stationary(self, what: str) -> None:
        """Refuse what only inputs without a beginning and an end have.

        Raises:
            ParameterError: the inputs are data.
        """
        if self.data is not None:
            raise ParameterError(
                f"{what} needs inputs of a stationary law, and these are data of "
                f"{self.data.steps} steps: moments over time, autocorrelations and Jacobians at "
                "given steps are what there is"
            )

    def require_steps(self, steps: int) -> None:
        """Refuse to go on where data ends.

        Raises:
            ParameterError: the inputs are data of fewer steps.
        """
        if self.data is not None and steps > self.data.steps:
            raise ParameterError(
                f"the inputs are data of {self.data.steps} steps, and {steps} are needed: burn-in, "
                "steps and horizon must fit into them together"
            )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-safe dictionary of the fields; of data, its sizes and digest."""
        temporal = self.temporal if isinstance(self.temporal, str) else list(self.temporal)
        found = {"R": self.R, "correlation": self.correlation, "temporal": temporal}
        if self.data is None:
            return found
        # Of sums, whose last digits depend on the machine.
        means = {name: float(f"{found[name]:.12g}") for name in ("R", "correlation")}
        return {**found, **means, "data": self.data.to_dict()}


def _autocorrelation(values: Any) -> tuple[float, ...]:
    try:
        kappa = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        raise ParameterError(f"temporal must hold numbers, got {values!r}") from None
    if not kappa or not all(math.isfinite(v) for v in kappa):
        raise ParameterError(f"temporal must hold at least one number, all finite, got {values!r}")
    if abs(kappa[0] - 1.0) > 1e-12 or any(abs(v) > 1.0 for v in kappa):
        raise ParameterError("temporal must start with kappa(0) = 1 and stay within [-1, 1]")
    # 1 + 2 sum_k kappa(k) cos(k w) at 16 frequencies a lag or more, from 0 to pi.
    size = 1 << (32 * len(kappa) - 1).bit_length()
    sums = _fourier([*kappa, *[0.0] * (size - len(kappa))])
    for j, value in enumerate(sums[: size // 2 + 1]):
        power = 2.0 * value.real - 1.0
        if power < -1e-9 * len(kappa):
            raise ParameterError(
                "temporal is not a positive semidefinite autocorrelation: its spectrum is "
                f"{power:.3g} at frequency {2.0 * math.pi * j / size:.3g}"
            )
    return kappa


def _fourier(values: Sequence[complex]) -> list[complex]:
    """sum_k v_k exp(-2 pi i j k / n) for every j; n is a power of two."""
    n = len(values)
    if not any(values[1:]):
        return [values[0]] * n
    even, odd = _fourier(values[::2]), _fourier(values[1::2])
    turned = [cmath.exp(-2j * math.pi * j / n) * v for j, v in enumerate(odd)]
    sums = [a + b for a, b in zip(even, turned, strict=True)]
    return sums + [a - b for a, b in zip(even, turned, strict=True)]
