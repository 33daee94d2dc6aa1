"""The tally rejects the two faults that it is there for, and accepts the same without them.

On the suite's own settings and truths, by small solvers that sample W's action (`doubles`).
"""

from __future__ import annotations

from functools import lru_cache

from tests.validation.calibration.doubles import (
    AveragedTangents,
    BasisWeights,
    CholeskyWeights,
    DrawnRates,
    DrawnTangents,
)
from validation.calibration.linear_settings import linear_settings
from validation.calibration.network_settings import network_settings
from validation.calibration.tally import Tally

GRADIENTS = ("m_1(T)", "gradient growth")
LINEAR, RATE = 12, "rate network of leak .1, autonomous"


@lru_cache
def settings():
    return {s.name: s for s in (*linear_settings(), *network_settings())}


def tally_of_tangents(solver_of):
    """m_1(5), m_1(40) and growth of a dozen linear cells of one state."""
    rows = []
    for setting in list(settings().values())[:LINEAR]:
        asked = {
            q: t for q, t in setting.truths().items() if q.kind in ("m_1(T)", "gradient growth")
        }
        h, e = setting.cell.states[0], setting.cell.preactivations[0]
        update = setting.cell.update[h].as_poly(e, h)
        a, b = (float(update.coeff_monomial(s)) for s in (h, e))
        rows += setting.compare_with(solver_of(a, b, setting.ensemble["e"].sigma_w), asked)
    return Tally(tuple(rows))


def tally_of_rates(weights):
    """E[h^2], E[h] and q of the slow rate network after 10, 40 and 150 steps."""
    setting = settings()[RATE]
    asked = {q: t for q, t in setting.truths().items() if q.kind != "m_1(T)"}
    solver = DrawnRates(0.1, vars(setting.ensemble["e"]), weights, seed=setting.seed)
    return Tally(tuple(setting.compare_with(solver, asked)))


def test_sampled_tangents_are_rejected():
    """A decaying perturbation turns round and grows: status OK, an error that excludes it."""
    tally = tally_of_tangents(DrawnTangents)
    assert not tally.verdicts["gradient growth"].passed
    assert not tally.passed
    # The turn comes from below: where it has come, growth is far too large.
    growths = [c for c in tally.comparisons if c.kind == "gradient growth"]
    far = [c for c in growths if abs(c.value - c.truth) > 1.0]
    assert any(c.score > 3 for c in far)
    assert all(c.value > c.truth for c in far)


def test_averaged_tangents_are_accepted():
    assert tally_of_tangents(AveragedTangents).reasons == []


def test_cholesky_of_the_kernel_is_rejected():
    """Its q grows without bound, and so does its error, so that z alone would let it pass."""
    tally = tally_of_rates(CholeskyWeights)
    assert all(abs(c.z) < 5 for c in tally.comparisons)
    assert "second moment: 1 with errors above half the truth" in tally.reasons
    assert "preactivation variance: 1 with errors above half the truth" in tally.reasons


def test_the_same_without_the_fault_is_accepted():
    """Through a basis: no far number among the moments of the same networks."""
    assert tally_of_rates(BasisWeights).reasons == []
