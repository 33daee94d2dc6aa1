"""Claims on recall are judged by the numbers: planted results of either kind."""

from __future__ import annotations

import math
from typing import Any

import pytest

from validation.recall import CLAIMS, judged

CLAIM = {"cell": "lstm", "length": 100, "start": "a", "networks": "every", "step": 75}


def parts(steps: list[Any]) -> list[dict[str, Any]]:
    shapes = [("gru", 100, 0.0), ("lstm", 100, 1.0), ("lstm", 200, 0.0)]
    others = [{"cell": c, "length": t, "noise": n, "to_80": {"a": [5.0]}} for c, t, n in shapes]
    return [*others, {"cell": "lstm", "length": 100, "noise": 0.0, "to_80": {"a": steps}}]


@pytest.mark.parametrize(
    ("networks", "steps", "holds"),
    [
        ("every", [75.0, 50.0], True),
        ("every", [100.0, 50.0], False),
        ("every", ["inf", 50.0], False),
        ("none", ["inf", 100.0], True),
        ("none", ["inf", 75.0], False),
    ],
    ids=["all in time", "one late", "one never", "none in time", "one in time"],
)
def test_claims_follow_the_numbers(networks: str, steps: list[Any], holds: bool) -> None:
    found, sentence = judged(CLAIM | {"networks": networks}, parts(steps))
    assert found == holds
    assert sentence.endswith("not borne out") != holds


def test_intervals_are_exact() -> None:
    _, sentence = judged(CLAIM, parts([50.0] * 5))
    assert f"{math.pow(0.025, 0.2):.2f} to 1.00" in sentence


def test_what_was_seen_by_hand_is_among_the_claims() -> None:
    starts = {claim["start"]: (claim["networks"], claim["step"]) for claim in CLAIMS}
    assert starts["critical, tied"] == ("every", 75)
    assert starts["PyTorch's default"] == starts["forget bias 1"] == ("none", 300)
