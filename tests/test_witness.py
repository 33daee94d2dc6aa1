"""The numbers in tests/data: the programs that make them share no code with rnnmft, and do.

`python -m tests.data.make_networks --check` makes all of them again (minutes); here are its parts
and two of its settings, small.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.data import make_networks
from tests.data import plain_networks as plain
from tests.data.plain_networks import POINTS, Setting, simulate

FOLDER = Path(make_networks.__file__).parent
PLAIN = {"numpy", "scipy", "mpmath", "tests.data"}


def foreign(text: str) -> list[str]:
    """What a program imports that is neither the standard library nor plain mathematics."""
    names = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            names.append(node.module or ".")
    plain = PLAIN | sys.stdlib_module_names
    return [n for n in names if n.split(".")[0] not in plain and n.rpartition(".")[0] not in plain]


def test_the_witnesses_import_nothing_of_the_package() -> None:
    programs = sorted(FOLDER.glob("*.py"))
    assert {"make_networks.py", "make_quadrature.py"} <= {p.name for p in programs}
    assert {p.name: found for p in programs if (found := foreign(p.read_text()))} == {}


@pytest.mark.parametrize(
    "line", ["import rnnmft", "from rnnmft import cells", "from tests.spectra import x"]
)
def test_a_planted_import_is_found(line: str) -> None:
    assert len(foreign(f"import numpy\n{line}\n")) == 1


def nodes(document: object) -> int:
    """How many places of a file hold a mean with a standard error."""
    if isinstance(document, dict):
        return int("mean" in document) + sum(map(nodes, document.values()))
    return sum(map(nodes, document)) if isinstance(document, list) else 0


def test_every_number_of_every_file_is_made() -> None:
    for path, document in make_networks.committed().items():
        found = list(make_networks.places(path, document))
        expected = 4 * 2 * len(POINTS) if path == "spectra.json" else nodes(document)
        assert len(found) == expected > 0, path
        assert len({id(place[3]) for place in found}) == expected, path


def configs(path: str, document: object) -> dict[str, dict]:
    """{setting: what the file says about it}, with one name for one thing."""
    if path == "spectra.json":
        return {one["id"]: one for one in document}
    if path == "horizon_5.json":
        return {f"{name}-{t}": d["config"] for name, d in document.items() for t in d if "ti" in t}
    if path == "finite_networks.json":
        return document["settings"]
    if "config" in document:
        return {Path(path).stem: document["config"]}
    return {name: one["config"] for name, one in document.items()}


def test_the_settings_are_those_of_the_files() -> None:
    told = 0
    for path, document in make_networks.committed().items():
        for name, config in configs(path, document).items():
            setting = make_networks.SETTINGS[name]
            said = {
                ("params", "parameters"): setting.laws,
                ("ensemble", "weights"): setting.weights,
                ("cell",): setting.cell,
                ("R",): setting.R,
                ("c_x", "correlation"): setting.correlation,
                ("N", "width"): setting.width,
                ("seeds", "networks"): setting.networks,
                ("T", "last_step"): setting.steps,
                ("resolvent_z", "resolvent_points"): [[z.real, z.imag] for z in POINTS],
            }
            for keys, value in said.items():
                for key in set(keys) & set(config):
                    assert config[key] == value, (path, name, key)
                    told += 1
    assert told > 100


def test_a_setting_is_reproduced_and_a_moved_one_is_not() -> None:
    """The limit of 16 times 4,000 particles, of 93 numbers. Control: 5 % off, of the same run."""
    name, path = "vanilla-gaussian-tied", "reference/vanilla-gaussian-tied.json"
    document = make_networks.committed()[path]
    places = [p for p in make_networks.places(path, document) if p[1] == "limit"]
    assert len(places) == 3
    found = {name: make_networks.measure(name, ["limit"], networks=0, units=4_000)}
    assert make_networks.check({path: places}, found)[path] > make_networks.FALSE_ALARM
    moved = make_networks.check({path: places}, found, make_networks.CONTROL)
    assert moved[path] < make_networks.FALSE_ALARM


@pytest.mark.parametrize("cell", ["gru-gaussian", "lstm-gaussian"])
def test_the_plain_jacobian_is_the_slope_of_the_plain_network(cell: str) -> None:
    """m_1 of J by complex steps against central differences of the same network, all directions."""
    setting = Setting(cell.split("-")[0], make_networks.LAWS[cell], "gaussian", True, width=6)
    typed, rng = plain.CELLS[setting.cell], np.random.default_rng(4)
    drawn = plain.parameters(setting, rng)
    states = {n: rng.standard_normal((6, 2)) for n in typed.states}
    x = plain.inputs(setting, 6, rng)

    def step(states: dict) -> tuple[dict, dict]:
        e = {}
        for p in typed.preactivations:
            W, V, b = drawn[p]
            e[p] = W @ typed.sees(p, states, e) + V @ x + b + setting.laws[p]["mu_b"]
        return typed.update(states, x, e), e

    tangent = plain.push(setting, drawn, states, x, step(states)[1], None)
    found = np.concatenate(list(tangent.values()))
    columns = []
    for name in typed.states:
        for i in range(6):
            near = []
            for sign in (1, -1):
                moved = {n: s.copy() for n, s in states.items()}
                moved[name][i, 0] += sign * 1e-5
                near.append(np.concatenate([s[:, 0] for s in step(moved)[0].values()]))
            columns.append((near[0] - near[1]) / 2e-5)
    # Central differences: 1e-10 of the third derivative, and rounding, 1e-16 / 1e-5.
    np.testing.assert_allclose(found, np.array(columns).T, atol=1e-9)


def test_a_plain_network_is_another_with_another_seed_only() -> None:
    setting = Setting("vanilla", make_networks.LAWS["vanilla-gaussian"], "gaussian", True, width=8)
    one, same, other = (simulate(setting, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(one[key], same[key]) for key in one)
    assert all((one[key] != other[key]).any() for key in one)
