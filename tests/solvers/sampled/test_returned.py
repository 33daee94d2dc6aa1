"""What returns of a perturbation to sampled units, against closed moments and growth of answers."""

from __future__ import annotations

import math

import pytest
from scipy.optimize import brentq

import rnnmft as mft
from rnnmft import Inputs, cells
from rnnmft.errors import InfeasibleError
from rnnmft.language import Normal
from rnnmft.language.text import loads
from rnnmft.sampling import Sampling
from rnnmft.solvers.closed.given_laws import ClosedLaws
from rnnmft.solvers.sampled.given_laws import SampledLaws

# Two affine states, one of which the other remembers: its second moments close.
TWO_STATES = loads("""
name = "two"
states = ["c", "h"]
[preactivations]
z = { sees = "h" }
g = { sees = "c" }
r = { sees = "tanh(g)*h", input = false }
[update]
c = "sigmoid(z)*c + (1-sigmoid(z))*tanh(g)"
h = "h/2 + c/4 + tanh(r)"
""")
Q, MU = {"z": 1.0, "g": 1.0, "r": 0.5}, {"z": 1.5, "g": 0.2, "r": 0.0}


def test_growth_0_is_where_closed_moments_have_it() -> None:
    sampling = Sampling(1 << 16, 4, 0, "cpu")
    exact = ClosedLaws(TWO_STATES, Inputs()).at(Q, MU)
    sampled = SampledLaws(TWO_STATES, Inputs(), {}, sampling, 60).at(Q, MU)

    def growth(averages, scale):
        return averages.tangent({"z": 0.2, "g": scale, "r": 0.3 * scale}).growth

    critical = brentq(lambda s: growth(exact, s), 0.01, 50.0)
    # 8192 units, some 20 independent readings of each: half a percent.
    assert abs(growth(sampled, critical)) < 0.02
    # Generations are not steps, but their sign is the same; the control are weights 5 % off.
    assert growth(sampled, 0.9 * critical) < -0.02
    assert growth(sampled, 1.1 * critical) > 0.02
    assert sampled.tangent({"g": 1.0}).mean_square == pytest.approx(
        exact.tangent({"g": 1.0}).mean_square, rel=0.02
    )


def test_what_units_keep_for_ever_is_refused() -> None:
    keeps = loads("""
name = "keeps"
states = ["h", "n"]
parameters = ["p"]
[preactivations]
e = { sees = "sin(h)" }
[update]
h = "p*h + tanh(e)/(1 + n**2)"
n = "sin(n) + tanh(e)"
""")
    laws = {"p": Normal(0.0, 1.3)}
    with pytest.raises(InfeasibleError, match="does not decay from step to step"):
        mft.critical(keeps, parameters=laws, tying="untied", particles=1 << 12, device="cpu")


@pytest.mark.slow
def test_a_sampled_answer_has_growth_0() -> None:
    """In the theory's own growth, another route: m_1(1) = 1 is not that."""
    init = mft.critical(cells.coupled_lstm(), tying="untied", device="cpu")
    assert init.method == "sampled units"
    growth = init.growth()
    assert growth.status.ok
    assert abs(float(growth)) < 4.0 * growth.error + 2e-3
    assert growth.error < 2e-3
    # The control: sigma_w^2 that makes m_1(1) = 1 is larger by more than the error.
    one = init.mean_square(1)
    assert abs(float(one) - 1.0) > 0.1
    assert math.isfinite(float(one))
