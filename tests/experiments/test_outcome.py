"""The verdict on an experiment follows its numbers: planted results of every kind."""

from __future__ import annotations

from typing import Any

import pytest

from rnnmft.experiments.outcome import mean_and_half, one_multiple, outcome, sooner
from rnnmft.experiments.page import render_experiments, sentences


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


def modelled(minimal: list[float], gru: list[float], **of_minimal: Any) -> dict[str, Any]:
    """Two starts a cell; the first is better on the second part, and its costs are given."""
    models = [
        {
            "cell": cell,
            "start": start,
            "width": 9,
            "parameters": 900,
            "of_the_cell": 500,
            "rate": 0.01,
            "steps": [10, 20],
            "valid": [[4.0] * 3, [chosen_by] * 3],
            "train": [1.5] * 3,
            "test": costs,
            "diverged": [0] * 3,
            **(of_minimal if cell == "minimal" else {}),
        }
        for cell, good in (("minimal", minimal), ("gru", gru))
        for start, chosen_by, costs in (("first", 2.0, good), ("second", 3.0, [1.0] * 3))
    ]
    return {
        "level": "words",
        "text": "a text",
        "symbols": 8,
        "sizes": [80, 10, 10],
        "unknown": 0.02,
        "uniform": 3.0,
        "unigram": 2.5,
        "grid": [0.001, 0.01, 0.1],
        "models": models,
    }


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
    "as few bits": (modelled([2.0, 2.01, 2.02], [2.0, 2.01, 1.99]), "within 10 % of gru"),
    "fewer bits": (modelled([1.0, 1.01, 1.02], [2.0, 2.01, 1.99]), "within 10 % of gru"),
    "more bits": (modelled([2.39, 2.4, 2.41], [2.0, 2.01, 1.99]), "more bits by 20 % (gru)"),
    "bits that scatter": (modelled([1.8, 2.2, 2.5], [2.0, 2.01, 1.99]), "stays open"),
    "one network": (modelled([2.0], [2.0]), "stays open"),
    "tried again": (
        raced([5.0, 7.0], ["inf", "inf"]) | {"tried": 1},
        "above one half after 9 steps: critical: 2 of 2; off: 0 of 2.",
    ),
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
    assert "within 10 % of gru" in render_experiments(
        content | {"experiment": "language", "parts": [modelled([2.0] * 3, [2.0] * 3)]}
    )
    assert "<h1>Signal propagation</h1>" in page
    titled = [propagated(0.5, 0.6) | {"title": "gru, T = 1"}]
    assert '<h2 id="gru-t-1-heading">gru, T = 1</h2>' in render_experiments(
        content | {"parts": titled}
    )
    assert page.index("only the tied theory describes") < page.index("<section")
    assert ("It runs." in page) == (scale == "smoke")


def test_critical_starts_are_timed_against_their_own_off_critical_ones() -> None:
    def told(critical: list[float | str], off: list[float | str]) -> str:
        reached = {"gaussian critical": critical, "gaussian off": off}
        (sentence,) = sooner({"steps": [10, 60], "to_80": reached})
        return sentence

    assert "more than 6 times sooner" in told([10, 10, 60], ["inf", 20, "inf"])
    assert "3 times as soon" in told([10, 20, 60], [60, 60, "inf"])
    assert "no median" in told([10, "inf", "inf"], [60, 60, 60])


def test_one_multiple_over_all_cells_is_judged_by_the_interval_of_the_difference() -> None:
    def verdict(*difference: float) -> str:
        fit = {"multiple": 8.0, "scatter": 1.4, "rank": 0.9, "within": 4, "networks": 4}
        found = {"fit": {"tied": fit, "untied": fit}, "tied_less_untied_scatter": difference}
        return one_multiple(found)[0]

    assert "of the tied timescale fits better" in verdict(-0.2, -0.3, -0.1)
    assert "of the untied timescale fits better" in verdict(0.2, 0.1, 0.3)
    assert "open" in verdict(-0.2, -0.3, 0.1)


def test_intervals_are_students() -> None:
    """t_.975 of 2 degrees of freedom is 4.3027."""
    mean, half = mean_and_half([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.3027 / 3**0.5, rel=1e-4)


def test_what_a_model_cost_is_said() -> None:
    part = modelled([2.0, 2.01, 2.02], [2.0, 2.01, 1.99], diverged=[0, 7, 9], rate=0.1)
    text, minimal, _, gru, _ = sentences(part)
    assert "80 words to learn from, 10 to choose by, 10 to test on, of 8 kinds" in text
    assert "2 % of the last are unknown" in text
    assert "2.010 ± 0.025 bits a word (perplexity 4.03)" in minimal
    assert "rate 0.1, at the edge of the grid; 2 of 3 networks diverged" in minimal
    assert "rate 0.01" in gru
    assert "edge" not in gru
    assert "diverged" not in gru


def test_no_interval_of_what_is_the_same_for_both_theories() -> None:
    same = learnt(0.2, 0.8) | {"tied_less_untied_scatter": [0.0, 0.0, 0.0]}
    assert "both theories have the same timescale, and the same spread." in list(sentences(same))
    other = learnt(0.2, 0.8) | {"tied_less_untied_scatter": [0.0, -0.1, 0.1]}
    assert any(s.endswith("0, 95 % interval -0.1 to 0.1.") for s in sentences(other))


def test_networks_that_diverged_are_counted() -> None:
    part = learnt(0.2, 0.8) | {"diverged": [[[0], [3]], [[0], [12]]]}
    assert [s for s in sentences(part) if s.startswith("2 of 4 networks diverged")]
    race = raced([5.0, 7.0], ["inf", "inf"]) | {"diverged": {"critical": [0, 0], "off": [4, 0]}}
    assert [s for s in sentences(race) if s.startswith("1 of 4 networks diverged")]
    # Results from before it was noted say nothing of it.
    assert not [s for s in sentences(learnt(0.2, 0.8)) if "diverged" in s]
