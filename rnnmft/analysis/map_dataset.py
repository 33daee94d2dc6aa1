"""A phase diagram as an xarray.Dataset: units, errors, statuses, and what it was computed from."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnmft.analysis.fixed_point_map import FixedPointMap
from rnnmft.analysis.map_table import CODES, QUANTITIES, MapTable
from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.parameter_grid import ParameterGrid
from rnnmft.errors import RnnmftError
from rnnmft.language import Cell
from rnnmft.records import BOUND, STANDARD_ERROR
from rnnmft.solvers.closed.closed_grid import ClosedGrid

if TYPE_CHECKING:
    from rnnmft.analysis.phase_dataset import PhaseDataset

__all__ = ["definition", "map_dataset", "predictions"]


def map_dataset(
    field: MeanField,
    grid: ParameterGrid,
    table: MapTable,
    whole: ClosedGrid | None,
    alone: int,
    points: FixedPointMap | None,
) -> PhaseDataset:
    """The dataset that `phase_diagram` documents.

    Args:
        field: the setting that the grid varies.
        grid: the points.
        table: filled.
        whole: the solution of the whole map, where there is one.
        alone: how many points were solved one by one.
        points: all fixed points, where they were asked for.
    """
    # The dataset's class is xarray's.
    from rnnmft.analysis.phase_dataset import PhaseDataset

    data = _quantities(grid, table)
    data |= _statuses(grid, table, whole)
    if field.is_sampled:
        data["predicted"] = predictions(grid, table)
    if points is not None:
        data |= _fixed_points(grid, points)
        alone = max(alone, points.alone)
    over = {
        "state": [s.name for s in field.cell.states],
        "preactivation": [p.name for p in field.cell.preactivations],
        "quantity": list(table.values),
    }
    coords: dict[str, Any] = {
        name: values for name, (_, values) in zip(grid.names, grid.axes, strict=True)
    }
    coords |= {k: v for k, v in over.items() if any(k in d[0] for d in data.values())}
    return PhaseDataset(data, coords, _attributes(field, whole, alone))


def _quantities(grid: ParameterGrid, table: MapTable) -> dict[str, Any]:
    """Every quantity and its error."""
    data: dict[str, Any] = {}
    for name, values in table.values.items():
        kind, meaning, unit = QUANTITIES.get(name, ("", "a function of the point", ""))
        dims = [*([kind] if kind else []), *grid.names]
        shape = (*([len(values)] if kind else []), *grid.shape)
        attributes = {"long_name": meaning, "units": unit, "ancillary_variables": f"{name}_error"}
        data[name] = (dims, values.reshape(shape), attributes)
        of_error = {"long_name": f"error of {name}", "units": unit}
        data[f"{name}_error"] = (dims, table.errors[name].reshape(shape), of_error)
    return data


def _statuses(grid: ParameterGrid, table: MapTable, whole: ClosedGrid | None) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if table.codes:
        names = np.array([s.name for s in CODES])
        codes = np.stack(list(table.codes.values()))
        shape = (len(codes), *grid.shape)
        meanings = {s.name: s.value for s in CODES}
        data["status"] = (["quantity", *grid.names], names[codes].reshape(shape), meanings)
    error = np.full(grid.size, np.nan)
    if whole is not None:
        error[grid.valid] = whole.fixed_point_error()[grid.valid]
    meaning = {"long_name": "largest error of the moments at the fixed point"}
    data["fixed_point_error"] = (grid.names, error.reshape(grid.shape), meaning)
    return data


def predictions(grid: ParameterGrid, table: MapTable) -> tuple[Any, ...]:
    """The variable that tells which points were predicted by others."""
    meaning = {"long_name": "1 where numbers are told by points or states around it"}
    return grid.names, table.predicted.reshape(grid.shape).astype(np.int8), meaning


def _fixed_points(grid: ParameterGrid, points: FixedPointMap) -> dict[str, Any]:
    states, most, _ = points.second_moment.shape
    dims = ["state", "fixed_point", *grid.names]
    shape = (states, most, *grid.shape)
    square = {"long_name": "E[s^2] at every fixed point", "units": "dimensionless"}
    stable = {"long_name": "1 where the fixed point is stable"}
    count = {"long_name": "number of fixed points, -1 where it is not known"}
    return {
        "fixed_points": (dims, points.second_moment.reshape(shape), square),
        "fixed_points_error": (dims, points.error.reshape(shape), {"units": "dimensionless"}),
        "fixed_point_stable": (
            dims[1:],
            points.stable.reshape(shape[1:]).astype(np.int8),
            stable,
        ),
        "fixed_point_count": (grid.names, points.count.reshape(grid.shape), count),
    }


def definition(cell: Cell) -> str:
    """The cell as text; one with an activation of one's own has none that could be read again."""
    try:
        return cell.to_toml()
    except RnnmftError:
        return repr(cell)


def _attributes(field: MeanField, whole: ClosedGrid | None, alone: int) -> dict[str, Any]:
    """What was computed, and how."""
    found: dict[str, Any] = {
        "cell": field.cell.name,
        "definition": definition(field.cell),
        "ensemble": json.dumps(field.ensemble.to_dict()),
        "inputs": json.dumps(field.inputs.to_dict()),
        "tying": field.tying,
        "method": field.method,
        "integrals": "by point" if whole is None else whole.method,
        "points_one_by_one": alone,
        "error_kind": STANDARD_ERROR if field.is_sampled else BOUND,
        "rnnmft": str(getattr(sys.modules["rnnmft"], "__version__", "unknown")),
    }
    return found | {f"start_{s}": std for s, std in field.start.items()}
