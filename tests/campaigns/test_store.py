"""A store of chunks: what is done stays, what is damaged is found, what is another's refused."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnmft.campaigns.campaign import run_campaign
from rnnmft.campaigns.store import ChunkStore
from rnnmft.errors import StoreError
from tests.campaigns.work import CAMPAIGN, NAMES, bytes_of, tasks

METADATA = {"zarr.json": b"{}", "x/zarr.json": b'{"shape": []}'}


def run(folder: Path, log: Path | None = None, progress: Any = None) -> dict[str, bytes]:
    """The campaign from wherever it stands to its end; the store's content."""
    with ChunkStore.begin(folder, CAMPAIGN) as store:
        run_campaign(store, tasks("" if log is None else str(log)), None, progress)
        store.finish(METADATA)
    return ChunkStore.find(folder).content()


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A store with everything in it."""
    run(tmp_path / "whole")
    return tmp_path / "whole"


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def other(file: Path) -> None:
    file.write_text('{"a": 1}', encoding="utf-8")


DAMAGES = [flip, truncate, empty, other, Path.unlink]


def test_a_store_gives_back_what_was_put(whole: Path) -> None:
    store = ChunkStore.find(whole)
    assert store.missing() == []
    assert store.campaign == CAMPAIGN
    assert len(store.content()) == 2 * len(NAMES) + len(METADATA)
    assert [store.note(name)["name"] for name in NAMES] == NAMES


@pytest.mark.parametrize("after", [0, 1, 4])
def test_an_interrupted_run_goes_on_where_it_stopped(
    whole: Path, tmp_path: Path, after: int
) -> None:
    def interrupt(done: int, total: int) -> None:
        assert total == len(NAMES)
        if done > after:
            raise KeyboardInterrupt

    log, folder = tmp_path / "log", tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        run(folder, log, interrupt)
    with pytest.raises(StoreError, match=rf"holds {after + 1} of 6 chunks"):
        ChunkStore.find(folder).content()
    run(folder, log)
    assert log.read_text(encoding="utf-8").split() == NAMES  # each once
    assert bytes_of(folder) == bytes_of(whole)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("file", ["data.zarr/y/c/1-0", "checksums/1-0.json"], ids=["data", "sums"])
def test_a_damaged_chunk_is_refused_to_readers_and_computed_again(
    whole: Path, tmp_path: Path, damage: Callable[[Path], None], file: str
) -> None:
    before = bytes_of(whole)
    damage(whole / file)
    with pytest.raises(StoreError, match=r"1-0.*goes on from there"):
        ChunkStore.find(whole).content()
    run(whole, tmp_path / "log")
    assert (tmp_path / "log").read_text(encoding="utf-8").split() == ["1-0"]
    assert bytes_of(whole) == before


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "file", ["data.zarr/zarr.json", "checksums/metadata.json", "campaign.json"]
)
def test_damaged_metadata_are_refused_to_readers_and_mended(
    whole: Path, tmp_path: Path, damage: Callable[[Path], None], file: str
) -> None:
    before = bytes_of(whole)
    damage(whole / file)
    with pytest.raises(StoreError, match=r"metadata|says what the store holds"):
        ChunkStore.find(whole).content()
    run(whole, tmp_path / "log")
    assert not (tmp_path / "log").exists()  # nothing was computed
    assert bytes_of(whole) == before


def test_chunks_of_another_campaign_count_for_nothing(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"another campaign, which differs in seed$"):
        ChunkStore.begin(whole, {**CAMPAIGN, "seed": 4}).__enter__()
    # Not even where the file that says so is lost.
    (whole / "campaign.json").unlink()
    with pytest.raises(StoreError, match="give another folder"):
        ChunkStore.begin(whole, {**CAMPAIGN, "seed": 4}).__enter__()
    # A whole record from elsewhere is not one of ours.
    with ChunkStore.begin(tmp_path / "b", {**CAMPAIGN, "seed": 4}) as store:
        run_campaign(store, tasks())
        (whole / "checksums" / "0-0.json").rename(tmp_path / "b" / "checksums" / "0-0.json")
        assert store.missing() == ["0-0"]


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("2 years", encoding="utf-8")
    for path in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(StoreError, match="give another folder"):
            ChunkStore.begin(path, CAMPAIGN).__enter__()
    with pytest.raises(StoreError, match="cannot be read"):
        ChunkStore.find(tmp_path)
    assert bytes_of(tmp_path) == {"thesis.tex": b"2 years"}
    assert not ChunkStore.is_at(tmp_path)


def test_two_processes_do_not_share_a_store(whole: Path) -> None:
    first, second = (ChunkStore.begin(whole, CAMPAIGN) for _ in range(2))
    with first, pytest.raises(StoreError, match="another process"):
        second.__enter__()
    with ChunkStore.begin(whole, CAMPAIGN):
        pass


@pytest.mark.parametrize("at", range(1, 15, 3))
def test_a_full_disk_is_said_and_loses_nothing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    written = 0
    write = Path.write_bytes

    def on_full_disk(path: Path, content: bytes) -> int:
        nonlocal written
        written += 1
        if written > at:
            write(path, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, content)

    folder, log = tmp_path / "store", tmp_path / "log"
    monkeypatch.setattr(Path, "write_bytes", on_full_disk)
    with pytest.raises(StoreError, match=r"No space left on device; .* are kept"):
        run(folder, log)
    monkeypatch.undo()
    done = (at - 1) // 3  # after one file for the campaign, three for each chunk
    assert len(ChunkStore.find(folder).missing()) == len(NAMES) - done
    before = len(log.read_text(encoding="utf-8").split())
    run(folder, log)
    assert len(log.read_text(encoding="utf-8").split()) - before == len(NAMES) - done
    assert bytes_of(folder) == bytes_of(whole)


def test_what_a_killed_writer_left_is_cleared_away(whole: Path) -> None:
    before = bytes_of(whole)
    (whole / "data.zarr" / "x" / "c" / "0-1.part").write_bytes(b"half")
    (whole / "campaign.json.part").write_bytes(b"half")
    run(whole)
    assert bytes_of(whole) == before


def test_nothing_in_a_store_says_when(whole: Path) -> None:
    record = json.loads((whole / "checksums" / "0-0.json").read_text(encoding="utf-8"))
    assert set(record) == {"campaign", "files", "note", "sha256"}
