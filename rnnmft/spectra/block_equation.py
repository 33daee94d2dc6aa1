"""The block resolvent equation of J J^T over units, solved by Newton's method at many z at once.

With t = z^(-1/2), P_u = diag(t 1_m, a), P_v = diag(t 1_m, b) a unit's blocks are

    G_v = (1 - tau P_u tau^T P_v)^(-1) tau P_u tau^T,
    G_u = (1 - tau^T P_v tau P_u)^(-1) tau^T P_v tau,

and the self-energies follow from averages over units (T x T matrices over time for each
preactivation; their diagonals for untied weights), V = E[G_v]_yy, U = E[G_u]_ee:

    a = F V,   b = U F,   F = sigma_w^2 psi(V U F)      (`determining_closure`),
    (1/mN) tr (z - J J^T)^(-1) = (1 + t E[tr_s G_v] / m) / z.

Of the solutions only one is the resolvent; `Solutions.proper` tells by what the others break: for
Im z >= 0 the imaginary parts of V, U, a, b are negative semidefinite.
Source: operator-valued free probability with free W_k [yang2020b]; R-diagonal ensembles:
[nica1997]; uniqueness with definite imaginary part: [helton2007].

Eq. (block).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.spectra.block_solutions import Solutions, inverse_root
from rnnmft.spectra.determining_closure import Closure
from rnnmft.spectra.newton_round import Round
from rnnmft.spectra.unit_response import UnitResponse
from rnnmft.spectra.unit_transfer import Sections, UnitTransfer

__all__ = ["BlockEquation"]

Complex = NDArray[Any]  # complex128
#: Rounds of Newton's method: from a step of 1/2 six squarings reach 1e-19; what needs more is
#: started nearer instead.
_ROUNDS = 8
#: A last step of Newton's method below this leaves an error of its square, times a constant that
#: one step alone does not tell.
_SMALL_STEP, _SMALL_FIRST = 1e-6, 1e-8
#: A first step above this means that the start was not near: take a shorter way there.
_LARGE_STEP = 0.5


class BlockEquation:
    """The equation for one set of units.

    Args:
        units: transfer matrices and weights.
    """

    def __init__(self, units: UnitTransfer) -> None:
        self.units = units

    @cached_property
    def sections(self) -> Sections:
        """The blocks of coupled indices."""
        return self.units.sections

    @cached_property
    def response(self) -> UnitResponse:
        """What the units answer, on average."""
        return UnitResponse(self.units)

    @cached_property
    def closure(self) -> Closure:
        """How self-energies follow from averages."""
        return self.units.closure

    def from_infinity(self, z: Complex) -> Solutions:
        """Solutions at large |z|, from a = b = 0."""
        return self.solve(z, self.unsolved(z).unknowns, near=False)

    def unsolved(self, z: Complex) -> Solutions:
        """No solutions yet: a = b = 0, and nothing known."""
        shape = (len(z), self.sections.count, self.sections.length, self.sections.length)
        a, b, *rest = np.zeros((9, *shape), dtype=np.complex128)
        value, slope = np.full((2, len(z)), np.nan, dtype=np.complex128)
        error, no = np.full(len(z), np.nan), np.zeros(len(z), dtype=bool)
        every: list[Any] = [z.copy(), inverse_root(z), a, b, self.closure.start(len(z)), *rest]
        every += [value, slope, error, no]
        return Solutions(*every)

    def solve(
        self,
        z: Complex,
        guess: tuple[Complex, Complex, Complex],
        near: bool = True,
        errors: bool = False,
        rounds: int = _ROUNDS,
    ) -> Solutions:
        """Newton's method from a, b, F of shape (Z, B, L, L) at points z of shape (Z,).

        Args:
            z: points.
            guess: a, b, F.
            rounds: at most so many.
            near: give up where the first step is not small: the guess then belongs elsewhere.
            errors: whether standard errors are wanted.
        """
        z = np.asarray(z, dtype=np.complex128)
        unknown = self.closure.packed(*guess)
        found = self.unsolved(z)
        going, previous = np.ones(len(z), dtype=bool), np.full(len(z), np.inf)
        # What overflows has a step that is not finite: lost, and never `converged`.
        with np.errstate(all="ignore"):
            for number in range(rounds):
                rows = np.flatnonzero(going)
                if not len(rows):
                    break
                one = Round(self.response, self.closure, z[rows], unknown[rows], errors)
                unknown[rows] += one.step
                size = one.size
                lost = ~np.isfinite(size)
                if near:
                    lost |= size > (_LARGE_STEP if number == 0 else 2.0 * previous[rows])
                done = ~lost & (size < (_SMALL_STEP if number else _SMALL_FIRST))
                if done.any():
                    ended = one.solutions(unknown[rows])
                    found[rows[done]] = ended[done]
                previous[rows] = size
                going[rows] = ~(lost | done)
        return found
