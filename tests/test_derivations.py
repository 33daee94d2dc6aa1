"""The derivation scripts: every one runs, and a wrong equation typed into one is found."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import sympy as sp

from rnnmft.activations import sigmoid, tanh
from rnnmft.expectation import gaussian_expectation
from rnnmft.theory.equality import equation, normal_form, same_expression

FOLDER = Path(__file__).parent.parent / "derivations"
SCRIPTS = sorted(FOLDER.glob("*.py"))

# script, what is typed there, what is planted instead
PLANTS = [
    ("vanilla", "sigma_w**4 * (mu_2 - s_1 * mu_1**2)", "sigma_w**4 * (mu_2 + s_1 * mu_1**2)"),
    ("vanilla", "sigma_v**2 * c_x * R", "sigma_v**2 * R"),
    ("vanilla", "1 / (sigma_w**2 * (1 + y))", "1 / (sigma_w**2 * (1 - y))"),
    ("minimal", "6 * Q * R * E(u**2 * (1 - u) ** 2)", "4 * Q * R * E(u**2 * (1 - u) ** 2)"),
    ("minimal", "E2(u_a * u_b) + sigma_w**2 *", "sigma_w**2 *"),
    ("minimal", "A4 + 2 * sigma_w**2 * (A2B2 + A2 * B2)", "A4 + 4 * sigma_w**2 * A2B2"),
    ("gru", "Q - 2 * m * t_power[1] + t_power[2]", "Q + t_power[2]"),
    ("gru", "A2 * C2 + sigma_r * A2 * D2", "A2 * trace_M + 0 * D2 + C2"),
    ("gru", "Bn2**2 * (trace_M2 - (1 - g) * trace_M**2)", "Bn2**2 * trace_M2"),
    ("gru_torch", 'v = q["n_x"] + gate**2 *', 'v = q["n_x"] + gate *'),
    ("gru_torch", 'E_pair("z", 1 - gate, 1 - gate) *', 'E_pair("z", 1 - gate, gate) *'),
    ("lstm", "s_f * Q_c * E(f, slope**2)", "s_f * E(f, slope**2)"),
    ("lstm", "    + s**2\n", "    - s**2\n"),
    ("rate", "leaking - d**2 * C(t, s)", "leaking - d * C(t, s)"),
    ("rate", "average(bend, tanh) / 2", "average(bend, tanh)"),
    ("rate", "b**2 * S_in / (gain - b**2", "b**2 * S_in / (gain + b**2"),
    ("spectra", "half / (y - 1), half, (1 + x) / (x + half)", "half / (y - 1), half, 1 + x"),
    ("spectra", "Delta = (z - a * B**2) * (1 - b)", "Delta = (z - a * B**2) * (1 + b)"),
    ("eigenvalues", 'a["r"] ** 2 * h**2 * dr**2', 'a["r"] ** 2 * h * dr**2'),
    ("eigenvalues", "published = q / square(at) + p", "published = q + p"),
    ("rest", 'a["r"] ** 2 * t**2 * dr**2', 'a["r"] ** 2 * t**2 * r**2'),
    ("rest", '"LSTM, (1 - f) c", i * g', '"LSTM, (1 - f) c", f * g'),
    ("lyapunov", "D**2 / (y + D**2), (1", "D**2 / (1 + y * D**2), (1"),
    ("lyapunov", "sigma**2 * (p - u) / (1 - u)", "sigma**2 * (p - u)"),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_holds(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(script), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 8
    assert all("hold" in line or "is the same" in line for line in lines)


@pytest.mark.parametrize(("script", "typed", "planted"), PLANTS)
def test_planted_error_is_found(script: str, typed: str, planted: str) -> None:
    source = (FOLDER / f"{script}.py").read_text(encoding="utf-8")
    assert source.count(typed) == 1
    wrong = compile(source.replace(typed, planted), script, "exec")
    with pytest.raises(AssertionError, match="typed minus derived leaves"):
        exec(wrong, {"__name__": "__main__"})


class TestEquality:
    z, y, q, r, c = sp.symbols("z y q r c", real=True)

    def test_sees_through_linearity_products_and_primes(self) -> None:
        z, q = self.z, self.q
        slope = gaussian_expectation(sigmoid(z).diff(z) ** 2, z, 0, q)
        typed = gaussian_expectation(sigmoid(z) ** 2 * (1 - sigmoid(z)) ** 2, z, 0, q)
        assert slope != typed
        assert same_expression(slope, typed)
        assert same_expression(q * (slope + 1) ** 2, q + 2 * q * typed + q * typed**2)

    def test_sees_through_the_names_of_a_pair(self) -> None:
        z, y, q, r, c = self.z, self.y, self.q, self.r, self.c
        one = gaussian_expectation(tanh(z) ** 2 * tanh(y), (z, y), (0, 1), (q, c, r))
        two = gaussian_expectation(tanh(y) ** 2 * tanh(z), (z, y), (1, 0), (r, c, q))
        assert same_expression(one, two)

    def test_sees_through_the_names_of_nested_pairs(self) -> None:
        z, y, q, c = self.z, self.y, self.q, self.c
        a, b = sp.symbols("a b", real=True)
        one = gaussian_expectation(tanh(a) * tanh(b), (a, b), (0, 0), (z**2, c, y**2))
        two = gaussian_expectation(tanh(a) * tanh(b), (a, b), (0, 0), (y**2, c, z**2))
        nodes = [
            gaussian_expectation(f, (z, y), (0, 0), (q, c, q))
            for f in (sigmoid(z) * one, sigmoid(y) * one, sigmoid(y) * two)
        ]
        assert same_expression(nodes[0], nodes[1])
        assert same_expression(nodes[0], nodes[2])

    def test_keeps_different_things_apart(self) -> None:
        z, y, q, c = self.z, self.y, self.q, self.c
        one = gaussian_expectation(tanh(z) * sigmoid(y), (z, y), (0, 0), (q, c, q))
        two = gaussian_expectation(tanh(z) * sigmoid(y), (z, y), (0, 0), (q, c, 2 * q))
        assert not same_expression(one, two)
        assert normal_form(one) != normal_form(two)
        with pytest.raises(AssertionError, match="name: typed minus derived leaves"):
            equation("name", one, two)
