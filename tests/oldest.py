"""Pins of the oldest dependencies that pyproject.toml allows: `python -m tests.oldest`.

A bound of two numbers stands for its series (`numpy>=2.0` for 2.0.*, with its mended releases),
a bound of three for itself.
"""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

__all__ = ["oldest"]

_BOUND = re.compile(r"(?P<name>[A-Za-z0-9-]+)(?:\[[a-z,]+\])?>=(?P<version>[0-9.]+)")


def oldest(project: str) -> list[str]:
    """One pin for every requirement of a pyproject.toml, extras included, sorted.

    Raises:
        ValueError: a requirement without a lower bound.
    """
    table = tomllib.loads(project)["project"]
    pins = set()
    for requirement in chain(table["dependencies"], *table["optional-dependencies"].values()):
        if requirement.startswith(f"{table['name']}["):
            continue
        bound = _BOUND.fullmatch(requirement)
        if bound is None:
            raise ValueError(f"{requirement!r} has no lower bound")
        series = ".*" if bound["version"].count(".") < 2 else ""
        pins.add(f"{bound['name']}=={bound['version']}{series}")
    return sorted(pins)


if __name__ == "__main__":
    print("\n".join(oldest(Path("pyproject.toml").read_text(encoding="utf-8"))))
