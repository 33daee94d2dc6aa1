"""Which method answers what, for every cell of the zoo, tied and untied: found by asking.

A method without sampling is run, and its status stands beside it; sampled units are named and not
drawn, since their status depends on how many one asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from tables import Table

import rnnmft as mft
from rnnmft.cells import get, names, typical_laws
from rnnmft.errors import RnnmftError
from rnnmft.spectra.law import JacobianLaw

__all__ = ["QUANTITIES", "entries", "method_table"]

_SAMPLED = "sampled"
_SHORT = {
    "closed moments": "closed",
    "quadrature": "closed",
    "transport of the law": "transport",
    "two-time kernel": "kernel",
    "sampled units": _SAMPLED,
}

QUANTITIES = (
    "fixed point",
    "$c^*$",
    r"$\xi_q, \xi_c, \chi_1$",
    "growth",
    "$m_1$",
    "$m_2$",
    "spectrum",
    "autocorrelation",
    "critical",
)


_TYINGS = ("tied", "untied")


def method_table() -> Table:
    """The table, a row for each cell and tying."""
    rows = ([f"`{cell}`", tying, *entries(cell, tying)] for cell in names() for tying in _TYINGS)
    return Table(("cell", "tying", *QUANTITIES), rows)


def entries(name: str, tying: str) -> Iterator[str]:
    """What stands in the row of a cell: for each quantity its method, and the status it ended in.

    At the default parameters of everything, R = 1 and inputs of correlation 1/2.
    """
    cell = get(name)
    ensemble = cell.ensemble(parameters=typical_laws(name))
    theory = mft.MeanField(cell, ensemble, mft.Inputs(correlation=0.5), tying=tying)
    law = theory.jacobian()
    own = _SHORT[theory.method]
    yield _entry(own, theory.fixed_point)
    yield _entry(own, theory.correlation_fixed_point)
    yield _entry(own, theory.timescales)
    yield _entry(own, theory.gradient_growth)
    yield _entry(own, lambda: law.mean)
    yield _entry(own if own == _SAMPLED or _knows_two(law) else _SAMPLED, lambda: law.moments(2))
    yield _entry("block" if law.spectrum.by_power else f"block, {_SAMPLED}", law.support)
    yield _entry(_SHORT[theory.memory_method], lambda: theory.autocorrelation(5))
    yield _critical(name, tying, own)


def _entry(method: str, ask: Callable[[], object]) -> str:
    if method.endswith(_SAMPLED):
        return method
    try:
        return f"{method} {ask().status.name}"  # type: ignore[attr-defined]
    except RnnmftError as error:
        return f"{method} ({type(error).__name__})"


def _knows_two(law: JacobianLaw) -> bool:
    known = law.known.known(2)
    return known is not None and len(known) == 2


def _critical(name: str, tying: str, own: str) -> str:
    """By which averages it is found; tied, its growth is then that of the tied theory."""
    first = _averages(name)
    if first.startswith("("):
        return first
    return first if tying == "untied" or first == own else f"{first}, {own}"


@lru_cache
def _averages(name: str) -> str:
    try:
        # The method does not depend on how many units it draws.
        return _SHORT[mft.critical(get(name), tying="untied", particles=1 << 10).method]
    except RnnmftError as error:
        return f"({type(error).__name__})"
