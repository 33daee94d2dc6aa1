"""Settings at which the page is held against Python, and what both say there."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np

from rnnmft import ConvergenceError, Inputs, MeanField, activations, cells
from rnnmft.cells import Cell
from tests.explorer.browser import Page

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


class Agreement(NamedTuple):
    """How many settings had three fixed points; the largest |page - Python| / (|Python| + .001)."""

    three: int
    worst: float


def compared(page: Page, name: str, given: list[list[float]]) -> Agreement:
    """Hold the page against Python: all fixed points, and the numbers of the reached one."""
    found = page.value(f"({_EVALUATED})({json.dumps(given)})")
    three, worst = 0, 0.0
    for setting, ours in zip(given, found, strict=True):
        wanted = theory(CELLS[name](), setting)
        assert ours["reached"] == wanted["reached"], setting
        assert len(ours["roots"]) == len(wanted["roots"]), setting
        three += len(wanted["roots"]) == 3
        numbers = [float(x.replace("Infinity", "inf")) for x in ours.get("numbers", [])]
        left = np.array([*np.ravel(ours["roots"]), *numbers])
        right = np.array([*np.ravel(wanted["roots"]), *wanted.get("numbers", [])])
        np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-9, err_msg=f"{setting}")
        left, right = left[np.isfinite(right)], right[np.isfinite(right)]
        worst = max(worst, *np.abs(left - right) / (np.abs(right) + 1e-3))
    return Agreement(three, float(worst))
