"""From the content of a file to an initialization's fields: each is checked, none is trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rnnmft.content import Content
from rnnmft.errors import ParseError, Status
from rnnmft.initialization.design.design import BALANCES, Choice, Design, checked_fix
from rnnmft.initialization.design.request import OBJECTIVES
from rnnmft.initialization.design.roles import roles
from rnnmft.language import Cell, Ensemble, Inputs, loads
from rnnmft.language.laws import law_from_dict
from rnnmft.parameters import TYINGS
from rnnmft.records import Quantity
from rnnmft.sampling import NORMALS, Sampling

__all__ = ["fields_from"]

_PARAMETERS = ("sigma_w", "sigma_v", "mu_b", "sigma_b")
# How a number that is not finite is written where a quantity may be that.
_NOT_FINITE = ("inf", "-inf", "nan")


def fields_from(data: Any) -> dict[str, Any]:
    """The fields of a `CriticalEnsemble`, by name.

    Raises:
        RnnmftError: something is missing, of another kind, or outside its domain.
    """
    of = Content(data)
    cell = loads(of.table("cell").text("toml"))
    growth = of.table("tied_growth").tables()
    return {
        "design": _design(of, cell, _inputs(of.table("inputs"))),
        "ensemble": _ensemble(of.table("ensemble"), cell),
        "untied_ensemble": _ensemble(of.table("untied_ensemble"), cell),
        "tying": of.text("tying", TYINGS),
        "objective": of.text("objective", OBJECTIVES),
        "horizon": _horizon(of),
        "method": of.text("method"),
        "reasons": tuple(of.texts("reasons")),
        "tied_growth": {name: _quantity(row) for name, row in growth},
        "burn_in": of.whole("burn_in", 0),
        "sampling": _sampling(of.table("sampling")),
    }


def _horizon(of: Content) -> float:
    if (value := of.number("horizon")) < 1:
        of.refuse("horizon", "a number of steps >= 1")
    return value


def _inputs(of: Content) -> Inputs:
    of.only(("R", "correlation", "temporal"))
    named = isinstance(of.value("temporal"), str)
    temporal = of.text("temporal") if named else tuple(of.numbers("temporal"))
    return Inputs(of.number("R"), of.number("correlation"), temporal)


def _ensemble(of: Content, cell: Cell) -> Ensemble:
    rows = {n: row for n, row in of.tables() if n != "parameters"}
    laws = of.table("parameters").tables() if "parameters" in of else ()
    given = {n: {k: row.number(k) for k in _PARAMETERS} for n, row in rows.items()}
    for row in rows.values():
        row.only((*_PARAMETERS, "weights"))
    for p in cell.preactivations:
        of.table(p.name)
    weights = {n: row.text("weights") for n, row in rows.items()}
    return cell.ensemble(weights, {n: law_from_dict(law.values) for n, law in laws}, **given)


def _design(of: Content, cell: Cell, inputs: Inputs) -> Design:
    names = [p.name for p in cell.preactivations]
    choices = of.table("choices").only(names)
    main = of.value("solved_for")
    if main is not None:
        main = of.text("solved_for", names)
    return Design(
        cell,
        inputs,
        roles(cell),
        main,
        {n: _choice(choices.table(n)) for n in names},
        checked_fix(cell, of.table("fixed").values),
    )


def _choice(of: Content) -> Choice:
    chosen = {k: _optional(of, k) for k in ("q", "sigma_w", "sigma_v", "sigma_b")}
    return Choice(
        mu_b=of.number("mu_b"),
        balance=of.text("balance", BALANCES),
        share=of.number("share"),
        **chosen,
    )


def _optional(of: Content, name: str) -> float | None:
    return None if of.value(name) is None else of.number(name)


def _quantity(of: Content) -> Quantity:
    sentence = of.text("status", [s.value for s in Status])
    return Quantity(
        of.text("name"),
        _maybe_infinite(of, "value"),
        _maybe_infinite(of, "error"),
        Status(sentence),
        of.text("unit"),
        of.text("error_kind", ("bound", "standard error")),
    )


def _maybe_infinite(of: Content, name: str) -> float:
    """A number, or the word for one that is not finite: a growth may be -inf, an error inf."""
    value = float(of.text(name)) if of.value(name) in _NOT_FINITE else of.number(name)
    if math.isnan(value) and of.text("status") == Status.OK.value:
        raise ParseError(f"{of.place}.{name} is nan, and its status says that it is right")
    return value


def _sampling(of: Content) -> Sampling:
    of.only(Sampling.__dataclass_fields__)
    given: Mapping[str, Any] = {
        "units": of.whole("units", 1),
        "repetitions": of.whole("repetitions", 2),
        "seed": of.whole("seed", 0),
        "device": of.text("device"),
        "dtype": of.text("dtype", ("float64", "float32")),
        "normals": of.text("normals", NORMALS),
        "tolerance": _optional(of, "tolerance"),
        "max_units": of.whole("max_units", 1),
        "memory": None if of.value("memory") is None else of.whole("memory", 1),
        "work": _optional(of, "work"),
    }
    return Sampling(**given)
