"""Many networks of one cell that learn at once: every tensor has the networks in front.

    e_k = W_k y_k + V_k x + b_k,    s' = F(s, x, e),    logits = U s + c

Any cell trains: its functions are those of the simulation, its W, V and b those of an ensemble.
Where the cell takes x elementwise an embedding of the data's features to N comes first.

Eq. (cell).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from rnnmft.errors import ParameterError
from rnnmft.language import Cell, Ensemble
from rnnmft.numerics.backends import torch_backend
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.simulation.parameters import Generators, TiedParameters

__all__ = ["Trainees"]


@dataclass(frozen=True)
class _Shapes:
    networks: int
    width: int
    features: int
    classes: int


class Trainees:
    """Networks of one cell, each drawn from an ensemble of its own.

    Args:
        cell: without elementwise random parameters.
        ensembles: one a network; None for what PyTorch's recurrent layers draw from: W, V and both
            of their biases uniform between -1/sqrt(N) and 1/sqrt(N).
        width: N.
        features: of an input.
        classes: of an output.
        seed: of the parameters; network i of a longer list is network i of this one.
        device: where.
        dtype: of parameters and states.

    Attributes:
        parameters: all trainable tensors by name, first axis the networks.

    Raises:
        ParameterError: a cell with elementwise random parameters, or of several widths.
    """

    def __init__(
        self,
        cell: Cell,
        ensembles: Sequence[Ensemble | None],
        *,
        width: int,
        features: int,
        classes: int,
        seed: int = 0,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if cell.parameters:
            raise ParameterError(f"cell {cell.name} has random parameters, which do not train here")
        if cell.has_widths:
            raise ParameterError(f"cell {cell.name} has several widths, which do not train here")
        self.cell, self.shapes = cell, _Shapes(len(ensembles), width, features, classes)
        self.device, self.dtype = torch.device(device), dtype
        self.parameters = self._drawn(ensembles, seed)
        known = [*cell.states, *([] if cell.input is None else [cell.input])]
        backend = torch_backend(device, str(dtype).removeprefix("torch."))
        self._sees = [
            compile_elementwise([y], [*known, *cell.preactivations[:k]], backend)
            for k, y in enumerate(cell.sees.values())
        ]
        updates = list(cell.update.values())
        self._update = compile_elementwise(updates, [*known, *cell.preactivations], backend)

    def _drawn(self, ensembles: Sequence[Ensemble | None], seed: int) -> dict[str, Tensor]:
        """W of the ensemble; V for the features that come in; a small readout."""
        shapes, rows = self.shapes, []
        generators = Generators(seed, 0, shapes.networks, torch.device("cpu"))
        for ensemble, own in zip(ensembles, generators.parameters, strict=True):
            rows.append(self._network(ensemble, own))
        return {
            name: torch.stack([row[name] for row in rows])
            .to(self.device, self.dtype)
            .requires_grad_()
            for name in rows[0]
        }

    def _network(self, ensemble: Ensemble | None, own: torch.Generator) -> dict[str, Tensor]:
        shapes = self.shapes
        entering = shapes.features if self.cell.input is None else shapes.width
        found = self._of_cell(ensemble, entering, own)
        if self.cell.input is not None:
            scale = 1 / sqrt(shapes.features)
            found["embedding"] = scale * torch.randn(shapes.width, shapes.features, generator=own)
        # Small, so that the first outputs say nothing.
        scale = 1 / sqrt(shapes.width)
        found["U"] = scale * torch.randn(shapes.classes, shapes.width, generator=own)
        found["c"] = torch.zeros(shapes.classes)
        return found

    def _of_cell(
        self, ensemble: Ensemble | None, entering: int, own: torch.Generator
    ) -> dict[str, Tensor]:
        """W, V and b of every preactivation, for inputs with so many features."""
        width, found = self.shapes.width, {}
        if ensemble is None:
            return self._by_default(entering, own)
        drawn = TiedParameters(self.cell, ensemble, width, [own], torch.float32)
        for p in self.cell.preactivations:
            w = drawn.recurrent(p)
            if w is not None:
                found[f"W_{p.name}"] = w.rows(torch.eye(width)[None])[0].T.contiguous()
            scale = ensemble[p.name].sigma_v / sqrt(entering)
            found[f"V_{p.name}"] = scale * torch.randn(width, entering, generator=own)
            found[f"b_{p.name}"] = drawn.bias(p)[0, 0]
        return found

    def _by_default(self, entering: int, own: torch.Generator) -> dict[str, Tensor]:
        width, found = self.shapes.width, {}
        for p in self.cell.preactivations:
            if p.is_recurrent:
                found[f"W_{p.name}"] = uniform(width, own, width, width)
            found[f"V_{p.name}"] = uniform(width, own, width, entering)
            found[f"b_{p.name}"] = uniform(width, own, width) + uniform(width, own, width)
        return found

    def start(self, batch: int) -> list[Tensor]:
        """The zero state, (G, B, N) for each state."""
        shape = (self.shapes.networks, batch, self.shapes.width)
        return [torch.zeros(shape, device=self.device, dtype=self.dtype) for _ in self.cell.states]

    def step(self, states: Sequence[Tensor], x: Tensor) -> list[Tensor]:
        """One update of all networks on one batch.

        Args:
            states: (G, B, N) each.
            x: (B, features), or (G, B, features) where networks get inputs of their own.
        """
        x = x if x.dim() == 3 else x.expand(self.shapes.networks, -1, -1)
        if self.cell.input is not None:
            x = torch.bmm(x, self.parameters["embedding"].mT)
        return self.advance(states, x, self.entering(x))

    def entering(self, x: Tensor) -> list[Tensor]:
        """V_k x + b_k of every preactivation, for inputs (G, M, N_in) of any number of steps."""
        own = self.parameters
        return [
            torch.baddbmm(own[f"b_{p.name}"][:, None], x, own[f"V_{p.name}"].mT)
            for p in self.cell.preactivations
        ]

    def advance(
        self, states: Sequence[Tensor], x: Tensor, entering: Sequence[Tensor]
    ) -> list[Tensor]:
        """One update from inputs x (G, B, N) that have entered the preactivations."""
        known = [*states, *([] if self.cell.input is None else [x])]
        for sees, p, e in zip(self._sees, self.cell.preactivations, entering, strict=True):
            name = f"W_{p.name}"
            if name in self.parameters:
                (y,) = sees(*known)
                e = torch.baddbmm(e, y.expand_as(states[0]), self.parameters[name].mT)
            known.append(e)
        return [s.expand_as(states[0]) for s in self._update(*known)]

    def read(self, states: Sequence[Tensor]) -> Tensor:
        """Logits (G, B, classes) from the state that W sees: the last."""
        return torch.baddbmm(self.parameters["c"][:, None], states[-1], self.parameters["U"].mT)

    def load(self, arrays: Mapping[str, Tensor]) -> None:
        """Replace the parameters by others of the same shapes."""
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(arrays[name])


def uniform(width: int, own: torch.Generator, *shape: int) -> Tensor:
    """Numbers between -1/sqrt(N) and 1/sqrt(N), as PyTorch's layers draw them."""
    return (2 * torch.rand(shape, generator=own) - 1) / sqrt(width)
