"""The stationary two-time kernel of Gaussian states: a fixed point over all lags at once.

With C_e = E(tau) + P, a part that is forgotten and a plateau, and U as in `kernel`,

    P = sigma_w^2 E[y y](U(inf)) + sigma_b^2 (+ a constant input's)
    E(tau) = sigma_w^2 (E[y y](U(tau)) - E[y y](U(inf))) + sigma_v^2 R kappa(tau)

is solved by Newton's method. Its linear equation is solved by GMRES, preconditioned with the slopes
at the plateau, where it is a filter. Between two trajectories the equation is the same, but that
the variance U(0) of each is known.

Eq. (stationary-kernel).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, gmres

from rnnmft.errors import ConvergenceError, Status
from rnnmft.solvers.two_time.kernel import (
    StationaryKernel,
    fed_by_input,
    input_parts,
    weighted_averages,
)
from rnnmft.solvers.two_time.lags import Lags, gain
from rnnmft.solvers.two_time.linear_states import LinearStates
from rnnmft.solvers.two_time.pair_curve import PairCurve

__all__ = ["KernelEquation", "solve_on_window"]

Array = NDArray[Any]
# The longest window (GMRES keeps 60 vectors of it: 30 MiB), and what may be left at its end, of the
# kernel; of the longest, more: ten times it is added to the error.
_MOST_LAGS, _TAIL, _LONG_TAIL, _FOLDED = 1 << 16, 1e-12, 1e-8, 10.0
# Newton's steps: a near guess needs a handful; more are halved ones.
_NEWTON = 40
# Halvings of a step, to 2e-4 of it: where even that lowers no residual no kernel is near.
_HALVINGS = 12
# GMRES's tolerances, restart and cycles: of a step (inexact ones only cost another), and of an
# error.
_STEP = {"rtol": 1e-9, "restart": 60, "maxiter": 5}
# And of an error, of which three digits are plenty: near criticality they take some cycles more.
_OF_ERROR = {"rtol": 1e-3, "restart": 60, "maxiter": 20}
# Steps and tails below this share of the largest covariance are as good as none.
_SETTLED = 1e-13
# Where Newton's method makes no more progress (a step is not a third of the one before): rounding.
_NEARLY, _SLOW = 1e-8, 0.3
# Rounding of one average, in units of the covariances.
_NOISE = 1e-15
# Below this ratio of two steps the old derivative still serves: it costs as much as GMRES.
_FAST = 0.03
# The approximate inverse takes a loop of at most this: at 1 it does not exist.
_TAME = 1.0 - 1e-5
# Of a plateau beside a kernel, a start for Newton's method alone.
_PLATEAU = 1e-12


@dataclass(frozen=True)
class _Point:
    """A guess: E and P, the residual of the equation, U at the lags and far away, and its law."""

    forgotten: Array
    plateau: Array
    residual: Array
    looked: Array
    far: Array
    curves: tuple[PairCurve, ...]


class KernelEquation:
    """The equation of a stationary kernel on a window of lags.

    Args:
        system: the cell at its ensemble.
        lags: the window.
        share: of the input's covariance.
        own: the kernel of each trajectory, where the equation is for two.
    """

    def __init__(
        self, system: LinearStates, lags: Lags, share: float, own: StationaryKernel | None = None
    ) -> None:
        self.system, self.lags, self.share, self._own = system, lags, share, own
        self._gains = gain(system.rows, system.A, system.B, 1.0, lags.frequencies)
        self._fed, self._fed_constant = fed_by_input(system, lags, system.rows, share)
        forgotten, constant = input_parts(system, lags, share)
        self._drive = system.wide[:, None] * forgotten
        self._constant = system.wide * constant + system.bias
        self._count = len(system.rows)

    # --- the equation --------------------------------------------------------------------------

    def _looked_at(self, forgotten: Array, plateau: Array) -> tuple[Array, Array]:
        far = self._gains[..., 0] @ plateau + self._fed_constant
        return self.lags.filtered(self._gains, forgotten) + self._fed + far[:, None], far

    def _curves(self, looked: Array) -> tuple[PairCurve, ...]:
        if self._own is not None:
            return self._own.curves
        means = self.system.rows @ self.system.mean
        return tuple(
            PairCurve(seen, float(mean), float(q))
            for seen, mean, q in zip(self.system.seen, means, looked[:, 0], strict=True)
        )

    def _residual(self, forgotten: Array, plateau: Array) -> tuple[Array, Array, Array, Any]:
        looked, far = self._looked_at(forgotten, plateau)
        impossible = self._own is None and not (looked[:, 0] >= 0).all()
        if impossible or not np.isfinite(looked).all():
            raise ConvergenceError(Status.NO_FIXED_POINT)
        curves = self._curves(looked)
        seen, seen_far = weighted_averages(self.system, "overlap", looked, far, curves)
        left = forgotten - (seen - seen_far[:, None]) - self._drive
        residual = np.append(left.ravel(), plateau - seen_far - self._constant)
        return residual, looked, far, curves

    def _linearised(self, at: _Point) -> tuple[LinearOperator, LinearOperator]:
        """The derivative of the residual, and its approximate inverse."""
        where = (at.looked, at.far, at.curves)
        slope, slope_far = weighted_averages(self.system, "slope", *where)
        bend, bend_far = np.zeros_like(slope), np.zeros_like(slope_far)
        if self._own is None:
            bend, bend_far = weighted_averages(self.system, "curvature", *where)
        lags, gains, count = self.lags, self._gains, self._count
        shape = (count, lags.length + 1)
        # At a guess the plateau may be unstable, the filter then none.
        loop = float(np.abs(np.linalg.eigvals(slope_far[:, None] * gains[..., 0])).max())
        tame = slope_far * min(1.0, _TAME / loop) if loop > 0 else slope_far
        damped = np.linalg.inv(np.eye(count) - tame[:, None] * np.moveaxis(gains, -1, 0))
        damped = np.moveaxis(damped, 0, -1)

        def apply(x: Array) -> Array:
            forgotten, plateau = x[:-count].reshape(shape), x[-count:]
            far = gains[..., 0] @ plateau
            moved = lags.filtered(gains, forgotten)
            now = moved[:, 0] + far
            change = slope * (moved + far[:, None]) + 2.0 * bend * now[:, None]
            change_far = slope_far * far + 2.0 * bend_far * now
            left = forgotten - change + change_far[:, None]
            return np.append(left.ravel(), plateau - change_far)

        def invert(x: Array) -> Array:
            forgotten, plateau = x[:-count].reshape(shape), x[-count:]
            return np.append(lags.filtered(damped, forgotten).ravel(), damped[..., 0] @ plateau)

        size = count * (lags.length + 2)
        return (
            LinearOperator((size, size), matvec=apply, dtype=float),
            LinearOperator((size, size), matvec=invert, dtype=float),
        )

    # --- its solution --------------------------------------------------------------------------

    def plateau_beside(self, kernel: Array) -> Array:
        """P beside C_e at the first lags, (K, n): the least root at its U_k(0).

        Iteration from 0 approaches that one. E[y y] is convex in the covariance, so that Newton's
        method rises to it without passing it.
        """
        padded = np.zeros((self._count, self.lags.length + 1))
        padded[:, : kernel.shape[1]] = kernel - kernel[:, -1:]
        variances = np.maximum(self._looked_at(padded, kernel[:, -1])[0][:, 0], 0.0)
        curves = self._curves(variances[:, None])
        still, found = self._gains[..., 0], np.zeros(self._count)
        for _ in range(_NEWTON):
            far = still @ found + self._fed_constant
            where = (far[:, None], far, curves)
            left = found - weighted_averages(self.system, "overlap", *where)[1] - self._constant
            slope = weighted_averages(self.system, "slope", *where)[1]
            step = np.linalg.solve(np.eye(self._count) - slope[:, None] * still, -left)
            if not np.isfinite(step).all() or (step < 0).any() or (far > variances).any():
                # The variances are not quite those that go with a plateau.
                return np.asarray(kernel[:, -1])
            found = found + step
            if (step <= _PLATEAU * np.abs(found)).all():
                break
        return found

    def solve(self, forgotten: Array, plateau: Array) -> StationaryKernel:
        """Newton's method from a guess on this window. Eq. (stationary-kernel).

        Raises:
            ConvergenceError: it leads nowhere.
        """
        at = _Point(forgotten, plateau, *self._residual(forgotten, plateau))
        jacobian, inverse = self._linearised(at)
        moved, status = np.inf, Status.STALLED
        for _ in range(_NEWTON):
            scale = max(
                float(np.abs(at.looked).max()), *(c.q for c in at.curves), np.finfo(float).tiny
            )
            step, _ = gmres(jacobian, -at.residual, M=inverse, **_STEP)
            following = self._stepped(at, step)
            before, moved = moved, float(np.abs(step).max())
            slow = moved > _SLOW * before or following is None
            if following is not None:
                at = following
                # Where a step is much smaller than the one before, the old derivative still serves.
                if moved > _FAST * before:
                    jacobian, inverse = self._linearised(at)
            if moved <= _SETTLED * scale or (moved <= _NEARLY * scale and slow):
                status = Status.OK
                break
            if following is None:
                raise ConvergenceError(Status.NO_FIXED_POINT, "No stationary kernel is near.")
        error = moved + self._sensitivity(jacobian, inverse, at)
        kernel = (self.system, self.lags, self.share, at.forgotten, at.plateau, at.curves)
        return StationaryKernel(*kernel, error, status)

    def _stepped(self, at: _Point, step: Array) -> _Point | None:
        """As much of a Newton step as makes the residual smaller; None where nothing does."""
        count, size, share = self._count, float(np.abs(at.residual).max()), 1.0
        for _ in range(_HALVINGS):
            forgotten = at.forgotten + share * step[:-count].reshape(at.forgotten.shape)
            plateau = at.plateau + share * step[-count:]
            try:
                new = _Point(forgotten, plateau, *self._residual(forgotten, plateau))
            except ConvergenceError:
                new = None
            if new is not None and float(np.abs(new.residual).max()) < size:
                return new
            share /= 2
        return None

    def _sensitivity(self, jacobian: Any, inverse: Any, at: _Point) -> float:
        """What errors of the integrals do to U."""
        weights, forgotten = self.system.weights, at.forgotten
        errors = [w * c.error("overlap") for w, c in zip(weights, at.curves, strict=True)]
        noise = _NOISE * (float(np.abs(at.looked).max()) + float(np.abs(at.plateau).max()))
        size = float(np.abs(forgotten).max())
        shapes = [np.zeros(jacobian.shape[0]) for _ in range(2)]
        if size > 0:
            shapes[0][: -self._count] = np.abs(forgotten).ravel() / size
        shapes[1][-self._count :] = 1.0
        total = 0.0
        for shape in shapes:
            if shape.any():
                answer, failed = gmres(jacobian, shape, M=inverse, **_OF_ERROR)
                if failed:
                    return math.inf
                parts = answer[: -self._count].reshape(forgotten.shape), answer[-self._count :]
                far = self._gains[..., 0] @ parts[1]
                reply = self.lags.filtered(self._gains, parts[0]) + far[:, None]
                total += float(np.abs(reply).max())
        return total * (max(errors) + noise)


def solve_on_window(
    equation: Callable[[Lags], KernelEquation], forgotten: Array, plateau: Array
) -> StationaryKernel:
    """Newton's method on windows that grow until the kernel is forgotten in them.

    Args:
        equation: on a window.
        forgotten: a guess of E at the first lags, (K, n).
        plateau: a guess of P, (K,).

    Raises:
        ConvergenceError: it leads nowhere.
    """
    length = 1 << max(int(forgotten.shape[1] - 2).bit_length(), 2)
    while True:
        room = np.zeros((len(plateau), length + 1))
        kept = min(length + 1, forgotten.shape[1])
        room[:, :kept] = forgotten[:, :kept]
        found = equation(Lags(length)).solve(room, plateau)
        tail, scale = _left_over(found)
        if tail <= _TAIL * scale:
            return found
        if 2 * length > _MOST_LAGS:
            status = found.status if tail <= _LONG_TAIL * scale else Status.NOT_CONVERGED
            return replace(found, error=found.error + _FOLDED * tail, status=status)
        forgotten, plateau, length = found.forgotten, found.plateau, 2 * length


def _left_over(kernel: StationaryKernel) -> tuple[float, float]:
    """What is not forgotten at the end of the window, of C_e and of the states; their size."""
    covariances, far = kernel.seen_from(np.eye(len(kernel.system.A)))
    forgotten = covariances - far[:, None]
    tail = max(kernel.lags.tail(kernel.forgotten), kernel.lags.tail(forgotten))
    sizes = (np.abs(kernel.forgotten).max(1) + np.abs(kernel.plateau), np.abs(covariances).max(1))
    return tail, max(float(size.max()) for size in sizes)
