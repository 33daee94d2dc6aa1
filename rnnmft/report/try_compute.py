"""What can be computed; what cannot leaves a sentence instead of a gap."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rnnmft.errors import RnnmftError

__all__ = ["try_compute"]

T = TypeVar("T")


def try_compute(what: str, compute: Callable[[], T], missing: list[str]) -> T | None:
    """The result; otherwise None, and the reason among what is missing."""
    try:
        return compute()
    except RnnmftError as error:
        reason = str(error)
        missing.append(f"{what}: not shown. {reason[:1].upper()}{reason[1:]}")
    except Exception as error:  # a page that lacks a part, and says so, is worth more than none
        missing.append(f"{what}: not shown, by an error of rnnmft. {type(error).__name__}: {error}")
    return None
