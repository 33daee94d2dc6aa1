"""What a simulation is asked to do, checked, and how its networks are dealt out to batches."""

from __future__ import annotations

import cmath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from rnnmft.errors import ParameterError
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.language.widths import units
from rnnmft.numerics.devices import choose_device, free_memory
from rnnmft.parameters import check_count, check_start, check_tying

__all__ = ["NetworkBatch", "SimulationPlan", "checked_plan"]

DTYPES = {"float32": torch.float32, "float64": torch.float64}
# Bytes that a batch may take on a CPU, 1 GiB; on CUDA a quarter of what is free.
CPU_MEMORY = 2**30
# Vectors of the width for each state and preactivation that a step works with at once, at most: an
# upper estimate, beside which the matrices are what counts.
_VECTORS = 64


@dataclass(frozen=True)
class NetworkBatch:
    """Networks first .. first + count - 1, with or without their Jacobians."""

    first: int
    count: int
    jacobians: bool


@dataclass(frozen=True)
class SimulationPlan:
    """The checked arguments of `simulate`; see there."""

    cell: Cell
    ensemble: Ensemble
    inputs: Inputs
    width: int
    networks: int
    steps: int
    tying: str
    horizons: tuple[int, ...]
    jacobian_networks: int
    spectrum: bool
    eigenvalues: bool
    lyapunov: int
    lyapunov_steps: int
    points: tuple[complex, ...]
    lags: tuple[int, ...]
    device: torch.device
    dtype: str
    seed: int
    memory: int
    start: Mapping[str, float]

    @property
    def torch_dtype(self) -> torch.dtype:
        """The precision of states, weights and tangents."""
        return DTYPES[self.dtype]

    @property
    def last_step(self) -> int:
        """Steps of a network with Jacobians: the forward ones and what is measured after them."""
        along = self.lyapunov_steps if self.lyapunov else 0
        return self.steps + self.longest_horizon + along

    @property
    def input_width(self) -> int:
        """N_in: N, but the data's own where nothing but V sees it; see `simulate`."""
        if self.cell.input is not None:
            return units(self.cell.widths[self.cell.input], self.width)
        data = self.inputs.data
        return self.width if data is None else data.paths.shape[2]

    @property
    def longest_horizon(self) -> int:
        """The steps that the longest Jacobian spans."""
        return max(self.horizons, default=0)

    def steps_of(self, batch: NetworkBatch) -> int:
        """How many steps the networks of a batch take."""
        return self.last_step if batch.jacobians else self.steps

    def batches(self, first: int = 0, end: int | None = None) -> Iterator[NetworkBatch]:
        """Batches of networks first .. end - 1 in order, each within the memory, or of one."""
        last = self.networks if end is None else end
        with_jacobians = self.jacobian_networks if self.horizons or self.lyapunov else 0
        for jacobians, begin, stop in (
            (True, first, min(last, with_jacobians)),
            (False, max(first, with_jacobians), last),
        ):
            size = max(1, self.memory // self.bytes_per_network(jacobians))
            for start in range(begin, stop, size):
                yield NetworkBatch(start, min(size, stop - start), jacobians)

    def bytes_per_network(self, jacobians: bool) -> int:
        """An upper estimate of what one network holds at a time."""
        number = self.torch_dtype.itemsize
        square = self.width**2
        matrices = 2 * len(self.cell.preactivations) if self.tying == "tied" else 1
        wide = len(self.cell.preactivations) * max(0, self.input_width - self.width)
        # Weights, and of the one that is being drawn: three arrays in single precision, two in its
        # own.
        held = square * (matrices * number + 3 * 4 + 2 * number)
        held += self.width * wide * (number + 4)
        # Vectors: states, preactivations and what a step works with, on two trajectories.
        held += (
            _VECTORS * (len(self.cell.states) + len(self.cell.preactivations)) * self.width * number
        )
        if jacobians:
            states = len(self.cell.states)
            blocks = 3 * states + len(self.cell.preactivations) + 2
            columns = states * self.width if self.horizons else self.lyapunov
            # Measuring takes squares of the whole J; orthonormalising, three matrices of columns.
            held += (blocks + 3 * states) * columns * self.width * number
            if self.horizons:
                held += (states**2) * square * (2 * number + 3 * 8)
        return held


def checked_plan(
    cell: Any,
    ensemble: Any,
    inputs: Any,
    *,
    width: Any,
    networks: Any,
    steps: Any,
    tying: Any,
    jacobian_horizons: Any,
    jacobian_networks: Any,
    spectrum: bool,
    resolvent_points: Any,
    autocovariance_lags: Any,
    device: Any,
    dtype: Any,
    seed: Any,
    memory: Any,
    start: Any = 0.0,
    eigenvalues: Any = False,
    lyapunov: Any = 0,
    lyapunov_steps: Any = 400,
) -> SimulationPlan:
    """Check every argument of `simulate`, or raise ParameterError with a sentence."""
    _check_kind("cell", cell, Cell)
    _check_kind("ensemble", ensemble, Ensemble)
    _check_kind("inputs", inputs, Inputs)
    _check_ensemble(cell, ensemble)
    check_tying(tying)
    _check_choice("dtype", dtype, tuple(DTYPES))
    networks, steps = check_count("networks", networks), check_count("steps", steps)
    subset = networks if jacobian_networks is None else jacobian_networks
    if check_count("jacobian_networks", subset) > networks:
        raise ParameterError(
            f"jacobian_networks must be at most networks = {networks}, got {subset}"
        )
    size = check_count("width", width)
    directions = sum(units(s.width, size) for s in cell.states)
    if check_count("lyapunov", lyapunov, 0) > directions:
        raise ParameterError(
            f"lyapunov must be at most {directions}, the number of directions, got {lyapunov}"
        )
    place = choose_device(device)
    plan = SimulationPlan(
        cell=cell,
        ensemble=ensemble,
        inputs=inputs,
        width=check_count("width", width),
        networks=networks,
        steps=steps,
        tying=tying,
        horizons=_whole_numbers("jacobian_horizons", jacobian_horizons, 1, None),
        jacobian_networks=int(subset),
        spectrum=bool(spectrum),
        eigenvalues=bool(eigenvalues),
        lyapunov=lyapunov,
        lyapunov_steps=check_count("lyapunov_steps", lyapunov_steps, 16),
        points=_complex_numbers("resolvent_points", resolvent_points),
        lags=_whole_numbers("autocovariance_lags", autocovariance_lags, 0, steps - 1),
        device=place,
        dtype=dtype,
        seed=check_count("seed", seed, 0),
        memory=default_memory(place) if memory is None else check_count("memory", memory),
        start=check_start(start, [s.name for s in cell.states]),
    )
    inputs.require_steps(plan.last_step)
    return plan


def default_memory(device: torch.device) -> int:
    """Bytes that a batch of networks may take."""
    return max(CPU_MEMORY, (free_memory(device) or 0) // 4)


def _check_kind(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise ParameterError(f"{name} must be of type {kind.__name__}, got {value!r}")


def _check_ensemble(cell: Cell, ensemble: Ensemble) -> None:
    names = [p.name for p in cell.preactivations]
    if set(ensemble) != set(names):
        raise ParameterError(
            f"ensemble must be of cell {cell.name!r} with preactivations {', '.join(names)}, "
            f"got one with {', '.join(ensemble)}"
        )
    names = [p.name for p in cell.parameters]
    if set(ensemble.parameters) != set(names):
        raise ParameterError(
            f"ensemble must give a law to each elementwise parameter of cell {cell.name!r} "
            f"({', '.join(names) or 'none'}), got {', '.join(ensemble.parameters) or 'none'}"
        )
    for p in cell.preactivations:
        law = ensemble[p.name]
        if (law.sigma_w and not p.is_recurrent) or (law.sigma_v and not p.has_input):
            raise ParameterError(
                f"ensemble must be of cell {cell.name!r}, whose {p.name!r} has no such matrix, "
                f"got {law}"
            )


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ParameterError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def _items(name: str, values: Any) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ParameterError(f"{name} must be a sequence of numbers, got {values!r}")
    return list(values)


def _whole_numbers(name: str, values: Any, least: int, most: int | None) -> tuple[int, ...]:
    numbers = tuple(check_count(f"each of {name}", v, least) for v in _items(name, values))
    for number in numbers:
        if most is not None and number > most:
            raise ParameterError(f"each of {name} must be at most {most}, got {number}")
    return tuple(sorted(set(numbers)))


def _complex_numbers(name: str, values: Any) -> tuple[complex, ...]:
    numbers = []
    for value in _items(name, values):
        try:
            number = complex(value)
        except (TypeError, ValueError):
            raise ParameterError(f"{name} must hold complex numbers, got {value!r}") from None
        if not cmath.isfinite(number):
            raise ParameterError(f"{name} must hold finite complex numbers, got {value!r}")
        numbers.append(number)
    return tuple(numbers)
