"""Run the calibration and write its results.

    python -m validation.calibration [--fast] [--only TEXT] [--output PATH]
    python -m validation.calibration --judge

The second runs nothing: it judges the committed comparisons again, by rules that have changed.
Exit code 0 where every kind of quantity passes, 1 where one is rejected.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from validation.calibration.suite import fast_settings, run, settings
from validation.calibration.table import RESULTS, committed, document


def main() -> int:
    """Run, write, and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m validation.calibration", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="the part that `make test` runs")
    parser.add_argument("--only", default="", help="settings whose names hold this text")
    parser.add_argument("--output", type=Path, help="where to write; the committed file by default")
    parser.add_argument("--judge", action="store_true", help="the committed comparisons, again")
    options = parser.parse_args()
    if options.judge:
        known = committed()
        tally, made = known.tally, known.content["provenance"]
    else:
        chosen = fast_settings() if options.fast else settings()
        tally, made = run(s for s in chosen if options.only in s.name), None
    whole = not options.fast and not options.only
    path = options.output or (RESULTS if whole else None)
    if path is not None:
        content = json.dumps(document(tally, made), indent=1, allow_nan=False)
        path.write_text(content + "\n", encoding="utf-8")
    for verdict in tally.verdicts.values():
        outcome = "accepted" if verdict.passed else "; ".join(verdict.reasons)
        sys.stdout.write(f"{verdict.kind}: {verdict.count} compared: {outcome}\n")
    return 0 if tally.passed else 1


if __name__ == "__main__":
    sys.exit(main())
