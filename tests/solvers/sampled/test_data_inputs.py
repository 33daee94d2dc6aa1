"""Sampled units that read data: against linear stacks by hand; what needs a stationary input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnnmft import cells
from rnnmft.analysis.mean_field import MeanField
from rnnmft.errors import ParameterError
from rnnmft.language import Inputs
from rnnmft.sampling import Sampling
from rnnmft.units.particles import UnitProcess
from tests.solvers.linear_stack import (
    CELL,
    INPUTS,
    covariances,
    jacobian_squares,
    linear_ensemble,
)
from tests.solvers.sampled_errors import CONTROL, agree

STEPS = 9
UNITS = 1 << 14


def theory(inputs: Inputs = INPUTS, tying: str = "tied") -> MeanField:
    return MeanField(CELL, linear_ensemble(), inputs, tying, particles=UNITS, device="cpu")


@pytest.mark.parametrize("tying", ["tied", "untied"])
def test_moments_over_time_are_those_of_the_data(tying: str) -> None:
    """Every step, both trajectories, both layers; controls: 2 % off, and white inputs."""
    found = theory(tying=tying).evolve(STEPS)
    white = theory(replace(INPUTS, temporal="white", data=None), tying).evolve(STEPS)
    for layer, exact in enumerate(covariances(INPUTS, tying == "tied"), 1):
        at, over_time = f"h_{layer}", np.diagonal(exact, axis1=2, axis2=3)
        second, crossed = (over_time[0, 0] + over_time[1, 1]) / 2, over_time[0, 1]
        for quantity, truth in (("second_moment", second), ("cross_moment", crossed)):
            value, error = getattr(found, quantity)[at], found.error[quantity][at]
            assert agree(value, error, truth)
            assert not agree(value, error, CONTROL * truth)
            assert not agree(getattr(white, quantity)[at], white.error[quantity][at], truth)
        correlation = found.correlation[at]
        assert agree(correlation, found.error["correlation"][at], crossed / second)


def test_autocorrelations_at_the_end_of_the_data() -> None:
    """C(tau) of the last step, averaged over the trajectories. Control: 6 % off."""
    found = theory().autocorrelation(3)
    for layer, exact in enumerate(covariances(INPUTS, True), 1):
        truth = [(exact[0, 0, -1, -1 - k] + exact[1, 1, -1, -1 - k]) / 2 for k in range(4)]
        value, error = found.value[f"h_{layer}"], found.error[f"h_{layer}"]
        assert agree(value, error, truth)
        assert not agree(value, error, 1.06 * np.array(truth))


def test_the_jacobian_runs_through_the_layers() -> None:
    """Exact for linear layers, whatever they read."""
    means = theory().jacobian_means(4, burn_in=5)
    truth = [jacobian_squares(T).sum() / 2 for T in range(1, 5)]
    assert agree(means.value, means.error, truth)


def test_the_signal_of_each_trajectory_has_its_gram_matrix() -> None:
    """An elementwise input: x itself, over all pairs of steps. Control: 2 % off."""
    cell = cells.minimal()
    sampling = Sampling(UNITS, 16, device="cpu")
    process = UnitProcess(cell, cell.ensemble(), INPUTS, "tied", sampling, 2)
    rows = []
    for _ in range(STEPS):
        process.step()
        assert process.x is not None
        rows.append(process.x)
    x = np.stack([row.numpy() for row in rows], 2)  # (R, P, T, M)
    products = np.einsum("ratm,rbsm->rabts", x, x) / x.shape[3]
    error = products.std(0, ddof=1) / 4.0
    assert INPUTS.data is not None
    assert agree(products.mean(0), error, INPUTS.data.gram)
    assert not agree(products.mean(0), error, CONTROL * INPUTS.data.gram)


def test_what_ends_with_the_data_is_refused() -> None:
    at = theory()
    assert at.method == "sampled units"
    stationary = (
        at.fixed_point, at.correlation_fixed_point, at.timescales, at.gradient_growth,
        at.lyapunov, at.lyapunov_spectrum, at.eigenvalues,
        lambda: at.gradient_growth(horizon=16, burn_in=1),
    )  # fmt: skip
    for ask in stationary:
        with pytest.raises(ParameterError, match="needs inputs of a stationary law"):
            ask()
    for ask in (lambda: at.evolve(10), lambda: at.jacobian_means(5, burn_in=5)):
        with pytest.raises(ParameterError, match="data of 9 steps, and"):
            ask()


def test_inputs_without_size_are_no_inputs() -> None:
    at = theory(Inputs.from_data(np.zeros((2, STEPS, 1))))
    assert not at.evolve(STEPS).second_moment["h_2"].any()


def test_the_blocks_of_the_jacobian_are_those_of_each_layer() -> None:
    """Within a layer, from one to the next, and none back; m_1 is their sum over the states."""
    at = theory()
    found, means = at.jacobian_blocks(4, burn_in=5), at.jacobian_means(4, burn_in=5)
    assert found.status.ok
    for T in range(4):
        assert agree(found.value[T], found.error[T], jacobian_squares(T + 1))
        assert agree(found.value[T].sum() / 2, found.error[T].sum(), means.value[T])
