"""The random ensemble of a cell's parameters, and the law of its inputs.

    W_k: sigma_w times iid N(0, 1/N) ("gaussian") or Haar orthogonal ("orthogonal")
    V_k: iid N(0, sigma_v^2 / N_in)     b_k: iid N(mu_b, sigma_b^2)
    E[x_i^t x_i^s] = R kappa(t - s); between two trajectories, times the correlation

sigma_* are always standard deviations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rnnmft import parameters
from rnnmft.errors import ParameterError

if TYPE_CHECKING:
    from rnnmft.cells.cell import Preactivation

__all__ = ["WEIGHTS", "Ensemble", "Inputs", "PreactivationLaw", "build_ensemble"]

WEIGHTS = ("gaussian", "orthogonal")


@dataclass(frozen=True)
class PreactivationLaw:
    """The law of one preactivation's weights and bias; sigma_* are standard deviations."""

    sigma_w: float = 1.0
    sigma_v: float = 1.0
    mu_b: float = 0.0
    sigma_b: float = 0.0
    weights: str = "gaussian"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-safe dictionary of the five fields."""
        return dict(vars(self))


@dataclass(frozen=True)
class Ensemble(Mapping[str, PreactivationLaw]):
    """A mapping from each preactivation's name to its `PreactivationLaw`."""

    laws: Mapping[str, PreactivationLaw]

    def __getitem__(self, name: str) -> PreactivationLaw:
        return self.laws[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.laws)

    def __len__(self) -> int:
        return len(self.laws)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-safe dictionary: {preactivation: its five fields}."""
        return {name: law.to_dict() for name, law in self.laws.items()}

    def __repr__(self) -> str:
        rows = [
            f"{n}: {', '.join(f'{k}={v}' for k, v in vars(p).items())}" for n, p in self.items()
        ]
        return f"Ensemble({'; '.join(rows)})"


def build_ensemble(
    preactivations: Sequence[Preactivation],
    weights: str | Mapping[str, str],
    given: Mapping[str, Mapping[str, Any]],
) -> Ensemble:
    """Check every value and fill in the defaults (sigma_w = sigma_v = 1, mu_b = sigma_b = 0)."""
    names = [p.name for p in preactivations]
    for name in given:
        if name not in names:
            raise ParameterError(
                f"unknown preactivation {name!r}; this cell has {', '.join(names) or 'none'}"
            )
    laws = {p.name: _law(p, given.get(p.name, {})) for p in preactivations}
    kinds = _weights(preactivations, weights)
    return Ensemble(
        MappingProxyType(
            {n: PreactivationLaw(**values, weights=kinds[n]) for n, values in laws.items()}
        )
    )


def _law(p: Preactivation, given: Any) -> dict[str, float]:
    if not isinstance(given, Mapping):
        raise ParameterError(f"{p.name} must be a mapping of parameters, got {given!r}")
    known = parameters.PREACTIVATION_PARAMETERS
    for key in given:
        if key not in known:
            raise ParameterError(f"unknown parameter {p.name}.{key}; known are {', '.join(known)}")
    absent = {"sigma_w": not p.is_recurrent, "sigma_v": not p.has_input}
    law = {}
    for key, parameter in known.items():
        default = 0.0 if absent.get(key) else parameter.default
        law[key] = parameter.validate(given.get(key, default), p.name)
        if absent.get(key) and law[key] != 0.0:
            what = "recurrent matrix" if key == "sigma_w" else "input term"
            raise ParameterError(f"{p.name}.{key} must be 0 or absent: {p.name!r} has no {what}")
    return law


def _weights(
    preactivations: Sequence[Preactivation], weights: str | Mapping[str, str]
) -> dict[str, str]:
    by_name = isinstance(weights, Mapping)
    kinds: dict[str, str] = {p.name: "gaussian" for p in preactivations}
    recurrent = {p.name for p in preactivations if p.is_recurrent}
    chosen = dict(weights) if by_name else dict.fromkeys(sorted(recurrent) or kinds, weights)
    for name, kind in chosen.items():
        if name not in kinds:
            raise ParameterError(f"weights names unknown preactivation {name!r}")
        if kind not in WEIGHTS:
            raise ParameterError(f"weights must be one of {', '.join(WEIGHTS)}, got {kind!r}")
        if kind == "orthogonal" and name not in recurrent:
            raise ParameterError(
                f"weights of {name!r} cannot be 'orthogonal': it has no recurrent matrix"
            )
        kinds[name] = kind
    return kinds


@dataclass(frozen=True)
class Inputs:
    """The law of the input: zero mean, second moment R, correlation in time and between two runs.

    Args:
        R: E[x_i^2], >= 0.
        correlation: of the two trajectories' inputs, c_x in [-1, 1].
        temporal: "white", "constant", or kappa(0), kappa(1), .. with kappa(0) = 1, a positive
            semidefinite autocorrelation; zero after its last entry.
    """

    R: float = 1.0
    correlation: float = 0.5
    temporal: str | tuple[float, ...] = "white"

    def __post_init__(self) -> None:
        object.__setattr__(self, "R", parameters.R.validate(self.R))
        object.__setattr__(self, "correlation", parameters.CORRELATION.validate(self.correlation))
        if isinstance(self.temporal, str):
            if self.temporal not in ("white", "constant"):
                raise ParameterError(
                    "temporal must be 'white', 'constant' or a sequence kappa(0), kappa(1), .., "
                    f"got {self.temporal!r}"
                )
        else:
            object.__setattr__(self, "temporal", _autocorrelation(self.temporal))

    def kappa(self, lag: int) -> float:
        """The autocorrelation of the input at a lag in steps."""
        if self.temporal == "constant":
            return 1.0
        if self.temporal == "white":
            return 1.0 if lag == 0 else 0.0
        return float(self.temporal[abs(lag)]) if abs(lag) < len(self.temporal) else 0.0

    def to_dict(self) -> dict[str, Any]:
        """A JSON-safe dictionary of the three fields."""
        temporal = self.temporal if isinstance(self.temporal, str) else list(self.temporal)
        return {"R": self.R, "correlation": self.correlation, "temporal": temporal}


def _autocorrelation(values: Any) -> tuple[float, ...]:
    try:
        kappa = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        raise ParameterError(f"temporal must hold numbers, got {values!r}") from None
    if not kappa or not all(math.isfinite(v) for v in kappa):
        raise ParameterError(f"temporal must hold at least one number, all finite, got {values!r}")
    if abs(kappa[0] - 1.0) > 1e-12 or any(abs(v) > 1.0 for v in kappa):
        raise ParameterError("temporal must start with kappa(0) = 1 and stay within [-1, 1]")
    points = 16 * len(kappa)
    for j in range(points + 1):
        angle = math.pi * j / points
        power = 1.0 + 2.0 * sum(v * math.cos(k * angle) for k, v in enumerate(kappa) if k)
        if power < -1e-9 * len(kappa):
            raise ParameterError(
                "temporal is not a positive semidefinite autocorrelation: its spectrum is "
                f"{power:.3g} at frequency {angle:.3g}"
            )
    return kappa
