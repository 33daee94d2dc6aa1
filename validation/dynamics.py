"""Eigenvalues and Lyapunov exponents of networks against the theory.

    python -m validation.dynamics validation/results/dynamics.json [PART:CELL ..]

    eigenvalues   one-step Jacobians at stationarity, width 1000: what discs around 0 hold within
                  0.01; outside of the curve at most half more than of a Ginibre matrix of that
                  size, sqrt(n / 2 pi) of its n eigenvalues
    rest          the same for networks that were given a fixed point as `autonomous` has it: W
                  is drawn under the condition that W y = e
    exponents     QR on networks of widths 256 to 1024, extrapolated in 1 / N: the largest within 3
                  standard errors (of networks and theory together), the exponents of which 5, 10
                  and 20 % are larger within 2 % of the spectrum's width or 3 standard errors

Each has a control that must be told apart, the theory of weights that are 10 % larger; for
eigenvalues 20 %, since those of an LSTM move by less than 0.01 of the mass for 10 %.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import rnnmft as mft
from rnnmft.simulation.network import Network
from rnnmft.simulation.parameters import FixedParameters
from rnnmft.simulation.weights import DenseMatrix
from rnnmft.validation.provenance import provenance
from validation.texts import TEXTS

WIDTH, NETWORKS, SEED, STEPS = 1000, 8, 20261128, 100
PARTS, WITHIN_MASS, TIMES_GINIBRE = (0.25, 0.5, 0.75, 0.9), 0.01, 1.5
WIDTHS, RUNS, MEASURED, DIRECTIONS = (256, 512, 1024), 4, 200, 0.26
FRACTIONS, WITHIN_ERRORS, WITHIN_SHARE = (0.05, 0.1, 0.2), 3.0, 0.02
LARGER, MUCH_LARGER = 1.1, 1.2
WORK = [f"eigenvalues:{c}" for c in ("minimal", "gru", "lstm", *TEXTS)]
WORK += [f"rest:{c}" for c in ("gru", "lstm")]
WORK += [f"exponents:{c}" for c in ("minimal", "gru", "lstm")]


def setting(name: str, sigma_w: float) -> tuple[mft.Cell, mft.Ensemble]:
    """A cell with one sigma_w for all its matrices."""
    cell = mft.cells.loads(TEXTS[name]) if name in TEXTS else mft.cells.get(name)
    recurrent = [p.name for p in cell.preactivations if p.is_recurrent]
    return cell, cell.ensemble(**{k: {"sigma_w": sigma_w} for k in recurrent})


# --- eigenvalues ----------------------------------------------------------------------------------


def against(law: Any, other: Any, found: np.ndarray) -> dict[str, Any]:
    """Eigenvalues (networks, mN) against a law and the control's."""
    radius = float(law.radius)
    rows = []
    for part in PARTS:
        r = part * radius
        mass = law.mass(0.0, r)
        rows.append(
            {
                "radius": r,
                "theory": mass.to_dict(),
                "networks": float((np.abs(found) < r).mean()),
                "standard_error": float(
                    (np.abs(found) < r).mean(1).std(ddof=1) / math.sqrt(NETWORKS)
                ),
                "control": float(other.mass(0.0, r)),
            }
        )
    off = max(abs(row["networks"] - row["theory"]["value"]) for row in rows)
    told = max(abs(row["networks"] - row["control"]) for row in rows)
    outside = float((law.edge(found.ravel()) < 0).mean())
    allowed = TIMES_GINIBRE / math.sqrt(2 * math.pi * found.shape[1])
    return {
        "radius": law.radius.to_dict(),
        "largest_modulus": float(np.abs(found).max()),
        "discs": rows,
        "largest_difference": off,
        "outside": outside,
        "outside_allowed": allowed,
        "control_difference": told,
        "holds": off <= WITHIN_MASS and outside <= allowed and told > WITHIN_MASS,
    }


def eigenvalues(name: str) -> dict[str, Any]:
    """At stationarity, under input."""
    cell, ensemble = setting(name, 2.0)
    _, larger = setting(name, 2.0 * MUCH_LARGER)
    law, other = (mft.MeanField(cell, e, device="cpu").eigenvalues() for e in (ensemble, larger))
    run = mft.simulate(
        cell, ensemble, mft.Inputs(), width=WIDTH, networks=NETWORKS, steps=STEPS, device="cpu",
        jacobian_horizons=(1,), eigenvalues=True, seed=SEED,
    )  # fmt: skip
    return against(law, other, run.jacobian[1].eigenvalues)


# --- at rest --------------------------------------------------------------------------------------


def at_rest(name: str, e: dict[str, torch.Tensor]) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """States, and what each matrix sees, of a network that rests with these preactivations."""
    if name == "gru":
        h = torch.tanh(e["n"])
        return [h], {"r": h, "z": h, "n": torch.sigmoid(e["r"]) * h}
    c = torch.sigmoid(e["i"]) * torch.tanh(e["g"]) / torch.sigmoid(-e["f"])
    h = torch.sigmoid(e["o"]) * torch.tanh(c)
    return [c, h], dict.fromkeys("ifgo", h)


@torch.no_grad()
def rest(name: str) -> dict[str, Any]:
    """At the last fixed point, without input, of networks that are given it."""
    cell, ensemble = setting(name, 3.0)
    _, larger = setting(name, 3.0 * MUCH_LARGER)
    state, other = (mft.autonomous(cell, e).fixed_points()[-1] for e in (ensemble, larger))
    random = torch.Generator().manual_seed(SEED)
    found, moved = [], 0.0
    for _ in range(NETWORKS):
        e = {
            k: math.sqrt(q) * torch.randn(WIDTH, generator=random, dtype=torch.float64)
            for k, q in state.preactivation_variance.items()
        }
        states, seen = at_rest(name, e)
        given = {}
        for k, y in seen.items():
            w = torch.randn((WIDTH, WIDTH), generator=random, dtype=torch.float64)
            w = w * ensemble[k].sigma_w / math.sqrt(WIDTH)
            w = w + torch.outer(e[k] - w @ y, y) / (y @ y)
            bias = torch.zeros(1, 1, WIDTH, dtype=torch.float64)
            given[k] = (DenseMatrix(w[None], 1.0), None, bias)
        network = Network(cell, WIDTH, torch.device("cpu"), torch.float64)
        tangent = network.tangent(1)
        shaped = [s.reshape(1, 1, WIDTH) for s in states]
        new, _ = network.step(shaped, torch.zeros_like(shaped[0]), FixedParameters(given), tangent)
        moved = max(moved, *(float((a - b).abs().max()) for a, b in zip(new, shaped, strict=True)))
        jacobian = tangent.jacobian()[0] * tangent.log_scale.exp()
        found.append(torch.linalg.eigvals(jacobian).numpy())
    content = against(state.eigenvalues(units=1024), other.eigenvalues(units=1024), np.array(found))
    content |= {"fixed_point": state.to_dict(), "step_from_fixed_point": moved}
    content["holds"] = content["holds"] and moved < 1e-10
    return content


# --- exponents ------------------------------------------------------------------------------------


def exponents(name: str) -> dict[str, Any]:
    """Under input, the upper part of the spectrum."""
    cell, ensemble = setting(name, 2.0)
    _, larger = setting(name, 2.0 * LARGER)
    field = mft.MeanField(cell, ensemble, device="cpu")
    theory = field.lyapunov_spectrum()
    control = float(mft.MeanField(cell, larger, device="cpu").lyapunov())
    m = len(cell.states)
    samples, top = [], []
    for width in WIDTHS:
        run = mft.simulate(
            cell, ensemble, mft.Inputs(), width=width, networks=RUNS, steps=STEPS, device="cpu",
            lyapunov=round(DIRECTIONS * m * width), lyapunov_steps=MEASURED, seed=SEED + width,
        )  # fmt: skip
        found = run.lyapunov.exponents.samples
        u = (np.arange(found.shape[1]) + 0.5) / (m * width)
        samples.append(np.array([np.interp(FRACTIONS, u, row) for row in found]))
        top.append(found[:, 0])
    # The value at 1 / N = 0 of the line through all widths, by least squares.
    line = np.linalg.pinv(np.stack([np.ones(len(WIDTHS)), 1 / np.array(WIDTHS)], axis=1))[0]
    quantiles, largest = (np.tensordot(line, np.array(x), 1) for x in (samples, top))
    wanted = theory.quantiles([1 - u for u in FRACTIONS])
    scale = float(theory.largest) - float(theory.quantiles(0.5).value)
    rows = []
    for k, u in enumerate(FRACTIONS):
        mean, sem = quantiles[:, k].mean(), quantiles[:, k].std(ddof=1) / math.sqrt(RUNS)
        off = abs(mean - wanted.value[k])
        allowed = max(WITHIN_SHARE * scale, WITHIN_ERRORS * math.hypot(sem, wanted.error[k]))
        rows.append(
            {
                "fraction": u,
                "theory": float(wanted.value[k]),
                "theory_error": float(wanted.error[k]),
                "networks": float(mean),
                "standard_error": float(sem),
                "holds": bool(off <= allowed),
            }
        )
    mean, sem = largest.mean(), largest.std(ddof=1) / math.sqrt(RUNS)
    error = math.hypot(sem, theory.error_of("largest", None))
    return {
        "largest": {
            "theory": float(theory.largest),
            "theory_error": float(theory.error_of("largest", None)),
            "networks": float(mean),
            "standard_error": float(sem),
            "by_width": {str(w): float(t.mean()) for w, t in zip(WIDTHS, top, strict=True)},
            "control": control,
        },
        "spectrum_width": scale,
        "quantiles": rows,
        "holds": bool(
            abs(mean - float(theory.largest)) <= WITHIN_ERRORS * error
            and abs(mean - control) > WITHIN_ERRORS * error
            and all(row["holds"] for row in rows)
        ),
    }


def main(path: Path, chosen: list[str]) -> None:
    """Run what was chosen, or all that is not there yet, and write what was found."""
    kept = json.loads(path.read_text(encoding="utf-8"))["found"] if path.exists() else {}
    for work in chosen or [w for w in WORK if w not in kept]:
        part, name = work.split(":")
        parts = {"eigenvalues": eigenvalues, "rest": rest, "exponents": exponents}
        kept[work] = parts[part](name)
        sys.stdout.write(f"{work} {kept[work]['holds']}\n")
        command = f"python -m validation.dynamics {path}"
        content = {
            "width": WIDTH,
            "networks": NETWORKS,
            "widths_of_exponents": WIDTHS,
            "networks_of_exponents": RUNS,
            "seed": SEED,
            "found": kept,
            "provenance": provenance("cpu", command).to_dict(),
        }
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
