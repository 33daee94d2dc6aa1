"""`critical`: the ensemble at which a cell's gradients neither grow nor decay, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rnnmft.cells.populations import Populations
from rnnmft.cells.stack import Stack
from rnnmft.errors import InfeasibleError, ParameterError
from rnnmft.initialization.design.burn_in import stationary_after
from rnnmft.initialization.design.gating import gating
from rnnmft.initialization.design.own_factors import factors_of, solve_own_factors
from rnnmft.initialization.design.request import Request
from rnnmft.initialization.design.tied import TiedGrowth, solve_tied
from rnnmft.initialization.design.untied import solve_untied
from rnnmft.initialization.initialization import Initialization
from rnnmft.language import Cell, ChronoBias, Inputs, Normal, Uniform
from rnnmft.language.laws import Law
from rnnmft.parameters import check_tying
from rnnmft.sampling import Sampling, check_particles

__all__ = ["critical"]

_FOR_REAL_NETWORKS = (
    "All this holds for weights that are fresh at every step. A network that keeps its weights "
    "keeps their fluctuations for as long as its state lasts, and is critical elsewhere: "
    'tying="tied" says where.'
)
_LAYER_BY_LAYER = (
    "the gradients of a stack grow as those of the layer in which they grow most: ask for each "
    "layer's cell by itself, critical(layer, Inputs(R=..)), with the second moment of what the "
    "layer below gives it as R, and join the ensembles by stack.joined([..])"
)
# A chrono bias needs times above 2 to have a law; of a gate without one, a plain small bias.
_LEAST_CHRONO, _SIGMA_B = 3.0, 0.1


def critical(
    cell: Cell,
    inputs: Inputs | None = None,
    weights: str | Mapping[str, str] = "gaussian",
    tying: str = "tied",
    fix: Mapping[str, Mapping[str, float]] | None = None,
    objective: str = "isometry",
    horizon: float = 10,
    *,
    parameters: Mapping[str, Law] | None = None,
    tolerance: float = 1e-3,
    particles: int = 1 << 16,
    repetitions: int = 16,
    seed: int = 0,
    device: str = "auto",
) -> Initialization:
    r"""Solve for the critical ensemble of a cell. Eq. (critical).

    Untied, the equations are solved backwards [chen2018]: from variances q_k and means mu_b,k of
    the preactivations, stationarity gives Q*, m_1 = 1 gives one sigma_w^2, and
    sigma_v^2 = (q - sigma_w^2 E[y^2] - sigma_b^2) / R. Tied, as a network is, that sigma_w is then
    moved until gradients neither grow nor decay with one set of weights.

    Where the variance map is linear (ReLU, leaky ReLU, the identity) sigma_w^2 E[phi'^2] = 1 leaves
    no variance stationary: it grows by sigma_v^2 R + sigma_b^2 a step, a free choice, made such
    that q is 1 (or what `fix` says) after `horizon` steps. Critical states that no network settles
    to, such as those of an exponential, are refused.

    Args:
        cell: any `Cell`.
        inputs: their law; R = 1 and white if not given.
        weights: "gaussian", "orthogonal", or one of them by preactivation.
        tying: "tied" (lim (1/T) log m_1(T) = 0; where units are sampled, seconds for a gated cell,
            the growth from T = 10 to 40, or to the horizon up to 100) or "untied" (the same of
            fresh weights: m_1(1) = 1 for one state whose moments close).
        fix: numbers that shall stay: {preactivation: {sigma_w, sigma_v, mu_b, sigma_b, q}}.
        objective: what chooses the rest: "isometry" (variance of J J^T over `horizon` steps within
            1 of its least), "timescale" (xi_c = `horizon`), or "fixed" (nothing: mu_b = 0, q = 1
            where that is feasible). Cells with several states have their gates placed by
            E[gain^2] = exp(-1 / horizon) under the first two.
        horizon: T, in steps, >= 1.
        parameters: laws of elementwise random parameters; chrono biases up to `horizon`, otherwise
            N(0, 0.1^2), if not given. Of a cell without recurrent weights (IndRNN) the law of what
            multiplies a state, uniform in [0, 1] if not given, is scaled until m_1(`horizon`) = 1.
        tolerance: of tied growth, per step.
        particles: units of the infinite-width process, for what is sampled.
        repetitions: independent parts of them, from which errors come.
        seed: of everything random.
        device: "auto", "cpu" or "cuda".

    Raises:
        InfeasibleError: no ensemble does it; the message says which inequality fails and what is
            near, as a `fix` to ask for. The cell is a stack: its layers are made critical one by
            one.
        ParameterError: an argument outside its domain.

    >>> from rnnmft import cells
    >>> fix = {"e": {"mu_b": 0, "q": 16}}
    >>> init = critical(cells.minimal(), Inputs(R=0.4616), fix=fix, tying="untied")
    >>> round(init.ensemble["e"].sigma_w, 4), round(init.ensemble["e"].sigma_v, 4)
    (6.8797, 1.3899)
    """
    _check_asked(cell, inputs)
    check_tying(tying)
    if isinstance(tolerance, bool) or not 0 < float(tolerance) < math.inf:
        raise ParameterError(f"tolerance must be a positive number, got {tolerance!r}")
    check_particles(repetitions, particles=particles)
    sampling = Sampling(particles, repetitions, seed, device)
    laws = parameters if parameters is not None else _default_laws(cell, horizon)
    request = Request.checked(
        cell, inputs or Inputs(), weights, fix, objective, horizon, laws, sampling
    )
    if not gating(cell).recurrent:
        return _by_own_factors(request, tying, float(tolerance))
    try:
        answer = solve_untied(request)
    except InfeasibleError as error:
        raise _with_fix(error, request) from None
    solution = answer.solution
    ensemble, growth, reasons = solution.ensemble, {}, list(answer.reasons)
    if tying == "untied" and solution.design.gating.gains:
        reasons.append(_FOR_REAL_NETWORKS)
    if tying == "tied":
        names = _moved(request, solution.design.main)
        measure = TiedGrowth(cell, request.inputs, sampling, request.horizon)
        tied = solve_tied(measure, ensemble, names, float(tolerance))
        ensemble = tied.ensemble
        growth = {"untied answer": tied.growth_before, "answer": tied.growth}
        if tied.factor != 1.0:
            (first, *others), value = names, ensemble[names[0]].sigma_w
            at = f"sigma_w of {first} = {value:.6g}"
            if others:
                at = f"{tied.factor:.6g} times every sigma_w"
            reasons.append(
                "With one set of weights gradients would then grow by "
                f"{float(tied.growth_before):.3g} per step: at {at} they do not."
            )
    return Initialization(
        solution.design,
        ensemble,
        solution.ensemble,
        tying,
        objective,
        request.horizon,
        answer.method,
        tuple(reasons),
        growth,
        stationary_after(request.horizon),
        sampling,
    )


def _moved(request: Request, main: str | None) -> list[str]:
    """Whose sigma_w is moved for tied weights: the one that was solved for.

    Of populations, whose matrices are blocks of one, all that are not fixed: every path of a
    gradient goes through several, and one of them alone may not be able to do it.
    """
    if main is None or not isinstance(request.cell, Populations):
        return [] if main is None else [main]
    fixed = [name for name, given in request.fixed.items() if "sigma_w" in given]
    return [main, *(n for n in gating(request.cell).recurrent if n not in (main, *fixed))]


def _check_asked(cell: Cell, inputs: Inputs | None) -> None:
    if not isinstance(cell, Cell):
        raise ParameterError(f"cell must be a Cell, got {cell!r}")
    if isinstance(cell, Stack):
        raise InfeasibleError(_LAYER_BY_LAYER)
    if inputs is None:
        return
    if not isinstance(inputs, Inputs):
        raise ParameterError(f"inputs must be an Inputs, got {inputs!r}")
    inputs.require_stationary("a critical initialization")


def _by_own_factors(request: Request, tying: str, tolerance: float) -> Initialization:
    """Without W both tyings are one theory."""
    found = solve_own_factors(request, tolerance)
    return Initialization(
        found.design,
        found.ensemble,
        found.start,
        tying,
        request.objective,
        request.horizon,
        found.method,
        found.reasons,
        {"untied answer": found.growth_before, "answer": found.growth},
        stationary_after(request.horizon),
        request.sampling,
    )


def _with_fix(error: InfeasibleError, request: Request) -> InfeasibleError:
    """The error whose message ends with what to write instead, every digit of it."""
    if not error.nearest:
        return error
    fix = {name: dict(given) for name, given in request.fixed.items()}
    for (name, parameter), value in error.nearest.items():
        fix.setdefault(name, {})[parameter] = value
    return InfeasibleError(f"{error}: fix={fix!r}", error.inequality, error.nearest, fix)


def _default_laws(cell: Cell, horizon: Any) -> dict[str, Law]:
    """Laws of elementwise random parameters: a chrono bias where one holds the state."""
    if not cell.parameters:
        return {}
    found = gating(cell)
    held = found.held_by_law and bool(found.recurrent)
    law: Law = ChronoBias(max(float(horizon), _LEAST_CHRONO)) if held else Normal(0, _SIGMA_B)
    own = () if found.recurrent else factors_of(cell)
    return {p.name: Uniform(0, 1) if p.name in own else law for p in cell.parameters}
