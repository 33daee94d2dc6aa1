"""Numbers too small to be normal: nothing while it is open, themselves before and after."""

from __future__ import annotations

import pytest
import torch

from rnnmft.simulation.subnormal import subnormal_as_zero


def half_of_the_least() -> float:
    return (torch.full((), torch.finfo(torch.float32).tiny) / 2).item()


def test_they_are_zero_inside_and_themselves_outside() -> None:
    assert half_of_the_least() > 0
    with subnormal_as_zero():
        assert half_of_the_least() == 0
        with subnormal_as_zero():
            pass
        assert half_of_the_least() == 0
    assert half_of_the_least() > 0


def test_an_error_leaves_them_as_they_were() -> None:
    with pytest.raises(KeyboardInterrupt), subnormal_as_zero():
        raise KeyboardInterrupt
    assert half_of_the_least() > 0
