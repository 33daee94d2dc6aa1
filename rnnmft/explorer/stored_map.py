"""Maps that a page holds: the theory over two parameters, computed beforehand, with its errors.

The page interpolates between their points, Eq. (stored-map).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnmft.analysis.map_dataset import definition
from rnnmft.analysis.phase_diagram import phase_diagram
from rnnmft.deadline import deadline
from rnnmft.errors import ParameterError, Status
from rnnmft.explorer.model import LAWS, RANGES
from rnnmft.language import Cell, Ensemble, Inputs

if TYPE_CHECKING:
    from rnnmft.analysis.phase_dataset import PhaseDataset

__all__ = ["described_map", "stored_map"]

# Enough for the shape of a critical line, and a minute or two of one core for a gated cell.
_POINTS = (12, 10)
# Of the growth rate, per step: bilinear interpolation over so few points errs by as much and more.
_TOLERANCE = 0.02
# What units of many points tell together, by their names in the page.
_QUANTITIES = {
    "growth": "gradient_growth",
    "xi_q": "xi_q",
    "second": "second_moment",
    "variances": "preactivation_variance",
}
# Digits of numbers whose errors are seldom below a thousandth.
_DIGITS = 6


def stored_map(
    cell: Cell,
    ensemble: Ensemble | None = None,
    inputs: Inputs | None = None,
    tying: str = "tied",
    vary: Mapping[Any, Sequence[float]] | None = None,
    points: tuple[int, int] = _POINTS,
    tolerance: float = _TOLERANCE,
    seconds: float = math.inf,
    progress: Callable[[int, int], object] | None = None,
) -> PhaseDataset:
    """A map for `Explorer(cell, ensemble, inputs, tied=..)`: `phase_diagram` with coarse defaults.

    A tied map of 12 x 10 points of a cell with one to four preactivations takes one to five minutes
    of one core; a memoryless cell's is there at once.

    Args:
        cell: the cell.
        ensemble: what is not varied; all parameters at their defaults when absent.
        inputs: likewise.
        tying: "tied" or "untied".
        vary: of `phase_diagram`, two parameters; sigma_w and mu_b of the first recurrent
            preactivation over the page's range when absent.
        points: along each, where `vary` is absent.
        tolerance: the standard error of the growth rate, per step, that each point shall have.
        seconds: after which points that are not done are left out.
        progress: called as progress(done, total).

    Returns:
        A `PhaseDataset` of gradient_growth, xi_q, second_moment and preactivation_variance, each
        with its error and status; it can be saved and opened again.

    Raises:
        ParameterError: other than two parameters, or none that is recurrent.

    >>> from rnnmft import cells
    >>> found = stored_map(cells.vanilla(), points=(4, 3))
    >>> dict(found.gradient_growth.sizes), found.tying
    ({'e.sigma_w': 4, 'e.mu_b': 3}, 'tied')
    """
    axes = dict(vary) if vary is not None else _usual_axes(cell, points)
    if len(axes) != 2:
        raise ParameterError(f"vary: a page's map is over two parameters, got {len(axes)}")
    asked = list(_QUANTITIES.values())
    with deadline(seconds):
        return phase_diagram(
            cell, ensemble, inputs, axes, asked, tying, progress, tolerance=tolerance
        )


def _usual_axes(cell: Cell, points: tuple[int, int]) -> dict[Any, Sequence[float]]:
    """sigma_w, from above zero, and mu_b of the first recurrent preactivation."""
    name = next((p.name for p in cell.preactivations if p.is_recurrent), None)
    if name is None:
        raise ParameterError(f"cell {cell.name!r} has no recurrent preactivation: say what varies")
    top = RANGES["sigma_w"][1]
    return {
        (name, "sigma_w"): np.linspace(top / points[0], top, points[0]).tolist(),
        (name, "mu_b"): np.linspace(*RANGES["mu_b"], points[1]).tolist(),
    }


def described_map(
    diagram: PhaseDataset, cell: Cell, ensemble: Ensemble, inputs: Inputs, tying: str
) -> dict[str, Any]:
    """What the page gets of a map: axes, what is held, values with errors, why some are missing.

    Raises:
        ParameterError: the map is of another theory, cell, ensemble or input, is not over two
            parameters, or starts elsewhere than at zero.
    """
    _check(diagram, cell, ensemble, inputs, tying)
    places = {"R": 0, "input_correlation": 1}
    names = (f"{p.name}.{law}" for p in cell.preactivations for law in LAWS)
    places |= {name: i for i, name in enumerate(names, start=len(places))}
    held = [inputs.R, inputs.correlation]
    held += [getattr(ensemble[p.name], law) for p in cell.preactivations for law in LAWS]
    axes = [{"place": places[str(d)], "values": diagram[d].values.tolist()} for d in _axes(diagram)]
    status = diagram.status.sel(quantity="gradient_growth").values.ravel().tolist()
    return {
        "tying": tying,
        "axes": axes,
        "held": [float(v) for v in held],
        "status": status,
        "meaning": {s.name: _within(s.value) for s in Status if s.name in status},
        "standardError": diagram.attrs["error_kind"] == "standard error",
        **{ours: _rows(diagram, theirs) for ours, theirs in _QUANTITIES.items()},
    }


def _within(sentence: str) -> str:
    """A sentence as a part of another."""
    return sentence[0].lower() + sentence[1:].rstrip(".")


def _axes(diagram: PhaseDataset) -> list[Any]:
    return list(diagram.gradient_growth.dims)


def _check(
    diagram: PhaseDataset, cell: Cell, ensemble: Ensemble, inputs: Inputs, tying: str
) -> None:
    missing = [name for name in (*_QUANTITIES.values(), "status") if name not in diagram]
    if missing:
        raise ParameterError(f"{tying}: the map lacks {', '.join(missing)}")
    if len(_axes(diagram)) != 2:
        raise ParameterError(f"{tying}: a page's map is over two parameters")
    attributes = diagram.attrs
    if attributes["tying"] != tying:
        raise ParameterError(f"{tying}: the map is of {attributes['tying']} weights")
    if attributes["definition"] != definition(cell):
        raise ParameterError(f"{tying}: the map is of another cell than {cell.name!r}")
    if any(value for name, value in attributes.items() if name.startswith("start_")):
        raise ParameterError(f"{tying}: the page's states start at zero, the map's do not")
    ours = _held(ensemble.to_dict(), inputs.to_dict(), _axes(diagram))
    theirs = _held(
        json.loads(attributes["ensemble"]), json.loads(attributes["inputs"]), _axes(diagram)
    )
    if ours != theirs:
        raise ParameterError(f"{tying}: the map holds another ensemble or inputs than the page")


def _held(ensemble: dict[str, Any], inputs: dict[str, Any], axes: Iterable[str]) -> Any:
    """The setting without what varies, and without what one trajectory does not know."""
    rows = json.loads(json.dumps(ensemble))
    entering = {k: v for k, v in inputs.items() if k != "correlation" and k not in axes}
    for axis in axes:
        name, _, law = axis.rpartition(".")
        rows.get(name, {}).pop(law, None)
    return rows, entering


def _rows(diagram: PhaseDataset, name: str) -> list[dict[str, list[float | None]]]:
    """Values and errors of each row (of a state or preactivation) at each point; None if unknown.

    A point is known where its status is OK and the value and its error are finite.
    """
    values, errors = (diagram[n].values for n in (name, f"{name}_error"))
    sure = (diagram.status.sel(quantity=name).values == Status.OK.name).ravel()
    known = sure & np.isfinite(values).reshape(-1, sure.size)
    known &= np.isfinite(errors).reshape(-1, sure.size)

    def listed(numbers: Any) -> list[list[float | None]]:
        rows = np.asarray(numbers).reshape(-1, sure.size)
        return [
            [float(f"{v:.{_DIGITS}g}") if k else None for v, k in zip(row, good, strict=True)]
            for row, good in zip(rows, known, strict=True)
        ]

    return [{"values": v, "errors": e} for v, e in zip(listed(values), listed(errors), strict=True)]
