"""The verdict on an experiment follows its numbers: planted results of every kind."""

from __future__ import annotations

from typing import Any

import pytest

from rnnmft.experiments.outcome import outcome
from rnnmft.experiments.page import render_experiments


def propagated(tied: float, untied: float) -> dict[str, Any]:
    """Networks at .5 with errors of .01, theories at the values given."""
    row = {
        "value": 1.0,
        "measured": [0.5, 0.5, 0.5],
        "sem": [0.01] * 3,
        **{
            name: {"correlation": [at] * 3, "fixed_point": {"value": at}, "rms": abs(at - 0.5)}
            for name, at in (("tied", tied), ("untied", untied))
        },
    }
    return {"cell": "gru", "parameter": "z.mu_b", "width": 64, "rows": [row]}


def learnt(low: float | str, high: float | str, within: int = 3) -> dict[str, Any]:
    fit = {
        "multiple": 6.0,
        "scatter": 1.3,
        "rank": 0.5,
        "rank_interval": [low, high],
        "within": within,
        "networks": 4,
    }
    return {
        "cell": "gru",
        "parameter": "z.mu_b",
        "values": [0.0, 1.0],
        "lengths": [10, 20],
        "accuracy": [[[0.9], [0.9]], [[0.1], [0.9]]],
        "xi": {"tied": [1.0, 2.0], "untied": [1.0, None]},
        "fit": {"tied": fit, "untied": fit},
    }


def raced(first: list[float | str], second: list[float | str]) -> dict[str, Any]:
    curves = {"critical": [[0.1, 0.1], [0.7, 0.9]], "off": [[0.1, 0.1], [0.2, 0.3]]}
    reached = {"critical": first, "off": second}
    return {"cell": "gru", "length": 16, "steps": [1, 9], "accuracy": curves, "to_80": reached}


CASES = {
    "both": (propagated(0.5, 0.51), "both theories describe"),
    "tied alone": (propagated(0.5, 0.6), "only the tied theory describes"),
    "untied alone": (propagated(0.6, 0.5), "only the untied theory describes"),
    "neither": (propagated(0.4, 0.6), "neither theory describes networks of width 64"),
    "longer": (learnt(0.2, 0.8), "learn longer sequences where a longer"),
    "shorter": (learnt(-0.8, -0.2), "learn longer sequences where a shorter"),
    "open": (learnt(-0.2, 0.8), "stays open"),
    "nothing learnt": (learnt("nan", "nan", 0), "nothing to compare"),
    "critical first": (raced([5.0, 7.0], [9.0, "inf"]), "critical reached accuracy .8 first"),
    "off first": (raced([9.0, 9.0], [5.0, 5.0]), "off reached accuracy .8 first, after 5 steps"),
    "none": (raced(["inf"], ["inf"]), "no initialization reached accuracy .8 in 9 steps"),
}


@pytest.mark.parametrize(("part", "verdict"), CASES.values(), ids=CASES.keys())
def test_the_verdict_follows_the_numbers(part: dict[str, Any], verdict: str) -> None:
    assert verdict in outcome(part)[0]


@pytest.mark.parametrize("scale", ["smoke", "small"])
def test_the_page_says_first_what_came_out(scale: str) -> None:
    where = {"processor": "any", "threads": 1, "date": "today", "command": "rnnmft reproduce"}
    content = {
        "experiment": "signal",
        "scale": scale,
        "provenance": where,
        "parts": [propagated(0.5, 0.6)],
    }
    page = render_experiments(content)
    assert "<h1>Signal propagation</h1>" in page
    assert page.index("only the tied theory describes") < page.index("<section")
    assert ("It runs." in page) == (scale == "smoke")
