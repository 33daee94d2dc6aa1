"""The dataset of a phase diagram: an xarray.Dataset that draws, writes and reads itself.

netCDF needs nothing beyond SciPy; a zarr folder needs the package of that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray

from rnnmft.analysis.critical_line import line_of
from rnnmft.analysis.map_chunks import read_map
from rnnmft.analysis.map_plot import draw_map
from rnnmft.campaigns.store import ChunkStore
from rnnmft.errors import ParameterError

__all__ = ["PhaseDataset", "PhasePlot", "open_phase_diagram"]


class PhasePlot:
    """`diagram.plot(...)`: the map with its lines; `diagram.plot.scatter` and others: xarray's."""

    def __init__(self, diagram: xarray.Dataset, of_xarray: Any) -> None:
        self._diagram, self._of_xarray = diagram, of_xarray

    def __call__(
        self,
        quantity: str | None = None,
        *,
        select: Mapping[str, Any] | None = None,
        axes: Any = None,
        path: str | Path | None = None,
    ) -> Any:
        """Draw one quantity over one or two parameters.

        Where the dataset has `gradient_growth` or `chi_1`: the critical line, and that of tied
        weights where it has `gradient_growth_tied`. Where it has `xi_c`
        (or `xi_q`): lines of the sequence length that is 6 xi, about as far as gradients and
        signals carry [schoenholz2017]. Where it has "fixed_points": hatches where several stable
        ones coexist. An axis is logarithmic where its values are a geometric sequence.

        Args:
            quantity: of the dataset; its first, or `gradient_growth` where that is there.
            select: values of further dimensions, {"R": 1.0}; the nearest are taken.
            axes: Matplotlib's, to be drawn into; a figure is made when absent.
            path: a file to write, its kind by the suffix: .png, .svg, .pdf.

        Returns:
            Matplotlib's figure.

        Raises:
            ParameterError: no such quantity, or other than one or two dimensions are left.
        """
        diagram = self._diagram
        if select:
            diagram = diagram.sel(dict(select), method="nearest")
        return draw_map(diagram, quantity, axes, path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of_xarray, name)


class PhaseDataset(xarray.Dataset):
    """What `phase_diagram` returns."""

    __slots__ = ()

    @property
    def plot(self) -> PhasePlot:  # type: ignore[override]
        """Draws the map."""
        return PhasePlot(self, super().plot)

    def critical_line(self, along: str, quantity: str = "gradient_growth") -> xarray.Dataset:
        """Where a growth rate is 0 along one parameter, for each value of the others.

        Args:
            along: the parameter, as the dimension is called: "e.sigma_w".
            quantity: "gradient_growth"; "gradient_growth_tied" of a map of both.

        Returns:
            `along` and its error over the other parameters and `crossing`, nan beyond the last:
            the error of the rate over its slope, together with what the interpolation between
            points may be wrong by.

        Raises:
            ParameterError: the diagram has no such parameter or quantity.
        """
        return line_of(self, along, quantity)

    def save(self, path: str | Path) -> None:
        """Write to a netCDF file, or to a zarr folder where the name ends in .zarr.

        A file is written beside its place first and then moved there: an old one is whole until
        the new one is.

        Raises:
            ParameterError: it cannot be written.
        """
        place = Path(path)
        beside = place.with_name(f"{place.name}.part")
        try:
            if place.suffix == ".zarr":
                self.to_zarr(place, mode="w")
                return
            self.to_netcdf(beside)
            beside.replace(place)
        except (ImportError, OSError, ValueError) as error:
            beside.unlink(missing_ok=True)
            raise ParameterError(f"{place} cannot be written: {error}") from None


def open_phase_diagram(path: str | Path) -> PhaseDataset:
    """Read what `diagram.save(PATH)` or `phase_diagram(..., store=PATH)` wrote.

    Raises:
        ParameterError: there is no such file, or it holds no phase diagram.
        StoreError: chunks of the store are missing or damaged.
    """
    place = Path(path)
    if not place.exists():
        raise ParameterError(f"No such file: {place}")
    if ChunkStore.is_at(place):
        return PhaseDataset(*read_map(ChunkStore.find(place)))
    try:
        if place.is_dir():
            found = xarray.open_zarr(place).load()
        else:
            with xarray.open_dataset(place) as opened:
                found = opened.load()
    except (ImportError, OSError, TypeError, ValueError) as error:
        raise ParameterError(f"{place} cannot be read as a dataset: {error}") from None
    if "tying" not in found.attrs or "cell" not in found.attrs:
        raise ParameterError(f"{place} holds no phase diagram")
    # Files know text of one length as numbers of characters; a status is a word.
    for name, variable in found.variables.items():
        if variable.dtype.kind in "OS":
            found[name] = found[name].astype(str)
    return PhaseDataset(found.data_vars, found.coords, found.attrs)
