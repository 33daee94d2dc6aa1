"""EigenvalueLaw: where the eigenvalues of the one-step Jacobian lie, N -> infinity.

Eq. (eigenvalue-boundary), Eq. (eigenvalue-density).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from rnnmft.eigenvalues.boundary import Boundary
from rnnmft.eigenvalues.cloud import Cloud
from rnnmft.eigenvalues.linear_units import LinearUnits
from rnnmft.eigenvalues.passage import Passage
from rnnmft.errors import DerivationError, ParameterError, Status
from rnnmft.records import BOUND, STANDARD_ERROR, Quantity, Record

__all__ = ["EigenvalueLaw"]

Complex = NDArray[np.complex128]
Found = tuple[Any, Any]
#: Of the cloud's size: the step of the differences that give the density; what they neglect is its
#: square, what rounding and Newton's last step leave is 1e-14 over it.
_STEP = 1e-4
#: Points of half a circle around which mass is counted, doubled until it settles.
_FIRST, _MOST = 64, 4096
#: A mass has settled where doubling the points moves it by less: a tenth of what sampling leaves.
_SETTLED = 1e-4
#: Of the cloud's size: what a point is moved by that lies on a unit's own A.
_NUDGE = 1e-9
#: Angles left and right of the boundary's farthest point: of the grid, then of what that leaves.
_SPREADS = (0.02, 0.001)
#: Of a step of the grid: how close a radius is found at one angle.
_CLOSE = 1e-12
_ENSEMBLES = ("gaussian", "orthogonal")


@dataclass(frozen=True)
class EigenvalueLaw(Record):
    """The eigenvalues of the one-step Jacobian at stationarity, as a law in the complex plane.

    Outliers, single eigenvalues that a mean of W or of the biases could make, have no mass and are
    not part of it.

    Attributes:
        tying: "tied" or "untied": whose stationary law the units have.
        units: sampled units, or quadrature's nodes.
        status: OK, or what became of the run that the units come from.
    """

    tying: str
    units: LinearUnits
    status: Status = Status.OK

    @cached_property
    def _cloud(self) -> Cloud:
        return Cloud(Passage(self.units))

    @cached_property
    def _boundary(self) -> Boundary:
        return Boundary(self._cloud.passage)

    @property
    def is_sampled(self) -> bool:
        """Whether numbers have a sampling error."""
        return self.units.repetitions > 1

    @property
    def error_kind(self) -> str:
        """Of all numbers: "standard error" where units are sampled, else "bound"."""
        return STANDARD_ERROR if self.is_sampled else BOUND

    def boundary(self) -> list[Complex]:
        """The curves inside of which, and outside of whose holes, there are eigenvalues.

        Closed curves of points in the plane, each (n,). Spikes along the real axis thinner than a
        sixtieth of the cloud are cut off; they hold the few units whose A is beyond the rest.
        Eq. (eigenvalue-boundary).
        """
        return self._boundary.curves

    def edge(self, points: Any) -> Any:
        """Positive inside of the cloud, negative outside: log of the power's gain; shape of points.

        Eq. (eigenvalue-boundary).
        """
        z = np.asarray(points, dtype=complex)
        passage = self._cloud.passage
        found = np.full(z.size, -np.inf)
        for rows in passage.classes:
            found = np.maximum(found, passage.edge(self._nudged(z.ravel()), rows))
        return found.reshape(z.shape)

    @cached_property
    def radius(self) -> Quantity:
        """The spectral radius: the largest |lambda| on the boundary.

        Below 1 small changes of the state die out in a network at rest; of a moving one the product
        of many Jacobians decides (`MeanField.gradient_growth`). Where units reach beyond the
        boundary in a spike along the real axis the error reaches to the farthest one.
        """
        curves, own = self.boundary(), np.abs(self._boundary.own)
        farthest_own = float(own.max(initial=0.0))
        if not curves:
            return self._quantity("spectral radius", farthest_own, self._boundary.size)
        every = np.concatenate(curves)
        angle = abs(float(np.angle(every[np.abs(every).argmax()])))
        found = moved = 0.0
        for spread in _SPREADS:
            angle, found, moved = self._parabola(angle, spread)
        # Slow modes bulge narrowly around the real axis: a parabola may miss their tip.
        ends = [(self._outermost(a), a, 0.0) for a in (0.0, math.pi)]
        found, angle, moved = max((found, angle, moved), *ends)
        error = math.hypot(self._radius_error(found * np.exp(1j * angle)), moved)
        beyond = max(0.0, farthest_own - found)
        return self._quantity("spectral radius", found, error + beyond)

    def _parabola(self, angle: float, spread: float) -> tuple[float, float, float]:
        """The largest radius near an angle: where, how large, and how far above that angle's."""
        angles = angle + spread * np.array([-1.0, 0.0, 1.0])
        left, middle, right = (self._outermost(a) for a in angles)
        bend, slope = left - 2 * middle + right, (right - left) / 2
        shift = float(np.clip(-slope / bend, -1.0, 1.0)) if bend < 0 else 0.0
        top = middle + slope * shift + bend * shift**2 / 2
        return angle + spread * shift, max(top, middle), abs(max(top, middle) - middle)

    def _outermost(self, angle: float) -> float:
        """The |lambda| beyond which nothing lies in one direction."""
        ray = np.exp(1j * angle)
        step = self._boundary.step
        most = abs(self._boundary.center) + self._boundary.size
        radii = np.arange(1, math.ceil(most / step) + 2) * step
        inside = np.flatnonzero(self.edge(radii * ray) > 0)
        if not len(inside):
            return 0.0
        low = radii[inside[-1]]

        def edge(radius: float) -> float:
            return float(self.edge(radius * ray))

        return float(brentq(edge, low, low + step, xtol=_CLOSE * step))

    def _radius_error(self, z: complex) -> float:
        """Standard deviation of the edge over the parts of the units, over its slope."""
        if not self.is_sampled:
            return _NUDGE * abs(z)
        h = _STEP * self._boundary.size
        out = z / abs(z)
        slope = float(self.edge(z + h * out) - self.edge(z - h * out)) / (2 * h)
        edges = [float(law.edge(z)) for law in self._parts]
        return float(np.std(edges, ddof=1) / math.sqrt(len(edges)) / abs(slope))

    @cached_property
    def _parts(self) -> list[EigenvalueLaw]:
        return [EigenvalueLaw(self.tying, part) for part in self.units.parts()]

    def density(self, points: Any) -> Quantity:
        """Eigenvalues per unit of area, as a fraction of all mN, at complex points; their shape.

        Real eigenvalues of a finite real J, some sqrt(N) of them, are no part of it.
        Eq. (eigenvalue-density).

        Raises:
            ParameterError: a point is not finite.
            DerivationError: weights that are neither gaussian nor orthogonal.
        """
        z, flat = self._points(points)
        value, good = self._density(flat)
        error = np.zeros(len(flat))
        if self.is_sampled:
            parts = [law._density(flat)[0] for law in self._parts]
            error = np.std(parts, axis=0, ddof=1) / math.sqrt(len(parts))
        error = error + _STEP * np.abs(value)
        status = self.status if good.all() else Status.NOT_CONVERGED
        return Quantity(
            self._name("density of eigenvalues"),
            value.reshape(z.shape),
            error.reshape(z.shape),
            status,
            "per unit of area",
            error_kind=self.error_kind,
        )

    def _density(self, z: Complex) -> Found:
        """(1 / pi) dG/d conj(lambda) by central differences."""
        h = _STEP * self._boundary.size
        if h == 0.0:
            return np.zeros(len(z)), np.ones(len(z), dtype=bool)
        z = self._nudged(z)
        around = np.concatenate([z + h, z - h, z + 1j * h, z - 1j * h])
        found, good = self._cloud.green(around)
        right, left, up, down = found.reshape(4, -1)
        slope = (right - left + 1j * (up - down)) / (4 * h)
        # Outside there is nothing, up to the rounding of differences.
        value = np.where(self.edge(z) > 0, slope.real / np.pi, 0.0)
        return value, good.reshape(4, -1).all(axis=0)

    def mass(self, center: complex, radius: float) -> Quantity:
        """The fraction of all eigenvalues within `radius` of `center`.

        (1 / 2 pi i) times the integral of G around the circle: `mass(1, r)` counts the slow modes,
        which change by less than about r a step. Eq. (eigenvalue-density).

        Raises:
            ParameterError: center or radius is not finite, or radius not positive.
            DerivationError: weights that are neither gaussian nor orthogonal.
        """
        _, middle = self._points(center)
        if not (math.isfinite(radius) and radius > 0):
            raise ParameterError(f"radius must be positive and finite, got {radius!r}")
        value, off, good = self._mass(complex(middle[0]), radius, _MOST)
        error = 0.0
        if self.is_sampled:
            parts = [law._mass(complex(middle[0]), radius, _FIRST)[0] for law in self._parts]
            error = float(np.std(parts, ddof=1) / math.sqrt(len(parts)))
        what = f"mass within {radius:g} of {center:g}"
        inside = min(max(value, 0.0), 1.0)
        if abs(value - inside) <= _SETTLED:  # what the circle's mean may be off by
            value = inside
        found = self._quantity(what, value, math.hypot(error, off))
        sound = good and 0.0 <= value <= 1.0
        return found if sound else replace(found, status=Status.NOT_CONVERGED)

    def _mass(self, center: complex, radius: float, most: int) -> tuple[float, float, bool]:
        count, last = _FIRST, math.nan
        while True:
            angles = 2 * np.pi * (np.arange(count) + 0.5) / count
            ray = np.exp(1j * angles).astype(np.complex128)
            found, good = self._cloud.green(self._nudged(center + radius * ray))
            value = float((found * radius * ray).real.mean())
            off = abs(value - last)
            if off < _SETTLED or count >= most:
                return value, 0.0 if math.isnan(off) else off, bool(good.all())
            count, last = 2 * count, value

    def _points(self, points: Any) -> tuple[Complex, Complex]:
        z = np.asarray(points, dtype=complex)
        if not np.isfinite(z).all():
            raise ParameterError(f"points must be finite, got {points!r}")
        other = sorted(set(self.units.weights) - set(_ENSEMBLES))
        if other:
            raise DerivationError(
                f"the density of eigenvalues is known for {' and '.join(_ENSEMBLES)} weights, not "
                f"for {', '.join(other)}; boundary() and radius are"
            )
        for k in range(self.units.rows):
            kinds = [w for w, r in zip(self.units.weights, self.units.row, strict=True) if r == k]
            if "orthogonal" in kinds and len(kinds) > 1:
                raise DerivationError(
                    "the density of eigenvalues is known for orthogonal matrices that do not see "
                    "the same vector; boundary() and radius are known"
                )
        return z, z.ravel()

    def _nudged(self, z: Complex) -> Complex:
        """Points off the units' own eigenvalues, where M is infinite."""
        away = (_NUDGE * self._boundary.size or _NUDGE) * (1.0 + 1.0j)
        return np.where(np.isin(z, self._boundary.own), z + away, z)

    def _name(self, what: str) -> str:
        return f"{what} of the one-step Jacobian, {self.tying}"

    def _quantity(self, what: str, value: float, error: float) -> Quantity:
        return Quantity(self._name(what), value, error, self.status, error_kind=self.error_kind)

    def to_dict(self) -> dict[str, Any]:
        """Tying, radius and boundary."""
        return {
            "tying": self.tying,
            "radius": self.radius.to_dict(),
            "boundary": [[[float(p.real), float(p.imag)] for p in c] for c in self.boundary()],
        }

    def __repr__(self) -> str:
        return f"EigenvalueLaw({self.tying}, radius {float(self.radius):.6g})"
