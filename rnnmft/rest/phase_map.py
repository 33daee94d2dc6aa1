"""AutonomousMap: the phases of networks without input over one or two parameters, drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.errors import ParameterError, Status
from rnnmft.page.figure import BLACK, BLUE, GREEN, GREY, ORANGE, RED, STYLE
from rnnmft.records import Record
from rnnmft.rest.resting_state import RestingState

__all__ = ["AutonomousMap"]

Array = NDArray[np.float64]
_COLOURS = {"quiet": BLUE, "structured": GREEN, "coexistence": ORANGE, "chaos": RED, "": GREY}
#: Lines of the spectral radius: instabilities that take 1000, 100 and 10 steps to grow by e.
_RADII = (1.001, 1.01, 1.1)
#: A phase is written where it fills more than this part of the map.
_WRITTEN = 0.02


@dataclass(frozen=True, eq=False)
class AutonomousMap(Record):
    """The fixed points over a grid; arrays have the axes' lengths, in their order.

    `axes` is {"n.sigma_w": values}, the horizontal one first. `phase` is one of
    `PHASES`, "" outside of a parameter's domain; `count` is of fixed points, and `stable` says how
    many of them are. `gain` and `gain_error` are those at the first fixed point, the zero state
    where there is one; `second_moment` and `second_moment_error`, E[s^2] of the first state, those
    at the last; `radius` and `radius_error` are of the Jacobian there, where asked for, nan where
    it is stable. `status` has names of `Status`, the worst of each point's.
    """

    cell: str
    axes: Mapping[str, Array]
    phase: NDArray[Any]
    count: NDArray[np.intp]
    stable: NDArray[np.intp]
    gain: Array
    gain_error: Array
    second_moment: Array
    second_moment_error: Array
    radius: Array
    radius_error: Array
    status: NDArray[Any]

    @classmethod
    def of(
        cls,
        cell: str,
        axes: Mapping[str, Array],
        rows: Sequence[list[RestingState]],
        phase: Callable[[list[RestingState]], str],
        radii: Sequence[tuple[float, float]],
    ) -> AutonomousMap:
        """From the fixed points at every point, the first axis varying slowest."""
        shape = tuple(len(v) for v in axes.values())

        def grid(values: list[Any]) -> Any:
            return np.array(values).reshape(shape)

        def pairs(read: Callable[[list[RestingState]], tuple[float, float]]) -> list[Any]:
            found = [read(r) if r else (np.nan, np.nan) for r in rows]
            return [grid([pair[k] for pair in found]) for k in (0, 1)]

        gain, gain_error = pairs(lambda r: (r[0].gain, r[0].error_of("gain", None)))
        second_moment, second_moment_error = pairs(_last_moment)
        return cls(
            cell=cell,
            axes=dict(axes),
            phase=grid([phase(r) if r else "" for r in rows]),
            count=grid([len(r) for r in rows]),
            stable=grid([sum(s.stable for s in r) for r in rows]),
            gain=gain,
            gain_error=gain_error,
            second_moment=second_moment,
            second_moment_error=second_moment_error,
            radius=grid([value for value, _ in radii]),
            radius_error=grid([error for _, error in radii]),
            status=grid([_worst(r).name for r in rows]),
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AutonomousMap:
        """The map that `to_dict` wrote."""
        axes = {name: np.array(values, dtype=float) for name, values in data["axes"].items()}
        kinds = {"phase": str, "status": str, "count": np.intp, "stable": np.intp}
        names = [f.name for f in fields(cls) if f.name not in ("cell", "axes")]
        arrays = {n: np.array(data[n], dtype=kinds.get(n, float)) for n in names}
        return cls(cell=data["cell"], axes=axes, **arrays)

    def plot(self, path: str | Path | None = None, *, axes: Any = None) -> Any:
        """Draw the phases; over one parameter the second moment and the gain.

        Where radii are known: lines of the spectral radius at the last fixed point. Near 1 the
        network is marginally stable, what grows does so in many steps.

        Args:
            path: a file to write, its kind by the suffix: .png, .svg, .pdf.
            axes: Matplotlib's, to be drawn into; a figure is made when absent.

        Returns:
            Matplotlib's figure.

        Raises:
            ParameterError: the file cannot be written.
        """
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        with rc_context(STYLE):
            if axes is None:
                figure = Figure(figsize=(6.4, 4.8), layout="constrained")
                FigureCanvasAgg(figure)
                axes = figure.subplots()
            (self._plane if len(self.axes) == 2 else self._curve)(axes)
            axes.set_title(f"{self.cell} without input")
            if path is not None:
                _write(axes.figure, Path(path))
        return axes.figure

    def _plane(self, axes: Any) -> None:
        from matplotlib.colors import ListedColormap

        (x_name, x), (y_name, y) = self.axes.items()
        names = list(_COLOURS)
        code = np.vectorize(names.index)(self.phase)
        colours = ListedColormap(list(_COLOURS.values()))
        ends = len(names) - 0.5
        axes.pcolormesh(
            x, y, code.T, shading="nearest", cmap=colours, vmin=-0.5, vmax=ends, alpha=0.45
        )
        for k, name in enumerate(names[:-1]):
            here = code == k
            if here.mean() > _WRITTEN:
                i, j = _deepest(here)
                axes.text(x[i], y[j], name, ha="center", va="center", color=BLACK)
        if np.isfinite(self.radius).any():
            lines = axes.contour(x, y, self.radius.T, _RADII, colors=BLACK, linewidths=0.9)
            axes.clabel(lines, fmt="%g", fontsize=8)
        axes.set(xlabel=x_name, ylabel=y_name)

    def _curve(self, axes: Any) -> None:
        ((name, x),) = self.axes.items()
        axes.plot(x, self.gain, color=BLUE, label="gain at the first fixed point")
        axes.plot(x, self.second_moment, color=RED, ls="--", label="second moment at the last one")
        axes.axhline(1.0, color=GREY, lw=0.8)
        axes.set(xlabel=name)
        axes.legend()


def _last_moment(states: list[RestingState]) -> tuple[float, float]:
    last = states[-1]
    name = next(iter(last.second_moment))
    return last.second_moment[name], last.error_of("second_moment", name)


def _worst(states: list[RestingState]) -> Status:
    return Status.worst(*(s.status for s in states)) if states else Status.INVALID


def _deepest(here: NDArray[np.bool_]) -> tuple[int, int]:
    """A point of a region that is far from its ends: the last to go as they are peeled off."""
    left = here
    while True:
        inner = np.pad(left, 1, constant_values=False)
        inner = left & inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
        if not inner.any():
            places = np.argwhere(left)
            i, j = places[len(places) // 2]
            return int(i), int(j)
        left = inner


def _write(figure: Any, path: Path) -> None:
    kind = path.suffix.lstrip(".").lower() or "png"
    if kind not in figure.canvas.get_supported_filetypes():
        raise ParameterError(f"{path}: figures are written as .png, .svg or .pdf")
    try:
        figure.savefig(path, format=kind, dpi=150)
    except OSError as error:
        raise ParameterError(f"{path} cannot be written: {error.strerror}") from None
