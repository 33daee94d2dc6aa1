"""An ensemble as source text: a self-contained function that draws it, for several frameworks.

The text needs NumPy alone (PyTorch for "pytorch"); templates stand in `source_templates/`. Nothing
here runs what it writes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template

from rnnmft import cells
from rnnmft.errors import ParameterError
from rnnmft.initialization.matching import same_cell
from rnnmft.language import Cell, Ensemble, Law

__all__ = ["FRAMEWORKS", "source"]

FRAMEWORKS = ("pytorch", "flax", "flax_nnx", "keras", "numpy")
_FOLDER = Path(__file__).parent / "source_templates"
_TWINS = ("vanilla", "gru", "gru_torch", "lstm")
# Which template a twin has in a framework, and what a framework has at all.
_TEMPLATES = {
    ("flax", "lstm"): "flax_lstm",
    ("flax", "gru_torch"): "flax_gru",
    ("flax", "vanilla"): "flax_vanilla",
    ("flax_nnx", "lstm"): "flax_nnx_lstm",
    ("flax_nnx", "gru_torch"): "flax_nnx_gru",
    ("flax_nnx", "vanilla"): "flax_nnx_vanilla",
    ("keras", "lstm"): "keras_lstm",
    ("keras", "gru_torch"): "keras_gru",
    ("keras", "gru"): "keras_gru_before",
    ("keras", "vanilla"): "keras_vanilla",
    ("pytorch", "lstm"): "pytorch",
    ("pytorch", "gru_torch"): "pytorch",
    ("pytorch", "vanilla"): "pytorch",
}
_HAS = {
    "flax": "LSTMCell, GRUCell (reset after the product) and SimpleCell",
    "flax_nnx": "LSTMCell, GRUCell (reset after the product) and SimpleCell",
    "keras": "LSTM, GRU (reset after or before the product) and SimpleRNN",
    "pytorch": "LSTM, GRU (reset after the product) and RNN",
}
_MODULES = {"lstm": "LSTM", "gru_torch": "GRU", "vanilla": "RNN"}
_BLOCKS = {
    "lstm": '[("i", "i"), ("f", "f"), ("g", "g"), ("o", "o")]',
    "gru_torch": '[("r", "r"), ("z", "z"), ("n_x", "n_h")]',
    "vanilla": '[("e", "e")]',
}
_LAWS = {
    "normal": "{mean} + {std} * rng.standard_normal(hidden_size)",
    "uniform": "rng.uniform({low}, {high}, hidden_size)",
    "log_uniform": "np.exp(rng.uniform(np.log({low}), np.log({high}), hidden_size))",
    "constant": "np.full(hidden_size, {value})",
    "chrono_bias": "np.log(rng.uniform(1.0, {T_max} - 1.0, hidden_size))",
}


def source(ensemble: Ensemble, framework: str, cell: Cell | None = None) -> str:
    """A Python module as text, with a function that draws the ensemble for a framework.

    | framework | function | what it gives |
    |---|---|---|
    | "numpy" | initialize(input_size, hidden_size, seed) | {gate: {"W", "V", "b"}}, any cell |
    | "pytorch" | initialize_(module, generator) | an nn.LSTM, GRU, RNN or their cells, in place |
    | "flax" | initialize(input_size, hidden_size, seed) | params of LSTMCell, GRUCell, SimpleCell |
    | "flax_nnx" | initialize_(cell, seed) | an nnx LSTMCell, GRUCell, SimpleCell, in place |
    | "keras" | initialize(input_size, hidden_size, seed) | weights of LSTM, GRU, SimpleRNN |

    Args:
        ensemble: from `cell.ensemble(...)`.
        framework: one of these.
        cell: the ensemble's cell; the names of its preactivations decide where it is absent
            ("e" alone is the vanilla RNN).

    Raises:
        ParameterError: an unknown framework, a cell that the framework does not have, or one of
            several widths.
            flax.nnx's GRUCell has no bias inside its reset gate.

    >>> text = source(cells.lstm().ensemble(f={"mu_b": 3.0}), "keras")
    >>> '"f": (1.0, 1.0, 0.0, 3.0, "gaussian"),' in text
    True
    """
    if framework not in FRAMEWORKS:
        raise ParameterError(f"framework must be one of {', '.join(FRAMEWORKS)}, got {framework!r}")
    if cell is not None and cell.has_widths:
        raise ParameterError(
            f"no source is written for {cell.name!r}, of several widths: give apply_ a module"
        )
    if framework == "numpy":
        name = "recurrent cell" if cell is None else f"{cell.name} cell"
        return _filled("numpy", ensemble, cell=name, elementwise=_elementwise(ensemble.parameters))
    twin, names = _twin(ensemble, cell)
    template = _TEMPLATES.get((framework, twin or ""))
    if twin is None or template is None:
        what = f"the cell {cell.name!r}" if cell is not None else f"gates {', '.join(ensemble)}"
        raise ParameterError(
            f"{framework} has no twin of {what}: it has {_HAS[framework]}; "
            'source(..., "numpy") works for every cell'
        )
    own = Ensemble({name: ensemble[names[name]] for name in names})
    if template == "flax_nnx_gru" and (own["n_h"].mu_b or own["n_h"].sigma_b):
        raise ParameterError(
            f"flax.nnx's GRUCell has no bias inside its reset gate, and {names['n_h']!r} has one: "
            "set its mu_b and sigma_b to 0, or give it to the input's part"
        )
    options = {"module": _MODULES.get(twin, ""), "blocks": _BLOCKS.get(twin, "")}
    return _filled(template, own, **options)


def _twin(ensemble: Ensemble, cell: Cell | None) -> tuple[str | None, dict[str, str]]:
    """The zoo's cell that it is, and {name there: name in the ensemble}."""
    for name in _TWINS:
        twin = cells.get(name)
        if cell is None:
            if {p.name for p in twin.preactivations} == {*ensemble} and not ensemble.parameters:
                return name, {p.name: p.name for p in twin.preactivations}
            continue
        if name == "vanilla" and len(cell.update) == len(cell.preactivations) == 1:
            twin = _activated(cell)
        found = None if twin is None else same_cell(twin, cell)
        if found is not None and twin is not None:
            return name, {p.name: found[p.name] for p in twin.preactivations}
    return None, {}


def _activated(cell: Cell) -> Cell | None:
    """A vanilla RNN with the cell's own activation, which its parameters do not depend on."""
    (update,), (p,) = cell.update.values(), cell.preactivations
    if update.free_symbols != {p}:
        return None
    return cells.vanilla(lambda e: update.xreplace({p: e}))


def _filled(template: str, ensemble: Ensemble, **values: str) -> str:
    def part(name: str) -> Template:
        return Template((_FOLDER / f"{name}.txt").read_text(encoding="utf-8"))

    rows = "\n".join(
        f'    "{name}": ({law.sigma_w!r}, {law.sigma_v!r}, {law.sigma_b!r}, {law.mu_b!r}, '
        f'"{law.weights}"),'
        for name, law in ensemble.items()
    )
    return (
        part(template)
        .substitute(
            gates=part("gates").substitute(gates=rows),
            draw=part("draw").template,
            assign=part("flax_nnx").template,
            # Of the code that runs: what is installed beside a clone may be older.
            version=sys.modules["rnnmft"].__version__,
            **values,
        )
        .rstrip()
        + "\n"
    )


def _elementwise(laws: Mapping[str, Law]) -> str:
    if not laws:
        return ""
    rows = []
    for name, law in laws.items():
        given = {key: repr(value) for key, value in law.to_dict().items() if key != "law"}
        rows.append(f'        "{name}": {_LAWS[law.name].format(**given)},')
    text = (_FOLDER / "elementwise.txt").read_text(encoding="utf-8")
    return Template(text).substitute(laws="\n".join(rows))
