"""Parameters: what `start` may be."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rnnmft.errors import ParameterError
from rnnmft.parameters import check_start


def test_one_number_is_for_every_state() -> None:
    assert check_start(0.5, ["c", "h"]) == {"c": 0.5, "h": 0.5}


def test_a_state_that_is_not_named_starts_at_zero() -> None:
    assert check_start({"h": 2}, ["c", "h"]) == {"c": 0.0, "h": 2.0}
    assert check_start({}, ["c", "h"]) == {"c": 0.0, "h": 0.0}


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        (-0.1, r"start must be a finite number >= 0, got -0\.1"),
        (math.nan, "start must be a finite number >= 0, got nan"),
        (math.inf, "start must be a finite number >= 0, got inf"),
        (True, "start must be a finite number >= 0, got True"),
        ("1", "start must be a finite number >= 0, got '1'"),
        (None, "start must be a finite number >= 0, got None"),
        ({"h": -1.0}, r"start\['h'\] must be a finite number >= 0, got -1\.0"),
        ({"h": math.nan}, r"start\['h'\] must be a finite number >= 0, got nan"),
        ({"x": 1.0}, r"start names unknown state 'x'; there are \['c', 'h'\]"),
    ],
)
def test_what_is_refused(start: Any, sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        check_start(start, ["c", "h"])
