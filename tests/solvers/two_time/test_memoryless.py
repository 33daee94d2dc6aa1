"""The two-time kernel of memoryless cells: against exact recursions, direct integrals and units."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate

from rnnmft import (
    Cell,
    ConvergenceError,
    DerivationError,
    Input,
    Inputs,
    MeanField,
    Preactivation,
    State,
    cells,
    identity,
    relu,
    sigmoid,
    tanh,
)
from rnnmft.sampling import Sampling
from rnnmft.solvers.sampled.sampled_units import SampledUnits
from rnnmft.solvers.two_time.memoryless import TwoTimeKernel
from rnnmft.theory.memoryless import is_memoryless, memoryless_theory
from tests.solvers.linear_cells import second_moments
from tests.solvers.sampled_errors import CONTROL, agree

#: What the quadrature promises for every kernel value, relative to its scale.
PROMISED = 1e-9
INPUTS = {
    "white": Inputs(R=0.7, correlation=0.4),
    "constant": Inputs(R=0.7, correlation=0.4, temporal="constant"),
    "given": Inputs(R=0.7, correlation=0.4, temporal=(1.0, 0.6, 0.3)),
}


def two_preactivations():
    """Two states, two preactivations, an elementwise input; not a vanilla RNN, but memoryless."""
    g, h, x = State("g"), State("h"), Input("x")
    a, b = Preactivation("a", h), Preactivation("b", g)
    return Cell("pair", update={g: sigmoid(a) * tanh(b) + x / 2, h: tanh(a + x)})


@pytest.mark.parametrize("inputs", INPUTS.values(), ids=INPUTS)
def test_linear_cells_are_met_to_rounding(inputs):
    """h' = e: a recursion of sums, typed by hand."""
    h = State("h")
    cell = Cell("line", update={h: identity(Preactivation("e", h))})
    ensemble = cell.ensemble(e={"sigma_w": 0.8, "sigma_v": 0.6, "sigma_b": 0.3})
    _, drives = second_moments(7, lambda n: float(n == 0), ensemble["e"], inputs)
    same, between = TwoTimeKernel(cell, ensemble, inputs).kernel(7)
    assert np.abs(same["e"] - drives[0]).max() < PROMISED
    assert np.abs(between["e"] - drives[1]).max() < PROMISED


def pair_integral(f, mean, covariance):
    """E[f(a) f(b)] of a Gaussian pair by scipy's nested quadrature."""
    root = np.linalg.cholesky(covariance)

    def density(u, v):
        a, b = mean + root @ (u, v)
        return f(a) * f(b) * math.exp(-(u * u + v * v) / 2) / (2 * math.pi)

    return integrate.dblquad(density, -9, 9, -9, 9, epsabs=1e-11, epsrel=1e-11)[0]


def test_the_first_steps_are_the_integrals_that_they_should_be():
    """C(1, 0) and C(2, 1) of a tanh RNN with bias, with scipy's integrals in place of ours."""
    cell, inputs = cells.vanilla(), INPUTS["given"]
    ensemble = cell.ensemble(e={"sigma_w": 1.4, "sigma_v": 0.9, "mu_b": 0.3, "sigma_b": 0.5})
    law = ensemble["e"]
    same, _ = TwoTimeKernel(cell, ensemble, inputs).kernel(3)
    c = same["e"]

    def drive(lag):
        return law.sigma_v**2 * inputs.R * inputs.kappa(lag) + law.sigma_b**2

    assert c[0, 0] == pytest.approx(drive(0), rel=1e-14)
    assert c[1, 0] == pytest.approx(drive(1), rel=1e-14)
    seen = pair_integral(math.tanh, law.mu_b, c[:2, :2])
    assert abs(c[2, 1] - (law.sigma_w**2 * seen + drive(1))) < PROMISED
    assert abs(1.02 * c[2, 1] - (law.sigma_w**2 * seen + drive(1))) > 1e3 * PROMISED


@pytest.mark.parametrize("make", [cells.vanilla, two_preactivations])
def test_equal_times_are_the_trajectory(make):
    """The diagonal of the kernel is what evolve gives, on one trajectory and between two."""
    cell, inputs = make(), INPUTS["given"]
    theory = TwoTimeKernel(cell, cell.ensemble(), inputs)
    same, between = theory.kernel(6)
    found = theory.evolve(6)
    assert found.tying == "tied"
    for name, c in same.items():
        assert np.abs(c - c.T).max() == 0
        assert np.abs(np.diag(c) - found.preactivation_variance[name]).max() < PROMISED
        covariance = found.preactivation_covariance[name]
        assert np.abs(np.diag(between[name]) - covariance).max() < PROMISED
        # A covariance matrix has no negative eigenvalue beyond rounding.
        assert np.linalg.eigvalsh(c).min() > -1e-9


def test_the_autocorrelation_is_the_late_kernel():
    cell, inputs = cells.vanilla(), INPUTS["given"]
    ensemble = cell.ensemble(e={"sigma_w": 0.7, "sigma_v": 0.7, "mu_b": 0.2, "sigma_b": 0.3})
    theory = TwoTimeKernel(cell, ensemble, inputs)
    memory = theory.autocorrelation(4)
    c = theory.kernel(25)[0]["e"]
    late = c[24, 24 - np.arange(5)]
    assert np.abs(memory.value["e"] - late).max() < PROMISED
    assert memory.error["e"].max() < PROMISED
    assert memory.value["e"][0] == pytest.approx(theory.fixed_point().preactivation_variance["e"])


@pytest.mark.parametrize(
    ("make", "temporal"),
    [
        (cells.vanilla, "given"),
        pytest.param(cells.vanilla, "white", marks=pytest.mark.slow),
        pytest.param(cells.vanilla, "constant", marks=pytest.mark.slow),
        pytest.param(two_preactivations, "white", marks=pytest.mark.slow),
        pytest.param(two_preactivations, "constant", marks=pytest.mark.slow),
        pytest.param(two_preactivations, "given", marks=pytest.mark.slow),
    ],
)
def test_sampled_units_agree(make, temporal):
    """Two solvers of one theory: moments, C(tau) and m_1(T); the control moves C(tau) by 2 %."""
    cell, inputs = make(), INPUTS[temporal]
    laws = {p.name: {"sigma_w": 1.3, "sigma_b": 0.3} for p in cell.preactivations}
    ensemble = cell.ensemble(**laws)
    exact = TwoTimeKernel(cell, ensemble, inputs)
    units = SampledUnits(cell, ensemble, inputs, "tied", Sampling(1 << 16, 16, 1, "cpu"))
    found, truth = units.evolve(5), exact.evolve(5)
    for kind in ("second_moment", "cross_moment", "preactivation_variance"):
        for name, value in getattr(found, kind).items():
            assert agree(value, found.error[kind][name], getattr(truth, kind)[name]), kind
    memory, limit = units.autocorrelation(4, burn_in=40), exact.autocorrelation(4)
    for name, value in memory.value.items():
        assert agree(value, memory.error[name], limit.value[name]), name
    states = [s.name for s in cell.states]
    assert any(
        not agree(memory.value[s], memory.error[s], CONTROL * limit.value[s]) for s in states
    )
    means = units.jacobian_means(3, burn_in=40)
    assert agree(means.value, means.error, exact.jacobian_means(3, 40).value)


def test_an_odd_network_in_white_noise_forgets_at_once():
    """No bias: C(tau) = 0 at tau > 0, although the weights are the same at every step."""
    memory = TwoTimeKernel(cells.vanilla(), cells.vanilla().ensemble(), Inputs()).autocorrelation(5)
    assert np.abs(memory.value["h"][1:]).max() < PROMISED
    assert memory.memory("h") == pytest.approx(0.5)


def test_the_kernel_is_chosen_where_it_applies():
    assert MeanField(cells.vanilla(relu), tying="tied").method == "two-time kernel"
    assert MeanField(two_preactivations(), tying="tied").method == "two-time kernel"
    assert MeanField(cells.minimal(), tying="tied").method == "sampled units"


def test_what_is_memoryless():
    h, e = State("h"), Preactivation("e", 0)
    nested = Preactivation("n", sigmoid(e) * h)
    assert is_memoryless(cells.vanilla())
    assert is_memoryless(two_preactivations())
    assert not is_memoryless(cells.lstm())
    assert not is_memoryless(cells.indrnn())
    assert not is_memoryless(Cell("nested", update={h: tanh(nested)}))
    with pytest.raises(DerivationError, match="remembers more"):
        memoryless_theory(cells.gru())


def test_gradients_of_tied_and_untied_weights_agree():
    tied, untied = (MeanField(cells.vanilla(), tying=t) for t in ("tied", "untied"))
    assert float(tied.gradient_growth()) == float(untied.gradient_growth())
    assert "tied" in tied.gradient_growth().name
    assert "untied" not in tied.gradient_growth().name
    assert np.array_equal(tied.jacobian_means(4).value, untied.jacobian_means(4).value)
    assert tied.jacobian(2).tying == tied.timescales().tying == "tied"


def test_an_unstable_kernel_says_so():
    cell = cells.vanilla(relu)
    theory = TwoTimeKernel(cell, cell.ensemble(e={"sigma_w": 2.0}), Inputs())
    with pytest.raises(ConvergenceError):
        theory.autocorrelation(3)


def test_weights_may_see_something_in_the_zero_state():
    """y = h + 1/2: the transient, and the plateau of C(tau) that it starts from, against units."""
    h = State("h")
    cell = Cell("shifted", update={h: tanh(Preactivation("e", h + 0.5))})
    ensemble, inputs = cell.ensemble(e={"sigma_w": 1.2}), INPUTS["white"]
    exact = TwoTimeKernel(cell, ensemble, inputs)
    units = SampledUnits(cell, ensemble, inputs, "tied", Sampling(1 << 15, 16, 1, "cpu"))
    memory = units.autocorrelation(3, burn_in=0)
    late = exact.kernel(4)[0]["e"][3, ::-1]
    assert agree(memory.value["e"], memory.error["e"], late)
    assert not agree(memory.value["e"], memory.error["e"], CONTROL * late)
    limit, later = exact.autocorrelation(3), units.autocorrelation(3, burn_in=40)
    assert agree(later.value["h"], later.error["h"], limit.value["h"])


def test_what_does_not_close_at_one_time_is_sampled():
    """Memoryless, but the weights see a product of states: their one-time law is sampled."""
    g, h = State("g"), State("h")
    update = {g: tanh(Preactivation("a", h)), h: tanh(Preactivation("b", g * h))}
    assert MeanField(Cell("product", update=update), tying="tied").method == "sampled units"
