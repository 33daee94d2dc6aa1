"""How long a state is remembered: C(tau) of both theories, and networks that test them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnmft.analysis.mean_field import MeanField
from rnnmft.page.figure import Figure, draw_figure
from rnnmft.page.numbers import count, plus_minus, significant
from rnnmft.page.tyings import NETWORKS, THEORY
from rnnmft.records import BOUND
from rnnmft.report.networks import WIDTH, Networks
from rnnmft.solvers.results import Autocorrelation

__all__ = ["MANY_LAGS", "Memory", "memory_lags", "solve_memory"]

# Lags that are shown.
_LAGS = 20
#: And where memory is long.
MANY_LAGS = 60
#: A memory of this many steps asks for more lags.
_LONG = 6.0


@dataclass(frozen=True, eq=False)
class Memory:
    """Figures of C(tau), one a state, and how long each theory remembers a state, as text."""

    found: dict[str, Autocorrelation]
    figures: list[Figure]
    times: list[tuple[str, dict[str, str]]]


def memory_lags(mean_field: MeanField) -> int:
    """How many lags show where the correlation ends.

    Raises:
        RnnmftError: there is no stationary state.
    """
    found = mean_field.autocorrelation(_LAGS)
    longest = max(found.timescale[s.name] for s in mean_field.cell.states)
    return MANY_LAGS if longest > _LONG else _LAGS


def solve_memory(fields: Mapping[str, MeanField], networks: Networks) -> Memory:
    """C(tau) at the time at which the networks are measured.

    Raises:
        RnnmftError: a theory has none.
    """
    burn_in = networks.steps - networks.lags - 1
    found = {t: f.autocorrelation(networks.lags, burn_in=burn_in) for t, f in fields.items()}
    states = [s.name for s in next(iter(fields.values())).cell.states]
    figures = [_figure(state, found, networks) for state in states]
    times = [(state, {t: _time(c, state) for t, c in found.items()}) for state in states]
    return Memory(found, figures, times)


def _time(found: Autocorrelation, state: str) -> str:
    value, error = found.timescale[state], found.timescale_error[state]
    text = plus_minus(value, error) if found.error_kind != BOUND else significant(value)
    return f"{text} steps"


def _figure(state: str, found: Mapping[str, Autocorrelation], networks: Networks) -> Figure:
    lags = np.arange(networks.lags + 1)
    # So many symbols can be told apart.
    every = max(1, networks.lags // 20)

    def draw(drawing: Any) -> None:
        axes = drawing.subplots()
        for tying, autocorrelation in found.items():
            value, error = autocorrelation.value[state], autocorrelation.error[state]
            axes.plot(lags, value, label=f"{tying} theory", **THEORY[tying])
            if autocorrelation.error_kind != BOUND:
                colour = THEORY[tying]["color"]
                axes.fill_between(
                    lags, value - error, value + error, color=colour, alpha=0.15, lw=0
                )
        for tying, run in networks.runs.items():
            measured = run.autocovariance[state]
            axes.errorbar(
                lags[::every],
                measured.mean[::every],
                measured.sem[::every],
                linestyle="none",
                markerfacecolor="white",
                label=f"{tying} networks",
                **NETWORKS[tying],
            )
        lowest = min(float(np.min(c.value[state])) for c in found.values())
        axes.set_ylim(bottom=min(0.0, 1.1 * lowest))
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel(r"lag $\tau$ in steps")
        axes.set_ylabel(rf"$C(\tau) = E[{state}(t)\,{state}(t-\tau)]$")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, columnspacing=1.5)

    ends = ", ".join(
        f"from {significant(float(c.value[state][0]), 3)} to "
        f"{significant(float(c.value[state][-1]), 3)} in the {t} theory"
        for t, c in found.items()
    )
    alt = f"The autocorrelation of {state} over {networks.lags} lags: it falls {ends}."
    shaded = any(c.error_kind != BOUND for c in found.values())
    caption = (
        f"How long {state} is remembered. Lines: theory{', shaded: its error' * shaded}. Symbols: "
        f"{count(networks.count, 'network')} of width {WIDTH}, not extrapolated, after "
        f"{networks.steps} steps. "
        "What does not decay is a mean, or a bias that never changes."
    )
    return draw_figure(draw, alt, caption)
