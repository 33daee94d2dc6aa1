"""The random ensemble of a cell's parameters.

    W_k: sigma_w times iid N(0, 1/N) ("gaussian") or Haar orthogonal ("orthogonal"); for theory
         alone any law in the table of `weight_ensembles`
    V_k: iid N(0, sigma_v^2 / N_in)     b_k: iid N(mu_b, sigma_b^2)

sigma_* are always standard deviations.

Eq. (ensemble).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rnnmft import parameters
from rnnmft.errors import ParameterError, did_you_mean
from rnnmft.language.laws import Law
from rnnmft.language.weight_ensembles import weight_ensemble

if TYPE_CHECKING:
    from rnnmft.language.symbols import Preactivation

__all__ = ["Ensemble", "PreactivationLaw", "build_ensemble"]


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
    """A mapping from each preactivation's name to its `PreactivationLaw`.

    `parameters` holds the `Law` of each elementwise random parameter by name. `Cell.ensemble`
    checks and fills in; an ensemble does not change, compares and hashes by value, and pickles.
    """

    laws: Mapping[str, PreactivationLaw]
    parameters: Mapping[str, Law] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "laws", MappingProxyType(dict(self.laws)))
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    def __getitem__(self, name: str) -> PreactivationLaw:
        return self.laws[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.laws)

    def __len__(self) -> int:
        return len(self.laws)

    def __hash__(self) -> int:
        return hash((frozenset(self.laws.items()), frozenset(self.parameters.items())))

    def __reduce__(self) -> Any:
        return type(self), (dict(self.laws), dict(self.parameters))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-safe dictionary: {preactivation: its five fields}, and "parameters" if any."""
        rows = {name: law.to_dict() for name, law in self.laws.items()}
        if self.parameters:
            rows["parameters"] = {name: law.to_dict() for name, law in self.parameters.items()}
        return rows

    def __repr__(self) -> str:
        rows = [
            f"{n}: {', '.join(f'{k}={v}' for k, v in vars(p).items())}" for n, p in self.items()
        ]
        rows += [f"{name}: {law!r}" for name, law in self.parameters.items()]
        return f"Ensemble({'; '.join(rows)})"


def build_ensemble(
    preactivations: Sequence[Preactivation],
    weights: str | Mapping[str, str],
    given: Mapping[str, Mapping[str, Any]],
    names: Sequence[str] = (),
    laws: Mapping[str, Law] = MappingProxyType({}),
) -> Ensemble:
    """Check every value and fill in the defaults (sigma_w = sigma_v = 1, mu_b = sigma_b = 0).

    Args:
        preactivations: of the cell.
        weights: one kind, or a kind by name.
        given: the parameters of each preactivation.
        names: the elementwise random parameters of the cell.
        laws: their laws; each needs one.
    """
    known = [p.name for p in preactivations]
    for name in given:
        if name not in known:
            raise ParameterError(
                f"unknown preactivation {name!r}{did_you_mean(name, known)}; this cell has "
                f"{', '.join(known) or 'none'}"
            )
    kinds = _weights(preactivations, weights)
    return Ensemble(
        {
            p.name: PreactivationLaw(**_law(p, given.get(p.name, {})), weights=kinds[p.name])
            for p in preactivations
        },
        _parameter_laws(names, laws),
    )


def _parameter_laws(names: Sequence[str], laws: Any) -> dict[str, Law]:
    if not isinstance(laws, Mapping):
        raise ParameterError(f"parameters must map names to laws, got {laws!r}")
    for name, law in laws.items():
        if name not in names:
            raise ParameterError(
                f"unknown parameter {name!r}{did_you_mean(name, names)}; the elementwise random "
                f"parameters of this cell are {', '.join(names) or 'none'}"
            )
        if not isinstance(law, Law):
            raise ParameterError(
                f"parameters[{name!r}] must be a law such as Normal(0, 1), got {law!r}"
            )
    missing = [name for name in names if name not in laws]
    if missing:
        raise ParameterError(
            f"no law for the elementwise random parameter {', '.join(missing)}; give one, "
            f"for example parameters={{{missing[0]!r}: Normal(0, 1)}}"
        )
    return {name: laws[name] for name in names}


def _law(p: Preactivation, given: Any) -> dict[str, float]:
    if not isinstance(given, Mapping):
        raise ParameterError(f"{p.name} must be a mapping of parameters, got {given!r}")
    known = parameters.PREACTIVATION_PARAMETERS
    for key in given:
        if key not in known:
            near = did_you_mean(key, known)
            raise ParameterError(
                f"unknown parameter {p.name}.{key}{near}; known are {', '.join(known)}"
            )
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
            near = did_you_mean(name, kinds)
            raise ParameterError(f"weights names unknown preactivation {name!r}{near}")
        weight_ensemble(kind)
        if kind != "gaussian" and name not in recurrent:
            raise ParameterError(
                f"weights of {name!r} cannot be {kind!r}: it has no recurrent matrix"
            )
        kinds[name] = kind
    return kinds
