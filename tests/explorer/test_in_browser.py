"""The page in a real browser: its numbers are Python's, it is quiet, fits, and answers the hand."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy.stats import norm

from rnnmft import Explorer, MeanField, activations, cells
from rnnmft.explorer.variants import zoo_variants
from rnnmft.numerics.compile import compile_elementwise
from tests.explorer.browser import CONTRAST, Page, looks, opened
from tests.explorer.settings import CELLS, LAWS, THREE_ROOTS, compared, settings, theory

pytestmark = pytest.mark.browser

# Of cells with gates; more of the others is below.
FAST = ("minimal", "gru")


@pytest.fixture(scope="module")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("pages")

    @lru_cache
    def write(name: str) -> Path:
        path = folder / f"{name}.html"
        if name == "variants":
            offered = zoo_variants("vanilla")
            Explorer(cells.vanilla(), variants=offered).to_html(path)
        elif name == "leaks":
            offered = {
                f"{f.__name__}, leak {leak:.1f}": cells.leaky_rnn(leak, f)
                for f in (activations.tanh, activations.relu)
                for leak in (0.2, 0.5, 1.0)
            }
            Explorer(cells.leaky_rnn(), variants=offered).to_html(path)
        else:
            Explorer(CELLS[name]()).to_html(path)
        return path

    return write


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in FAST else pytest.mark.slow) for n in CELLS]
)
def test_numbers_are_those_of_python(page: Page, file_of: Any, name: str) -> None:
    three = compared(opened(page, file_of(name)), name, settings(name, 4)).three
    assert three >= 2 or name not in THREE_ROOTS


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_numbers_are_those_of_python_at_a_hundred_settings(
    page: Page, file_of: Any, name: str
) -> None:
    three = compared(opened(page, file_of(name)), name, settings(name, 100)).three
    assert three >= 20 or name not in THREE_ROOTS


def test_a_cell_with_averages_over_its_units_is_computed(page: Page, tmp_path: Path) -> None:
    cell = cells.get("layer_norm_minimal")
    Explorer(cell).to_html(tmp_path / "page.html")
    opened(page, tmp_path / "page.html")
    for setting in ([1.0, 0.5, 2.0, 1.0, 0.5, 0.3], [0.4, 0.0, 5.0, 0.3, -1.0, 0.0]):
        wanted = theory(cell, setting)["numbers"][:4]  # Q*, q*, chi_1, xi_q
        found = page.value(
            f"(({{ reached, second, chi_1, xi_q }}) => [...second, "
            f"...programs.variances(reached.moments, {setting}), chi_1, xi_q])(evaluate({setting}))"
        )
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    # Two trajectories have no series here, and the page says so.
    assert "No correlation map" in page.value("byId('note').textContent")


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


# relu^2 and hard_tanh^2, with the marks that the page writes for them.
_KINKED = """((laws) => laws.map(([mu, q]) => {
  const marks = [0, -1, 1].map((place) => ({ place, width: Infinity }));
  const at = (z, o) => { o[0] = act.relu(z) ** 2; o[1] = act.hard_tanh(z) ** 2; };
  return [...integrate(makeFamily(2, at, marks, true), mu, q)]; }))"""


def test_straight_lines_between_kinks_are_averaged_to_rounding(page: Page, file_of: Any) -> None:
    opened(page, file_of("relu"))
    laws = [(mu, q) for mu in (-2.5, 0.0, 0.3, 4.0) for q in (1e-4, 0.2, 1.0, 30.0, 1e6)]
    found = page.value(f"{_KINKED}({[list(law) for law in laws]})")
    for (mu, q), ours in zip(laws, found, strict=True):
        s, phi, Phi = math.sqrt(q), norm.pdf, norm.cdf
        relu = (mu**2 + q) * Phi(mu / s) + mu * s * phi(mu / s)
        a, b = (-1 - mu) / s, (1 - mu) / s
        inside = Phi(b) - Phi(a)
        middle = (mu**2 + q) * inside + s * ((mu - 1) * phi(a) - (mu + 1) * phi(b))
        # The rule takes a Gaussian as whole at 9 deviations, which leaves out 2e-19.
        np.testing.assert_allclose(ours, [relu, 1 - inside + middle], rtol=1e-10, atol=1e-13 * q)


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
        for (name, values), wanted in zip(late.items(), told, strict=True):
            error = values.std(ddof=1) / math.sqrt(len(values))
            bias = 4 / width * (1.0 if name == "growth" else abs(wanted))
            assert (abs(values.mean() - wanted) < 5 * error + bias) == accepted, (name, factor)


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


def of_units(tau: Any, sigma: list[float], states: int, seed: int) -> Any:
    """Singular values of one step of units with fresh weights, at the units' own derivatives."""
    rng, units, count = np.random.default_rng(seed), len(tau), len(sigma)
    blocks = np.einsum("irc,ij->ricj", tau, np.eye(units))

    def block(rows: slice, columns: slice) -> Any:
        found = blocks[rows][:, :, columns]
        return found.reshape(found.shape[0] * units, found.shape[2] * units)

    s, e = slice(0, states), slice(states, states + count)
    weights = np.zeros((count * units, count * units))
    for k, std in enumerate(sigma):
        rows = slice(k * units, (k + 1) * units)
        weights[rows, rows] = std / math.sqrt(units) * rng.normal(size=(units, units))
    inside = np.linalg.solve(np.eye(count * units) - block(e, e) @ weights, block(e, s))
    return np.linalg.svd(block(s, s) + block(s, e) @ weights @ inside, compute_uv=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["minimal", "gru", "text"])
def test_the_density_is_that_of_wide_networks_of_its_units(
    page: Page, file_of: Any, name: str
) -> None:
    """8 networks of 200 units with fresh weights: the part of their values below 30 places.

    Singular values are rigid: a count varies by about one, one in 200 here. Read .2 % of the range
    off the axis the density moves less than 1 % of its mass, and its sum over places as much. A
    density of weights that are 1.2 times as large must be rejected.
    """
    opened(page, file_of(name))
    page.value("state.p = state.p.map((v, i) => (model.parameters[i].law === 'sigma_w' ? 2 : v))")
    tau = page.value(
        """(() => {
          globalThis.units = simulateNetwork(state.p, 200, 60, 1).local;
          return units.map((T) => [...T]); })()"""
    )
    size = math.isqrt(len(tau[0]))
    tau, sigma = np.array(tau).reshape(-1, size, size), [2.0] * (size - 1)
    values = np.concatenate([of_units(tau, sigma, 1, seed) for seed in range(8)])
    high, count = 1.05 * values.max(), 30
    places = high * (np.arange(count) + 0.5) / count
    counted = (values < places[:, None] + 0.5 * high / count).mean(axis=1)
    for factor, accepted in ((1.0, True), (1.2, False)):
        told = [factor * s for s in sigma], 1, places.tolist(), 0.002 * high
        density = page.value(f"[...singularDensity(units, {', '.join(map(str, told))}).density]")
        below = np.cumsum(density) * (places[1] - places[0])
        assert (np.abs(below - counted).max() < 0.02) == accepted, np.abs(below - counted).max()


def test_the_density_of_a_linear_step_is_a_quarter_circle(page: Page, file_of: Any) -> None:
    opened(page, file_of("minimal"))
    s = np.linspace(0.1, 1.8, 12)
    unit = "[Float64Array.from([0, 1, 1, 0])]"
    found = page.value(f"[...singularDensity({unit}, [1], 1, {s.tolist()}, 1e-3).density]")
    # Read 1e-3 off the axis: it errs by about as much.
    np.testing.assert_allclose(found, np.sqrt(4 - s**2) / math.pi, rtol=3e-3)


# --- the page itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["minimal", "gru"])
@looks
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


_IN_FRAME = "document.querySelector('iframe').contentDocument"


def test_inside_another_page_it_is_quiet_moves_and_has_no_link(page: Page, tmp_path: Path) -> None:
    viewport = '<meta name="viewport" content="width=device-width">'
    frame = viewport + Explorer(cells.vanilla())._repr_html_()
    (tmp_path / "outer.html").write_text(f"<!DOCTYPE html><title>a</title>{frame}", "utf-8")
    page.open(tmp_path / "outer.html", width=390)
    numbers = f"{_IN_FRAME}.getElementById('numbers')?.textContent ?? ''"
    page.wait(numbers)
    before = page.value(numbers)
    page.value(
        f"((r) => {{ r.value = 3; r.dispatchEvent(new Event('input')); }})"
        f"({_IN_FRAME}.getElementById('range-2'))"
    )
    assert page.value(numbers) != before
    page.wait(f"{_IN_FRAME}.getElementById('gradient-says').textContent.startsWith('Growth')")
    shown = [f"{_IN_FRAME}.getElementById('copy-{w}').offsetParent" for w in ("code", "link")]
    assert page.value(f"[{', '.join(shown)}].map(Boolean)") == [True, False]
    assert page.value("location.hash") == ""
    assert page.value(f"{_IN_FRAME}.documentElement.scrollWidth") <= 390
    assert page.complaints() == []
    assert page.requests() == []


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


def test_a_leak_is_a_slider_beside_the_activation(page: Page, file_of: Any) -> None:
    opened(page, file_of("leaks"))
    assert page.value("[byId('variant').tagName, byId('variant-1').type]") == ["SELECT", "range"]
    page.value("byId('variant').value = 'relu'")
    page.value("byId('variant').dispatchEvent(new Event('change'))")
    page.value("byId('variant-1').value = 2; byId('variant-1').dispatchEvent(new Event('input'))")
    assert page.value("chosen") == "relu, leak 1.0"
    assert page.value("byId('variant-1').nextSibling.value") == "1.0"
    # Without a memory of its own it is the vanilla RNN.
    page.value("setParameter(2, 0.7)")
    wanted = MeanField(
        cells.vanilla(activations.relu), cells.vanilla().ensemble(e={"sigma_w": 0.7})
    )
    assert page.value("state.result.second[0]") == pytest.approx(
        wanted.fixed_point().second_moment["h"], rel=1e-6
    )
    page.value("showVariant('tanh, leak 0.2')")
    assert page.value("[byId('variant').value, byId('variant-1').value]") == ["tanh", "0"]
    assert page.complaints() == []


def test_the_point_is_drawn_along_by_a_mouse(page: Page, file_of: Any) -> None:
    opened(page, file_of("minimal"))
    page.value("byId('phase').scrollIntoView({ block: 'center', behavior: 'instant' })")
    x, y, w, h = page.value(
        "(({x, y, width, height}) => [x, y, width, height])"
        "(document.getElementById('phase').getBoundingClientRect())"
    )
    at = {"button": "left", "buttons": 1}
    for kind, across in (("mousePressed", 0.5), ("mouseMoved", 0.6), ("mouseMoved", 0.75)):
        move = {"type": kind, "x": x + across * w, "y": y + h / 2, "clickCount": 1}
        page.send("Input.dispatchMouseEvent", **move, **at)
    assert page.value("state.p[2]") == pytest.approx(6.0, abs=0.05)
