"""A folder of chunks with a checksum each: what is done stays done, what is damaged is found.

    PATH/campaign.json           what is computed; one folder holds one campaign
    PATH/checksums/NAME.json     of each chunk: its files with their SHA-256, and what it notes
    PATH/data.zarr/...           the numbers, a zarr group once all chunks are there

The files of a chunk are written first and its checksums last, each beside its place and then moved
there. So a chunk without checksums, or whose files are not those, is one that has still to be
computed: it was interrupted, or damaged since. No file says when or where it was written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from rnnmft.content import json_content
from rnnmft.errors import ParseError, StoreError

try:
    import fcntl
except ImportError:  # Windows has none: there two processes on one store are not kept apart
    fcntl = None

__all__ = ["Chunk", "ChunkStore"]

_CAMPAIGN, _SUMS, _DATA = "campaign.json", "checksums", "data.zarr"
# The record of the files that belong to no chunk; chunks have names with a number in them.
_METADATA = "metadata"


@dataclass(frozen=True, eq=False)
class Chunk:
    """What a chunk of work gave: {path in the group: bytes}, and notes that JSON can hold."""

    files: Mapping[str, bytes]
    note: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ChunkStore:
    """The chunks of one campaign in a folder.

    Args:
        path: the folder.
        campaign: what is computed, as JSON can hold it: with "chunks", their names.
    """

    path: Path
    campaign: Mapping[str, Any]

    @classmethod
    @contextmanager
    def begin(cls, path: str | Path, campaign: Mapping[str, Any]) -> Iterator[ChunkStore]:
        """The store of this campaign, new or begun before, for this process alone.

        Raises:
            StoreError: the folder holds something else, or another process is at work there.
        """
        store, place = cls(Path(path), campaign), Path(path) / _CAMPAIGN
        try:
            found = _campaign_of(store.path)
        except StoreError:
            if not store._is_free():
                raise
            store._write(place, _signed({"campaign": campaign}))
        else:
            _refuse_other(store.path, found, json.loads(_text(campaign)))
        with _alone(place):
            for left in store.path.rglob("*.part"):
                left.unlink()
            yield store

    @classmethod
    def find(cls, path: str | Path) -> ChunkStore:
        """The store in a folder.

        Raises:
            StoreError: there is none, or the file that says what it holds is damaged.
        """
        return cls(Path(path), _campaign_of(Path(path)))

    def _is_free(self) -> bool:
        """Whether nothing is there yet, or chunks of this very campaign."""
        if not self.path.is_dir():
            return not self.path.exists()
        there = any(found.suffix != ".part" for found in self.path.iterdir())
        return not there or len(self.missing()) < len(self.names)

    @staticmethod
    def is_at(path: str | Path) -> bool:
        """Whether a folder is a store, damaged or not."""
        return any((Path(path) / name).exists() for name in (_CAMPAIGN, _SUMS))

    # --- chunks ----------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """The chunks' names, in order."""
        return list(self.campaign["chunks"])

    def missing(self) -> list[str]:
        """The chunks that are not there, or not as they were written."""
        return [name for name in self.names if self._files(name) is None]

    def note(self, name: str) -> dict[str, Any]:
        """What a chunk noted."""
        return self._record(name)["note"]

    def put(self, name: str, chunk: Chunk) -> None:
        """Write a chunk: its files, then their checksums.

        Raises:
            StoreError: they cannot be written; what was written before is still there.
        """
        for path, content in chunk.files.items():
            self._write(self.path / _DATA / path, content)
        sums = {path: sha256(content).hexdigest() for path, content in sorted(chunk.files.items())}
        record = {"campaign": self._digest, "files": sums, "note": chunk.note}
        self._write(self.path / _SUMS / f"{name}.json", _signed(record))

    def finish(self, metadata: Mapping[str, bytes]) -> None:
        """Write what makes the files a zarr group, where it is not so already.

        Raises:
            StoreError: they cannot be written.
        """
        if self._files(_METADATA) != metadata:
            self.put(_METADATA, Chunk(metadata))

    def content(self) -> dict[str, bytes]:
        """{path in the group: bytes} of a whole store, each file as it was written.

        Raises:
            StoreError: chunks are missing or damaged; one sentence says which, and what helps.
        """
        found: dict[str, bytes] = {}
        for name in (*self.names, _METADATA):
            files = self._files(name)
            if files is None:
                raise StoreError(self._lack(name))
            found |= files
        return found

    def _lack(self, name: str) -> str:
        again = "the call that began it goes on from there"
        lost = self.missing()
        if name == _METADATA:
            return f"{self.path}: the zarr metadata are missing or damaged; {again}"
        if (self.path / _SUMS / f"{name}.json").exists():
            return f"{self.path}: chunk {name} is damaged; {again}"
        done = len(self.names) - len(lost)
        return f"{self.path} holds {done} of {len(self.names)} chunks, not {name}; {again}"

    def _files(self, name: str) -> dict[str, bytes] | None:
        """The files of a chunk, if all are there as they were written."""
        found: dict[str, bytes] = {}
        try:
            for path, digest in self._record(name)["files"].items():
                content = found[path] = (self.path / _DATA / path).read_bytes()
                if sha256(content).hexdigest() != digest:
                    return None
        except (OSError, ParseError):
            return None
        return found

    def _record(self, name: str) -> dict[str, Any]:
        """A chunk's checksums and note; a ParseError where they are damaged or another's."""
        record = _verified(self.path / _SUMS / f"{name}.json")
        if record["campaign"] != self._digest:
            raise ParseError("it belongs to another campaign")
        return record

    @property
    def _digest(self) -> str:
        return sha256(_text(self.campaign).encode()).hexdigest()

    def _write(self, place: Path, content: bytes) -> None:
        """Write beside and move into place."""
        beside = place.with_name(f"{place.name}.part")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(content)
            os.replace(beside, place)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            reason = f"{place} cannot be written: {error.strerror or error}"
            raise StoreError(f"{reason}; chunks written before are kept") from None


def _text(content: Any) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _signed(content: Mapping[str, Any]) -> bytes:
    """The content as JSON, with a checksum of itself."""
    text = _text(content)
    signed = {**content, "sha256": sha256(text.encode()).hexdigest()}
    return (json.dumps(signed, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def _verified(place: Path) -> dict[str, Any]:
    """What `_signed` wrote; a ParseError where it is not that any more."""
    try:
        found = json_content(place.read_text(encoding="utf-8"), place.name)
    except UnicodeDecodeError:
        raise ParseError("it is no text", source=place.name) from None
    if not isinstance(found, dict):
        raise ParseError("it is no table", source=place.name)
    digest = found.pop("sha256", None)
    if digest != sha256(_text(found).encode()).hexdigest():
        raise ParseError("its checksum is that of another content", source=place.name)
    return found


def _campaign_of(path: Path) -> dict[str, Any]:
    try:
        return _verified(path / _CAMPAIGN)["campaign"]
    except (OSError, ParseError) as error:
        reason = (error.strerror if isinstance(error, OSError) else error.reason) or error
        raise StoreError(
            f"{path / _CAMPAIGN}, which says what the store holds, cannot be read ({reason}): "
            "give another folder"
        ) from None


def _refuse_other(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    differ = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
    if differ:
        shown = ", ".join(differ)
        raise StoreError(f"{path} holds another campaign, which differs in {shown}")


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Keep other processes out; the system lets go of it when this one ends, however it does."""
    with place.open("rb") as file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"{place.parent}: another process is computing it") from None
        except OSError:  # a file system without locks
            pass
        yield
