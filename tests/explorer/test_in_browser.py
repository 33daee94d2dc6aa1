"""The page in a real browser: its numbers are Python's, it is quiet, fits, and answers the hand."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

from rnnmft import ConvergenceError, Explorer, Inputs, MeanField, activations, cells
from rnnmft.cells import Cell
from rnnmft.explorer.variants import zoo_variants
from rnnmft.numerics.compile import compile_elementwise
from tests.explorer.browser import Page, browser

pytestmark = pytest.mark.browser

TEXT = """
name = "gated"
states = ["h"]
[preactivations]
z = { sees = "h" }
g = { sees = "sigmoid(z)*h" }
[update]
h = "(1-sigmoid(z))*h + sigmoid(z)*tanh(g)"
"""
CELLS = {
    "minimal": cells.minimal,
    "vanilla": cells.vanilla,
    "gru": cells.gru,
    "text": lambda: cells.loads(TEXT),
    "relu": lambda: cells.vanilla(activations.relu),
}
# Settings with three fixed points, in the order of the page: R, c, then sigma_w, sigma_v, mu_b,
# sigma_b of each preactivation; found by a search among random ones.
THREE_ROOTS = {
    "minimal": [2.2288, -0.7992, 4.9666, 0.0045, 4.9832, 0.0690],
    "gru": [
        *(0.8063, -0.8323, 2.9792, 3.98, 1.6647, 0.0198),
        *(6.5483, 0.0116, 4.032, 0.0016, 7.6224, 0.2193, 0.0098, 0.0019),
    ],
    "text": [3.241, 0.1789, 7.575, 0.0, -2.5489, 0.0208, 6.8513, 0.0719, -0.1673, 0.0096],
}
LAWS = ("sigma_w", "sigma_v", "mu_b", "sigma_b")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("pages")

    @lru_cache
    def write(name: str) -> Path:
        path = folder / f"{name}.html"
        if name == "variants":
            offered = zoo_variants("vanilla")
            Explorer(cells.vanilla(), variants=offered).to_html(path)
        else:
            Explorer(CELLS[name]()).to_html(path)
        return path

    return write


def opened(page: Page, file: Path, **how: Any) -> Page:
    page.open(file, **how)
    page.wait("state.phase && state.network")
    return page


# --- numbers -------------------------------------------------------------------------------------


def settings(name: str, count: int) -> list[list[float]]:
    """Random settings of the page, a third of them beside one with three fixed points."""
    cell, rng = CELLS[name](), np.random.default_rng(7)
    low = np.array([0.0, -1.0] + [0.0, 0.0, -3.0, 0.0] * len(cell.preactivations))
    # A relu's second moment diverges beyond sigma_w = sqrt(2).
    widest = 1.3 if name == "relu" else 6.0
    high = np.array([3.0, 1.0] + [widest, 2.0, 3.0, 1.0] * len(cell.preactivations))
    found = []
    for i in range(count):
        drawn = rng.uniform(low, high)
        if i % 3 == 0 and name in THREE_ROOTS:
            drawn = np.array(THREE_ROOTS[name]) * rng.uniform(0.995, 1.005, len(low))
        found.append(drawn.tolist())
    return found


def theory(cell: Cell, setting: list[float]) -> dict[str, Any]:
    """What Python says of one setting; None where there is nothing to say."""
    laws = {
        p.name: dict(zip(LAWS, setting[2 + 4 * k : 6 + 4 * k], strict=True))
        for k, p in enumerate(cell.preactivations)
    }
    inputs = Inputs(R=setting[0], correlation=setting[1])
    at = MeanField(cell, cell.ensemble(**laws), inputs, tying="untied")
    found = {"roots": [list(f.second_moment.values()) for f in at.fixed_points()], "reached": False}
    try:
        fixed, times = at.fixed_point(), at.timescales()
    except ConvergenceError:
        return found
    numbers = [*fixed.second_moment.values(), *fixed.preactivation_variance.values()]
    numbers += [times.chi_1, times.xi_q, times.xi_c]
    if all(v > 0 for v in fixed.second_moment.values()):
        numbers += at.correlation_fixed_point().correlation.values()
    return found | {"reached": True, "numbers": [float(x) for x in numbers]}


# Neither infinity nor nan is JSON.
_EVALUATED = """(settings) => settings.map((p) => {
  const r = evaluate(p), found = {};
  found.roots = r.roots.map((x) => model.squares.map((i) => x.moments[i]));
  found.reached = r.reached !== null;
  if (r.reached) found.numbers = [...r.second, ...programs.variances(r.reached.moments, p),
    r.chi_1, r.xi_q, r.xi_c ?? NaN, ...(r.c || [])].map(String);
  return found;
})"""


def compared(page: Page, name: str, given: list[list[float]]) -> int:
    """Hold the page against Python at settings; how many had three fixed points."""
    found = page.value(f"({_EVALUATED})({json.dumps(given)})")
    three = 0
    for setting, ours in zip(given, found, strict=True):
        wanted = theory(CELLS[name](), setting)
        assert ours["reached"] == wanted["reached"], setting
        assert len(ours["roots"]) == len(wanted["roots"]), setting
        np.testing.assert_allclose(ours["roots"], wanted["roots"], rtol=1e-6, atol=1e-12)
        three += len(wanted["roots"]) == 3
        if wanted["reached"]:
            numbers = [float(x.replace("Infinity", "inf")) for x in ours["numbers"]]
            np.testing.assert_allclose(
                numbers, wanted["numbers"], rtol=1e-6, atol=1e-9, err_msg=f"{setting}"
            )
    return three


@pytest.mark.parametrize("name", CELLS)
def test_numbers_are_those_of_python(page: Page, file_of: Any, name: str) -> None:
    three = compared(opened(page, file_of(name)), name, settings(name, 4))
    assert three >= 2 or name not in THREE_ROOTS


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_numbers_are_those_of_python_at_a_hundred_settings(
    page: Page, file_of: Any, name: str
) -> None:
    three = compared(opened(page, file_of(name)), name, settings(name, 100))
    assert three >= 20 or name not in THREE_ROOTS


@pytest.mark.parametrize("name", ["vanilla", "minimal", "relu"])
def test_a_zero_state_is_what_it_is_in_python(page: Page, file_of: Any, name: str) -> None:
    given = [[0.0, 0.5, sigma_w, 1.0, 0.0, 0.0] for sigma_w in (0.0, 0.7, 1.2)]
    compared(opened(page, file_of(name)), name, given)


def test_a_growing_state_is_said_and_drawn(page: Page, file_of: Any) -> None:
    opened(page, file_of("relu"), fragment="#e.sigma_w=3")
    assert page.value("state.result.reached") is None
    assert "grows without bound" in page.value("byId('headline').textContent")
    assert page.complaints() == []


def test_functions_are_those_of_numpy(page: Page, file_of: Any) -> None:
    opened(page, file_of("minimal"))
    x = sp.Symbol("x", real=True)
    places = np.concatenate([np.linspace(-40, 40, 161), np.linspace(-3.1, 3.1, 63)]).round(6)
    names = page.value("Object.keys(act)")
    classes = {n: getattr(activations, n) for n in names if hasattr(activations, n)}
    assert len(classes) == len(names) - 1  # safeInverse is no activation
    for name, function in {**classes, "erf": sp.erf, "erfc": sp.erfc}.items():
        (wanted,) = compile_elementwise([function(x)], [x])(places)
        call = f"act.{name}" if name in classes else name
        ours = page.value(f"{json.dumps(places.tolist())}.map({call})")
        # erfc underflows at 27; 1e-13 is a thousand roundings of its continued fraction.
        np.testing.assert_allclose(ours, wanted, rtol=1e-12, atol=1e-300, err_msg=name)


# Points at which map and page differ by more than a hundredth of a colour's whole range, 1.5.
_MISSED = """(() => { let missed = 0; const d = state.phase, n = d.count, p = d.p.slice();
  for (let k = 0; k < n * n; k += 97) {
    p[d.x.place] = d.xs[k % n]; p[d.y.place] = d.ys[Math.floor(k / n)];
    const growth = evaluate(p).growth ?? NaN, shown = d.values[k];
    if (!(Math.abs(growth - shown) < 0.015 || Object.is(growth, shown))) missed++; }
  return missed; })()"""


@pytest.mark.parametrize("name", ["minimal", "gru", "bistable"])
def test_the_phase_map_is_what_its_points_say(page: Page, file_of: Any, name: str) -> None:
    """Of 38 points none; where fixed points are born in pairs a narrow pair may be passed over."""
    p = THREE_ROOTS["minimal"]
    keys = ["R", "correlation", *(f"e.{law}" for law in LAWS)]
    bistable = "#" + "&".join(f"{n}={v}" for n, v in zip(keys, p, strict=True))
    if name == "bistable":
        opened(page, file_of("minimal"), fragment=bistable)
    else:
        opened(page, file_of(name))
    assert page.value(_MISSED) <= (name == "bistable")


def test_its_networks_obey_the_theory_where_tying_does_not_matter(page: Page, file_of: Any) -> None:
    """Vanilla: 40 networks of 200 units against the untied theory, which is exact for it.

    Second moment, correlation and growth of a perturbation, each within 5 standard errors (one
    false alarm in a million) and 4 / N of its size for finite width. A theory whose sigma_w is off
    by a fifth must be rejected by each.
    """
    opened(page, file_of("vanilla"))
    setting, width = [1.0, 0.5, 1.6, 0.7, 0.2, 0.3], 200
    runs = page.value(
        f"""Array.from({{ length: 40 }}, (_, seed) => {{
          const run = simulateNetwork({setting}, {width}, 24, seed + 1);
          return {{ ...run, columns: null, second: run.second.map((v) => v[0]) }}; }})"""
    )
    # After the first half the state is stationary; a network is one sample.
    late = {
        name: np.array([run[name][12:] for run in runs]).mean(axis=1)
        for name in ("second", "correlation", "growth")
    }
    for factor, accepted in ((1.0, True), (1.2, False)):
        moved = [*setting[:2], factor * setting[2], *setting[3:]]
        told = page.value(
            f"(({{second, c, growth}}) => [second[0], c[0], growth])(evaluate({moved}))"
        )
        for (name, values), theory in zip(late.items(), told, strict=True):
            error = values.std(ddof=1) / math.sqrt(len(values))
            bias = 4 / width * (1.0 if name == "growth" else abs(theory))
            assert (abs(values.mean() - theory) < 5 * error + bias) == accepted, (name, factor)


def test_singular_values_are_those_of_numpy(page: Page, file_of: Any) -> None:
    opened(page, file_of("gru"))
    drawn = np.random.default_rng(3).normal(size=(30, 30)).round(6)
    ours = page.value(f"singularValues({drawn.T.tolist()}.map((c) => Float64Array.from(c)))")
    np.testing.assert_allclose(ours, np.linalg.svd(drawn, compute_uv=False), rtol=1e-9)


def test_the_jacobian_is_what_a_perturbation_follows(page: Page, file_of: Any) -> None:
    """The mean square of 40 networks' singular values against chi_1, exact for vanilla."""
    opened(page, file_of("vanilla"))
    setting, width = [1.0, 0.5, 1.6, 0.7, 0.2, 0.3], 60
    squares = page.value(
        f"""Array.from({{ length: 40 }}, (_, seed) => simulateNetwork({setting}, {width}, 12, seed)
        .columns.reduce((sum, c) => sum + c.reduce((s, x) => s + x * x, 0), 0) / {width})"""
    )
    error = np.std(squares, ddof=1) / math.sqrt(len(squares))
    for factor, accepted in ((1.0, True), (1.3, False)):
        moved = [*setting[:2], factor * setting[2], *setting[3:]]
        chi = page.value(f"evaluate({moved}).chi_1")
        # 5 standard errors: one false alarm in a million; 4 / N of chi_1 for finite width.
        assert (abs(np.mean(squares) - chi) < 5 * error + 4 / width * chi) == accepted


# --- the page itself -----------------------------------------------------------------------------

CONTRAST = """(() => {
  const channel = (c) => (c <= 10 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (e) => { for (; e; e = e.parentElement) {
    const c = parts(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; }
    return [255, 255, 255]; };
  const low = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || ["SCRIPT", "STYLE", "OPTION"].includes(e.tagName)) continue;
    if (!e.getClientRects().length) continue;
    const style = getComputedStyle(e), ink = e.closest("svg") ? style.fill : style.color;
    const [a, b] = [light(parts(ink)), light(behind(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push(`${e.tagName} ${e.textContent} ${ink}`);
  }
  return low;
})()"""


@pytest.mark.parametrize("name", ["minimal", "gru"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_quiet_fits_and_can_be_read(
    page: Page, file_of: Any, name: str, width: int, dark: bool
) -> None:
    opened(page, file_of(name), width=width, dark=dark)
    assert page.complaints() == []
    assert page.requests() == []
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value(CONTRAST) == []
    unnamed = "[...document.querySelectorAll('input, select, canvas')].filter((e) => "
    unnamed += "!e.labels?.length && !e.getAttribute('aria-label')).map((e) => e.id)"
    assert page.value(unnamed) == []


def test_the_check_of_contrast_can_fail(page: Page, file_of: Any) -> None:
    opened(page, file_of("minimal"))
    page.value("document.getElementById('headline').style.color = '#999999'")
    assert len(page.value(CONTRAST)) == 1


def test_a_slider_moves_by_hand_and_by_key(page: Page, file_of: Any) -> None:
    opened(page, file_of("minimal"))
    before = page.value("[state.result.chi_1, document.getElementById('numbers').textContent]")
    page.value("document.getElementById('range-2').focus()")
    for _ in range(3):
        for kind in ("rawKeyDown", "keyUp"):
            key = {"key": "ArrowRight", "code": "ArrowRight", "windowsVirtualKeyCode": 39}
            page.send("Input.dispatchKeyEvent", type=kind, **key)
    after = page.value("[state.result.chi_1, document.getElementById('numbers').textContent]")
    assert page.value("state.p[2]") == pytest.approx(1.06)
    assert before[0] != after[0]
    assert before[1] != after[1]
    # The equation shows the number, too, and the number's own field.
    assert page.value("document.querySelector('mn[data-p=\"2\"]').textContent") == "1.06"
    assert page.value("document.getElementById('box-2').value") == "1.06"


def test_the_phase_map_is_clicked_and_walked(page: Page, file_of: Any) -> None:
    opened(page, file_of("minimal"))
    page.value("byId('phase').scrollIntoView({ block: 'center', behavior: 'instant' })")
    box = page.value(
        "(({x, y, width, height}) => [x, y, width, height])"
        "(document.getElementById('phase').getBoundingClientRect())"
    )
    x, y = box[0] + 0.75 * box[2], box[1] + 0.25 * box[3]
    for kind in ("mousePressed", "mouseReleased"):
        page.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    # sigma_w from 0 to 8 across, mu_b from -5 to 5 up; a pixel is a fiftieth of a unit.
    assert page.value("state.p[2]") == pytest.approx(6.0, abs=0.05)
    assert page.value("state.p[4]") == pytest.approx(2.5, abs=0.05)
    up = {"key": "ArrowUp", "code": "ArrowUp", "windowsVirtualKeyCode": 38}
    page.value("document.getElementById('phase').focus()")
    page.send("Input.dispatchKeyEvent", type="rawKeyDown", **up)
    assert page.value("state.p[4]") == pytest.approx(2.5 + 10 / 60, abs=0.05)


def test_a_link_keeps_the_setting_and_python_is_given_it(page: Page, file_of: Any) -> None:
    opened(page, file_of("gru"))
    page.value("setParameter(2, 3.25); setParameter(4, -0.5)")
    page.wait("location.hash.includes('r.sigma_w=3.25')")
    fragment = page.value("location.hash")
    numbers = page.value("[...state.result.second, state.result.chi_1]")
    opened(page, file_of("gru"), fragment=fragment)
    assert page.value("[...state.result.second, state.result.chi_1]") == numbers
    text = page.value("pythonText()")
    assert "r=dict(sigma_w=3.25, sigma_v=1, mu_b=-0.5, sigma_b=0)" in text
    assert text.startswith("ensemble = cell.ensemble(r=dict(")


def test_variants_are_switched_kept_and_reset(page: Page, file_of: Any) -> None:
    opened(page, file_of("variants"), fragment="#variant=relu&e.sigma_w=1.2")
    assert page.value("byId('variant').value") == "relu"
    ((wanted, tanh),) = page.value(
        "[['relu', 'tanh'].map((name) => { choose(name); return evaluate(state.p).chi_1; })]"
    )
    page.value("showVariant('relu')")
    assert page.value("state.result.chi_1") == wanted != tanh
    shown = "[...document.querySelectorAll('header [data-variant]')].filter((e) => !e.hidden)"
    assert page.value(f"{shown}.map((e) => e.dataset.variant)") == ["relu"]
    page.value("byId('variant').value = 'tanh'")
    page.value("byId('variant').dispatchEvent(new Event('change'))")
    assert page.value("state.result.chi_1") == tanh
    page.wait("state.phase?.variant === 'tanh' && state.network?.variant === 'tanh'")
    page.value("showVariant('relu'); byId('reset').click()")
    assert page.value("[chosen, state.p[2], byId('range-2').value]") == ["tanh", 1, "1"]
    assert page.complaints() == []


def test_nonsense_in_the_address_is_passed_over(page: Page, file_of: Any) -> None:
    opened(page, file_of("minimal"), fragment="#e.sigma_w=-4&R=x&correlation=7&zzz=1&e.mu_b=2")
    assert page.value("state.p") == [1, 0.5, 1, 1, 2, 0]
    assert page.complaints() == []


def test_three_fixed_points_are_drawn_and_said(page: Page, file_of: Any) -> None:
    p = THREE_ROOTS["minimal"]
    names = ["R", "correlation", *(f"e.{law}" for law in LAWS)]
    fragment = "#" + "&".join(f"{n}={v}" for n, v in zip(names, p, strict=True))
    opened(page, file_of("minimal"), fragment=fragment)
    assert page.value("document.querySelectorAll('#q-map .stable').length") == 2
    assert page.value("document.querySelectorAll('#q-map .unstable').length") == 1
    assert "3 fixed points, 2 of them stable" in page.value("byId('note').textContent")
