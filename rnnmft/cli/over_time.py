"""The figure of evolve and simulate: second moments above, correlations below, over the steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["drawn_over_time"]


def drawn_over_time(found: Any, steps: int) -> Callable[[Any], None]:
    """What draws a trajectory of theory, or one of networks with their standard errors.

    Args:
        found: `second_moment` and `correlation` by state: arrays, or estimates with mean and sem.
        steps: from t = 1 on.
    """

    def draw(drawing: Any) -> None:
        panels = drawing.subplots(2, 1, sharex=True)
        for axes, kind, name in zip(panels, ("second_moment", "correlation"), "Ec", strict=True):
            for state, values in getattr(found, kind).items():
                label = f"E[{state}^2]" if name == "E" else f"c_{state}"
                _draw_line(axes, steps, values, label)
            axes.set_ylabel(kind.replace("_", " "))
            axes.legend()
        panels[-1].set_xlabel("step")

    return draw


def _draw_line(axes: Any, steps: int, values: Any, label: str) -> None:
    at = range(1, steps + 1)
    if hasattr(values, "sem"):
        axes.errorbar(at, values.mean, values.sem, marker="o", linestyle="none", label=label)
    else:
        axes.plot(at, values, label=label)
