"""What is drawn of one setting: with how many units, until it is stationary, and the tangents.

The number of units follows the work that a run takes. Stationary runs are shared by everything
that is asked of them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from rnnmft.errors import ConvergenceError, Status
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.readings import (
    READ,
    all_readings,
    block_readings,
    gradient_readings,
    lag_readings,
    late_readings,
    second_moments,
)
from rnnmft.solvers.sampled.runs import SampledSetting
from rnnmft.solvers.sampled.stationary import FIRST_STEPS, Settled, settle
from rnnmft.units.recent_span import directions_of
from rnnmft.units.repetitions import Samples, draw_repetitions

__all__ = ["Drawing"]

# Units of runs that are averaged over time, unless a number is asked for; and how many times fewer
# units and how much less work are enough for moments that settle: a first answer within a second
# or two on one core, of some 1e-3 of itself.
_AVERAGED, _SETTLING = 1 << 17, 2
# Of a repetition of a growth search's first run: sixteen of them know most rates to .001.
_FEW = 1024
# From so many steps on, a pair does not start again from zero.
_LONG = 512


class Drawing:
    """Runs of one setting.

    Args:
        setting: what is run.
        sampling: how many units, of which numbers.
        with_small: whether repetitions of fewer units tell of the 1/M bias of what is read.
    """

    def __init__(
        self, setting: SampledSetting, sampling: Sampling, *, with_small: bool = True
    ) -> None:
        self.setting, self.sampling, self._with_small = setting, sampling, with_small
        self._gradients: dict[int, Samples] = {}

    def moments(
        self,
        setting: SampledSetting,
        steps: int,
        trajectories: int,
        late: bool,
        directions: int | None = None,
    ) -> Samples:
        """A run; `directions`: that the weights are expected to see, where that is known."""
        most = directions_of(steps)
        sampling = self.settling_sampling if late else self.sampling
        sampling = sampling.for_steps(steps, most if directions is None else min(directions, most))
        return draw_repetitions(
            lambda plan, numbers: setting.moments(plan, numbers, steps, trajectories),
            sampling,
            setting.unit_bytes(sampling, steps, trajectories),
            late_readings if late else all_readings,
            with_small=self._with_small,
        )

    @property
    def stationary_sampling(self) -> Sampling:
        """Fewer units where nothing was asked: what is stationary is averaged over time as well."""
        sampling = self.sampling
        if sampling.work is None or sampling.total <= _AVERAGED:
            return sampling
        return sampling.of(_AVERAGED // sampling.repetitions, sampling.repetitions)

    @property
    def settling_sampling(self) -> Sampling:
        """Fewer still for moments, of which every unit is an average over a quarter of a run."""
        sampling = self.stationary_sampling
        if sampling.work is None or sampling.total < _AVERAGED:
            return sampling
        fewer = sampling.of(sampling.per_repetition // _SETTLING, sampling.repetitions)
        return replace(fewer, work=sampling.work / _SETTLING)

    @cached_property
    def stationary(self) -> Settled:
        """One trajectory, for what does not need two."""
        self.setting.inputs.require_stationary("a stationary state")
        return self._settle(self.setting, 1, FIRST_STEPS)

    @cached_property
    def settled_few(self) -> Settled:
        """The same of the units with which a growth search begins: perturbations start in them."""
        few = self.sampling_of_few
        if few is self.stationary_sampling:
            return self.stationary
        return Drawing(self.setting, few, with_small=False).stationary

    @property
    def sampling_of_few(self) -> Sampling:
        """Where a growth search begins, unless units or a tolerance are asked for."""
        sampling = self.stationary_sampling
        if sampling.work is None or sampling.tolerance is not None:
            return sampling
        return sampling.of(min(_FEW, sampling.per_repetition), sampling.repetitions)

    @cached_property
    def stationary_pair(self) -> Settled:
        """Two trajectories whose cross moments have settled as well.

        Where one trajectory took long, and fresh input makes it forget where it started, two start
        with the standard deviations that it came to. They shall come to the same moments.
        """
        at = self.stationary
        forgets = self.setting.inputs.temporal != "constant" and not self.setting.coincides
        if at.steps >= _LONG and forgets and not any(self.setting.start.values()):
            second, mean = at.late(second_moments), at.late(READ["mean"])
            start = {n: max(float(v - mean[n][0] ** 2), 0.0) ** 0.5 for n, (v, _) in second.items()}
            try:
                found = self._settle(replace(self.setting, start=start), 2, at.steps // 2)
            except ConvergenceError:
                found = None
            if found is not None and found.status is Status.OK and found.is_like(at):
                return found
        return self._settle(self.setting, 2, at.steps)

    def _settle(self, setting: SampledSetting, trajectories: int, steps: int) -> Settled:
        return settle(
            lambda steps, directions: self.moments(setting, steps, trajectories, True, directions),
            setting,
            trajectories,
            steps,
        )

    def tangents(self, horizon: int, burn_in: int) -> Samples:
        """m_1(T) for T = 1, .., horizon (or further), the Jacobian starting after burn_in steps."""
        known = self._gradients.get(burn_in)
        if known is None or known.values["m_1"].shape[1] < horizon:
            known = self.drawn_tangents(self.sampling, horizon, burn_in)
            self._gradients[burn_in] = known
        return known

    def drawn_tangents(
        self,
        sampling: Sampling,
        horizon: int,
        burn_in: int,
        trajectories: int = 1,
        setting: SampledSetting | None = None,
    ) -> Samples:
        """The tangents of a run of so many units; of another start where a setting is given."""
        setting = setting or self.setting
        steps = burn_in + horizon
        sampling = sampling.for_steps(steps, directions_of(steps))
        sides = (0, trajectories - 1)
        return draw_repetitions(
            lambda plan, numbers: setting.tangents(plan, numbers, burn_in, horizon, trajectories),
            sampling,
            setting.unit_bytes(sampling, steps, trajectories, horizon, sides),
            gradient_readings,
        )

    def blocks(self, horizon: int, burn_in: int) -> Samples:
        """Mean squares of the blocks of the Jacobian that starts after burn_in steps."""
        steps = burn_in + horizon
        sampling = self.stationary_sampling.for_steps(steps, directions_of(steps))
        unit = self.setting.unit_bytes(sampling, steps, 1, horizon)
        return draw_repetitions(
            lambda plan, numbers: self.setting.blocks(plan, numbers, burn_in, horizon),
            sampling,
            unit * len(self.setting.cell.states),
            block_readings,
        )

    def autocorrelations(self, burn_in: int, lags: int) -> Samples:
        """Products of a unit's numbers `lags` steps and fewer apart, after burn_in steps."""
        steps, cell = burn_in + lags + 1, self.setting.cell
        sampling = self.stationary_sampling.for_steps(steps, directions_of(steps))
        # Beside the process: a sum of products for every number and lag.
        sides = 1 if self.setting.inputs.data is None else 2
        products = 8 * (len(cell.states) + len(cell.preactivations)) * (lags + 1) * sides
        return draw_repetitions(
            lambda plan, numbers: self.setting.autocorrelations(plan, numbers, burn_in, lags),
            sampling,
            self.setting.unit_bytes(sampling, steps, sides) + products,
            lag_readings,
        )
