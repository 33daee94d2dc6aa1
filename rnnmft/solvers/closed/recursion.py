"""The untied recursion of one cell as compiled programs: moments in, moments out, over any grid.

Everything here is vectorised over a batch of parameter points: a `Point` holds one array a symbol,
all broadcast to one shape (B,).

Eq. (affine), Eq. (affine-pair), Eq. (chi), Eq. (untied-tangent), Eq. (moment-expansion).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from rnnmft.errors import ParameterError
from rnnmft.language import Cell, Ensemble, Inputs
from rnnmft.numerics.backend import Backend
from rnnmft.numerics.compile import Program, compile_program
from rnnmft.numerics.quadrature import RTOL
from rnnmft.theory.derivation import Derivation, closed_derivation
from rnnmft.theory.notation import MomentKey

__all__ = ["Array", "MomentUpdate", "Point", "UntiedRecursion", "point_of", "untied_recursion"]

Array = NDArray[np.float64]
Codes = NDArray[np.int8]
# Slopes hold Gaussian densities at kinks: at no variance they are asked for beside it, at a
# deviation of 1e-15: rounding, of preactivations of size 1.
_LEAST_VARIANCE = sp.Float(1e-30)
Point = dict[sp.Symbol, Array]


def point_of(derivation: Derivation, ensemble: Ensemble, inputs: Inputs) -> Point:
    """The values of every parameter symbol at one ensemble, as arrays of shape (1,)."""
    n = derivation.notation
    point: Point = {n.R: np.array([inputs.R]), n.c_x: np.array([inputs.correlation])}
    for p in derivation.cell.preactivations:
        if p.name not in ensemble:
            raise ParameterError(
                f"the ensemble has no preactivation {p.name!r}: it was made for another cell"
            )
        law = ensemble[p.name]
        for name in ("sigma_w", "sigma_v", "mu_b", "sigma_b"):
            point[getattr(n, name)[p]] = np.array([getattr(law, name)])
    return point


class MomentUpdate(NamedTuple):
    """One update: new moments and their errors (n, B), q and status of it (K, B), (B,), q's errors.

    Of cross moments, q is the covariance of the preactivations.
    """

    new: Array
    error: Array
    q: Array
    status: Codes
    q_error: Array


@dataclass(frozen=True)
class UntiedRecursion:
    """Compiled programs of one derivation. Arrays of moments have shape (count, B)."""

    derivation: Derivation
    backend: str | Backend = "numpy"
    rtol: float = RTOL

    def require_closed(self) -> None:
        """Raise DerivationError unless moments, cross moments and tangent process all close."""
        _ = self.keys, self.cross_keys, self.derivation.tangent.operator

    # --- names ---------------------------------------------------------------------------------

    @cached_property
    def keys(self) -> list[MomentKey]:
        """One-trajectory moments, in the order of every array of moments."""
        return list(self.derivation.moments)

    @cached_property
    def cross_keys(self) -> list[MomentKey]:
        """Two-trajectory moments, likewise."""
        return self.derivation.cross_keys

    def symbols(self, keys: Sequence[MomentKey]) -> list[sp.Symbol]:
        """The moments' symbols."""
        return [self.derivation.notation.moment(k) for k in keys]

    @cached_property
    def parameters(self) -> list[sp.Symbol]:
        """The symbols of the ensemble and the inputs."""
        n, cell = self.derivation.notation, self.derivation.cell
        per = (n.sigma_w, n.sigma_v, n.mu_b, n.sigma_b)
        return [n.R, n.c_x, *(by[p] for p in cell.preactivations for by in per)]

    @cached_property
    def drivers(self) -> list[int]:
        """Indices of the moments on which the preactivation variances and averages depend."""
        chain = self._numbers.values()
        free = set().union(*(e.free_symbols for e in chain)) if chain else set()
        return [i for i, s in enumerate(self.symbols(self.keys)) if s in free]

    @cached_property
    def cross_drivers(self) -> list[int]:
        """Indices of the cross moments on which the preactivation covariances depend."""
        chain = [self.derivation.theory.covariance(p) for p in self.derivation.cell.preactivations]
        free = set().union(*(e.free_symbols for e in chain)) if chain else set()
        return [i for i, s in enumerate(self.symbols(self.cross_keys)) if s in free]

    # --- programs ------------------------------------------------------------------------------

    @cached_property
    def _numbers(self) -> dict[sp.Symbol, sp.Expr]:
        return self.derivation.theory.numbers

    def variances(self) -> list[tuple[sp.Symbol, sp.Expr]]:
        """(q, its expression) of every preactivation, each in the moments and the q before it."""
        d = self.derivation
        return [(d.notation.q[p], d.theory.variance(p)) for p in d.cell.preactivations]

    def covariances(self) -> list[tuple[sp.Symbol, sp.Expr]]:
        """The same of q_ab, of two trajectories."""
        d = self.derivation
        return [(d.notation.q_ab[p], d.theory.covariance(p)) for p in d.cell.preactivations]

    def _compile(
        self,
        outputs: Sequence[sp.Expr],
        keys: Sequence[MomentKey],
        cross: bool = False,
        before: Sequence[tuple[sp.Symbol, sp.Expr]] = (),
    ) -> Program:
        """A program of the moments `keys` (and cross moments) and the parameters."""
        arguments = [*self.symbols(keys), *self.parameters]
        assignments = [*self._numbers.items()]
        if cross:
            arguments = [*self.symbols(self.cross_keys), *arguments]
            assignments += self.covariances()
        return compile_program(
            [*assignments, *before], outputs, arguments, backend=self.backend, rtol=self.rtol
        )

    @cached_property
    def _step(self) -> Program:
        q = [self.derivation.notation.q[p] for p in self.derivation.cell.preactivations]
        return self._compile([*self.derivation.moments.values(), *q], self.keys)

    @cached_property
    def _cross_step(self) -> Program:
        updates = [self.derivation.cross_moments[k] for k in self.cross_keys]
        q_ab = [s for s, _ in self.covariances()]
        return self._compile([*updates, *q_ab], self.keys, cross=True)

    @cached_property
    def _mean(self) -> Program:
        theory, n = self.derivation.theory, self.derivation.notation
        updates = [theory.update(n.state_key(s)) for s in self.derivation.cell.states]
        # A mean that no second moment needs and no other makes stays where it starts: at zero.
        needed = {k for u in updates for k in theory.moments_in(u)}
        zero = {n.moment(k): sp.S.Zero for k in needed if k not in self.keys}
        return self._compile([u.xreplace(zero) for u in updates], self.keys)

    @cached_property
    def _average(self) -> Program:
        return self._compile([*self.derivation.cell.averages], self.keys)

    def linear(self, updates: Sequence[sp.Expr], keys: Sequence[MomentKey]) -> list[sp.Expr]:
        """Matrix (row by row) and constant of updates that are affine in the moments `keys`."""
        symbols = self.symbols(keys)
        zero = dict.fromkeys(symbols, sp.S.Zero)
        matrix = [sp.diff(u, s) for u in updates for s in symbols]
        return [*matrix, *(u.xreplace(zero) for u in updates)]

    def linear_moments(self) -> list[sp.Expr]:
        """Matrix (row by row) and constant of the moments' map at fixed variances."""
        return self.linear(list(self.derivation.moments.values()), self.keys)

    @cached_property
    def _linear_step(self) -> Program:
        return self._compile(self.linear_moments(), self.keys)

    @cached_property
    def _cross_linear(self) -> Program:
        updates = [self.derivation.cross_moments[k] for k in self.cross_keys]
        return self._compile(self.linear(updates, self.cross_keys), self.keys, cross=True)

    @cached_property
    def _slope(self) -> Program:
        q = self.derivation.notation.q.values()
        positive = [(s, sp.Max(e, _LEAST_VARIANCE)) for s, e in self._numbers.items() if s in q]
        return self._compile(list(self.derivation.variance_slope), self.keys, before=positive)

    @cached_property
    def _cross_slope(self) -> Program:
        return self._compile(list(self.derivation.slope), self.keys, cross=True)

    @cached_property
    def _tangent(self) -> tuple[Program, list[MomentKey]]:
        return self._with_moments(list(self.derivation.tangent.operator), [])

    def _with_moments(
        self, outputs: Sequence[sp.Expr], before: Sequence[tuple[sp.Symbol, sp.Expr]]
    ) -> tuple[Program, list[MomentKey]]:
        """A program and the moments it takes: the recursion's own, then others that it needs."""
        theory = self.derivation.theory
        used = [*outputs, *(e for _, e in before)]
        needed = dict.fromkeys(k for e in used for k in theory.moments_in(e))
        keys = list(dict.fromkeys([*self.keys, *theory.closure(needed)]))
        return self._compile(outputs, keys, before=before), keys

    # --- calls ---------------------------------------------------------------------------------

    def _call(
        self, program: Program, point: Point, *moments: Array
    ) -> tuple[Array, Array, NDArray[np.int8]]:
        """Values and errors (outputs, B) and status codes (B,), as NumPy's arrays."""
        stacked = [row for block in moments for row in block]
        found = program(*stacked, *(point[s] for s in self.parameters))
        host = program.backend.to_numpy
        values, errors = (
            np.stack([host(a) for a in part]) for part in (found.values, found.errors)
        )
        return values.astype(float), errors.astype(float), np.asarray(host(found.status))

    def step(self, moments: Array, point: Point) -> MomentUpdate:
        """One update of moments (n, B)."""
        return self._stepped(self._step, len(self.keys), point, moments)

    def means(self, moments: Array, point: Point) -> tuple[Array, Array]:
        """E[s] of every state after the update from given moments, and errors, (states, B)."""
        return self._call(self._mean, point, moments)[:2]

    def averages(self, moments: Array, point: Point) -> tuple[Array, Array]:
        """The averages over units of the update from given moments, and errors, (averages, B)."""
        if not self.derivation.cell.averages:
            return np.zeros((0, moments.shape[1])), np.zeros((0, moments.shape[1]))
        return self._call(self._average, point, moments)[:2]

    def cross_step(self, cross: Array, moments: Array, point: Point) -> MomentUpdate:
        """One update of the cross moments, given the one-trajectory moments before it."""
        return self._stepped(self._cross_step, len(self.cross_keys), point, cross, moments)

    def _stepped(self, program: Program, count: int, point: Point, *moments: Array) -> MomentUpdate:
        values, errors, status = self._call(program, point, *moments)
        return MomentUpdate(values[:count], errors[:count], values[count:], status, errors[count:])

    def _solve(self, values: Array, count: int) -> Array:
        """Stationary moments of an affine map: inf if its radius is not below 1; nan if unknown."""
        matrix = np.moveaxis(values[: count * count].reshape(count, count, -1), -1, 0)
        constant = np.moveaxis(values[count * count :], -1, 0)
        known = np.asarray(np.isfinite(matrix).all(axis=(1, 2)))
        known &= np.isfinite(constant).all(axis=1)
        matrix = np.where(known[:, None, None], matrix, 0.0)
        settles = np.abs(np.linalg.eigvals(matrix)).max(axis=1) < 1.0
        matrix = np.where(settles[:, None, None], matrix, 0.0)
        solved = np.linalg.solve(np.eye(count) - matrix, constant[..., None])[..., 0]
        stationary = np.where(settles[:, None], solved, np.inf)
        return np.where(known[:, None], stationary, np.nan).T

    def stationary(self, moments: Array, point: Point) -> Array:
        """The moments that are stationary at the preactivation variances of the given moments."""
        return self._solve(self._call(self._linear_step, point, moments)[0], len(self.keys))

    def cross_stationary(self, cross: Array, moments: Array, point: Point) -> Array:
        """The cross moments that are stationary at the given moments' covariances."""
        values, _, _ = self._call(self._cross_linear, point, cross, moments)
        return self._solve(values, len(self.cross_keys))

    def slope(self, moments: Array, point: Point) -> Array:
        """The Jacobian of the moment map, shape (B, n, n). Eq. (fixed-point)."""
        return _matrix(self._call(self._slope, point, moments)[0])

    def cross_slope(self, cross: Array, moments: Array, point: Point) -> Array:
        """The Jacobian of the cross-moment map, shape (B, n, n). Eq. (chi)."""
        return _matrix(self._call(self._cross_slope, point, cross, moments)[0])

    def tangent(self, moments: Array, point: Point) -> Array:
        """The operator on E[ds_a ds_b], shape (B, pairs, pairs). Eq. (untied-tangent)."""
        program, keys = self._tangent
        return _matrix(self._call(program, point, self._extend(keys, moments, point))[0])

    # --- the one-step Jacobian -----------------------------------------------------------------

    def jacobian_moments(
        self, highest: int, weights: Mapping[str, str], moments: Array, point: Point
    ) -> tuple[Array, Array, Codes]:
        """m_1..m_highest of J J^T when stationary: values, errors (highest, B), status (B,)."""
        program, keys = _jacobian_program(self, highest, tuple(sorted(weights.items())))
        extended = self._extend(keys, moments, point)
        return self._call(program, point, extended)

    def moment_value(self, key: MomentKey, moments: Array, point: Point) -> Array:
        """Any one-trajectory moment at stationary moments, (B,); inf where it does not exist."""
        symbol, n = self.derivation.theory.moment(key), self.derivation.notation
        if key in self.keys:
            return moments[self.keys.index(key)]
        if n.known().get(key) != symbol:  # of the input alone
            value = sp.lambdify([n.R], symbol, "math")
            return np.array([float(value(r)) for r in point[n.R]])
        closed = self.derivation.theory.closure([key])
        keys = [*self.keys, *(k for k in closed if k not in self.keys)]
        return self._extend(keys, moments, point)[keys.index(key)]

    def _extend(self, keys: list[MomentKey], moments: Array, point: Point) -> Array:
        """Stationary values of further moments (of higher degree), the given ones held fixed."""
        higher = [k for k in keys if k not in self.keys]
        if not higher:
            return moments
        program = _higher_program(self, tuple(higher))
        solved = self._solve(self._call(program, point, moments)[0], len(higher))
        return np.concatenate([moments, solved])


def _matrix(values: Array) -> Array:
    size = round(len(values) ** 0.5)
    return np.moveaxis(values.reshape(size, size, -1), -1, 0)


@lru_cache(maxsize=64)
def _jacobian_program(
    recursion: UntiedRecursion, highest: int, weights: tuple[tuple[str, str], ...]
) -> tuple[Program, list[MomentKey]]:
    """The compiled moments of J J^T, and the state moments they need (its own first)."""
    chain = recursion.derivation.jacobian.program(highest, dict(weights))
    needed = [*chain.averages.items(), *chain.self_energies.items()]
    return recursion._with_moments(chain.moments, needed)


@lru_cache(maxsize=64)
def _higher_program(recursion: UntiedRecursion, higher: tuple[MomentKey, ...]) -> Program:
    """The linear system of further moments, given the recursion's own."""
    closed = recursion.derivation.theory.closure(higher)
    return recursion._compile(recursion.linear([closed[k] for k in higher], higher), recursion.keys)


@lru_cache(maxsize=64)
def untied_recursion(
    cell: Cell, constant_input: bool = False, backend: str | Backend = "numpy"
) -> UntiedRecursion:
    """The compiled untied recursion of a cell; cached, so that sweeps compile once.

    Raises:
        DerivationError: the cell's moments do not close.
    """
    return UntiedRecursion(closed_derivation(cell, constant_input), backend)
