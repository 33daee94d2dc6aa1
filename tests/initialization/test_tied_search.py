"""The search for tied growth 0: few evaluations, each an expensive run."""

from __future__ import annotations

import math

import pytest

from rnnmft import Inputs, cells, critical
from rnnmft.errors import InfeasibleError
from rnnmft.initialization.design.tied import TiedGrowth, solve_tied
from rnnmft.language import Ensemble
from rnnmft.records import Quantity
from rnnmft.sampling import Sampling

CELL = cells.get("minimal")


class KnownGrowth(TiedGrowth):
    """A growth that is a formula of sigma_w, with a count of how often it was asked for."""

    calls = 0

    def __call__(self, ensemble: Ensemble, units: int) -> Quantity:
        type(self).calls += 1
        x = math.log(ensemble["e"].sigma_w)
        return Quantity("growth", math.tanh(x - 1.3) - 0.1 * units / (1 << 18), 0.0)


@pytest.mark.parametrize("start", [1.5, 2.5, 9.0])
def test_the_root_is_found_with_few_runs(start: float) -> None:
    growth = KnownGrowth(CELL, Inputs(), Sampling(units=1 << 14), 10.0)
    KnownGrowth.calls = 0
    found = solve_tied(growth, CELL.ensemble(e={"sigma_w": start}), ["e"], 1e-3)
    exact = math.exp(1.3 + math.atanh(0.1 / 16))
    assert found.ensemble["e"].sigma_w == pytest.approx(exact, rel=2e-3)
    assert found.factor == pytest.approx(exact / start, rel=2e-3)
    assert abs(float(found.growth)) <= 1e-3
    # By doubled steps alone 11 from the ends.
    assert KnownGrowth.calls <= 9


@pytest.mark.parametrize("start", [2.5, 19.0, 50.0])
def test_a_growth_that_hardly_moves_is_followed_far(start: float) -> None:
    """As for long horizons: near enough for few units at once, and the slope there says little."""

    class Slow(TiedGrowth):
        def __call__(self, ensemble: Ensemble, units: int) -> Quantity:
            return Quantity("growth", 0.0042 * math.tanh(math.log(ensemble["e"].sigma_w)), 0.0)

    growth = Slow(CELL, Inputs(), Sampling(units=1 << 14), 500.0)
    found = solve_tied(growth, CELL.ensemble(e={"sigma_w": start}), ["e"], 1e-3)
    assert abs(float(found.growth)) <= 1e-3
    assert abs(math.log(found.ensemble["e"].sigma_w)) <= math.atanh(1 / 4.2)


def test_a_jump_over_0_is_refused() -> None:
    class Jump(TiedGrowth):
        def __call__(self, ensemble: Ensemble, units: int) -> Quantity:
            return Quantity("growth", math.copysign(0.1, ensemble["e"].sigma_w - 2.0), 0.0)

    growth = Jump(CELL, Inputs(), Sampling(units=1 << 14), 10.0)
    with pytest.raises(InfeasibleError, match="growth jumps across 0"):
        solve_tied(growth, CELL.ensemble(e={"sigma_w": 3.0}), ["e"], 1e-3)


def test_several_are_moved_alike() -> None:
    cell = cells.get("two_populations")

    class Loop(TiedGrowth):
        """A gradient that goes through both blocks: neither alone makes it 0."""

        def __call__(self, ensemble: Ensemble, units: int) -> Quantity:
            x = math.log(ensemble["e_1_2"].sigma_w * ensemble["e_2_1"].sigma_w)
            return Quantity("growth", math.tanh(x - 1.0), 0.0)

    growth = Loop(cell, Inputs(), Sampling(units=1 << 14), 10.0)
    given = cell.ensemble(**{n: {"sigma_w": 2.0} for n in ("e_1_2", "e_2_1", "e_2_2")})
    found = solve_tied(growth, given, ["e_2_2", "e_1_2", "e_2_1"], 1e-4)
    assert found.factor == pytest.approx(math.exp(0.5) / 2.0, rel=1e-4)
    assert [found.ensemble[n].sigma_w for n in ("e_2_2", "e_1_2")] == [2.0 * found.factor] * 2
    assert found.ensemble["e_1_1"] == given["e_1_1"]
    # The control: the block that no such path goes through.
    with pytest.raises(InfeasibleError, match="growth 0 is not met between"):
        solve_tied(growth, given, ["e_2_2"], 1e-4)


@pytest.mark.slow
def test_two_populations_are_critical_by_all_their_matrices() -> None:
    """By one block alone growth stays above .02 however small it is made.

    A matrix that is fixed and has no input leaves its variance to be found.
    """
    cell = cells.get("two_populations")
    found = critical(cell, fix={"e_1_2": {"sigma_w": 0.5}})
    assert abs(float(found.growth())) <= 0.005
    before, after = found.untied_ensemble, found.ensemble
    factors = {n: after[n].sigma_w / before[n].sigma_w for n in ("e_1_1", "e_2_1", "e_2_2")}
    assert len({round(x, 12) for x in factors.values()}) == 1
    assert after["e_1_2"].sigma_w == 0.5


def test_a_root_out_of_reach_is_refused() -> None:
    growth = KnownGrowth(CELL, Inputs(), Sampling(units=1 << 14), 10.0)
    with pytest.raises(InfeasibleError, match="growth 0 is not met between"):
        solve_tied(growth, CELL.ensemble(e={"sigma_w": 0.001}), ["e"], 1e-3)
