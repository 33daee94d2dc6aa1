"""The search for tied growth 0: few evaluations, each an expensive run."""

from __future__ import annotations

import math

import pytest

from rnnmft import Inputs, cells
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
    found = solve_tied(growth, CELL.ensemble(e={"sigma_w": start}), "e", 1e-3)
    exact = math.exp(1.3 + math.atanh(0.1 / 16))
    assert found.sigma_w == pytest.approx(exact, rel=2e-3)
    assert abs(float(found.growth)) <= 1e-3
    # By doubled steps alone 11 from the ends.
    assert KnownGrowth.calls <= 9


def test_a_root_out_of_reach_is_refused() -> None:
    growth = KnownGrowth(CELL, Inputs(), Sampling(units=1 << 14), 10.0)
    with pytest.raises(InfeasibleError, match="growth 0 is not met between"):
        solve_tied(growth, CELL.ensemble(e={"sigma_w": 0.001}), "e", 1e-3)
