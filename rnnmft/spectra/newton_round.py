"""One round of Newton's method for the block equation, at many z at once.

The residuals a - F V, b - U F and that of F's equation (`determining_closure`) depend on a, b and
F, and through the averages V, U (`unit_response`) on them and on t. One linear system a point gives
the step, the tangent in t, and how far each part of the units alone would move the solution.

Eq. (block).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmft.numerics.backends import Backend
from rnnmft.spectra.block_solutions import Solutions, inverse_root
from rnnmft.spectra.determining_closure import Closure
from rnnmft.spectra.unit_response import UnitResponse

__all__ = ["Round"]

Complex = NDArray[Any]  # complex128


class Round:
    """One round of Newton's method at Z points.

    Args:
        averages: over the units.
        closure: of the self-energies.
        z: the points.
        unknown: a, b, F at each, packed by the closure.
        errors: whether standard errors are wanted.

    Attributes:
        step: the change of the unknowns, (Z, unknowns).
        size: its largest part, each of a, b, F relative to its largest entry, (Z,).
    """

    def __init__(
        self, averages: UnitResponse, closure: Closure, z: Complex, unknown: Complex, errors: bool
    ) -> None:
        self.closure, self.sections = closure, averages.sections
        self.states_a_unit = averages.units.states_a_unit
        self.z, self.t = z, inverse_root(z)
        self.pairs = self.sections.count * self.sections.pairs
        a, b, f = closure.unpacked(unknown)
        by_parts = errors and averages.units.repetitions > 1
        self.response = averages.averages(self._diagonal(a), self._diagonal(b), by_parts)
        v, u = closure.blocks(self.response.v), closure.blocks(self.response.u)
        self.closed = closure.linearised(a, b, f, v, u)
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
        solved = -_solved(averages.backend, self._jacobian(), np.concatenate(columns, axis=2))
        self.step, self.tangent, self.of_parts = solved[..., 0], solved[..., 1], solved[..., 2:]
        self.size = self._relative(self.step, unknown)

    def _diagonal(self, blocks: Complex) -> Complex:
        """P = diag(t 1_m, blocks), (Z, n, n)."""
        sections = self.sections
        found = np.zeros((len(self.z), sections.size, sections.size), dtype=np.complex128)
        for s in range(sections.states):
            found[:, s, s] = self.t
        for k in range(sections.count):
            place = slice(
                sections.states + k * sections.length, sections.states + (k + 1) * sections.length
            )
            found[:, place, place] = blocks[:, k]
        return found

    def _of_block(self, k: int) -> slice:
        """Where block k's kept pairs stand."""
        pairs = self.sections.pairs
        return slice(k * pairs, (k + 1) * pairs)

    def _self_energies(self, by: Complex, columns: Complex) -> Complex:
        """The change of a or b's residuals with V or U, given the free blocks' derivatives."""
        closure = self.closure
        found = -np.repeat(closure.variance, self.sections.pairs)[:, None] * columns
        for i, k in enumerate(closure.free):
            place = self._of_block(k)
            found[:, place] = by[:, i] @ columns[:, place]
        return found

    def _free(self, by: Complex, columns: Complex) -> Complex:
        """The change of F's residuals with V."""
        parts = [by[:, i] @ columns[:, self._of_block(k)] for i, k in enumerate(self.closure.free)]
        return np.concatenate([columns[:, :0], *parts], axis=1)

    def _by_averages(self, dv: Complex, du: Complex) -> Complex:
        """The change of the residuals with V and U, (Z, unknowns, columns)."""
        c = self.closed
        parts = [self._self_energies(c.a_v, dv), self._self_energies(c.b_u, du)]
        return np.concatenate([*parts, self._free(c.f_v, dv)], axis=1)

    def _jacobian(self) -> Complex:
        """The residuals' derivative by the unknowns."""
        r, c = self.response, self.closed
        found = np.concatenate(
            [self._by_averages(r.v_a, r.u_a), self._by_averages(r.v_b, r.u_b)], axis=2
        )
        order = np.arange(2 * self.pairs)
        found[:, order, order] += 1.0
        if not self.closure.free:
            return found
        free, count = self.closure.free, self.sections.count
        a_f, b_f, *turned = (
            _block_diagonal(m, free, count) for m in (c.a_f, c.b_f, _t(c.f_a), _t(c.f_b))
        )
        found[:, 2 * self.pairs :] += _t(np.concatenate(turned, axis=1))
        by_f = np.concatenate(
            [a_f, b_f, _block_diagonal(c.f_f, list(range(len(free))), len(free))], axis=1
        )
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
            scale = np.abs(unknown[:, part] + step[:, part]).max(
                axis=1, initial=np.finfo(float).tiny
            )
            sizes.append(change / scale)
        return np.max(sizes, axis=0)

    def _averages_by(self, unknown: Complex) -> tuple[Complex, Complex, Complex]:
        """The changes of V, U and E[tr_s G_v] with the unknowns, for columns of them."""
        r, a, b = self.response, unknown[:, : self.pairs], unknown[:, self.pairs : 2 * self.pairs]
        trace = (r.trace_a[:, None] @ a + r.trace_b[:, None] @ b)[:, 0]
        return r.v_a @ a + r.v_b @ b, r.u_a @ a + r.u_b @ b, trace

    def solutions(self, unknown: Complex) -> Solutions:
        """What this round's end gives, with everything corrected by its small step."""
        r, z, t = self.response, self.z, self.t
        states = self.states_a_unit
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
        closure = self.closure
        tangent = closure.unpacked(self.tangent, constant=False)
        averages = (r.v + dv[..., 0], r.u + du[..., 0], r.v_t + dv[..., 1], r.u_t + du[..., 1])
        done = np.ones(len(z), dtype=bool)
        found: list[Any] = [
            z,
            t,
            *closure.unpacked(unknown),
            *tangent,
            *(closure.blocks(x) for x in averages),
        ]
        found += [value, slope, error, done]
        return Solutions(*found)


def _t(matrices: Complex) -> Complex:
    return np.swapaxes(matrices, -1, -2)


def _block_diagonal(blocks: Complex, rows: list[int], count: int) -> Complex:
    """(Z, B', r, c) -> (Z, count r, B' c): block i stands in row block rows[i]."""
    points, given, height, width = blocks.shape
    found = np.zeros((points, count, height, given, width), dtype=np.complex128)
    for i, k in enumerate(rows):
        found[:, k, :, i] = blocks[:, i]
    return found.reshape(points, count * height, given * width)


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
