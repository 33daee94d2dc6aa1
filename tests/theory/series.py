"""Exact power series: moments of J J^T from the characteristic function, over a law of few atoms.

A unit is one of a few atoms, each with rational entries of tau: every average is a finite sum and
every series coefficient a fraction, so this route to the moments can be compared exactly. With
x = 1/z all unknowns are power series in x; iterating the equations from a = b = 0 fixes one more
order at each round or two.
"""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from rnnmft.theory.determining_series import DETERMINING_SERIES
from rnnmft.theory.jacobian import JacobianTheory


class AtomicTheory(JacobianTheory):
    """The Jacobian theory of a cell whose units are atoms: exact means of the entries of tau."""

    def mean_of(self, exponents):
        """E over `atoms`, a list of (probability, entries in the order of `entries`)."""
        return sp.Add(
            *(
                p * sp.Mul(*(v**n for v, n in zip(values, exponents, strict=True)))
                for p, values in atoms_of(self)
            )
        )


def atoms_of(theory, count=3):
    """(probability, entries): rational numbers of either sign, different for every place."""
    places = len(theory.entries)
    weights = [sp.Rational(w, 6) for w in (1, 2, 3)][:count]
    return [
        (w, tuple(sp.Rational((7 * i + 5 * j + i * j) % 11 - 4, 7) for j in range(places)))
        for i, w in enumerate(weights)
    ]


def sigmas(theory):
    """Rational sigma_w of each preactivation."""
    of = theory.theory.notation.sigma_w
    return {of[p]: sp.Rational(3 + k, 4) for k, p in enumerate(theory.recurrent)}


class Series:
    """A power series in x to a fixed order, with exact coefficients."""

    def __init__(self, coefficients, order):
        self.order = order
        self.c = [*coefficients, *[Fraction(0)] * order][:order]

    def __add__(self, other):
        return Series([a + b for a, b in zip(self.c, other.c, strict=True)], self.order)

    def __mul__(self, other):
        out = [Fraction(0)] * self.order
        for i, a in enumerate(self.c):
            if a:
                for j in range(self.order - i):
                    out[i + j] += a * other.c[j]
        return Series(out, self.order)

    def scaled(self, factor):
        return Series([factor * a for a in self.c], self.order)

    def inverse(self):
        out = [1 / self.c[0]]
        for n in range(1, self.order):
            out.append(-sum(self.c[k] * out[n - k] for k in range(1, n + 1)) / self.c[0])
        return Series(out, self.order)


def series_moments(theory, kinds, highest):
    """m_1..m_highest by expanding the characteristic function's equations in 1/z."""
    return _Equations(theory, kinds, highest + 1).moments()


class _Equations:
    def __init__(self, theory, kinds, order):
        self.theory, self.order, self.kinds = theory, order, kinds
        of = theory.generating_function.characteristic
        self.of, self.sigma = of, sigmas(theory)
        names = list(theory.names.values())
        # One determinant for the units of each width.
        self.atoms = [
            (Fraction(p.p, p.q), [d.xreplace(dict(zip(names, v, strict=True))) for d in parts])
            for parts in [[sp.expand(m.det()) for m in of.parts.values()]]
            for p, v in atoms_of(theory)
        ]
        self.widths = [Fraction(w.p, w.q) for w in of.parts]
        zero = Series([Fraction(0)], order)
        self.values = dict.fromkeys((*of.a.values(), *of.b.values()), zero)

    def moments(self):
        of, rounds = self.of, (self.order + 1) * (len(self.theory.recurrent) + 1)
        for _ in range(rounds):
            before = dict(self.values)
            self._round()
            if all(self.values[s].c == before[s].c for s in before):
                break
        else:
            raise AssertionError("the series did not settle")
        # M = z G - 1 = (z/m) E[d/dz log Delta] - 1, each unit counted for its width.
        total = sum(Fraction(s.width.p, s.width.q) for s in self.theory.cell.states)
        found = self._mean(of.z, shift=1, counted=True).scaled(1 / total)
        assert found.c[0] == 1
        return found.c[1:]

    def _round(self):
        of = self.of
        u = {p: self._mean(of.a[p]).scaled(Fraction(-1)) for p in of.a}
        v = {p: self._mean(of.b[p]).scaled(Fraction(-1)) for p in of.b}
        for p in of.a:
            # Per unit, a matrix of c n x n: E|W^T e|^2 has a factor c, an isometry min(1, c).
            c = Fraction(p.width.p, p.width.q) / Fraction(*_ratio(self.theory.cell.seen_widths[p]))
            phi = self._phi(p, (u[p] * v[p]).scaled(min(Fraction(1), c)))
            self.values[of.a[p]], self.values[of.b[p]] = phi * v[p], (phi * u[p]).scaled(c)

    def _phi(self, p, x):
        sigma = self.sigma[self.theory.theory.notation.sigma_w[p]]
        power, total = Series([Fraction(1)], self.order), Series([Fraction(0)], self.order)
        for n in range(self.order):
            c = DETERMINING_SERIES[self.kinds[p.name]](sigma, n)
            total, power = total + power.scaled(Fraction(c.p, c.q)), power * x
        return total

    def _mean(self, by, shift=0, counted=False):
        """E[z^shift d/d(by) log Delta]: each factor f of degree d in z is z^d times a series."""
        total = Series([Fraction(0)], self.order)
        for probability, factors in self.atoms:
            for f, width in zip(factors, self.widths, strict=True):
                if not f.has(by):
                    continue
                degree = sp.degree(f, self.of.z)
                slope = self._series(sp.diff(f, by), degree - shift)
                share = probability * (width if counted else 1)
                total = total + (slope * self._series(f, degree).inverse()).scaled(share)
        return total

    def _series(self, polynomial, degree):
        """x^degree times a polynomial in z, a, b."""
        symbols = [self.of.z, *self.values]
        total = Series([Fraction(0)], self.order)
        for (n, *powers), c in sp.Poly(polynomial, *symbols).terms():
            term = Series([Fraction(0)] * (degree - n) + [Fraction(c.p, c.q)], self.order)
            for symbol, k in zip(self.values, powers, strict=True):
                for _ in range(k):
                    term = term * self.values[symbol]
            total = total + term
        return total


def _ratio(number):
    return int(number.p), int(number.q)
