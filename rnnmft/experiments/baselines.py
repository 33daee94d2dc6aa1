"""What people use instead of a theory: PyTorch's default, forget bias 1, and chrono biases.

    default        every entry of W, V and of two biases that add uniform within +- 1 / sqrt(N)
    forget bias 1  the same, with the bias of the gate that keeps the state at 1
    chrono         the same, with that bias log U(1, T - 1), and where another gate lets input in,
                   its bias the negative of it

Source: [jozefowicz2015], [tallec2018].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt

import torch

from rnnmft.errors import ParameterError
from rnnmft.experiments.trainees import Trainees
from rnnmft.language import Cell

__all__ = ["BASELINES", "Baseline", "baselines_of", "chrono", "default", "forget_bias_one"]

Baseline = Callable[[Trainees, int, int, torch.Generator], None]
#: By cell: the gate whose opening keeps the state, and the one that lets input in beside it.
_GATES: Mapping[str, tuple[str, str | None]] = {
    "minimal": ("e", None),
    "gru": ("z", None),
    "gru_torch": ("z", None),
    "lstm": ("f", "i"),
}


@torch.no_grad()
def default(trainees: Trainees, network: int, length: int, own: torch.Generator) -> None:
    """PyTorch's default for recurrent layers; readout and embedding stay as they are.

    Args:
        trainees: whose parameters are overwritten.
        network: which of them.
        length: T, of no concern here.
        own: the generator.
    """
    bound = 1 / sqrt(trainees.shapes.width)
    for p in trainees.cell.preactivations:
        for kind in "WV":
            matrix = trainees.parameters.get(f"{kind}_{p.name}")
            if matrix is not None:
                matrix[network] = _uniform(matrix[network].shape, bound, own)
        bias = trainees.parameters[f"b_{p.name}"]
        # Two of them: of the input and of the state.
        parts = (_uniform(bias[network].shape, bound, own) for _ in range(2))
        bias[network] = next(parts) + next(parts)


@torch.no_grad()
def forget_bias_one(trainees: Trainees, network: int, length: int, own: torch.Generator) -> None:
    """The default, with the bias of the gate that keeps the state at 1."""
    keeps, _ = _gates(trainees)
    default(trainees, network, length, own)
    trainees.parameters[f"b_{keeps}"][network] = 1.0


@torch.no_grad()
def chrono(trainees: Trainees, network: int, length: int, own: torch.Generator) -> None:
    """The default, with biases that let units forget after times uniform from 1 to T - 1."""
    keeps, enters = _gates(trainees)
    default(trainees, network, length, own)
    bias = trainees.parameters[f"b_{keeps}"]
    times = 1 + (length - 2) * torch.rand(trainees.shapes.width, generator=own)
    bias[network] = times.log()
    if enters is not None:
        trainees.parameters[f"b_{enters}"][network] = -times.log()


_DEFAULT = "PyTorch's default"
BASELINES: Mapping[str, Baseline] = {
    _DEFAULT: default,
    "forget bias 1": forget_bias_one,
    "chrono": chrono,
}


def baselines_of(cell: Cell) -> Mapping[str, Baseline]:
    """What a cell can start from; without a gate that keeps its state, the default alone."""
    return BASELINES if cell.name in _GATES else {_DEFAULT: default}


def _gates(trainees: Trainees) -> tuple[str, str | None]:
    found = _GATES.get(trainees.cell.name)
    if found is None:
        raise ParameterError(f"cell {trainees.cell.name} has no gate known to keep its state")
    return found


def _uniform(shape: torch.Size, bound: float, own: torch.Generator) -> torch.Tensor:
    return bound * (2 * torch.rand(shape, generator=own) - 1)
