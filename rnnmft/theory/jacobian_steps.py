"""The steps of a derivation from the linearised unit to the moments of J J^T.

Eq. (linearised), Eq. (m1), Eq. (m2).
"""

from __future__ import annotations

import sympy as sp

from rnnmft.theory.jacobian import JacobianTheory, MomentProgram
from rnnmft.theory.steps import Step

__all__ = ["jacobian_steps"]


def jacobian_steps(theory: JacobianTheory) -> list[Step]:
    """The linearised unit, m_1, and m_2 for gaussian and orthogonal weights."""
    blocks = [
        sp.Eq(sp.Symbol(name), block, evaluate=False)
        for name, block in zip("ABCD", theory.blocks, strict=True)
    ]
    free = "The matrices W are asymptotically free of the diagonal factors."
    gaussian, orthogonal = (theory.program(2, kind) for kind in ("gaussian", "orthogonal"))
    return [
        Step(
            "The linearised unit",
            None,
            blocks,
            "ds' = A ds + B de, dy = C ds + D de, de = W dy: every entry is a diagonal matrix.",
        ),
        Step(
            "Mean squared singular value",
            None,
            [sp.Eq(sp.Symbol("m_1"), gaussian.moment(1), evaluate=False)],
            "First order of the block resolvent equation in 1/z; the same for both ensembles.",
            free,
            "Pennington, Schoenholz & Ganguli 2018; Yang 2020",
        ),
        Step(
            "Second moment of J J^T, gaussian weights",
            None,
            _program_equations(gaussian, r"m_2"),
            "Second order of the same equation with Phi(x) = sigma_w^2. The averages E_n over a "
            "unit's factors are written out first, then the self-energies a and b.",
            free,
            "Yang 2020 (Tensor Programs III)",
        ),
        Step(
            "Second moment of J J^T, orthogonal weights",
            None,
            _program_equations(orthogonal, r"m_2")[len(orthogonal.averages) :],
            "The same with Phi(x) = (sqrt(1 + 4 sigma_w^2 x) - 1) / 2x.",
            free,
            "Pennington, Schoenholz & Ganguli 2018",
        ),
    ]


def _program_equations(program: MomentProgram, name: str) -> list[sp.Eq]:
    chain = [*program.averages.items(), *program.self_energies.items()]
    chain.append((sp.Symbol(name), program.moments[1]))
    return [sp.Eq(symbol, value, evaluate=False) for symbol, value in chain]
