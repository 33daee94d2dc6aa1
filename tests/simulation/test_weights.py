"""Random matrices: their law, and the products with them."""

import numpy as np
import pytest
import torch

from rnnmft.simulation.weights import DenseMatrix, haar_reflectors, standard_normals
from tests.simulation.false_alarms import FALSE_ALARM, p_value

EPS = {torch.float32: 2.0**-23, torch.float64: 2.0**-52}


def generators(count, first=0):
    return [torch.Generator().manual_seed(1000 + i) for i in range(first, first + count)]


def test_normals_have_the_moments_of_a_normal():
    """64 networks of 4096 numbers; mean 0, variance 1, fourth moment 3; control: 2 % off."""
    x = standard_normals(generators(64), (64, 64), torch.float64).flatten(1).numpy()
    samples = np.stack([x.mean(1), (x**2).mean(1), (x**4).mean(1)], axis=1)
    assert p_value(samples, [0.0, 1.0, 3.0]) > FALSE_ALARM
    assert p_value(samples[:, :2], [0.0, 1.02]) < FALSE_ALARM
    assert p_value(samples[:, 2], 3.0 * 1.02**2) < FALSE_ALARM


def test_networks_and_successive_draws_are_uncorrelated():
    """32 pairs of 4096 numbers each; control: the same numbers twice."""
    source = generators(64)
    first, second = (standard_normals(source, (4096,), torch.float64).numpy() for _ in range(2))
    assert p_value((first * second).mean(1), 0.0) > FALSE_ALARM
    assert p_value((first[::2] * first[1::2]).mean(1), 0.0) > FALSE_ALARM
    assert p_value((first * first).mean(1), 0.0) < FALSE_ALARM


def test_a_network_draws_the_same_numbers_in_any_company_and_precision():
    alone = standard_normals(generators(1, first=2), (40, 40), torch.float32)[0]
    together = standard_normals(generators(5), (40, 40), torch.float64)[2]
    assert torch.equal(alone.double(), together)
    q_alone = haar_reflectors(generators(1, first=2), 40, torch.float64).dense().entries[0]
    q_together = haar_reflectors(generators(5), 40, torch.float32).dense().entries[2]
    assert (q_alone - q_together).abs().max() < 40 * EPS[torch.float32]


def test_threads_do_not_change_the_numbers():
    """300 x 300 numbers a network are enough to be drawn in threads."""
    threads = torch.get_num_threads()
    try:
        drawn = []
        for count in (1, 4):
            torch.set_num_threads(count)
            drawn.append(standard_normals(generators(3), (300, 300), torch.float32))
            drawn.append(haar_reflectors(generators(3), 300, torch.float32).reflectors)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(drawn[0], drawn[2])
    # Not the numbers but their norms may be summed in another order.
    assert (drawn[1] - drawn[3]).abs().max() < 300 * EPS[torch.float32]


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("width", [1, 2, 50])
def test_haar_is_orthogonal_and_its_products_agree(dtype, width):
    """Rounding of N products of N reflections: N eps is generous by a factor of order N^(1/2)."""
    drawn = haar_reflectors(generators(3), width, dtype)
    q = drawn.dense().entries
    identity = torch.eye(width, dtype=dtype).expand(3, -1, -1)
    allowed = 4 * width * EPS[dtype]
    assert (q @ q.mT - identity).abs().max() <= allowed
    assert (drawn.columns(identity) - q).abs().max() <= allowed
    assert (drawn.rows(identity) - q.mT).abs().max() <= allowed


def haar_statistics(q):
    """Per matrix: tr Q, (tr Q)^2, tr Q^2, N Q_11^2, the last diagonal element's square times N."""
    width = q.shape[-1]
    trace = np.trace(q, axis1=1, axis2=2)
    square = np.trace(q @ q, axis1=1, axis2=2)
    corners = (width * q[:, 0, 0] ** 2, width * q[:, -1, -1] ** 2)
    return np.stack([trace, trace**2, square, *corners], axis=1)


def test_haar_has_the_law_of_haar():
    """4000 matrices of O(8): E tr Q = 0, E (tr Q)^2 = E tr Q^2 = 1 (Diaconis & Shahshahani 1994).

    Control: Q of the QR decomposition without the sign fix, which is orthogonal and not Haar.
    """
    expected = [0.0, 1.0, 1.0, 1.0, 1.0]
    q = haar_reflectors(generators(4000), 8, torch.float64).dense().entries.numpy()
    assert p_value(haar_statistics(q), expected) > FALSE_ALARM
    gaussian = standard_normals(generators(4000), (8, 8), torch.float64).numpy()
    unsigned, r = np.linalg.qr(gaussian)
    assert p_value(haar_statistics(unsigned), expected) < FALSE_ALARM
    signed = unsigned * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    assert p_value(haar_statistics(signed), expected) > FALSE_ALARM


def test_dense_products_are_products():
    m = DenseMatrix(torch.arange(12.0).reshape(1, 3, 4), 0.5)
    y = torch.arange(8.0).reshape(1, 2, 4)
    by_hand = 0.5 * torch.einsum("nij,nrj->nri", m.entries, y)
    assert torch.equal(m.rows(y), by_hand)
    assert torch.equal(m.columns(y.mT), by_hand.mT)
    assert m.dense() is m
