"""Fixtures of the numeric tests."""

import pytest

from rnnmft.numerics.backends import numpy_backend


@pytest.fixture
def numpy64():
    """NumPy in double precision."""
    return numpy_backend()
