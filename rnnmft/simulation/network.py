"""Finite networks of one cell, stepped together: e_k = W_k y_k + V_k x + b_k, s_a' = F_a(s, x, e).

All tensors of a step have shape (networks, trajectories, units), N units or the width of what they
are; averages over the units of each network and trajectory have one.

Eq. (cell), Eq. (population-average), Eq. (widths).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp
import torch
from torch import Tensor

from rnnmft.language import Average, Cell, Preactivation, State
from rnnmft.language.definitions import Definition
from rnnmft.language.widths import units
from rnnmft.numerics.backends import torch_backend
from rnnmft.simulation.elementwise import Elementwise
from rnnmft.simulation.inputs import standard_pairs
from rnnmft.simulation.jacobians import TangentMap
from rnnmft.simulation.parameters import Parameters

__all__ = ["Network"]

_Known = dict[sp.Basic, Tensor]


class Network:
    """The step of a cell, compiled for one device and precision.

    Args:
        cell: which cell.
        width: N.
        device: where its tensors live.
        dtype: torch.float32 or torch.float64.
    """

    def __init__(self, cell: Cell, width: int, device: torch.device, dtype: torch.dtype) -> None:
        self.cell, self.width, self.device, self.dtype = cell, width, device, dtype
        backend = torch_backend(str(device), str(dtype))
        self._of: dict[Definition, Elementwise] = {
            d: Elementwise([d.content], self._units(cell.seen_widths[d]), backend)
            for d in cell.order
        }
        self._updates: list[tuple[list[State], Elementwise]] = []
        for size in dict.fromkeys(s.width for s in cell.states):
            states = [s for s in cell.states if s.width == size]
            new = Elementwise([cell.update[s] for s in states], self._units(size), backend)
            self._updates.append((states, new))

    def _units(self, width: sp.Rational) -> int:
        return units(width, self.width)

    @property
    def sizes(self) -> dict[State, int]:
        """How many units each state has."""
        return {s: self._units(s.width) for s in self.cell.states}

    def zero_state(self, networks: int, trajectories: int = 2) -> list[Tensor]:
        """The state from which a run starts where nothing else is said."""
        make = {"dtype": self.dtype, "device": self.device}
        return [torch.zeros((networks, trajectories, n), **make) for n in self.sizes.values()]

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
        for i, (s, size) in enumerate(self.sizes.items()):
            if start[s.name] > 0.0:
                pair = standard_pairs(generators, size, correlation, self.dtype)
                states[i] = pair.mul_(start[s.name])
        return states

    def tangent(self, networks: int, directions: Tensor | None = None) -> TangentMap:
        """The tangent to be handed to `step`: the identity, or directions (networks, n, k)."""
        return TangentMap(networks, self.sizes, self.device, self.dtype, directions)

    def step(
        self,
        states: Sequence[Tensor],
        x: Tensor,
        parameters: Parameters,
        tangent: TangentMap | None = None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """One update.

        Args:
            states: in the cell's order, each (networks, trajectories, its units).
            x: the input, (networks, trajectories, N_in); as wide as what it stands beside where it
                enters elementwise.
            parameters: where W, V and b come from.
            tangent: if given, it is pushed through the step linearised at trajectory 0.

        Returns:
            The new states, and the preactivations computed on the way, in the cell's order.
        """
        cell, like = self.cell, states[0]
        known: _Known = dict(zip(cell.states, states, strict=True))
        known |= dict(zip(cell.parameters, parameters.elementwise, strict=True))
        if cell.input is not None:
            known[cell.input] = x
        for d in cell.order:
            function = self._of[d]
            if isinstance(d, Average):
                known[d] = function(known, like)[0].mean(-1, keepdim=True)
                if tangent is not None:
                    tangent.push_average(d, function, known)
            else:
                known[d] = self._preactivation(d, known, like, x, parameters, tangent)
        new = {
            s: v for group, f in self._updates for s, v in zip(group, f(known, like), strict=True)
        }
        if tangent is not None:
            tangent.push_states(self._updates, known)
        return [new[s] for s in cell.states], [known[p] for p in cell.preactivations]

    def _preactivation(
        self,
        p: Preactivation,
        known: _Known,
        like: Tensor,
        x: Tensor,
        parameters: Parameters,
        tangent: TangentMap | None,
    ) -> Tensor:
        """W y + V x + b."""
        # W is used up before V is drawn: they may share memory.
        e = like.new_zeros((*like.shape[:2], self._units(p.width)))
        w = parameters.recurrent(p)
        if w is not None:
            e = w.rows(self._of[p](known, like)[0])
        if tangent is not None:
            tangent.push_preactivation(p, w, self._of[p], known)
        v = parameters.input(p)
        if v is not None:
            e = e + v.rows(x)
        return e + parameters.bias(p)
