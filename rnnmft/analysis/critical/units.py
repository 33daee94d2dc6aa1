"""Averages at given preactivation laws by sampled units: for cells that nothing else solves.

Untied, nothing of a preactivation but its law enters: units are moved with N(mu_k, q_k) drawn
afresh at each step, and one such run serves every sigma_w. A perturbation's step follows from the
averages of a unit's squared derivatives,

    E[dy_k^2] = sum_b E[C_kb^2] + sum_j E[D_kj^2] sigma_w,j^2 E[dy_j^2]
    m_1       = (sum_ab E[A_ab^2] + sum_ak E[B_ak^2] sigma_w,k^2 E[dy_k^2]) / states

for ds' = A ds + B de, dy = C ds + D de: de_k = W_k dy_k is independent of everything before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.critical.averages import Tangent, given_ensemble
from rnnmft.analysis.units.repetitions import draw_repetitions
from rnnmft.cells import Cell, Inputs
from rnnmft.cells.laws import Law

if TYPE_CHECKING:
    from rnnmft.sampling import Sampling

__all__ = ["SampledLaws"]

Array = NDArray[np.float64]
# One unit in so many is moved, but read so often.
_FEWER, _READINGS = 8, 24


@dataclass(frozen=True)
class SampledAverages:
    """Units at one set of preactivation laws."""

    of: SampledLaws
    q: Mapping[str, float]
    mu: Mapping[str, float]

    @cached_property
    def _averages(self) -> Mapping[str, Array]:
        """The averages of one run, by "kind/name"."""
        # Sampling needs torch: only cells that are sampled load it.
        from rnnmft.analysis.units.sampled_runs import SampledSetting

        of = self.of
        ensemble = given_ensemble(of.cell, of.inputs, self.q, self.mu, {}, {}, of.laws)
        setting = SampledSetting(of.cell, ensemble, of.inputs, "untied")
        # Sobol points would take longer than the units; and units that are read again and again
        # make up for fewer of them.
        units = max(of.sampling.units // _FEWER, 16 * of.sampling.repetitions)
        sampling = replace(of.sampling, units=units, normals="matched")
        drawn = draw_repetitions(
            lambda plan, numbers: setting.one_step(plan, numbers, of.burn_in, _READINGS),
            sampling,
            setting.unit_bytes(sampling, of.burn_in, 1, 1),
            lambda _: {},
        )
        return {n: v.mean(0) for n, v in drawn.values.items()}

    def _of(self, kind: str) -> dict[str, float]:
        found = self._averages
        return {n.split("/")[1]: float(found[n]) for n in found if n.startswith(f"{kind}/")}

    @property
    def second(self) -> Mapping[str, float]:
        """{state: E[s^2]}."""
        return self._of("second")

    @property
    def seen(self) -> Mapping[str, float]:
        """{preactivation: E[y^2]}."""
        return self._of("seen")

    def tangent(self, squares: Mapping[str, float]) -> Tangent:
        """m_1 at the given sigma_w^2; growth is not read off one step of sampled units."""
        a, b, c, d = (self._averages[f"derivatives/{n}"] for n in "ABCD")
        variances: list[float] = []
        for p, row, earlier in zip(self.of.cell.preactivations, c, d, strict=True):
            perturbed = row.sum() + sum(e * v for e, v in zip(earlier, variances, strict=False))
            variances.append(squares.get(p.name, 0.0) * float(perturbed))
        return Tangent(float(a.sum() + (b @ variances).sum()) / len(a))


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

    @property
    def coarse(self) -> SampledLaws:
        """The averages with fewer units and half the steps."""
        units = max(self.sampling.units // 4, 16 * self.sampling.repetitions)
        sampling = replace(self.sampling, units=units)
        return replace(self, sampling=sampling, burn_in=self.burn_in // 2)

    def at(self, q: Mapping[str, float], mu: Mapping[str, float]) -> SampledAverages:
        """The averages at variances q and means mu."""
        return SampledAverages(self, dict(q), dict(mu))
