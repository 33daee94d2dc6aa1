"""Predicted against measured log10 m_1(100) of some 40 modules of width 256, by `diagnose`.

    python -m validation.diagnoses validation/results/diagnoses.json [NAME ...]

PyTorch's own layers with the initializations that people use, cells of the package `torchrecurrent`
as it makes them, and cells that are written by hand (the tests' examples of such). "Predicted" is
through the module's own matrices, nothing of the module being run. It holds when

    the median of |predicted - measured| is below 0.1, and
    every |predicted - measured| above 0.5 is announced by the diagnosis itself

With names only those are run again, and the other rows of the file stay.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

import rnnmft as mft
from rnnmft.errors import RnnmftError
from rnnmft.validation.provenance import provenance

WIDTH, INPUTS, LENGTH, SEED = 256, 32, 100, 20260701
SMALL, LARGE = 0.1, 0.5
#: How a page says that a prediction does not hold.
ANNOUNCED = ("measured and predicted disagree", "nothing is predicted through its own matrices")
# Of the layers' theory nothing is asked here but that it is there.
PARTICLES = 1024

# fmt: off
HAND_WRITTEN = (
    "MGU", "UGRNN", "JANET", "FastRNN", "FastGRNN", "LiGRU", "STAR", "ResidualRNN", "MinGRU",
    "MinLSTM", "IndRNN", "CoupledLSTM", "LeakyRNN", "GRUResetBefore",
)
PUBLISHED = (
    "ATR", "BR", "CFN", "FastGRNN", "FastRNN", "IndRNN", "JANET", "LEM", "LightRU", "MGU", "MUT1",
    "MinimalRNN", "PeepholeLSTM", "RAN", "STAR", "TGRU", "UGRNN", "coRNN",
)
# fmt: on


def filled(
    kind: Callable[..., nn.Module],
    recurrent: Callable[[torch.Tensor], Any] | None = None,
    bias: tuple[int, float] | None = None,
    inputs: int = INPUTS,
    **options: Any,
) -> nn.Module:
    """One of PyTorch's layers: gates' W by an initializer, and the bias of one gate."""
    layer: Any = kind(inputs, WIDTH, **options)
    with torch.no_grad():
        if recurrent is not None:
            for block in layer.weight_hh_l0.chunk(len(layer.weight_hh_l0) // WIDTH):
                recurrent(block)
        if bias is not None:
            gate, value = bias
            layer.bias_hh_l0[gate * WIDTH : (gate + 1) * WIDTH] = value
    return layer


def gaussian(gain: float) -> Callable[[torch.Tensor], Any]:
    """An initializer: independent normal entries, sigma_w = gain."""
    return lambda w: nn.init.normal_(w, 0.0, gain / math.sqrt(WIDTH))


def chrono() -> nn.Module:
    """Forget and input biases by Tallec and Ollivier (arXiv 1804.11188), up to 100 steps."""
    layer: Any = nn.LSTM(INPUTS, WIDTH)
    with torch.no_grad():
        for parameter in (layer.bias_ih_l0, layer.bias_hh_l0):
            parameter.zero_()
        memory = torch.empty(WIDTH).uniform_(1.0, LENGTH - 1.0).log()
        layer.bias_ih_l0[:WIDTH], layer.bias_ih_l0[WIDTH : 2 * WIDTH] = -memory, memory
    return layer


def pytorch() -> dict[str, Callable[[], nn.Module]]:
    """PyTorch's layers, by name."""
    relu = {"nonlinearity": "relu"}
    return {
        "RNN": lambda: filled(nn.RNN),
        "RNN, gaussian 1.2": lambda: filled(nn.RNN, gaussian(1.2)),
        "RNN, gaussian 2": lambda: filled(nn.RNN, gaussian(2.0)),
        "RNN, orthogonal": lambda: filled(nn.RNN, nn.init.orthogonal_),
        "RNN, relu": lambda: filled(nn.RNN, **relu),
        "RNN, relu, He": lambda: filled(nn.RNN, nn.init.kaiming_normal_, **relu),
        "RNN, relu, identity": lambda: filled(nn.RNN, nn.init.eye_, **relu),
        "RNN, one feature": lambda: filled(nn.RNN, gaussian(1.5), inputs=1),
        "GRU": lambda: filled(nn.GRU),
        "GRU, orthogonal": lambda: filled(nn.GRU, nn.init.orthogonal_),
        "GRU, update bias 2": lambda: filled(nn.GRU, bias=(1, 2.0)),
        "GRU, gaussian 2": lambda: filled(nn.GRU, gaussian(2.0)),
        "LSTM": lambda: filled(nn.LSTM),
        "LSTM, forget bias 1": lambda: filled(nn.LSTM, bias=(1, 1.0)),
        "LSTM, forget bias 3": lambda: filled(nn.LSTM, bias=(1, 3.0)),
        "LSTM, orthogonal": lambda: filled(nn.LSTM, nn.init.orthogonal_),
        "LSTM, gaussian 2": lambda: filled(nn.LSTM, gaussian(2.0)),
        "LSTM, chrono": chrono,
        "LSTM, one feature": lambda: filled(nn.LSTM, nn.init.orthogonal_, inputs=1),
    }


def modules() -> dict[str, Callable[[], nn.Module]]:
    """All of them, by name."""
    written, published = import_module("tests.tracing.modules"), import_module("torchrecurrent")

    def by_hand(name: str) -> Callable[[], nn.Module]:
        return lambda: getattr(written, name)(INPUTS, WIDTH)

    def of_package(name: str) -> Callable[[], nn.Module]:
        return lambda: getattr(published, f"{name}Cell")(INPUTS, WIDTH)

    found = pytorch()
    found |= {f"by hand: {name}": by_hand(name) for name in HAND_WRITTEN}
    return found | {f"torchrecurrent: {name}": of_package(name) for name in PUBLISHED}


def row(make: Callable[[], nn.Module]) -> dict[str, Any]:
    """What the diagnosis of one module says."""
    torch.manual_seed(SEED)
    started = time.process_time()
    try:
        (layer,) = mft.diagnose(
            make(), LENGTH, advice=False, particles=PARTICLES, seed=SEED, budget=None
        ).layers
    except RnnmftError as error:
        return {"refused": str(error)}
    (measured, error), (predicted, noise) = layer.measured.at(LENGTH), layer.predicted.at(LENGTH)
    announced = [w for w in layer.warnings if w.startswith(ANNOUNCED)]
    tied = layer.tied.log10_mean
    return {
        "cell": layer.cell.name,
        "measured": measured,
        "error": error,
        "predicted": predicted,
        "predicted_error": noise,
        "infinite_width": None if tied is None or not math.isfinite(tied) else tied,
        "difference": abs(predicted - measured),
        "verdict": layer.verdict,
        "announced": bool(announced),
        "warnings": len(layer.warnings),
        "processor_seconds": round(time.process_time() - started, 1),
    }


def shown(name: str, one: dict[str, Any]) -> str:
    """One line of the table."""
    if "refused" in one:
        return f"{name:34s} refused: {one['refused'][:80]}"
    return (
        f"{name:34s} {one['measured']:9.2f} +- {one['error']:.2f} {one['predicted']:9.2f} +- "
        f"{one['predicted_error']:.2f} {one['difference']:7.2f} {one['verdict']:10s} "
        f"{'announced' if one['announced'] else ''}"
    )


def finite(value: float) -> float | str:
    """A number as JSON has it."""
    return value if math.isfinite(value) else str(value)


def written(rows: dict[str, Any], order: list[str], path: Path) -> dict[str, Any]:
    """The file's content, written."""
    read = [one for one in rows.values() if "refused" not in one]
    differences = [float(one["difference"]) for one in read]
    large = [n for n, one in rows.items() if float(one.get("difference", 0.0)) > LARGE]
    silent = [n for n in large if not rows[n]["announced"]]
    found = {
        "width": WIDTH,
        "inputs": INPUTS,
        "length": LENGTH,
        "seed": SEED,
        "modules": len(read),
        "median_difference": median(differences) if differences else None,
        "above_half": len(large),
        "above_half_in_silence": silent,
        "holds": bool(differences) and median(differences) < SMALL and not silent,
        "rows": {name: rows[name] for name in order if name in rows},
        "provenance": provenance("cpu", f"python -m validation.diagnoses {path}").to_dict(),
    }
    path.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return found


def main(path: Path, names: list[str]) -> int:
    """Run the modules, write what was found after each, and say whether it holds."""
    known = modules()
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if names and path.exists() else {}
    found: dict[str, Any] = {}
    for name in names or known:
        one = row(known[name])
        sys.stdout.write(shown(name, one) + "\n")
        sys.stdout.flush()
        rows[name] = {k: finite(v) if isinstance(v, float) else v for k, v in one.items()}
        found = written(rows, [*known], path)
    silent = ", ".join(found["above_half_in_silence"]) or "none"
    sys.stdout.write(
        f"{found['modules']} modules: median difference {found['median_difference']:.3f}, "
        f"{found['above_half']} above {LARGE}, in silence: {silent}\n"
    )
    return 0 if found["holds"] else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
