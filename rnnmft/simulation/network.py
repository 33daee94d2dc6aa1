"""Finite networks of one cell, stepped together: e_k = W_k y_k + V_k x + b_k, s_a' = F_a(s, x, e).

All tensors of a step have shape (networks, trajectories, N); averages over the units of each
network and trajectory, repeated along the units, too.

Eq. (cell), Eq. (population-average).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from rnnmft.language import Average, Cell, Preactivation
from rnnmft.numerics.backends import torch_backend
from rnnmft.numerics.compile import compile_elementwise
from rnnmft.simulation.inputs import standard_pairs
from rnnmft.simulation.jacobians import TangentMap
from rnnmft.simulation.parameters import Parameters

__all__ = ["Network"]


class Network:
    """The step of a cell, compiled for one device and precision.

    The elementwise functions take, in this order, the states, the input (where the cell uses it
    elementwise), the elementwise random parameters and, in the order in which a step computes them,
    the preactivations and averages known so far.

    Args:
        cell: which cell.
        width: N.
        device: where its tensors live.
        dtype: torch.float32 or torch.float64.
    """

    def __init__(self, cell: Cell, width: int, device: torch.device, dtype: torch.dtype) -> None:
        self.cell, self.width, self.device, self.dtype = cell, width, device, dtype
        self._backend = torch_backend(str(device), str(dtype))
        self._of = {d: self._compile([d.content], k) for k, d in enumerate(cell.order)}
        self._update = self._compile(list(cell.update.values()), len(cell.order))

    def _compile(self, expressions: list[object], known: int) -> Callable[..., tuple[Tensor, ...]]:
        arguments = [*self.cell.states, *self._given(), *self.cell.order[:known]]
        return compile_elementwise(expressions, arguments, self._backend)

    def _given(self) -> list[object]:
        """The elementwise arguments that the states do not change."""
        entering = [] if self.cell.input is None else [self.cell.input]
        return [*entering, *self.cell.parameters]

    def zero_state(self, networks: int, trajectories: int = 2) -> list[Tensor]:
        """The state from which a run starts where nothing else is said."""
        shape = (networks, trajectories, self.width)
        return [torch.zeros(shape, dtype=self.dtype, device=self.device) for _ in self.cell.states]

    def start_state(
        self, start: Mapping[str, float], correlation: float, generators: list[torch.Generator]
    ) -> list[Tensor]:
        """Gaussian states of zero mean on two trajectories; nothing is drawn for a zero state.

        Args:
            start: {state: standard deviation}.
            correlation: of the two trajectories.
            generators: one a network.
        """
        states = self.zero_state(len(generators))
        for i, s in enumerate(self.cell.states):
            if start[s.name] > 0.0:
                pair = standard_pairs(generators, self.width, correlation, self.dtype)
                states[i] = pair.mul_(start[s.name])
        return states

    def tangent(self, networks: int, directions: Tensor | None = None) -> TangentMap:
        """The tangent to be handed to `step`: the identity, or directions (networks, mN, k)."""
        shape = (networks, len(self.cell.states), self.width)
        return TangentMap(shape, len(self._given()), self.device, self.dtype, directions)

    def step(
        self,
        states: Sequence[Tensor],
        x: Tensor,
        parameters: Parameters,
        tangent: TangentMap | None = None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """One update.

        Args:
            states: in the cell's order, each (networks, trajectories, N).
            x: the input, (networks, trajectories, N_in); of width N where it enters elementwise.
            parameters: where W, V and b come from.
            tangent: if given, it is pushed through the step linearised at trajectory 0.

        Returns:
            The new states, and the preactivations computed on the way, in the cell's order.
        """
        entering = [] if self.cell.input is None else [x]
        known = [*states, *entering, *parameters.elementwise]
        preactivations: list[Tensor] = []
        for d in self.cell.order:
            if isinstance(d, Average):
                known.append(self._average(d, known, tangent))
                continue
            e = self._preactivation(d, known, x, parameters, tangent)
            preactivations.append(e)
            known.append(e)
        if tangent is not None:
            tangent.push_states(self._update, known)
        return [s.expand_as(states[0]) for s in self._update(*known)], preactivations

    def _preactivation(
        self,
        p: Preactivation,
        known: Sequence[Tensor],
        x: Tensor,
        parameters: Parameters,
        tangent: TangentMap | None,
    ) -> Tensor:
        """W y + V x + b."""
        # W is used up before V is drawn: they may share memory.
        e = torch.zeros_like(known[0])  # a state
        w = parameters.recurrent(p)
        if w is not None:
            (y,) = self._of[p](*known)
            e = w.rows(y.expand_as(e))
        if tangent is not None:
            tangent.push_preactivation(w, self._of[p], known)
        v = parameters.input(p)
        if v is not None:
            e = e + v.rows(x)
        return e + parameters.bias(p)

    def _average(self, m: Average, known: Sequence[Tensor], tangent: TangentMap | None) -> Tensor:
        """The mean over the units, once for each of them."""
        (values,) = self._of[m](*known)
        if tangent is not None:
            tangent.push_average(self._of[m], known)
        like = known[0]  # a state
        return values.expand_as(like).mean(-1, keepdim=True).expand_as(like)
