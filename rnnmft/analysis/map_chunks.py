"""A phase diagram in chunks: blocks of the grid, coded as arrays, and put together again."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnnmft.analysis.map_table import CODES
from rnnmft.campaigns.arrays import ArrayLayout, ArrayPart, decode, encode, encode_metadata
from rnnmft.campaigns.store import Chunk, ChunkStore
from rnnmft.errors import ParameterError
from rnnmft.records import json_safe

__all__ = ["GridBlock", "blocks", "map_chunk", "map_metadata", "read_map"]

# Blocks differ in how many fixed points they have: chunks of 1 along this, the whole as long as the
# longest.
_GROWS = "fixed_point"
# How many points were solved one by one is a number of the whole map.
_ADDED = "points_one_by_one"
# Of the statuses, which are numbers in a file, and words to people; as the CF conventions have it.
_FLAGS = ("flag_values", "flag_meanings")


@dataclass(frozen=True)
class GridBlock:
    """A rectangle of the grid.

    Attributes:
        name: of its place among the blocks: "3-0".
        dims: the grid's dimensions.
        whole: the grid's shape.
        shape: of a block, but for those at the grid's end.
        start: of its first point, along each dimension.
    """

    name: str
    dims: tuple[str, ...]
    whole: tuple[int, ...]
    shape: tuple[int, ...]
    start: tuple[int, ...]

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where it lies in the grid."""
        cut = zip(self.start, self.shape, self.whole, strict=True)
        return tuple(slice(first, min(first + n, end)) for first, n, end in cut)

    @property
    def size(self) -> int:
        """Its points."""
        return math.prod(s.stop - s.start for s in self.slices)


def blocks(dims: Sequence[str], whole: Sequence[int], points: int) -> Iterator[GridBlock]:
    """Blocks of at most so many points, nearly equal; whole rows of the last axes where they fit.

    >>> [b.slices for b in blocks(("a", "b"), (5, 2), 6)]
    [(slice(0, 3, None), slice(0, 2, None)), (slice(3, 5, None), slice(0, 2, None))]
    """
    shape: list[int] = []
    for n in reversed(whole):
        most = max(1, min(n, points // math.prod(shape)))
        shape.insert(0, math.ceil(n / math.ceil(n / most)))
    counts = [range(math.ceil(n / k)) for n, k in zip(whole, shape, strict=True)]
    for place in itertools.product(*counts):
        start = tuple(i * k for i, k in zip(place, shape, strict=True))
        yield GridBlock("-".join(map(str, place)), tuple(dims), tuple(whole), tuple(shape), start)


def map_chunk(
    phase_diagram: Callable[..., Any], vary: Mapping[Any, Sequence[float]], block: GridBlock
) -> Chunk:
    """The diagram of one block, which knows of no other.

    Args:
        phase_diagram: `phase_diagram` with everything given but the values that vary.
        vary: those of the block.
        block: where it lies in the map.

    Raises:
        ParameterError: a variable is not one of the points alone.
    """
    found = phase_diagram(vary=vary)
    parts = [_part(name, variable, block) for name, variable in found.data_vars.items()]
    others = {str(n): c.values.tolist() for n, c in found.coords.items() if n not in block.dims}
    layouts = [part.layout.to_dict() for part in parts]
    note = {"arrays": layouts, "coordinates": others, "attributes": json_safe(found.attrs)}
    return Chunk(encode(parts), note)


def _part(name: str, variable: Any, block: GridBlock) -> ArrayPart:
    """A variable's numbers, with the layout that it has in the whole map."""
    if not set(block.dims) <= set(variable.dims):
        raise ParameterError(f"{name} is not one of the points alone: no chunks can be made of it")
    attributes, values = json_safe(variable.attrs), variable.values
    if values.dtype.kind == "U":
        codes = {status.name: i for i, status in enumerate(CODES)}
        attributes |= {"flag_values": list(codes.values()), "flag_meanings": " ".join(codes)}
        values = np.vectorize(codes.__getitem__, otypes=[np.int8])(values)
    grid = zip(block.whole, block.shape, block.start, strict=True)
    along = dict(zip(block.dims, grid, strict=True))
    lengths = zip(variable.dims, values.shape, strict=True)
    place = [along.get(dim, (n, 1 if dim == _GROWS else n, 0)) for dim, n in lengths]
    shape, chunks, offset = zip(*place, strict=True)
    layout = ArrayLayout(name, variable.dims, str(values.dtype), shape, chunks, attributes)
    return ArrayPart(layout, offset, values)


def map_metadata(store: ChunkStore, axes: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    """What makes the chunks one zarr group: layouts, coordinates, attributes.

    Args:
        store: with every chunk.
        axes: the values of each dimension of the grid.
    """
    notes = [store.note(name) for name in store.names]
    layouts = _layouts(notes)
    used = {dim for layout in layouts for dim in layout.dims}
    named = {**axes, **{k: np.array(v) for k, v in notes[0]["coordinates"].items()}}
    coordinates = [_coordinate(name, values) for name, values in named.items() if name in used]
    attributes = _merged([note["attributes"] for note in notes])
    every = [*layouts, *(c.layout for c in coordinates)]
    return encode_metadata(every, attributes) | encode(coordinates)


def _layouts(notes: Sequence[Mapping[str, Any]]) -> list[ArrayLayout]:
    """Of every array; as long as the longest block has it."""
    found = [[ArrayLayout.from_dict(a) for a in note["arrays"]] for note in notes]
    return [
        replace(same[0], shape=tuple(map(max, *(a.shape for a in same), same[0].shape)))
        for same in zip(*found, strict=True)
    ]


def _coordinate(name: str, values: np.ndarray) -> ArrayPart:
    kind = "str" if values.dtype.kind == "U" else str(values.dtype)
    layout = ArrayLayout(name, (name,), kind, values.shape, values.shape)
    return ArrayPart(layout, (0,), values)


def _merged(every: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The attributes of the whole: what all share, sums of counts, texts one after another."""
    merged: dict[str, Any] = {}
    for name in dict.fromkeys(k for attributes in every for k in attributes):
        values = [attributes[name] for attributes in every if name in attributes]
        if name == _ADDED:
            merged[name] = sum(values)
        elif all(v == values[0] for v in values):
            merged[name] = values[0]
        else:
            merged[name] = "; ".join(dict.fromkeys(map(str, values)))
    return merged


def read_map(store: ChunkStore) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Variables (dims, values, attributes), coordinates and attributes of a whole store.

    Raises:
        StoreError: chunks are missing or damaged.
    """
    group = decode(store.content())
    arrays = {name: _read(array) for name, array in sorted(group.arrays())}
    coordinates = {k: v for k, v in arrays.items() if v[0] == (k,)}
    order = [a["name"] for a in store.note(store.names[0])["arrays"]]
    return {name: arrays[name] for name in order}, coordinates, dict(group.attrs)


def _read(array: Any) -> tuple[tuple[str, ...], np.ndarray, dict[str, Any]]:
    values, attributes = np.asarray(array[...]), dict(array.attrs)
    if _FLAGS[0] in attributes:
        _, names = (attributes.pop(flag) for flag in _FLAGS)
        values = np.array(names.split())[values]
    elif values.dtype.kind not in "biuf":
        values = np.array(values.tolist(), dtype=str)
    return array.metadata.dimension_names, values, attributes
