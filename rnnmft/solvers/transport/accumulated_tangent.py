"""How perturbations of an accumulated state's stationary law move: its slope, and the tangent.

One trajectory's law is displaced (does it come back?), or two trajectories differ infinitesimally
(do gradients live?).

Eq. (transport-tangent), Eq. (fixed-point).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnmft.solvers.transport.accumulated_model import AccumulatedModel, OneLaw

__all__ = ["one_law_slope", "tangent_operator", "tangent_shares", "tangent_start"]

Array = NDArray[np.float64]
# Of second moments, for central differences: the grid's 1e-15 leaves 1e-10 of them, their third
# order 1e-10. Beside a cell at rest the moments are as small as this, and the step with them.
_STEP, _LEAST = 1e-5, 1e-8
# Of the start, in the state itself: so that no mode is missed that the drivers do not move.
_OF_STATE = 1e-3


def one_law_slope(model: AccumulatedModel, at: OneLaw, drivers: list[str]) -> tuple[Array, Array]:
    """The linearised update on (weights, E[c], E[s^2] of every state), and a start vector.

    The constant mode of the weights (their mass) is taken out. Derivatives by the scalars are
    central differences of `advance`; the weights enter linearly.
    """
    names, size = [s.name for s in model.cell.states], model.grid.size
    total = size + 1 + len(names)
    matrix = np.zeros((total, total))
    p = model.step(at.second).matrix
    deflated = p.T - np.outer(at.law[0], np.ones(size))
    matrix[:size, :size] = deflated
    q = model.variances(at.second, at.second[model.form.state.name])
    for name, terms in model.terms():
        gradient = sum(model.average(a, b, q) * f * g for a, f, _ in terms for b, g, _ in terms)
        matrix[size + 1 + names.index(name), :size] = gradient @ deflated
    for column, name in [(size, ""), *((size + 1 + i, n) for i, n in enumerate(names))]:
        matrix[:, column] = _central(model, at, name, names)
    start = np.zeros(total)
    for name in drivers or names:
        start += matrix[:, size + 1 + names.index(name)]
    start[size + 1 + names.index(model.form.state.name)] += _OF_STATE
    return matrix, start


def _central(model: AccumulatedModel, at: OneLaw, name: str, names: list[str]) -> Array:
    """d advance / d (E[c] or one E[s^2]) by a central difference."""
    c = model.form.state.name
    centre = at.second[name] if name else at.mean[c]
    size = at.second[name or c]
    # Beside a cell at rest what the grid holds to rounding must stay small against the difference.
    scale = _STEP * max(size, _LEAST) if size > 0.0 else _LEAST
    # A second moment cannot go below zero: the difference is one-sided there.
    low, high = max(centre - scale, 0.0) if name else centre - scale, centre + scale

    def moved(value: float) -> Array:
        mean = at.mean if name else {**at.mean, c: value}
        second = {**at.second, name: value} if name else at.second
        new = model.advance(OneLaw(at.law, mean, second))
        return np.r_[new.law[0], new.mean[c], [new.second[n] for n in names]]

    return (moved(high) - moved(low)) / (high - low)


def tangent_operator(model: AccumulatedModel, at: OneLaw) -> Array:
    """The matrix on (weights of E[dc^2 g(c)], E[dh^2] of each readout) at a stationary law.

    Eq. (transport-tangent).
    """
    step, size = model.step(at.second), model.grid.size
    names = list(model.values)
    total = size + len(names)
    column = {
        None: np.zeros(total),
        model.form.state.name: np.r_[np.ones(size), np.zeros(len(names))],
    }
    column |= {n: np.eye(total)[size + i] for i, n in enumerate(names)}
    matrix = np.zeros((total, total))
    matrix[:size, :size] = step.tangent_matrix.T
    for name, source in step.tangent_sources(at.law).items():
        weight = model.ensemble[name].sigma_w ** 2
        matrix[:size] += np.outer(weight * source, column[model.sees(name)])
    column["new"] = matrix[:size].sum(0)
    q = model.variances(at.second, at.second[model.form.state.name])
    for i, (_, terms) in enumerate(model.terms()):
        for a, f, df in terms:
            for b, g, dg in terms:
                matrix[size + i] += model.average(a, b, q) * ((df * dg) @ matrix[:size])
                overlap = float(at.law[0] @ (f * g))
                for factor in a:
                    slope = model.average(a, b, q, along=factor.terms) * overlap
                    for seen, coefficient in factor.terms:
                        weight = (model.ensemble[seen].sigma_w * coefficient) ** 2 * slope
                        matrix[size + i] += weight * column[model.sees(seen)]
    return matrix


def tangent_start(model: AccumulatedModel, at: OneLaw) -> Array:
    """Unit perturbations of every state: the vector of `tangent_operator`."""
    return np.r_[at.law[0], np.ones(len(model.values))]


def tangent_shares(model: AccumulatedModel) -> Array:
    """m_1 of a vector: each state's share of all units, c's for all of its weights."""
    share = {s.name: float(w) for s, w in zip(model.cell.states, model.cell.shares, strict=True)}
    own = np.full(model.grid.size, share[model.form.state.name])
    return np.r_[own, [share[n] for n in model.values]]
