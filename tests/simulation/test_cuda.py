"""The same networks' statistics on a CUDA device."""

import numpy as np
import pytest

from rnnmft import Inputs, Status, cells, simulate
from tests.simulation.false_alarms import FALSE_ALARM, p_value
from tests.stand_in_device import GPU


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("tying", "weights"),
    [
        ("tied", "gaussian"),
        ("untied", "orthogonal"),
        pytest.param("tied", "orthogonal", marks=pytest.mark.slow),
        pytest.param("untied", "gaussian", marks=pytest.mark.slow),
    ],
)
def test_cuda_and_cpu_agree(weights, tying):
    """64 networks of width 128 on each. Control: 10 % off."""
    cell = cells.minimal()
    on_cuda, on_cpu = (
        simulate(
            cell, cell.ensemble(weights=weights, e={"sigma_w": 2.0}), Inputs(), width=128,
            networks=64, steps=10, tying=tying, jacobian_horizons=(2,), spectrum=True,
            device=device, seed=1,
        )
        for device in (GPU, "cpu")
    )  # fmt: skip
    assert on_cuda.status is Status.OK
    assert on_cuda.device.startswith(GPU)
    for theirs, mine in (
        (on_cpu.second_moment["h"], on_cuda.second_moment["h"]),
        (on_cpu.jacobian[2].moments, on_cuda.jacobian[2].moments),
    ):
        assert p_value(mine.samples, theirs.mean, theirs.sem) > FALSE_ALARM
        assert p_value(mine.samples, 1.1 * theirs.mean, theirs.sem) < FALSE_ALARM
    values = on_cuda.jacobian[2].singular_values
    m_1 = on_cuda.jacobian[2].moments.samples[:, 0]
    assert np.allclose((values**2).mean(1), m_1, rtol=1e-5)
