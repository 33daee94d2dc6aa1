"""Numbers as a page shows them: as many digits as mean something."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = [
    "MINUS",
    "count",
    "law_in_words",
    "percent",
    "percent_error",
    "plus_minus",
    "rounded",
    "significant",
]

MINUS = "\N{MINUS SIGN}"
# From here on a number is written with a power of ten: more zeros are not counted at a glance.
_POWERS = 1e6
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def law_in_words(law: Mapping[str, Any]) -> str:
    """The dictionary of a law, its numbers to four digits.

    >>> law_in_words({"law": "log_uniform", "low": 0.1234567, "high": 1.0})
    'log uniform, low 0.1235, high 1.000'
    """
    told = [str(law["law"]).replace("_", " ")]
    for name, value in law.items():
        if isinstance(value, (list, tuple)):
            told.append(count(len(value), name.removesuffix("s")))
        elif name != "law":
            told.append(f"{name.replace('_', ' ')} {significant(value)}")
    return ", ".join(told)


def significant(value: float, digits: int = 4) -> str:
    """The value to so many significant digits, with a power of ten where it is far from 1.

    >>> significant(3.0327661), significant(0.0000123, 2), significant(float("inf"))
    ('3.033', '1.2 × 10⁻⁵', '∞')
    """
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if -4 <= exponent < 6:
        return _signed(f"{value:.{max(digits - 1 - exponent, 0)}f}")
    mantissa = _signed(f"{value / 10.0**exponent:.{digits - 1}f}")
    return f"{mantissa} × {_power_of_ten(exponent)}"  # noqa: RUF001


def rounded(value: float, digits: int = 3) -> str:
    """For plain text: so many digits, with zeros instead of a power of ten up to a million.

    >>> rounded(0.12345), rounded(1234.5), rounded(-123.4, 2), rounded(1.5e7)
    ('0.123', '1230', '-120', '1.5e+07')
    """
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if 10.0**digits <= abs(value) < _POWERS else text


def _signed(text: str) -> str:
    return text.replace("-", MINUS)


def plus_minus(value: float, error: float) -> str:
    """The value and its standard error, both to the error's second digit.

    >>> plus_minus(0.61812, 0.00047), plus_minus(3.124e-7, 2.1e-9)
    ('0.61812 ± 0.00047', '(3.124 ± 0.021) × 10⁻⁷')
    """
    if not math.isfinite(error) or error <= 0 or not math.isfinite(value):
        return significant(value, 6)
    exponent = math.floor(math.log10(max(abs(value), error)))
    if not -4 <= exponent < 6:
        mantissa = _plain_plus_minus(value / 10.0**exponent, error / 10.0**exponent)
        return f"({mantissa}) × {_power_of_ten(exponent)}"  # noqa: RUF001
    return _plain_plus_minus(value, error)


def _plain_plus_minus(value: float, error: float) -> str:
    places = max(1 - math.floor(math.log10(error)), 0)
    if places > 8:
        return significant(value, 8)
    return f"{_signed(f'{value:.{places}f}')} ± {error:.{places}f}"


def _power_of_ten(exponent: int) -> str:
    sign = "⁻" if exponent < 0 else ""
    return f"10{sign}{str(abs(exponent)).translate(_SUPERSCRIPTS)}"


def percent(fraction: float, digits: int = 2) -> str:
    """A signed fraction in percent.

    >>> percent(0.0123)
    '+1.23 %'
    """
    return f"{_signed(f'{100 * fraction:+.{digits}f}')} %"


def percent_error(fraction: float, error: float) -> str:
    """A signed fraction in percent, with its standard error.

    >>> percent_error(0.0123, 0.004)
    '+1.23 ± 0.40 %'
    """
    return f"{_signed(f'{100 * fraction:+.2f}')} ± {100 * error:.2f} %"


def count(number: int, singular: str, plural: str = "") -> str:
    """A number of things.

    >>> count(1, "network"), count(2000, "network")
    ('1 network', '2,000 networks')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
