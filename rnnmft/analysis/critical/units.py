"""Averages at given preactivation laws by sampled units: for cells that nothing else solves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from rnnmft.analysis.critical.averages import Tangent, given_ensemble
from rnnmft.cells import Cell, Inputs
from rnnmft.cells.laws import Law

if TYPE_CHECKING:
    from rnnmft.analysis.units.sampled import SampledUnits
    from rnnmft.sampling import Sampling

__all__ = ["SampledLaws"]

# A sigma_w^2 that leaves the law alone and still shows what the weights see.
_PROBE = 1e-3


@dataclass(frozen=True)
class SampledAverages:
    """Units at one set of preactivation laws."""

    of: SampledLaws
    q: Mapping[str, float]
    mu: Mapping[str, float]

    def _units(self, squares: Mapping[str, float], seen: Mapping[str, float]) -> SampledUnits:
        # Sampling needs torch: only cells that are sampled load it.
        from rnnmft.analysis.units.sampled import SampledUnits

        of = self.of
        ensemble = given_ensemble(of.cell, of.inputs, self.q, self.mu, squares, seen, of.laws)
        # A search asks for many short runs: Sobol points would take longer than the units.
        sampling = replace(of.sampling, normals="matched")
        return SampledUnits(of.cell, ensemble, of.inputs, "untied", sampling)

    @cached_property
    def _probed(self) -> tuple[dict[str, float], dict[str, float]]:
        cell = self.of.cell
        squares = {p.name: _PROBE for p in cell.preactivations if p.is_recurrent}
        found = self._units(squares, {}).evolve(self.of.burn_in)
        second = {n: float(v[-1]) for n, v in found.second_moment.items()}
        q = {n: float(v[-1]) for n, v in found.preactivation_variance.items()}
        plain = {s: second[s.name] for s in cell.states}
        plain |= {cell.update[s]: second[s.name] for s in cell.states}
        seen = {
            p.name: plain[y] if y in plain else (q[p.name] - self.q[p.name]) / _PROBE
            for p, y in cell.sees.items()
            if y != 0
        }
        return second, seen

    @property
    def second(self) -> Mapping[str, float]:
        """{state: E[s^2]}."""
        return self._probed[0]

    @property
    def seen(self) -> Mapping[str, float]:
        """{preactivation: E[y^2]}."""
        return self._probed[1]

    def tangent(self, squares: Mapping[str, float]) -> Tangent:
        """m_1 at the given sigma_w^2; growth is not read off one step of sampled units."""
        mean = self._units(squares, self.seen).jacobian_means(1, self.of.burn_in)
        return Tangent(float(mean[0]), math.nan)


@dataclass(frozen=True)
class SampledLaws:
    """Any cell; `burn_in` steps bring the zero state to stationarity."""

    cell: Cell
    inputs: Inputs
    laws: Mapping[str, Law]
    sampling: Sampling
    burn_in: int
    method: str = "sampled units"
    precision: float = 1e-2

    def at(self, q: Mapping[str, float], mu: Mapping[str, float]) -> SampledAverages:
        """The averages at variances q and means mu."""
        return SampledAverages(self, dict(q), dict(mu))
