"""How drift reads: what moved while networks learnt, and where theory still follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnmft.experiments.departure import departures
from rnnmft.page.figure import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    RED,
    Figure,
    draw_figure,
    label_decades,
)

__all__ = ["draw_drift", "drift_sentences"]

Part = Mapping[str, Any]
_COLOURS = (BLUE, RED, GREEN, ORANGE)


def draw_drift(part: Part) -> Figure:
    """A column for each start; rows: sigma_w, mu_b, q, m_1(T), the largest singular value."""

    def drawn(drawing: Any) -> None:
        # Rows share no scale: m_1 of the two starts may lie decades apart.
        grid = drawing.subplots(5, len(part["looks"]), sharex=True, squeeze=False)
        for column, (start, looks) in zip(grid.T, part["looks"].items(), strict=True):
            column[0].set_title(start)
            steps = [look["step"] for look in looks]
            for axes, key in zip(column, ("sigma_w", "mu_b"), strict=False):
                _by_preactivation(axes, steps, looks, lambda look, p, k=key: look["ensemble"][p][k])
            _by_preactivation(column[2], steps, looks, _mean_q)
            _compared(column[3], steps, looks, "m_1")
            theory = [float(look["theory"]["m_1"]) for look in looks]
            column[3].plot(steps, theory, "--", color=BLACK, label="theory")
            _compared(column[4], steps, looks, "top")
            for axes in column[2:]:
                axes.set_yscale("log")
                label_decades(axes.yaxis)
            column[4].set_xlabel("steps of Adam")
        labels = ("sigma_w", "mu_b", "q", f"m_1({part['horizon']})", "largest s. v.")
        for axes, label in zip(grid[:, 0], labels, strict=True):
            axes.set_ylabel(label)
        for axes in grid[[0, 3], 0]:
            axes.legend(fontsize=8)

    what = f"Moments and Jacobians of {part['cell']} networks while they learn recall"
    caption = (
        "Theory is fed with the moments of its step; redrawn networks have them, too. Bars: "
        "standard errors over networks."
    )
    return draw_figure(drawn, what, caption, height=9.0)


def _by_preactivation(axes: Any, steps: list[int], looks: list[Any], read: Any) -> None:
    for p, colour in zip(looks[0]["ensemble"], _COLOURS, strict=False):
        axes.plot(steps, [read(look, p) for look in looks], "o-", color=colour, label=p)


def _mean_q(look: Mapping[str, Any], name: str) -> float:
    return float(np.mean(np.array(look["trained"]["q"][name], float)))


def _compared(axes: Any, steps: list[int], looks: list[Any], name: str) -> None:
    """Geometric means over the networks, and how far they scatter."""
    for kind, colour in (("trained", RED), ("redrawn", PURPLE)):
        logs = np.log([np.array(look[kind][name], float) for look in looks])
        centre, spread = logs.mean(1), logs.std(1, ddof=1) / np.sqrt(logs.shape[1])
        low, high = np.exp(centre - spread), np.exp(centre + spread)
        middle = np.exp(centre)
        around = np.array([middle - low, high - middle])
        axes.errorbar(steps, middle, around, fmt="o-", color=colour, label=kind)


def drift_sentences(part: Part) -> Iterator[str]:
    """What moved from first to last, and the gap of theory at every look."""
    for start, looks in part["looks"].items():
        first, last = looks[0]["ensemble"], looks[-1]["ensemble"]
        for p in first:
            moved = ", ".join(
                f"{key} {float(first[p][key]):.3g} to {float(last[p][key]):.3g}"
                for key in ("sigma_w", "sigma_v", "mu_b", "sigma_b")
            )
            yield f"{start}, {p}: {moved} in {looks[-1]['step']} steps."
        for kind in ("trained", "redrawn"):
            rows = [row for row in departures(looks) if row.kind == kind]
            each = ", ".join(f"{row.gap:+.2f} ± {row.error:.2f} ({row.step})" for row in rows)
            yield f"{start}, {kind} networks: log m_1 less that of theory {each} (at step)."
        learnt = looks[-1]["accuracy"]
        yield f"{start}: accuracy {np.mean(np.array(learnt, float)):.2f} at the end."
