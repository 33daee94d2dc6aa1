"""One unit of each cell of the zoo in a real browser: values are NumPy's, slopes are their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnmft import Explorer, cells
from rnnmft.explorer.unit_programs import unit_script
from rnnmft.numerics.compile import compile_elementwise
from tests.explorer.browser import Page, opened

pytestmark = pytest.mark.browser

ZOO = {name: cells.get(name) for name in cells.names()}
ZOO["stack"] = cells.stack([cells.lstm(), cells.get("layer_norm_minimal")])


@pytest.fixture(scope="module")
def blank(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """A page in which the functions of units are defined."""
    path: Path = tmp_path_factory.mktemp("unit") / "page.html"
    Explorer(cells.vanilla()).to_html(path)
    return opened(page, path)


def drawn(cell: Any, seed: int) -> dict[str, list[float]]:
    """States, preactivations, averages and own parameters of one unit, and its input."""
    rng = np.random.default_rng(seed)
    groups = {
        "s": cell.states,
        "e": cell.preactivations,
        "a": cell.averages,
        "own": cell.parameters,
    }
    found = {k: rng.uniform(0.2, 1.0, len(g)).round(6).tolist() for k, g in groups.items()}
    return found | {"x": [0.625]}


_RUN = """const alone = (values) => values.map((x) => [x]);
  const run = (v) => ({ s: alone(v.s), e: alone(v.e), a: v.a, own: alone(v.own) });"""


@pytest.mark.parametrize("name", ZOO)
def test_a_unit_computes_what_numpy_computes(blank: Page, name: str) -> None:
    cell = ZOO[name]
    at = drawn(cell, 1)
    symbols = [*cell.states, *cell.preactivations, *cell.averages, *cell.parameters]
    values = [*at["s"], *at["e"], *at["a"], *at["own"]]
    if cell.input is not None:
        symbols, values = [*symbols, cell.input], [*values, *at["x"]]
    tables = {"sees": cell.sees, "averages": cell.averages, "update": cell.update}
    expressions = [e for table in tables.values() for e in table.values()]
    wanted = compile_elementwise(expressions, symbols)(*(np.array([v]) for v in values))
    ours = blank.value(
        f"""(() => {{ {_RUN} const unit = {unit_script(cell)}, at = run({json.dumps(at)});
          return {[*tables]}.flatMap((t) => unit[t].map((f) => f(at, 0, {at["x"][0]}))); }})()"""
    )
    np.testing.assert_allclose(ours, np.ravel([np.broadcast_to(w, 1) for w in wanted]), rtol=1e-12)


@pytest.mark.parametrize("name", ZOO)
def test_a_perturbation_follows_the_values(blank: Page, name: str) -> None:
    """Central differences, whose error is h^2 times a third derivative: 1e-10 of order one."""
    cell = ZOO[name]
    at, by = drawn(cell, 2), drawn(cell, 3)
    moved = [
        {k: [v + h * (k != "own") * d for v, d in zip(at[k], by[k], strict=True)] for k in at}
        for h in (1e-5, -1e-5)
    ]
    slopes, differences = blank.value(
        f"""(() => {{ {_RUN} const unit = {unit_script(cell)}, d = {json.dumps(by)};
          const [at, up, down] = {json.dumps([at, *moved])}.map(run), x = {at["x"][0]};
          const [ds, de] = [d.s.map((v) => [v]), d.e.map((v) => [v])], found = [[], []];
          for (const t of ["sees", "averages", "update"])
            unit[t].forEach((f, k) => {{
              found[0].push(unit[`${{t}}Tangent`][k](at, 0, x, ds, de, d.a));
              found[1].push((f(up, 0, x) - f(down, 0, x)) / 2e-5); }});
          return found; }})()"""
    )
    np.testing.assert_allclose(slopes, differences, rtol=1e-7, atol=1e-9)
