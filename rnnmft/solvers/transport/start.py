"""The law of an accumulated state at t = 0, where a transport begins: a Gaussian of zero mean.

Of two trajectories it is a Gaussian pair. The other states matter by their second moments alone.

Eq. (second-moment).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnmft.solvers.transport.accumulated_model import AccumulatedModel, Joint, OneLaw
from rnnmft.solvers.transport.gauss_rules import coefficient_rule, pair_grid

__all__ = ["start_law", "start_pair"]


def start_law(model: AccumulatedModel, start: Mapping[str, float]) -> OneLaw:
    """Every state a Gaussian of zero mean; `start` maps each to its standard deviation."""
    std = start[model.form.state.name]
    rule = coefficient_rule(lambda c: c, 0.0, std**2, None)
    cardinal = model.grid.interpolation(rule.nodes)
    zeroth, first, second = ((rule.weights * rule.nodes**p) @ cardinal for p in range(3))
    mean = dict.fromkeys(start, 0.0)
    return OneLaw((zeroth, first, second), mean, {s: v**2 for s, v in start.items()})


def start_pair(model: AccumulatedModel, start: Mapping[str, float], correlation: float) -> Joint:
    """Two trajectories whose states have that correlation."""
    std = start[model.form.state.name]
    z, w, both = pair_grid(std**2, correlation * std**2)
    first, second = (model.grid.interpolation(std * at) for at in (z, both))
    omega = (first * w[:, None]).T @ np.tensordot(second, w, axes=(1, 0))
    return Joint(omega, {s: correlation * v**2 for s, v in start.items()})
