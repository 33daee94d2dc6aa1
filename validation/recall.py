"""The claims of validation/recall.toml against the committed results of `rnnmft reproduce recall`.

    python -m validation.recall

writes, claim by claim, how many networks had reached accuracy .8 by its step, the exact (Clopper
and Pearson) 95 % interval of their share, and whether that is what was claimed. The exit code is
the number of claims that the results do not bear out.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from validation.experiments import committed

__all__ = ["CLAIMS", "judged"]

CLAIMS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)["claims"]


def judged(claim: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """Whether a claim is borne out, and the sentence with its numbers."""
    (part,) = (
        part
        for part in parts
        if (part["cell"], part["length"], part["noise"]) == (claim["cell"], claim["length"], 0.0)
    )
    steps = [float(step) for step in part["to_80"][claim["start"]]]
    count = sum(step <= claim["step"] for step in steps)
    share = binomtest(count, len(steps)).proportion_ci(0.95, method="exact")
    holds = count == {"every": len(steps), "none": 0}[claim["networks"]]
    return holds, (
        f"{claim['cell']}, {claim['start']}, T = {claim['length']}: {claim['networks']} by step "
        f"{claim['step']}, it was said; {count} of {len(steps)} did (95 % interval of the share "
        f"{share.low:.2f} to {share.high:.2f}): {'borne out' if holds else 'not borne out'}"
    )


def main() -> int:
    """Write the verdicts."""
    verdicts = [judged(claim, committed("recall")["parts"]) for claim in CLAIMS]
    for _, sentence in verdicts:
        sys.stdout.write(f"{sentence}\n")
    return sum(not holds for holds, _ in verdicts)


if __name__ == "__main__":
    sys.exit(main())
