"""What infinite width says of a layer, against laws that are known."""

from __future__ import annotations

import math

from rnnmft import Inputs, cells
from rnnmft.diagnosis import theory
from rnnmft.language import Constant


def stays_above_zero(past: float, steps: float) -> float:
    """log10 of the probability that a random walk reflected at 0 for a past does not return."""
    return math.log10(2.0 / math.pi * math.atan(math.sqrt(past / steps)))


def test_units_that_see_nothing_but_themselves_are_followed_for_long() -> None:
    """h' = relu(x + h): m_1(T) is the probability to stay above 0, and no power of T till T = t."""
    cell, past, steps = cells.indrnn(), 400, 2000
    ensemble = cell.ensemble("gaussian", {"u": Constant(1.0)}, e={"sigma_v": 1.0})
    found = theory.ask_theory(cell, ensemble, Inputs(), "tied", steps, past, 4096, 0)
    # A step is not small beside the first ones: the walk in discrete time is .6 higher.
    bias = 0.6 / math.sqrt(past) / math.log(10)
    assert found.log10_mean is not None
    assert found.log10_error is not None
    # Two comparisons at 3 standard errors, the first of what survives of 4096.
    followed, p = found.log10_means[-1], 10.0 ** stays_above_zero(past, len(found.log10_means))
    noise = math.sqrt((1.0 - p) / p / 4096) / math.log(10)
    assert abs(followed - math.log10(p)) < 3.0 * noise + bias
    off = abs(found.log10_mean - stays_above_zero(past, steps))
    assert off < 3.0 * found.log10_error + bias
    # The control: a hundred steps, continued as a line or a power, whose error tells.
    p_100 = stays_above_zero(past, 100)
    line = p_100 + (steps - 100) * (p_100 - stays_above_zero(past, 50)) / 50
    assert abs(line - stays_above_zero(past, steps)) > 0.5
    assert found.log10_error < 0.3
