"""Estimates over networks: mean, standard error, complex numbers, a single network."""

import numpy as np
import pytest
from scipy import stats

from rnnmft import Status
from rnnmft.simulation.estimates import describe_divergence, estimate_over_networks


def test_mean_and_standard_error_over_networks():
    samples = np.random.default_rng(0).normal(size=(9, 4))
    estimate = estimate_over_networks(samples)
    assert np.allclose(estimate.mean, samples.mean(0), rtol=1e-14)
    assert np.allclose(estimate.sem, stats.sem(samples), rtol=1e-14)
    assert np.array_equal(np.asarray(estimate), estimate.mean)
    assert len(estimate) == 4


def test_complex_errors_are_those_of_the_parts():
    samples = np.array([[1 + 5j], [3 + 5j]])
    estimate = estimate_over_networks(samples)
    assert estimate.mean[0] == 2 + 5j
    assert estimate.sem[0] == 1 + 0j
    assert estimate.to_dict()["mean"] == [[2.0, 5.0]]


def test_one_network_knows_nothing_of_its_error():
    estimate = estimate_over_networks(np.array([[1.0, 2.0]]))
    assert estimate.sem.tolist() == [np.inf, np.inf]
    assert estimate.status is Status.OK


def test_estimates_are_frozen_and_readable():
    estimate = estimate_over_networks(np.array([[1.0], [2.0]]))
    with pytest.raises(AttributeError):
        estimate.mean = 0
    assert repr(estimate) == "Estimate(1, 2 networks; last 1.5 +- 0.5)"


def test_divergence_is_described_shortly():
    assert describe_divergence((None, None)) == ""
    assert describe_divergence((None, 7)) == "Overflow in network 1 at step 7."
    assert describe_divergence((1, 2, 3, 4)).endswith("network 2 at step 3 and 1 more.")
