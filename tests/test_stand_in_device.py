"""The stand-in for a GPU refuses what a GPU refuses: a test on it can fail."""

import numpy as np
import pytest
import torch

from rnnmft.errors import ParameterError
from rnnmft.numerics.devices import choose_device
from tests.stand_in_device import GPU


@pytest.mark.cuda
@pytest.mark.parametrize(
    "mix",
    [
        lambda there, here: there + here,
        lambda there, here: there @ here,
        lambda there, here: torch.linalg.solve(there, here),
        lambda there, here: torch.stack([there, here]),
        lambda there, here: there[0].add_(here[0]),
    ],
    ids=["sum", "product", "solve", "stack", "in-place"],
)
def test_devices_do_not_mix(mix) -> None:
    with pytest.raises(RuntimeError, match="same device"):
        mix(torch.eye(2, device=GPU), torch.eye(2))


@pytest.mark.cuda
def test_numbers_are_fetched_before_numpy_sees_them() -> None:
    there = 2.0 * torch.as_tensor(np.eye(2), device=GPU)
    assert there.device.type == choose_device(GPU).type
    with pytest.raises((TypeError, RuntimeError)):
        there.numpy()
    assert there.cpu().numpy().tolist() == [[2.0, 0.0], [0.0, 2.0]]


@pytest.mark.cuda
def test_generators_belong_to_a_device() -> None:
    ours, other = torch.Generator(device=GPU), torch.Generator()
    assert torch.randn(3, generator=ours.manual_seed(0), device=GPU).device.type != "cpu"
    with pytest.raises(RuntimeError, match="generator"):
        torch.randn(3, generator=other, device=GPU)


def test_the_stand_in_is_no_device_of_a_users() -> None:
    with pytest.raises(ParameterError, match="device must be"):
        choose_device("stand_in")
