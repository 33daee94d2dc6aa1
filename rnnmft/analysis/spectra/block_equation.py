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
Source: operator-valued free probability with free W_k (Yang 2020); R-diagonal ensembles: Nica and
Speicher 1996; uniqueness with definite imaginary part: Helton, Rashidi Far, Speicher 2007.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.analysis.spectra.block_solutions import Solutions, inverse_root
from rnnmft.analysis.spectra.determining_closure import Closure
from rnnmft.analysis.spectra.unit_response import UnitResponse
from rnnmft.analysis.spectra.unit_transfer import Sections, UnitTransfer
from rnnmft.numerics.backends import Backend

__all__ = ["BlockEquation"]

Complex = NDArray[Any]  # complex128
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
        unknown = self._packed(*guess)
        found = self.unsolved(z)
        going, previous = np.ones(len(z), dtype=bool), np.full(len(z), np.inf)
        with np.errstate(all="ignore"):
            for number in range(rounds):
                rows = np.flatnonzero(going)
                if not len(rows):
                    break
                one = _Round(self, z[rows], *self._unpacked(unknown[rows]), errors)
                unknown[rows] += one.step
                size = one.size
                lost = ~np.isfinite(size)
                if near:
                    lost |= size > (_LARGE_STEP if number == 0 else 2.0 * previous[rows])
                done = ~lost & (size < (_SMALL_STEP if number else _SMALL_FIRST))
                if done.any():
                    ended = one.solutions(self._unpacked(unknown[rows]))
                    found[rows[done]] = ended[done]
                previous[rows] = size
                going[rows] = ~(lost | done)
        return found

    # --- unknowns ------------------------------------------------------------------------------

    def _packed(self, a: Complex, b: Complex, f: Complex) -> Complex:
        """One vector of unknowns a point: a, b packed, F of the free blocks."""
        points = len(a)
        parts = [self.closure.pack(a), self.closure.pack(b), f[:, self.closure.free]]
        return np.concatenate([p.reshape(points, -1) for p in parts], axis=1)

    def blocks(self, packed: Complex) -> Complex:
        """(Z, B P) -> (Z, B, L, L)."""
        of = self.sections
        return self.closure.unpack(packed.reshape(len(packed), of.count, of.pairs))

    def _unpacked(self, vector: Complex, constant: bool = True) -> tuple[Complex, Complex, Complex]:
        """a, b, F of a vector; of a derivative where not `constant` (then gaussian F is 0)."""
        points, of = len(vector), self.sections
        pairs = of.count * of.pairs
        a, b = self.blocks(vector[:, :pairs]), self.blocks(vector[:, pairs : 2 * pairs])
        f = self.closure.start(points).copy() if constant else np.zeros_like(a)
        free = self.closure.free
        f[:, free] = vector[:, 2 * pairs :].reshape(points, len(free), of.length, of.length)
        return a, b, f


class _Round:
    """One round of Newton's method at Z points, from a, b, F of shape (Z, B, L, L)."""

    def __init__(
        self, of: BlockEquation, z: Complex, a: Complex, b: Complex, f: Complex, errors: bool
    ) -> None:
        self.of, self.z, self.t = of, z, inverse_root(z)
        self.pairs = of.sections.count * of.sections.pairs
        self.response = of.response.averages(
            self._diagonal(a), self._diagonal(b), errors and of.units.repetitions > 1
        )
        v, u = of.blocks(self.response.v), of.blocks(self.response.u)
        self.closed = of.closure.linearised(a, b, f, v, u)
        residual = [x.reshape(len(z), -1) for x in (self.closed.a, self.closed.b, self.closed.f)]
        columns = [
            np.concatenate(residual, axis=1)[..., None],
            self._by_averages(self.response.v_t[..., None], self.response.u_t[..., None]),
        ]
        if self.response.parts is not None:
            own = np.swapaxes(self.response.parts, 1, 2)
            p = self.pairs
            columns.append(
                self._by_averages(
                    own[:, :p] - self.response.v[..., None],
                    own[:, p : 2 * p] - self.response.u[..., None],
                )
            )
        solved = -_solved(of.units.backend, self._jacobian(), np.concatenate(columns, axis=2))
        self.step, self.tangent, self.of_parts = solved[..., 0], solved[..., 1], solved[..., 2:]
        self.size = self._relative(self.step, of._packed(a, b, f))

    def _diagonal(self, blocks: Complex) -> Complex:
        """P = diag(t 1_m, blocks), (Z, n, n)."""
        of = self.of.sections
        found = np.zeros((len(self.z), of.size, of.size), dtype=np.complex128)
        for s in range(of.states):
            found[:, s, s] = self.t
        for k in range(of.count):
            place = slice(of.states + k * of.length, of.states + (k + 1) * of.length)
            found[:, place, place] = blocks[:, k]
        return found

    def _of_block(self, k: int) -> slice:
        """Where block k's kept pairs stand."""
        pairs = self.of.sections.pairs
        return slice(k * pairs, (k + 1) * pairs)

    def _self_energies(self, by: Complex, columns: Complex) -> Complex:
        """The change of a or b's residuals with V or U, given the free blocks' derivatives."""
        closure = self.of.closure
        found = -np.repeat(closure.variance, self.of.sections.pairs)[:, None] * columns
        for i, k in enumerate(closure.free):
            place = self._of_block(k)
            found[:, place] = by[:, i] @ columns[:, place]
        return found

    def _free(self, by: Complex, columns: Complex) -> Complex:
        """The change of F's residuals with V."""
        parts = [
            by[:, i] @ columns[:, self._of_block(k)] for i, k in enumerate(self.of.closure.free)
        ]
        return np.concatenate([columns[:, :0], *parts], axis=1)

    def _by_averages(self, dv: Complex, du: Complex) -> Complex:
        """The change of the residuals with V and U, (Z, unknowns, columns)."""
        c = self.closed
        parts = [self._self_energies(c.a_v, dv), self._self_energies(c.b_u, du)]
        return np.concatenate([*parts, self._free(c.f_v, dv)], axis=1)

    def _jacobian(self) -> Complex:
        """The residuals' derivative by the unknowns."""
        r, c, of = self.response, self.closed, self.of
        found = np.concatenate(
            [self._by_averages(r.v_a, r.u_a), self._by_averages(r.v_b, r.u_b)], axis=2
        )
        order = np.arange(2 * self.pairs)
        found[:, order, order] += 1.0
        if not of.closure.free:
            return found
        free, count = of.closure.free, of.sections.count
        a_f, b_f, *turned = (
            _block_diagonal(m, free, count) for m in (c.a_f, c.b_f, _t(c.f_a), _t(c.f_b))
        )
        found[:, 2 * self.pairs :] += _t(np.concatenate(turned, axis=1))
        by_f = np.concatenate([a_f, b_f, _block_diagonal(c.f_f)], axis=1)
        return np.concatenate([found, by_f], axis=2)

    def _relative(self, step: Complex, unknown: Complex) -> NDArray[np.float64]:
        """The largest change of a, b, F, each relative to its largest entry."""
        sizes = []
        for part in (
            slice(0, self.pairs),
            slice(self.pairs, 2 * self.pairs),
            slice(2 * self.pairs, None),
        ):
            change = np.abs(step[:, part]).max(axis=1, initial=0.0)
            scale = np.abs(unknown[:, part] + step[:, part]).max(axis=1, initial=1e-300)
            sizes.append(change / scale)
        return np.max(sizes, axis=0)

    def _averages_by(self, unknown: Complex) -> tuple[Complex, Complex, Complex]:
        """The changes of V, U and E[tr_s G_v] with the unknowns, for columns of them."""
        r, a, b = self.response, unknown[:, : self.pairs], unknown[:, self.pairs : 2 * self.pairs]
        trace = (r.trace_a[:, None] @ a + r.trace_b[:, None] @ b)[:, 0]
        return r.v_a @ a + r.v_b @ b, r.u_a @ a + r.u_b @ b, trace

    def solutions(self, unknown: tuple[Complex, Complex, Complex]) -> Solutions:
        """What this round's end gives, with everything corrected by its small step."""
        of, r, states, z, t = self.of, self.response, self.of.sections.states, self.z, self.t
        columns = [self.step[..., None], self.tangent[..., None], self.of_parts]
        dv, du, dtrace = self._averages_by(np.concatenate(columns, axis=-1))
        trace, by_t = r.trace + dtrace[:, 0], r.trace_t + dtrace[:, 1]
        value = (1.0 + t * trace / states) / z
        slope = -value / z - 0.5 * t * (trace + t * by_t) / (states * z * z)
        error = np.zeros(len(z))
        if r.parts is not None:
            own = r.parts[..., -1] + dtrace[:, 2:]
            own = own - own.mean(axis=1, keepdims=True)
            count = own.shape[1]
            spread = (np.abs(own) ** 2).sum(axis=1) / (count * (count - 1))
            error = np.abs(t / (states * z)) * np.sqrt(spread)
        tangent = of._unpacked(self.tangent, constant=False)
        averages = (r.v + dv[..., 0], r.u + du[..., 0], r.v_t + dv[..., 1], r.u_t + du[..., 1])
        done = np.ones(len(z), dtype=bool)
        found: list[Any] = [z, t, *unknown, *tangent, *(of.blocks(x) for x in averages)]
        found += [value, slope, error, done]
        return Solutions(*found)


def _t(matrices: Complex) -> Complex:
    return np.swapaxes(matrices, -1, -2)


def _block_diagonal(
    blocks: Complex, rows: list[int] | None = None, count: int | None = None
) -> Complex:
    """(Z, B', r, c) -> (Z, B r, B' c): block i stands in row block rows[i] of B (or i)."""
    points, given, height, width = blocks.shape
    places = range(given) if rows is None else rows
    total = given if count is None else count
    found = np.zeros((points, total, height, given, width), dtype=np.complex128)
    for i, k in enumerate(places):
        found[:, k, :, i] = blocks[:, i]
    return found.reshape(points, total * height, given * width)


def _solved(backend: Backend, matrix: Complex, right: Complex) -> Complex:
    """matrix^(-1) right for each point; not finite where the matrix is singular."""
    if backend.name != "numpy":
        both = backend.as_complex(matrix), backend.as_complex(right)
        return backend.to_numpy(backend.solve(*both))
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        found = np.full_like(right, np.nan)
        for i, (one, columns) in enumerate(zip(matrix, right, strict=True)):
            try:
                found[i] = np.linalg.solve(one, columns)
            except np.linalg.LinAlgError:
                continue
        return found
