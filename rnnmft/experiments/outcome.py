"""What came out of an experiment, cell by cell: a verdict from its stored results alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

from rnnmft.experiments.boundary import THRESHOLD, of_part
from rnnmft.experiments.comparison import compare
from rnnmft.experiments.departure import departures
from rnnmft.page.numbers import rounded
from rnnmft.parameters import TYINGS

__all__ = [
    "diverged",
    "listed",
    "mean_and_half",
    "number",
    "one_multiple",
    "outcome",
    "reached",
    "sooner",
]

Part = Mapping[str, Any]
#: Root mean square differences of up to so many standard errors are the errors' own: 1 is expected,
#: and steps, which share their networks, scatter around it more than independent ones would.
_WITHIN = 1.5
#: Below this chance of steps that differ as much, starts differ.
_CHANCE = 0.05
#: Of intervals, and what counts as the same cost: what the comparison set out to show.
_SHARE, _SAME = 0.95, 0.1


def outcome(part: Part) -> tuple[str, str]:
    """The verdict on one cell and the sentence with its numbers, by the kind of its results."""
    kinds: dict[str, Callable[[Part], tuple[str, str]]] = {
        "rows": _propagated,
        "fit": _learnt,
        "reference": _recalled,
        "tried": _tried_again,
        "to_80": _raced,
        "looks": _drifted,
        "models": _modelled,
    }
    return next(said for name, said in kinds.items() if name in part)(part)


def number(value: Any) -> str:
    """Three digits, and all of a whole number; "never" for what was not reached.

    >>> number(0.12345), number(1275), number(1234.5), number("inf"), number("nan")
    ('0.123', '1275', '1230', 'never', 'unknown')
    """
    x = float(value)
    if not np.isfinite(x):
        return "never" if x > 0 else "unknown"
    return f"{x:.0f}" if x == round(x) else rounded(x)


def reached(steps: Sequence[Any]) -> str:
    """At which step each network got there.

    >>> reached([75, 50]), reached([75, "inf"]), reached(["inf", "inf"])
    ('at step 75, 50', 'at step 75, in 1 never', 'in none of 2 networks')
    """
    known = [number(s) for s in steps if np.isfinite(float(s))]
    if not known:
        return f"in none of {len(steps)} networks"
    missing = len(steps) - len(known)
    return f"at step {', '.join(known)}" + (f", in {missing} never" if missing else "")


def mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """The mean over networks and half of its 95 % interval (Student's); nan for one network.

    >>> [round(x, 3) for x in mean_and_half([1.0, 3.0])]
    [2.0, 12.706]
    """
    own = np.array(values, float)
    if len(own) < 2:
        return float(own.mean()), float("nan")
    factor = student.ppf((1 + _SHARE) / 2, len(own) - 1)
    return float(own.mean()), float(factor * own.std(ddof=1) / np.sqrt(len(own)))


def diverged(part: Part) -> tuple[int, int]:
    """How many trained networks had a gradient that was not finite, and of how many it is known."""
    noted = part.get("diverged", ())
    rows = noted.values() if isinstance(noted, Mapping) else noted
    steps = [step for row in rows for step in np.ravel(row)]
    return sum(step > 0 for step in steps), len(steps)


def _propagated(part: Part) -> tuple[str, str]:
    """Distances of networks from each theory, in standard errors of the networks."""
    away = {tying: _errors_away(part, tying) for tying in TYINGS}
    agree = [tying for tying, x in away.items() if x <= _WITHIN]
    verdict = {
        0: f"neither theory describes networks of width {part['width']} within their errors.",
        1: f"only the {' '.join(agree)} theory describes the networks.",
        2: "both theories describe the networks, which cannot tell them apart.",
    }[len(agree)]
    told = " and ".join(f"{number(x)} standard errors ({tying})" for tying, x in away.items())
    return verdict, f"Correlations differ from theory by {told}, rms over steps and values."


def _errors_away(part: Part, tying: str) -> float:
    """Root mean square of (theory - networks) / standard error, from the second step on."""
    gaps = [
        (np.array(row[tying]["correlation"], float) - np.array(row["measured"], float))
        / np.array(row["sem"], float)
        for row in part["rows"]
    ]
    return float(np.sqrt(np.nanmean(np.square([gap[1:] for gap in gaps]))))


def _learnt(part: Part) -> tuple[str, str]:
    """Whether lengths that are learnt follow the tied timescale, by the interval of their rank."""
    fit = part["fit"]["tied"]
    low, high = (float(end) for end in fit["rank_interval"])
    within = f"{fit['within']} of {fit['networks']} networks"
    told = f"The longest length that is learnt lies within those tried in {within}."
    if np.isnan(low) or np.isnan(high):
        return _between_two(part) or ("nothing to compare.", told)
    told = f"Rank correlation {number(fit['rank'])}, 95 % interval {low:.2g} to {high:.2g}. {told}"
    if low > 0:
        return "networks learn longer sequences where a longer timescale is predicted.", told
    if high < 0:
        return "networks learn longer sequences where a shorter timescale is predicted.", told
    return "whether the lengths learnt follow the predicted timescale stays open.", told


def _between_two(part: Part) -> tuple[str, str] | None:
    """What the second of two values changes, where all networks of both have a T*; else None."""
    longest, xi = of_part(part)
    if len(longest) != 2 or not (np.isfinite(longest) & (longest > 0)).all():
        return None
    middle, half = mean_and_half(np.log(longest[1] / longest[0]).tolist())
    low, middle, high = np.exp([middle - half, middle, middle + half])
    predicted = ", ".join(f"{tying} xi {number(of[1] / of[0])}" for tying, of in xi.items())
    first, second = part["values"]
    return (
        f"from {part['parameter']} = {first:g} to {second:g} T* changes by a factor of "
        f"{number(middle)}, 95 % interval {number(low)} to {number(high)}.",
        f"Predicted: {predicted}. Two values show no trend.",
    )


def one_multiple(found: Part) -> tuple[str, str]:
    """Which theory's timescale predicts the lengths of all cells by one multiple, and how well."""
    difference, low, high = (float(x) for x in found["tied_less_untied_scatter"])
    told = "; ".join(
        f"{tying}: T* is {number(fit['multiple'])} xi, times or over {number(fit['scatter'])} "
        f"({fit['within']} of {fit['networks']} networks), rank correlation {number(fit['rank'])}"
        for tying, fit in found["fit"].items()
    )
    told += (
        f". Spread of log(T* / xi), tied less untied: {number(difference)}, 95 % interval "
        f"{number(low)} to {number(high)}."
    )
    if high < 0:
        return "one multiple of the tied timescale fits better than one of the untied.", told
    if low > 0:
        return "one multiple of the untied timescale fits better than one of the tied.", told
    return "which theory's timescale fits better stays open.", told


def _raced(part: Part) -> tuple[str, str]:
    """Who reached .8 first, by the median over seeds; where nobody did, who came farthest."""
    median = {name: float(np.median(np.array(s, float))) for name, s in part["to_80"].items()}
    reached = {name: steps for name, steps in median.items() if np.isfinite(steps)}
    last = part["steps"][-1]
    if reached:
        first = min(reached.values())
        names = " and ".join(name for name, steps in reached.items() if steps == first)
        told = f"{len(reached)} of {len(median)} initializations did by step {last}."
        return f"{names} reached accuracy .8 first, after {number(first)} steps.", told
    ends = {name: float(np.mean(rows[-1])) for name, rows in part["accuracy"].items()}
    best = max(ends, key=lambda name: ends[name])
    verdict = f"no initialization reached accuracy .8 in {last} steps by the median of its seeds."
    return verdict, f"The best, {best}, stands at {ends[best]:.2f}."


def _tried_again(part: Part) -> tuple[str, str]:
    """How many networks more steps, or more units, take above one half."""
    ends = {name: np.array(rows[-1]) for name, rows in part["accuracy"].items()}
    counts = "; ".join(
        f"{name}: {int((row >= THRESHOLD).sum())} of {len(row)}" for name, row in ends.items()
    )
    told = ", ".join(f"{row.mean():.2f} ({name})" for name, row in ends.items())
    return (
        f"networks above one half after {part['steps'][-1]} steps: {counts}.",
        f"Accuracies: {told}.",
    )


def sooner(part: Part) -> Iterator[str]:
    """How many times sooner than off each critical start reached .8, by medians; or a bound."""
    median = {name: np.median(np.array(s, float)) for name, s in part.get("to_80", {}).items()}
    for name in (n for n in median if n.endswith(" off")):
        critical = name.removesuffix("off") + "critical"
        off, at = median[name], median[critical]
        if np.isinf(at):
            yield f"{critical}: no median to compare with {name}."
        elif np.isinf(off):
            times = number(part["steps"][-1] / at)
            yield f"{critical}: more than {times} times sooner than {name}, whose median is never."
        else:
            yield f"{critical}: {number(off / at)} times as soon as {name}, by medians."


def _recalled(part: Part) -> tuple[str, str]:
    """Who learnt in every network and who in none; who was slower or faster beyond chance."""
    reference, last = part["reference"], part["steps"][-1]
    rows = compare(part["to_80"], reference)
    every = [name for name, row in rows.items() if row.count == row.seeds]
    none = [name for name, row in rows.items() if not row.count]
    some = [name for name in rows if name not in (*every, *none)]
    groups = (("every network", every), ("some networks", some), ("none", none))
    told = [f"{listed(names)} in {where}" for where, names in groups if names]
    verdict = f"reached accuracy .8 in {last} steps: {'; '.join(told)}."
    apart = [name for name, row in rows.items() if row.p_steps < _CHANCE]
    best = rows[reference].median
    slower = [name for name in apart if rows[name].median > best]
    faster = [name for name in apart if rows[name].median < best]
    sides = [
        f"{listed(names)} {how}" for how, names in (("later", slower), ("sooner", faster)) if names
    ]
    if not sides:
        return verdict, f"No start took other steps than {reference} beyond chance (5 %)."
    return verdict, f"Beyond chance (5 %) than {reference}: {', '.join(sides)}."


def _drifted(part: Part) -> tuple[str, str]:
    """Up to which look theory follows networks that learn, and where more than moments moved."""
    told, more = [], []
    for start, looks in part["looks"].items():
        rows = [row for row in departures(looks) if row.kind == "trained"]
        followed = list(itertools.takewhile(lambda row: row.agrees, rows))
        until = f"up to step {followed[-1].step} of {rows[-1].step}" if followed else "at no step"
        told.append(f"{start}: {until}")
        steps = [str(row.step) for row in rows if row.more]
        more.append(f"{start}: {f'at step {listed(steps)}' if steps else 'at no step'}")
    verdict = f"theory fed with the current moments predicts m_1({part['horizon']})"
    return (
        f"{verdict} of the networks that learn within a factor of 2 ({'; '.join(told)}).",
        f"Beyond chance they differ from networks redrawn with these moments ({'; '.join(more)}).",
    )


def listed(names: list[str]) -> str:
    """One, two and three.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _modelled(part: Part) -> tuple[str, str]:
    """Whether the minimalRNN is within 10 % of the others, each with its best start.

    The second part of the text says which start that is; the costs are those of the third.
    """
    best: dict[str, Part] = {}
    for model in part["models"]:
        known = best.get(model["cell"])
        if known is None or _chosen_by(model) < _chosen_by(known):
            best[model["cell"]] = model
    others = [name for name in best if name != "minimal"]
    unit = part["level"].removesuffix("s")
    told = ", ".join(
        f"{name} {mean:.3f} ± {half:.3f} bits a {unit} ({best[name]['start']})"
        for name in best
        for mean, half in [mean_and_half(best[name]["test"])]
    )
    if "minimal" not in best or not others:
        return "nothing to compare.", f"{told}."
    ratios = {name: _ratio(best["minimal"]["test"], best[name]["test"]) for name in others}
    told += "; " + ", ".join(
        f"minimal / {name} {ratio:.3f} ± {half:.3f}" for name, (ratio, half) in ratios.items()
    )
    beyond = [name for name, (ratio, half) in ratios.items() if ratio - half > 1 + _SAME]
    within = [name for name, (ratio, half) in ratios.items() if ratio + half <= 1 + _SAME]
    if beyond:
        worst = " and ".join(f"{100 * (ratios[n][0] - 1):.0f} % ({n})" for n in beyond)
        return f"the minimalRNN needs more bits by {worst}, which is beyond 10 %.", f"{told}."
    if within == others:
        names = " and ".join(others)
        return f"the minimalRNN is within 10 % of {names} of as many parameters.", f"{told}."
    return "whether the minimalRNN is within 10 % of the others stays open.", f"{told}."


def _chosen_by(model: Part) -> float:
    """The mean over networks of the least cost on the second part."""
    least = np.nanmin(np.array(model["valid"], float), axis=0)
    return float(least.mean())


def _ratio(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """The ratio of two means and half of its 95 % interval, to first order in their errors.

    Halves of both intervals add in squares, so degrees of freedom are those of the fewer networks.
    """
    (mean, half), (base, base_half) = mean_and_half(one), mean_and_half(other)
    ratio = mean / base
    return ratio, ratio * float(np.hypot(half / mean, base_half / base))
