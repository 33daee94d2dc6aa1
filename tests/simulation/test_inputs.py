"""Input sequences: correlations in time and between the two trajectories."""

import numpy as np
import pytest
import torch

from rnnmft.cells import Inputs
from rnnmft.simulation.inputs import InputSequence, temporal_factor
from tests.simulation.false_alarms import FALSE_ALARM, p_value

STEPS = 5
TEMPORAL = {"white": "white", "constant": "constant", "given": (1.0, 0.6, 0.2)}


def sequence(inputs, networks=64, width=1024, length=STEPS):
    generators = [torch.Generator().manual_seed(50 + i) for i in range(networks)]
    return InputSequence(inputs, length, generators, width, torch.float64)


def drawn(inputs):
    """(networks, steps, 2, N_in)."""
    source = sequence(inputs)
    return np.stack([source.advance().numpy() for _ in range(STEPS)], axis=1)


@pytest.mark.parametrize("temporal", TEMPORAL)
@pytest.mark.parametrize("correlation", [0.5, -1.0, 0.0, 1.0])
def test_second_moments_are_those_of_the_law(temporal, correlation):
    """64 networks of 1024 inputs, R = 0.8: all of E[x^t x^s], within and between trajectories.

    Controls: R 5 % larger; kappa(1) and the correlation 0.05 larger.
    """
    inputs = Inputs(R=0.8, correlation=correlation, temporal=TEMPORAL[temporal])
    x = drawn(inputs)
    within = np.einsum("ntrk,nsrk->nts", x, x) / (2 * x.shape[-1])
    between = np.einsum("ntk,nsk->nts", x[:, :, 0], x[:, :, 1]) / x.shape[-1]
    lag = np.arange(STEPS)
    kappa = np.vectorize(inputs.kappa)(np.abs(lag[:, None] - lag[None, :]))
    assert p_value(within, 0.8 * kappa) > FALSE_ALARM
    assert p_value(between, 0.8 * correlation * kappa) > FALSE_ALARM
    assert p_value(within, 0.84 * kappa) < FALSE_ALARM
    assert p_value(within[:, 1:, :-1].trace(axis1=1, axis2=2) / 4, 0.8 * (kappa[0, 1] + 0.05)) < (
        FALSE_ALARM
    )
    assert p_value(between, 0.8 * (correlation + 0.05) * kappa) < FALSE_ALARM


def test_mean_is_zero():
    """64 networks of 1024 inputs; control: the mean of x + 0.1."""
    x = drawn(Inputs(correlation=0.5)).mean(axis=-1)
    assert p_value(x, 0.0) > FALSE_ALARM
    assert p_value(x + 0.1, 0.0) < FALSE_ALARM


@pytest.mark.parametrize("temporal", TEMPORAL.values())
def test_a_longer_run_begins_with_the_same_inputs(temporal):
    short, long = (sequence(Inputs(temporal=temporal), 2, 9, length) for length in (4, 12))
    for _ in range(4):
        assert torch.equal(short.advance(), long.advance())


def test_the_factor_reveals_the_rank():
    constant = temporal_factor(Inputs(temporal="constant"), 6)
    assert np.array_equal(constant, np.repeat([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]], 6, axis=0))
    kappa = (1.0, 0.5)  # its spectrum touches zero
    factor = temporal_factor(Inputs(temporal=kappa), 40)
    covariance = np.eye(40) + 0.5 * (np.eye(40, k=1) + np.eye(40, k=-1))
    assert np.abs(factor @ factor.T - covariance).max() < 40 * 2.0**-52
    assert not np.triu(factor, 1).any()


def test_old_innovations_are_forgotten():
    source = sequence(Inputs(temporal=(1.0, 0.6, 0.2)), 2, 9, 50)
    kept = []
    for _ in range(50):
        source.advance()
        kept.append(sorted(source.innovations))
    # kappa reaches two steps: a later x is made of the two innovations before it, and of its own.
    assert kept[:2] == [[0], [0, 1]]
    assert kept[40] == [39, 40]
    # Nothing comes after the last step.
    assert kept[-1] == []
