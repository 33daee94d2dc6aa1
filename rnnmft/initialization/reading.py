"""From the content of a file to an initialization's fields: each is checked, none is trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rnnmft.content import Content
from rnnmft.errors import ParseError, Status
from rnnmft.initialization.design.design import BALANCES, Choice, Design, checked_fix
from rnnmft.initialization.design.gating import gating
from rnnmft.initialization.design.request import OBJECTIVES
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
    content = Content(data)
    cell = loads(content.table("cell").text("toml"))
    growth = content.table("tied_growth").tables()
    return {
        "design": _design(content, cell, _inputs(content.table("inputs"))),
        "ensemble": _ensemble(content.table("ensemble"), cell),
        "untied_ensemble": _ensemble(content.table("untied_ensemble"), cell),
        "tying": content.text("tying", TYINGS),
        "objective": content.text("objective", OBJECTIVES),
        "horizon": _horizon(content),
        "method": content.text("method"),
        "reasons": tuple(content.texts("reasons")),
        "tied_growth": {name: _quantity(row) for name, row in growth},
        "burn_in": content.whole("burn_in", 0),
        "sampling": _sampling(content.table("sampling")),
    }


def _horizon(content: Content) -> float:
    if (value := content.number("horizon")) < 1:
        content.refuse("horizon", "a number of steps >= 1")
    return value


def _inputs(content: Content) -> Inputs:
    content.only(("R", "correlation", "temporal"))
    named = isinstance(content.value("temporal"), str)
    temporal = content.text("temporal") if named else tuple(content.numbers("temporal"))
    return Inputs(content.number("R"), content.number("correlation"), temporal)


def _ensemble(content: Content, cell: Cell) -> Ensemble:
    rows = {n: row for n, row in content.tables() if n != "parameters"}
    laws = content.table("parameters").tables() if "parameters" in content else ()
    given = {n: {k: row.number(k) for k in _PARAMETERS} for n, row in rows.items()}
    for row in rows.values():
        row.only((*_PARAMETERS, "weights"))
    for p in cell.preactivations:
        content.table(p.name)
    weights = {n: row.text("weights") for n, row in rows.items()}
    return cell.ensemble(weights, {n: law_from_dict(law.values) for n, law in laws}, **given)


def _design(content: Content, cell: Cell, inputs: Inputs) -> Design:
    names = [p.name for p in cell.preactivations]
    choices = content.table("choices").only(names)
    main = content.value("solved_for")
    if main is not None:
        main = content.text("solved_for", names)
    return Design(
        cell,
        inputs,
        gating(cell),
        main,
        {n: _choice(choices.table(n)) for n in names},
        checked_fix(cell, content.table("fixed").values),
    )


def _choice(content: Content) -> Choice:
    chosen = {k: _optional(content, k) for k in ("q", "sigma_w", "sigma_v", "sigma_b")}
    return Choice(
        mu_b=content.number("mu_b"),
        balance=content.text("balance", BALANCES),
        share=content.number("share"),
        **chosen,
    )


def _optional(content: Content, name: str) -> float | None:
    return None if content.value(name) is None else content.number(name)


def _quantity(content: Content) -> Quantity:
    sentence = content.text("status", [s.value for s in Status])
    return Quantity(
        content.text("name"),
        _maybe_infinite(content, "value"),
        _maybe_infinite(content, "error"),
        Status(sentence),
        content.text("unit"),
        content.text("error_kind", ("bound", "standard error")),
    )


def _maybe_infinite(content: Content, name: str) -> float:
    """A number, or the word for one that is not finite: a growth may be -inf, an error inf."""
    value = (
        float(content.text(name)) if content.value(name) in _NOT_FINITE else content.number(name)
    )
    if math.isnan(value) and content.text("status") == Status.OK.value:
        raise ParseError(f"{content.place}.{name} is nan, and its status says that it is right")
    return value


def _sampling(content: Content) -> Sampling:
    content.only(Sampling.__dataclass_fields__)
    given: Mapping[str, Any] = {
        "units": content.whole("units", 1),
        "repetitions": content.whole("repetitions", 2),
        "seed": content.whole("seed", 0),
        "device": content.text("device"),
        "dtype": content.text("dtype", ("float64", "float32")),
        "normals": content.text("normals", NORMALS),
        "tolerance": _optional(content, "tolerance"),
        "max_units": content.whole("max_units", 1),
        "memory": None if content.value("memory") is None else content.whole("memory", 1),
        "work": _optional(content, "work"),
    }
    return Sampling(**given)
