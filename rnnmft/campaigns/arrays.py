"""Arrays in chunks, as the bytes of a zarr group (version 3): encoded and decoded in memory.

Whoever has the bytes of a chunk can sum and write them as they are, so that nothing about a file
depends on when or where it was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["ArrayLayout", "ArrayPart", "decode", "encode", "encode_metadata"]

# Of Zstandard: 3 is its own default; more takes longer and gains little on floating point numbers.
_LEVEL = 3


@dataclass(frozen=True)
class ArrayLayout:
    """One array of a group: everything about it but its numbers.

    Attributes:
        name: of the array.
        dims: the names of its dimensions.
        dtype: NumPy's name of the element type; "str" for text of any length.
        shape: of the whole array.
        chunks: of one chunk.
        attributes: JSON-safe.
    """

    name: str
    dims: tuple[str, ...]
    dtype: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        lists = {"dims": list(self.dims), "shape": list(self.shape), "chunks": list(self.chunks)}
        return {**vars(self), **lists, "attributes": dict(self.attributes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ArrayLayout:
        """What `to_dict` wrote."""
        lists = {k: tuple(values[k]) for k in ("dims", "shape", "chunks")}
        return cls(**{**values, **lists})


@dataclass(frozen=True, eq=False)
class ArrayPart:
    """The numbers of an array that one chunk of work gives, and where in the whole they stand.

    `offset` is that of their first element; it lies at a chunk's corner.
    """

    layout: ArrayLayout
    offset: tuple[int, ...]
    values: np.ndarray


def encode(parts: Iterable[ArrayPart]) -> dict[str, bytes]:
    """{path in the group: bytes} of the parts' numbers, without metadata."""
    import zarr
    from zarr.storage import MemoryStore

    files: dict[str, Any] = {}
    group = zarr.create_group(MemoryStore(files), zarr_format=3)
    for part in parts:
        array = _create(group, part.layout)
        if part.values.size:
            ends = np.add(part.offset, part.values.shape)
            array[tuple(map(slice, part.offset, ends.tolist()))] = part.values
    return {key: files[key].to_bytes() for key in sorted(files) if not _is_metadata(key)}


def encode_metadata(
    layouts: Iterable[ArrayLayout], attributes: Mapping[str, Any]
) -> dict[str, bytes]:
    """{path in the group: bytes} of what says how the arrays are to be read."""
    import zarr
    from zarr.storage import MemoryStore

    files: dict[str, Any] = {}
    memory = MemoryStore(files)
    group = zarr.create_group(memory, zarr_format=3, attributes=dict(attributes))
    for layout in layouts:
        _create(group, layout)
    return {key: files[key].to_bytes() for key in sorted(files) if _is_metadata(key)}


def decode(content: Mapping[str, bytes]) -> Any:
    """The zarr group (`zarr.Group`) that files hold, {path in the group: bytes}."""
    import zarr
    from zarr.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    of_bytes = default_buffer_prototype().buffer.from_bytes
    memory = MemoryStore({key: of_bytes(value) for key, value in content.items()})
    return zarr.open_group(memory, mode="r", zarr_format=3, use_consolidated=False)


def _create(group: Any, layout: ArrayLayout) -> Any:
    from zarr.codecs import ZstdCodec

    # Chunks of nothing but the fill value are written, too: a file that is not there is missing.
    return group.create_array(
        layout.name,
        shape=layout.shape,
        chunks=layout.chunks,
        dtype=str if layout.dtype == "str" else layout.dtype,
        fill_value=np.nan if np.dtype(layout.dtype).kind == "f" else None,
        compressors=ZstdCodec(level=_LEVEL),
        dimension_names=layout.dims,
        attributes=dict(layout.attributes),
        config={"write_empty_chunks": True},
    )


def _is_metadata(key: str) -> bool:
    return key.rsplit("/", 1)[-1] == "zarr.json"
