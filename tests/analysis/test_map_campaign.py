"""A phase diagram in chunks: the same as in one, whatever becomes of the process or of a chunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import xarray.testing

from rnnmft import cells
from rnnmft.analysis.map_chunks import blocks
from rnnmft.analysis.mean_field import MeanField
from rnnmft.analysis.phase_dataset import PhaseDataset, open_phase_diagram
from rnnmft.analysis.phase_diagram import phase_diagram
from rnnmft.errors import ParameterError, StoreError
from rnnmft.language import Inputs
from tests.campaigns.work import bytes_of

VARY = {("e", "sigma_w"): np.linspace(5.0, 9.0, 9), ("e", "mu_b"): [4.0, 4.6, np.nan, 5.0]}
QUANTITIES = ("second_moment", "xi_c", "gradient_growth", "fixed_points")


def computed(store: Path | None = None, **options: Any) -> PhaseDataset:
    """A map with up to three fixed points, points outside the domain, and two states of status."""
    cell = cells.minimal()
    ensemble = cell.ensemble(e={"sigma_v": 1.39})
    return phase_diagram(
        cell, ensemble, Inputs(R=0.4616), VARY, QUANTITIES, "untied", store=store, **options
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("map") / "store"
    computed(path, chunk=8)
    return path


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    for name, content in bytes_of(whole).items():
        (tmp_path / "store" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "store" / name).write_bytes(content)
    return tmp_path / "store"


def test_a_map_of_one_chunk_is_the_map(tmp_path: Path) -> None:
    assert computed(tmp_path / "store").identical(computed())


def test_chunks_agree_with_the_map_within_errors(whole: Path) -> None:
    found, at_once = open_phase_diagram(whole), computed()
    assert found.fixed_points.sizes["fixed_point"] == 3
    assert set(found.data_vars) == set(at_once.data_vars)
    assert found.attrs == at_once.attrs
    for name in ("status", "fixed_point_count", "fixed_point_stable"):
        assert found[name].identical(at_once[name])
    for name in ("second_moment", "xi_c", "gradient_growth", "fixed_points"):
        a, b = found[name], at_once[name]
        error = found[f"{name}_error"] + at_once[f"{name}_error"]
        assert (np.isnan(a) == np.isnan(b)).all()
        assert (np.abs(a - b) <= error).where(~np.isnan(a), True).all()


def test_what_was_opened_draws_and_saves_itself(whole: Path, tmp_path: Path) -> None:
    found = open_phase_diagram(whole)
    assert isinstance(found, PhaseDataset)
    found.isel({"e.mu_b": [0, 1, 3]}).plot(path=tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    found.save(tmp_path / "map.nc")
    assert open_phase_diagram(tmp_path / "map.nc").identical(found)
    # Any reader of zarr reads it; there a status is a number with its meaning.
    plain = xarray.open_zarr(whole / "data.zarr", consolidated=False)
    np.testing.assert_array_equal(plain.xi_c.values, found.xi_c.values)
    names = np.array(plain.status.attrs["flag_meanings"].split())
    np.testing.assert_array_equal(names[plain.status.values], found.status.values)


def test_an_interrupted_map_ends_with_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        assert total == 36
        if done >= 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        computed(tmp_path, chunk=8, progress=interrupt)
    with pytest.raises(StoreError, match="holds 2 of 5 chunks"):
        open_phase_diagram(tmp_path)
    counted: list[int] = []
    computed(tmp_path, chunk=8, progress=lambda done, total: counted.append(done))
    assert counted == [24, 32, 36]
    assert bytes_of(tmp_path) == bytes_of(whole)


@pytest.mark.parametrize(
    "file",
    [
        "data.zarr/xi_c/c/1/0",
        "data.zarr/status/c/0/3/0",
        "data.zarr/xi_c/zarr.json",
        "data.zarr/quantity/c/0",
        "checksums/2-0.json",
        "checksums/metadata.json",
        "campaign.json",
    ],
)
@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing"])
def test_damage_is_refused_or_mended(whole: Path, store: Path, file: str, damage: str) -> None:
    content = bytearray((store / file).read_bytes())
    content[len(content) // 3] ^= 4
    if damage == "missing":
        (store / file).unlink()
    else:
        (store / file).write_bytes(content[: len(content) // 2] if damage[0] == "t" else content)
    with pytest.raises(StoreError):
        open_phase_diagram(store)
    computed(store, chunk=8)
    assert bytes_of(store) == bytes_of(whole)


def test_another_map_is_refused(store: Path) -> None:
    with pytest.raises(StoreError, match=r"differs in chunk, chunks$"):
        computed(store, chunk=12)
    with pytest.raises(StoreError, match=r"differs in .*quantities"):
        phase_diagram(cells.minimal(), vary=VARY, tying="untied", store=store)
    with pytest.raises(ParameterError, match="chunk"):
        computed(store, chunk=0)


def gain(field: MeanField) -> float:
    """A quantity of one's own."""
    return field.fixed_point().second_moment["h"] / field.inputs.R


def test_functions_of_a_point_and_one_axis(tmp_path: Path) -> None:
    setting = (cells.vanilla(), None, None, {"R": [0.5, 1.0, 2.0]}, ["chi_1", gain])
    found = phase_diagram(*setting, store=tmp_path / "a", chunk=2)
    assert found.identical(phase_diagram(*setting))
    # Without a store only the place differs.
    assert phase_diagram(*setting, cluster="threads:2", chunk=1).identical(found)


def test_blocks_cover_the_grid_once() -> None:
    seen = np.zeros((7, 5, 4), dtype=int)
    for points in (1, 3, 9, 20, 21, 140, 1000):
        seen[:] = 0
        for block in blocks("abc", seen.shape, points):
            seen[block.slices] += 1
            assert block.size <= points
            assert block.size == seen[block.slices].size
        assert (seen == 1).all()


@pytest.mark.slow
def test_a_sampled_chunk_knows_nothing_of_its_neighbours(tmp_path: Path) -> None:
    vary = {("e", "sigma_w"): [0.5, 1.0, 1.5, 2.0]}
    setting = (cells.minimal(), None, None, vary, ["second_moment"])
    alone = phase_diagram(*setting, store=tmp_path / "a", chunk=1)
    pairs = phase_diagram(*setting, cluster="processes:2", store=tmp_path / "b", chunk=2)
    assert alone.attrs == pairs.attrs
    assert alone.attrs["error_kind"] == "standard error"
    # Two points move together: products of other matrices, of which single precision is the
    # rounding. Other random numbers would make errors of a hundredth.
    xarray.testing.assert_allclose(alone, pairs, rtol=1e-6)


def test_both_theories_have_the_tied_one_in_chunks(tmp_path: Path) -> None:
    vary = {("e", "sigma_w"): [0.5, 1.0, 1.5]}
    setting = (cells.vanilla(), None, None, vary, ["gradient_growth"], "both")
    shown: list[str] = []
    watch = {"watch": lambda found: shown.append(found.attrs["tying"])}
    chunks = phase_diagram(*setting, store=tmp_path, chunk=1, **watch)
    whole = phase_diagram(*setting)
    assert shown == ["untied"]
    assert len(list(tmp_path.glob("checksums/*[0-9].json"))) == 3
    for name in ("gradient_growth", "gradient_growth_tied"):
        error = whole[f"{name}_error"].values + chunks[f"{name}_error"].values
        assert (np.abs(chunks[name].values - whole[name].values) <= error + 1e-12).all()
    assert (chunks.status.values == whole.status.values).all()
    assert open_phase_diagram(tmp_path).tying == "tied"
