"""The tied growth rate beside an untied map: another variable of the same dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.map_dataset import predictions
from rnnmft.analysis.map_plot import TIED_GROWTH
from rnnmft.analysis.map_table import CODES, MapTable
from rnnmft.analysis.parameter_grid import ParameterGrid

if TYPE_CHECKING:
    from rnnmft.analysis.phase_dataset import PhaseDataset

__all__ = ["beside", "with_tied_growth"]

Array = NDArray[np.float64]


def with_tied_growth(
    found: PhaseDataset, grid: ParameterGrid, table: MapTable, method: str
) -> PhaseDataset:
    """The untied dataset, with what a table knows of the tied growth rate.

    Args:
        found: the untied map.
        grid: its points.
        table: of the tied theory; nan where it is still open.
        method: that filled it.
    """
    name = "gradient_growth"
    codes = np.array([s.name for s in CODES])[table.codes[name]]
    rate = table.values[name].reshape(grid.shape), table.errors[name].reshape(grid.shape)
    whole = _joined(found, grid.names, *rate, codes.reshape(grid.shape), method)
    whole["predicted"] = predictions(grid, table)
    return whole


def beside(found: PhaseDataset, tied: PhaseDataset) -> PhaseDataset:
    """The untied dataset, with the growth rate of a tied one of the same points."""
    rate, error = tied.gradient_growth, tied.gradient_growth_error
    status = tied.status.sel(quantity="gradient_growth").values.astype(str)
    names = [str(name) for name in rate.dims]
    whole = _joined(found, names, rate.values, error.values, status, tied.attrs["method"])
    return whole.assign(predicted=tied.predicted) if "predicted" in tied else whole


def _joined(
    found: PhaseDataset, names: list[str], rate: Array, error: Array, codes: Any, method: str
) -> PhaseDataset:
    per_step = {"units": "per step", "ancillary_variables": f"{TIED_GROWTH}_error"}
    meaning = {"long_name": "lim (1/T) log m_1(T), tied weights", **per_step}
    of_error = {"long_name": f"standard error of {TIED_GROWTH}", "units": "per step"}
    status, quantity = codes[None], [TIED_GROWTH]
    attributes = {s.name: s.value for s in CODES}
    if "status" in found:
        status = np.concatenate([found.status.values.astype(str), status])
        quantity = [*found["quantity"].values.tolist(), *quantity]
    whole = found.drop_vars(["status", "quantity"], errors="ignore")
    whole = whole.assign_coords(quantity=quantity)
    whole["status"] = (["quantity", *names], status, attributes)
    whole[TIED_GROWTH] = (names, rate, meaning)
    whole[f"{TIED_GROWTH}_error"] = (names, error, of_error)
    return whole.assign_attrs(tying="both", tied_method=method)
