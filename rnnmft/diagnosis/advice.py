"""What would mend a module whose gradients do not live: a critical ensemble, tried on a copy."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch

from rnnmft.diagnosis.record import Advice, LayerDiagnosis
from rnnmft.errors import OutOfTimeError, RnnmftError
from rnnmft.initialization.critical import critical
from rnnmft.initialization.initialization import Initialization
from rnnmft.language import Inputs
from rnnmft.tracing import HintOptions

__all__ = ["advise"]

# Units behind an advice: as many as `examine` takes by default.
_UNITS = 1 << 14


def advise(
    layers: Sequence[LayerDiagnosis],
    module: torch.nn.Module,
    measure: Callable[[torch.nn.Module], Sequence[float]],
    threshold: float,
    seed: int,
    hints: HintOptions,
) -> tuple[Advice, ...]:
    """Advice for the layers that are not healthy; nothing where all are.

    The untied equations take seconds; where a copy that is drawn from their answer is not healthy
    either, those of tied weights are solved too.

    Args:
        layers: what was found.
        module: the module, which stays as it is.
        measure: log10 m_1(T) of every layer of a module.
        threshold: the largest |log10 m_1(T)| that is healthy.
        seed: of the copy that is drawn.
        hints: how the module is read.
    """
    sick = tuple(layer.layer for layer in layers if layer.verdict != "healthy")
    if not sick:
        return ()
    first = layers[0]
    weights = "orthogonal" if any(p.is_recurrent for p in first.cell.preactivations) else "gaussian"
    # White inputs: the criticality of a memoryless step does not ask for more, and what the layer
    # above sees is rescaled when the module is drawn.
    inputs = Inputs(R=first.inputs.R)
    options: Any = {"horizon": first.length, "particles": _UNITS, "seed": seed, "device": "cpu"}
    tried: list[tuple[Initialization, tuple[float, ...]]] = []
    for tying in ("untied", "tied"):
        found = None
        try:
            found = critical(first.cell, inputs, weights, tying, **options)
            drawn = _copied(module)
            found.apply_(drawn, torch.Generator().manual_seed(seed), **hints)
        except RnnmftError as error:
            if tried:
                break
            if found is not None and isinstance(error, OutOfTimeError):
                why = "the time budget left none to try it on a copy"
                return (Advice(sick, _untried(found, why), found, ()),)
            if found is not None and isinstance(error, _NoCopyError):
                return (Advice(sick, _untried(found, str(error)), found, ()),)
            return (Advice(sick, f"No critical ensemble was found: {error}", None, ()),)
        tried.append((found, tuple(measure(drawn))))
        if _worst(tried[-1][1]) <= threshold:
            break
    found, means = min(tried, key=lambda one: _worst(one[1]))
    return (Advice(sick, _sentence(found, means, first.length), found, means),)


class _NoCopyError(RnnmftError):
    """The module refuses to be copied."""


def _copied(module: torch.nn.Module) -> torch.nn.Module:
    """A copy.

    Raises:
        _NoCopyError: the module's own code refuses; the sentence says how.
    """
    try:
        return copy.deepcopy(module)
    except Exception as error:  # whatever a user's __deepcopy__ raises
        raise _NoCopyError(f"it was not tried, as the module cannot be copied ({error})") from None


def _worst(means: Sequence[float]) -> float:
    return max(abs(value) for value in means)


def _sentence(found: Initialization, means: Sequence[float], length: int) -> str:
    worst = max(means, key=abs)
    return (
        f"Draw the module from {_numbers(found)}. This is critical for {found.tying} weights, and "
        f"a copy that was drawn so has log10 m_1({length}) = {worst:.2g}; "
        "advice[0].initialization.apply_(module) does it."
    )


def _untried(found: Initialization, why: str) -> str:
    return (
        f"Draw the module from {_numbers(found)}. This is critical for {found.tying} weights; "
        f"{why}. advice[0].initialization.apply_(module) does it."
    )


def _numbers(found: Initialization) -> str:
    """Every gate's numbers, in words."""
    rows = []
    for name, law in found.ensemble.items():
        values: dict[str, Any] = vars(law)
        given = [
            f"{key} = {values[key]:.4g}" for key in ("sigma_w", "sigma_v", "mu_b") if values[key]
        ]
        rows.append(f"{name}: {', '.join([*given, law.weights])}")
    rows += [f"{name}: {law!r}" for name, law in found.ensemble.parameters.items()]
    return "; ".join(rows)
