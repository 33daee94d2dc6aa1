"""Where a network's W, V and b come from: drawn once (tied), at every step (untied), or given.

Seeds. Network i of a run with seed s has three generators, of its parameters, its inputs and its
states at t = 0, seeded with hash(s) + k * 2654435769 modulo 2^32 for k = 2 i, 2 i + 1 and -(i + 1),
where hash is NumPy's `SeedSequence`: all different within a run, and independent of how networks
are chunked, of how many inputs there are, and of whether the states start at zero. Parameters
are drawn in this order: the elementwise ones, then for each preactivation W, V and b, skipping what
is absent or has sigma = 0. Numbers on CPU and on CUDA differ.

Eq. (ensemble), Eq. (widths).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import sqrt
from typing import Protocol

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from rnnmft.errors import ParameterError
from rnnmft.language import Cell, Ensemble, Law, Preactivation
from rnnmft.language.widths import units
from rnnmft.simulation.weights import DenseMatrix, Matrix, haar_reflectors, standard_normals

__all__ = ["FixedParameters", "Generators", "Parameters", "TiedParameters", "UntiedParameters"]

_STRIDE = 2654435769  # odd, so that multiples of it modulo 2^32 never repeat


class Generators:
    """The random generators of networks first .. first + count - 1 of a run."""

    def __init__(self, seed: int, first: int, count: int, device: torch.device) -> None:
        base = int(np.random.SeedSequence(seed).generate_state(1)[0])
        self.parameters, self.inputs, self.states = (
            [
                torch.Generator(device).manual_seed((base + (every * i + at) * _STRIDE) % 2**32)
                for i in range(first, first + count)
            ]
            for every, at in ((2, 0), (2, 1), (-1, -1))
        )


class Parameters(Protocol):
    """What a network asks for at every step, preactivation by preactivation.

    A matrix may be overwritten by the next call: use it before asking for another.

    Attributes:
        elementwise: the elementwise random parameters in the cell's order, each (networks, 1, N)
            or as wide as what it stands beside; fixed in time also where W, V and b are not.
    """

    elementwise: tuple[Tensor, ...]

    def recurrent(self, p: Preactivation) -> Matrix | None:
        """W_k, or None where there is none or sigma_w = 0."""
        ...

    def input(self, p: Preactivation) -> Matrix | None:
        """V_k, or None where there is none or sigma_v = 0."""
        ...

    def bias(self, p: Preactivation) -> Tensor:
        """b_k, of shape (networks, 1, units of e_k)."""
        ...


class UntiedParameters:
    """Fresh W, V, b from the ensemble whenever asked; elementwise parameters drawn once.

    Args:
        cell: whose.
        ensemble: their law.
        width: N.
        generators: one a network.
        dtype: of the matrices.
        input_width: N_in; N when absent.
    """

    def __init__(
        self,
        cell: Cell,
        ensemble: Ensemble,
        width: int,
        generators: list[torch.Generator],
        dtype: torch.dtype,
        input_width: int | None = None,
    ) -> None:
        self.cell, self.ensemble, self.width, self.dtype = cell, ensemble, width, dtype
        self.input_width = width if input_width is None else input_width
        self.generators = generators
        self._buffers: dict[tuple[int, int], Tensor] = {}
        self.elementwise = tuple(
            self._drawn(ensemble.parameters[p.name], self._units(cell.widths[p]))
            for p in cell.parameters
        )

    def _units(self, width: sp.Rational) -> int:
        return units(width, self.width)

    def recurrent(self, p: Preactivation) -> Matrix | None:
        """A new W_k."""
        law = self.ensemble[p.name]
        if law.sigma_w == 0.0:
            return None
        rows, columns = self._units(p.width), self._units(self.cell.seen_widths[p])
        if law.weights == "gaussian":
            return self._gaussian(law.sigma_w, rows, columns)
        if law.weights != "orthogonal":
            raise ParameterError(
                f"weights: networks are simulated with 'gaussian' or 'orthogonal' weights, "
                f"got {law.weights!r} for {p.name!r}"
            )
        size = max(rows, columns)
        buffer = self._reused((size, size))
        drawn = haar_reflectors(self.generators, size, self.dtype, buffer)
        if rows == columns:
            return replace(drawn, scale=law.sigma_w)
        # A corner of it: orthonormal rows or columns, entries of variance sigma_w^2 / columns.
        corner = drawn.dense().entries[:, :rows, :columns].contiguous()
        return DenseMatrix(corner, law.sigma_w * sqrt(size / columns))

    def input(self, p: Preactivation) -> Matrix | None:
        """A new V_k."""
        sigma_v = self.ensemble[p.name].sigma_v
        rows = self._units(p.width)
        return self._gaussian(sigma_v, rows, self.input_width) if sigma_v else None

    def bias(self, p: Preactivation) -> Tensor:
        """A new b_k."""
        law = self.ensemble[p.name]
        shape = (1, self._units(p.width))
        if law.sigma_b == 0.0:
            full = (len(self.generators), *shape)
            device = self.generators[0].device
            return torch.full(full, law.mu_b, dtype=self.dtype, device=device)
        return standard_normals(self.generators, shape, self.dtype) * law.sigma_b + law.mu_b

    def keep(self) -> None:
        """Leave the last matrix to whoever has it: the next one gets memory of its own."""
        self._buffers = {}

    def _drawn(self, law: Law, size: int) -> Tensor:
        uniform = [torch.rand(1, size, generator=g, device=g.device) for g in self.generators]
        # Multiples of 2^-24, moved to the middle of their interval: the ends 0 and 1 never occur.
        return law.quantile(torch.stack(uniform).double() + 2.0**-25).to(self.dtype)

    def _gaussian(self, sigma: float, rows: int, columns: int) -> DenseMatrix:
        buffer = self._reused((rows, columns))
        drawn = standard_normals(self.generators, (rows, columns), self.dtype, buffer)
        return DenseMatrix(drawn, sigma / sqrt(columns))

    def _reused(self, shape: tuple[int, int]) -> Tensor:
        """One buffer a shape: a fresh one would cost as much again in page faults."""
        if shape not in self._buffers:
            full = (len(self.generators), *shape)
            self._buffers[shape] = torch.empty(full, device=self.generators[0].device)
        return self._buffers[shape]


class FixedParameters:
    """The same W, V, b at every step, as given: {name: (W, V, b)}.

    Args:
        given: for each preactivation of n units its W (networks, n, units of what it sees) or
            None, V (networks, n, N_in) or None, and b (networks, 1, n).
        elementwise: the elementwise parameters in the cell's order, each (networks, 1, units).
    """

    def __init__(
        self,
        given: Mapping[str, tuple[Matrix | None, Matrix | None, Tensor]],
        elementwise: Sequence[Tensor] = (),
    ) -> None:
        self.given, self.elementwise = dict(given), tuple(elementwise)

    def recurrent(self, p: Preactivation) -> Matrix | None:
        """The W_k given."""
        return self.given[p.name][0]

    def input(self, p: Preactivation) -> Matrix | None:
        """The V_k given."""
        return self.given[p.name][1]

    def bias(self, p: Preactivation) -> Tensor:
        """The b_k given."""
        return self.given[p.name][2]


class TiedParameters(FixedParameters):
    """W, V, b drawn once from the ensemble; arguments as of `UntiedParameters`."""

    def __init__(
        self,
        cell: Cell,
        ensemble: Ensemble,
        width: int,
        generators: list[torch.Generator],
        dtype: torch.dtype,
        input_width: int | None = None,
    ) -> None:
        source = UntiedParameters(cell, ensemble, width, generators, dtype, input_width)
        given: dict[str, tuple[Matrix | None, Matrix | None, Tensor]] = {}
        for p in cell.preactivations:
            w = source.recurrent(p)
            kept_w = w and w.dense()
            source.keep()
            v = source.input(p)
            source.keep()
            given[p.name] = (kept_w, v, source.bias(p))
        super().__init__(given, source.elementwise)
