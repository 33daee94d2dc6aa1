"""Stored maps in a real browser: interpolation within its error, and what is said off the map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnmft import Explorer, MeanField, cells
from rnnmft.explorer import stored_map
from rnnmft.explorer.variants import zoo_variants
from tests.explorer.browser import CONTRAST, Page, looks, opened
from tests.explorer.maps import known_map

pytestmark = pytest.mark.browser

LSTM_AXES = {"g.sigma_w": np.linspace(0.5, 6.0, 6), "f.mu_b": np.linspace(-3.0, 3.0, 5)}


def curved(x: Any, y: Any) -> Any:
    """Its bilinear interpolation errs by what its two curvatures say, and by nothing else."""
    return 0.1 * x**2 - 0.05 * y**2 + 0.3 * x * y - 0.2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stored")


@pytest.fixture(scope="module")
def of_lstm(folder: Path) -> Path:
    cell = cells.lstm()
    both = {t: known_map(cell, cell.ensemble(), LSTM_AXES, curved, t) for t in ("tied", "untied")}
    path = folder / "lstm.html"
    Explorer(cell, **both).to_html(path)
    return path


@pytest.fixture(scope="module")
def of_vanilla(folder: Path) -> Path:
    cell = cells.vanilla()
    path = folder / "vanilla.html"
    tied = stored_map(cell, points=(16, 14))
    Explorer(cell, variants=zoo_variants("vanilla"), tied=tied).to_html(path)
    return path


def test_the_interpolation_errs_by_no_more_than_it_says(page: Page, of_lstm: Path) -> None:
    opened(page, of_lstm)
    rng = np.random.default_rng(5)
    at = np.stack([rng.uniform(a[0], a[-1], 40) for a in LSTM_AXES.values()], axis=1)
    found = page.value(
        f"""{at.tolist()}.map(([x, y]) => {{ const p = state.p.slice(), [a, b] = stored.tied.axes;
          p[a.place] = x; p[b.place] = y; return storedAt(stored.tied, p); }})"""
    )
    exact = curved(*at.T)
    values = np.array([f["growth"]["value"] for f in found])
    errors = np.array([f["growth"]["error"] for f in found])
    steps = np.array([a[1] - a[0] for a in LSTM_AXES.values()])
    t = (at - [a[0] for a in LSTM_AXES.values()]) / steps % 1.0
    bend = t * (1 - t) * steps**2 * [0.1, 0.05]
    # All of a map's numbers have six digits.
    np.testing.assert_allclose(values - exact, bend @ [1.0, -1.0], atol=1e-5)
    np.testing.assert_allclose(errors, 0.01 + 2 * bend.sum(axis=1), atol=1e-4)
    assert (np.abs(values - exact) <= errors).all()
    # The rows of a quantity are each a state's, or a preactivation's.
    for name, count in (("second", 2), ("variances", 4)):
        rows = np.array([[v["value"] for v in f[name]] for f in found])
        np.testing.assert_allclose(rows - values[:, None], [[*range(count)]] * 40, atol=1e-5)


def test_a_real_map_agrees_with_the_theory_of_the_page(page: Page, of_vanilla: Path) -> None:
    """Vanilla's growth is the same tied and untied: live numbers against the stored ones."""
    opened(page, of_vanilla)
    rng = np.random.default_rng(6)
    points = np.stack([rng.uniform(0.5, 8.0, 60), rng.uniform(-5.0, 5.0, 60)], axis=1).tolist()
    found = page.value(
        f"""{json.dumps(points)}.map(([w, b]) => {{
          const p = state.p.slice(); [p[2], p[4]] = [w, b];
          const {{ growth }} = storedAt(stored.tied, p);
          return [growth.value, growth.error, evaluate(p).growth]; }})"""
    )
    values, errors, live = np.array(found).T
    assert (np.abs(values - live) <= errors).all()
    assert np.median(errors) < 0.02
    # Errors that were half as large would not cover it, and those of another rate do not.
    assert (np.abs(values - live) > errors / 2).any()
    assert (np.abs(values - live - 0.05) > errors).mean() > 0.5


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("#e.sigma_w=2&e.sigma_b=1", "the stored map holds e.sigma_b at 0"),
        ("#e.sigma_w=0.1", "the stored map has e.sigma_w from 0.5 to 8"),
        ("#variant=relu&e.sigma_w=1", "the stored map is of the variant tanh"),
    ],
    ids=["held", "outside", "variant"],
)
def test_off_the_map_it_says_so(page: Page, of_vanilla: Path, change: str, says: str) -> None:
    opened(page, of_vanilla, fragment=change)
    assert f"no value here: {says}" in page.value("byId('stored').textContent")
    page.value("byId('to-stored').click()")
    assert "interpolated from a stored map of" in page.value("byId('stored').textContent")
    assert page.complaints() == []


def test_a_missing_point_is_no_value(page: Page, of_lstm: Path) -> None:
    opened(page, of_lstm)
    setting = "const p = state.p.slice(); p[stored.tied.axes[0].place] = 1.0;"
    known = page.value(
        f"(() => {{ {setting} return storedAt(stored.tied, p).growth !== null; }})()"
    )
    found = page.value(
        f"""(() => {{ {setting} const map = structuredClone(stored.tied);
          map.growth[0].values.fill(null); map.second[0].values.fill(null);
          map.status.fill("DIVERGES"); map.meaning.DIVERGES = "it grows";
          return storedAt(map, p).missing; }})()"""
    )
    assert known
    assert found == "a point of the stored map beside it has no value (it grows)"


def test_a_cell_that_does_not_close_shows_what_is_stored(page: Page, of_lstm: Path) -> None:
    opened(page, of_lstm, fragment="#g.sigma_w=2.7&f.mu_b=-1.5")
    assert "In the tied theory" in page.value("byId('headline').textContent")
    assert page.value("document.querySelectorAll('#stored p').length") == 2
    assert page.value("document.querySelectorAll('#evolution .stored').length") == 2
    assert page.value("document.querySelectorAll('#gradient .network').length") == 3
    # Equations with their numbers, though a law has none.
    assert page.value("document.querySelectorAll('#recursions mn[data-p]').length") >= 12
    shown = "[...document.querySelectorAll('#figures figure')].filter((e) => !e.hidden).length"
    assert page.value(shown) == 4
    # The phase map is the stored one, over its own axes; a click moves within them.
    assert page.value("[byId('phase-x').length, state.phase.theory]") == [2, "tied"]
    values = np.array(page.value("[...state.phase.values]")).reshape(60, 60)
    xs, ys = (np.array(page.value(f"state.phase.{a}")) for a in ("xs", "ys"))
    assert np.abs(values - curved(xs, ys[:, None])).max() < 0.1
    page.value("movePoint(100, 100)")
    assert page.value("[stored.tied.axes.map((a) => state.p[a.place])]") == [[6.0, 3.0]]
    # Off the map only the theory goes.
    page.value("setParameter(0, 2)")
    assert "No theory here: the stored map holds R at 1" in page.value(
        "byId('headline').textContent"
    )
    page.wait("state.network && state.network.p[0] === 2")
    assert page.complaints() == []


def test_the_tied_line_is_drawn_over_the_untied_map(page: Page, of_vanilla: Path) -> None:
    opened(page, of_vanilla)
    drawn = "document.querySelector('#phase-axes .level-tied').getAttribute('d').length"
    assert page.value(drawn) > 100
    assert "Violet: where the tied theory is critical" in page.value(
        "byId('phase-says').textContent"
    )
    page.value("setParameter(5, 1)")
    page.wait("state.phase.p[5] === 1")
    assert page.value(drawn) == 0
    assert "No tied line" in page.value("byId('phase-says').textContent")
    page.value("byId('phase-theory').value = 'tied'")
    page.value("byId('phase-theory').dispatchEvent(new Event('change'))")
    page.wait("state.phase && state.phase.theory === 'tied'")
    assert "Nothing here: the stored map holds" in page.value("byId('phase-says').textContent")
    # Other axes than the map's are those of the live theory.
    page.value("byId('phase-x').value = 5; byId('phase-x').dispatchEvent(new Event('change'))")
    page.wait("state.phase && state.phase.theory === 'live'")


@looks
def test_pages_with_maps_are_quiet_fit_and_can_be_read(
    page: Page, of_lstm: Path, of_vanilla: Path, width: int, dark: bool
) -> None:
    for path in (of_lstm, of_vanilla):
        opened(page, path, width=width, dark=dark)
        assert page.complaints() == []
        assert page.requests() == []
        assert page.value("document.documentElement.scrollWidth") <= width
        assert page.value(CONTRAST) == []
        assert path.stat().st_size < 2_000_000


@pytest.mark.slow
def test_a_tied_map_agrees_with_single_points(page: Page, folder: Path) -> None:
    """Six settings of the minimalRNN between the points of a map, against `MeanField` there.

    Within the map's error and 5 standard errors of the single point: one false alarm in a million.
    The rate of another of the six settings must be rejected at most of them.
    """
    cell = cells.minimal()
    vary = {("e", "sigma_w"): [2.0, 3.5, 5.0, 6.5, 8.0], ("e", "mu_b"): [0.0, 1.0, 2.0, 3.0]}
    path = folder / "minimal.html"
    Explorer(cell, tied=stored_map(cell, vary=vary, tolerance=0.02)).to_html(path)
    opened(page, path)
    rng = np.random.default_rng(8)
    settings = np.stack([rng.uniform(2, 8, 6), rng.uniform(0, 3, 6)], axis=1).tolist()
    found = page.value(
        f"""{settings}.map(([w, b]) => {{ const p = state.p.slice(); [p[2], p[4]] = [w, b];
          const {{ growth }} = storedAt(stored.tied, p); return [growth.value, growth.error]; }})"""
    )
    values, errors = np.array(found).T
    singles = [
        MeanField(cell, cell.ensemble(e={"sigma_w": w, "mu_b": b})).gradient_growth()
        for w, b in settings
    ]
    rates = np.array([float(s) for s in singles])
    room = errors + 5 * np.array([float(s.error) for s in singles])
    assert (np.abs(values - rates) < room).all()
    assert (np.abs(values - np.roll(rates, 1)) > room + np.roll(room, 1)).mean() > 0.5


def test_layers_of_an_lstm_are_simulated_beside_what_is_stored(page: Page, folder: Path) -> None:
    cell = cells.stack([cells.lstm(), cells.minimal()])
    axes = {"g_1.sigma_w": np.linspace(0.5, 2.0, 3), "f_1.mu_b": np.linspace(-1.0, 1.0, 3)}
    path = folder / "stack.html"
    Explorer(cell, tied=known_map(cell, cell.ensemble(), axes, curved)).to_html(path)
    opened(page, path)
    page.wait("state.density")
    assert page.value("state.network.growth.flat().every(isFinite)")
    assert page.value("[...state.density.density].every((d) => d > -1e-9)")
    assert page.complaints() == []
