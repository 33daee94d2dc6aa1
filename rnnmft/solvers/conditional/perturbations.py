"""What a covariance of perturbations becomes in one round through paths and weights.

    dh(t + 1) = a dh + (a' h + b' x) de,   Cov(de(t), de(s)) = sigma_w^2 e^{g (t + s) / 2} D(t - s)

Given the gates and D, with both sides of dh taken relative to e^{g t / 2} (k = e^{-g / 2} a step),

    X_l(t) = E[dh(t) h(t) | de of l steps later] / R       the history, from the longest lag down
    F_l(t) = E[dh(t + l) dh(t)]                            from lag 0 up

follow step by step, and over a block of 2^n steps at once where D is smooth: a block has factors
and a response of its own, each made of those of its two halves. E[F] is the D that comes of this
one; perturbations grow at the g at which it is the same again.

F_0 is a sum over all that happened before. It is summed over some steps and continued as it falls
off: paths are too few to tell averages of long products.

Eq. (given-gate-kernel), Eq. (given-gate-blocks).
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import torch

from rnnmft.deadline import check_deadline
from rnnmft.solvers.conditional.controlled_means import ControlledMeans, PlainMeans
from rnnmft.solvers.conditional.gate_paths import GatePaths, later, wrapped
from rnnmft.solvers.conditional.lag_grid import LagGrid
from rnnmft.solvers.conditional.linear_cell import GateAverages
from rnnmft.solvers.conditional.settling import SettledGate, moving_sum

__all__ = ["Past", "PerturbationRound", "PerturbationRounds"]

Tensor = torch.Tensor
# As many independent products as the paths have for every unit of E[P^2] / E[P]^2 that they need.
_ENOUGH = 100.0


@dataclass(frozen=True)
class _Block:
    """What 2^n steps from t on do: k a, k a^2, the response of X and of dh to de, and a alone."""

    a: Tensor
    aa: Tensor
    into_history: Tensor
    into_state: Tensor
    bare: Tensor

    def twice(self, steps: int) -> _Block:
        """The block and the one after it."""
        a, aa, history, state, bare = (
            later(x, -steps)
            for x in (self.a, self.aa, self.into_history, self.into_state, self.bare)
        )
        return _Block(
            self.a * a,
            self.aa * aa,
            torch.addcmul(history, aa, self.into_history),
            torch.addcmul(a * self.into_state, state, self.bare),
            self.bare * bare,
        )


@dataclass(frozen=True)
class Past:
    """A sum over n steps of the past, by repetition: itself, the next n of them and the next."""

    known: Tensor
    following: Tensor
    further: Tensor

    def ratio(self, without: int | None = None) -> float:
        """By how much n further steps fall off; of all repetitions, or all but one."""
        following, further = (_mean(x, without) for x in (self.following, self.further))
        return further / following if following > 0.0 else 0.0

    def total(self, without: int | None = None) -> float:
        """The sum over all of the past; infinite where it does not fall off."""
        ratio = self.ratio(without)
        if ratio >= 1.0:
            return math.inf
        return _mean(self.known, without) + _mean(self.following, without) / (1.0 - ratio)

    def replaced(self, other: Past, which: int) -> Past:
        """With what another has of one repetition."""
        own = zip(astuple(self), astuple(other), strict=True)
        return Past(*(_replaced(a, b, which) for a, b in own))


@dataclass(frozen=True)
class PerturbationRound:
    """What one round makes.

    Attributes:
        kernel: at the lags of the grid, the mean over repetitions.
        past: what its first value is made of ..
        shorter: .. and from half of these steps.
    """

    kernel: Tensor
    past: Past
    shorter: Past


class PerturbationRounds:
    """The rounds of one stationary state.

    Args:
        paths: of the state.
        averages: of the cell.
        grid: the lags of the covariance of perturbations.
        at: the state.
        scale: sigma_w^2 R of every repetition, if it is not the state's own.
        is_rough: whether paths are too few to know what controls are worth.
        past: steps of the past that are summed; as many as the paths can tell when absent.
        total: steps of all paths that will be used, if these are a part of them.
    """

    def __init__(
        self,
        paths: GatePaths,
        averages: GateAverages,
        grid: LagGrid,
        at: SettledGate,
        past: int | None = None,
        total: int | None = None,
        scale: Tensor | None = None,
        *,
        is_rough: bool = False,
    ) -> None:
        each = at.scale if scale is None else scale[:, None]
        w = paths.with_covariance(at.covariance)
        moved, response = averages.transition(w), averages.response(w)
        self.grid = grid
        self._a, self._aa = moved.a, moved.aa
        self._da, self._a_da = response.da, response.a_da
        v = at.variance
        self._history = each * torch.addcmul(response.b_db, response.a_da, v)
        self._own = each * torch.addcmul(response.db_db, response.da_da, v)
        self._means = PlainMeans()
        if not is_rough:
            self._means = ControlledMeans(paths, at.covariance, float(self._aa.mean()))
        self.past = past or self._told(total or paths.total)

    def without_memory(self) -> float:
        """The growth if no two steps had to do with each other.

        log E[<a^2> + sigma_w^2 <(a' h + b' x)^2>], as of weights that are drawn afresh.
        """
        return math.log(float(self._aa.mean() + self._own.mean()))

    def _told(self, total: int) -> int:
        """The most steps of which the paths tell the average product of a^2."""
        product, steps = later(self._aa, 1), 1
        while 2 * steps < self.grid.last:
            product = product * later(product, steps)
            spread = float(product.square().mean() / product.mean().square())
            if not spread * _ENOUGH * 2 * steps <= total:
                break
            steps *= 2
        return max(steps, 2)

    def round(
        self, kernel: Tensor, growth: float, *, with_kernel: bool = True
    ) -> PerturbationRound:
        """D at the lags of the grid, from D; `with_kernel`: at all of them, not at lag 0 alone."""
        check_deadline()
        k = math.exp(-growth / 2)
        blocks = self._blocks(k)
        histories = self._histories(kernel, blocks)
        added = (2 * k * k) * self._a_da * histories[0] + (k * k * float(kernel[0])) * self._own
        falling = self._aa * (k * k)
        half, product = moving_sum(falling, added, self.past // 2)
        shorter, _ = self._past(half, product, self.past // 2)
        whole = torch.addcmul(half, product, later(half, self.past // 2))
        past, following = self._past(whole, product * later(product, self.past // 2), self.past)
        # Where it does not fall off there is no kernel; this one keeps its shape.
        ratio = past.ratio()
        state = whole + following / (1.0 - ratio if ratio < 1.0 else 1.0)
        if not with_kernel:
            return PerturbationRound(self._means.over_all(state)[None], past, shorter)
        return PerturbationRound(self._forward(state, histories, blocks), past, shorter)

    def _past(self, known: Tensor, product: Tensor, steps: int) -> tuple[Past, Tensor]:
        """A sum over some steps and what follows it; the latter at every step as well."""
        following = product * later(known, steps)
        further = product * later(following, steps)
        means = (self._means.of(x).double().cpu() for x in (known, following, further))
        return Past(*means), following

    def _blocks(self, k: float) -> dict[int, _Block]:
        """By their length, from every step on."""
        history, state = self._history * k, self._da * k
        block = _Block(self._a * k, self._aa * k, history, state, self._a)
        found, steps = {1: block}, 1
        while steps < max(self.grid.steps):
            block = block.twice(steps)
            steps *= 2
            found[steps] = block
        return found

    def _histories(self, kernel: Tensor, blocks: dict[int, _Block]) -> list[Tensor]:
        """R X_l(t) sigma_w^2 at every lag of the grid."""
        steps = self.grid.steps
        found = [torch.zeros_like(self._a)]
        for i in reversed(range(len(steps))):
            step, block = steps[i], blocks[steps[i]]
            # In the middle of the lags l_i + 1, .., l_{i + 1} of the block's steps.
            back = (step - 1) / (2 * step)
            between = float(kernel[i + 1] * (1.0 - back) + kernel[i] * back)
            value = block.into_history * between
            if i < len(steps) - 1:
                value.addcmul_(block.aa, found[-1])
            found.append(later(value, step))
        return found[::-1]

    def _forward(self, state: Tensor, histories: list[Tensor], blocks: dict[int, _Block]) -> Tensor:
        """The mean of F_l at every lag, from F_0."""
        size, length = len(state), 0
        product, found = torch.ones_like(state), [self._means.over_all(state)]
        rings: tuple[Tensor, ...] = ()
        for i, (lag, step) in enumerate(zip(self.grid.lags, self.grid.steps, strict=False)):
            if step != length:
                block, length = blocks[step], step
                rings = tuple(map(wrapped, (block.a, block.into_state, block.bare)))
            at = lag % size
            a, into, bare = (ring[at : at + size] for ring in rings)
            history = histories[i]
            if step > 1:
                history = torch.lerp(history, histories[i + 1], (step - 1) / (2 * step))
            state = (state * a).addcmul_(product * history, into)
            product = product * bare
            found.append(self._means.over_all(state))
        return torch.stack(found)


def _replaced(values: Tensor, by: Tensor, which: int) -> Tensor:
    found = values.clone()
    found[which] = by[which]
    return found


def _mean(values: Tensor, without: int | None) -> float:
    """Of all repetitions, or of all but one."""
    if without is None:
        return float(values.mean())
    return float((values.sum() - values[without]) / (len(values) - 1))
