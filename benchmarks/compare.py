"""Whether a fresh run of the benchmarks lost against the results that are committed.

Run as `python -m benchmarks.compare` after `make bench`, which ends with it: each ratio of
`comparisons` in benchmarks/results is held against that of the last commit, and those that fell by
more than 20 % are named. Such a one is either mended or gets a sentence on the page of benchmarks
(docs/benchmarks.md). Exits with 1 where there is one.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.comparisons import RESULTS, ratios, read_results

#: A ratio may fall by this part of itself: two runs on one machine differ by as much as 10 %.
FALL = 0.2


def committed(revision):
    """The results of a revision, as git has them."""
    root = RESULTS.parents[1]
    found = {}
    for file in sorted(RESULTS.glob("*.json")):
        place = f"{revision}:{file.relative_to(root).as_posix()}"
        shown = subprocess.run(["git", "show", place], cwd=root, capture_output=True, check=False)
        if shown.returncode == 0:
            found[file.stem] = json.loads(shown.stdout)
    return found


def fallen(fresh, before):
    """[(comparison, its ratio before)] of those that fell by more than a fifth."""
    known = {(one.file, one.what, one.yardstick): one.ratio for one in ratios(before)}
    pairs = [(one, known.get((one.file, one.what, one.yardstick))) for one in ratios(fresh)]
    return [(one, was) for one, was in pairs if was is not None and one.ratio < (1.0 - FALL) * was]


def main(words=None):
    """Compare and say what fell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", type=Path, default=RESULTS, help="a folder of results")
    parser.add_argument("--against", default="HEAD", help="a revision, or a folder of results")
    options = parser.parse_args(words)
    fresh, place = read_results(options.fresh), Path(options.against)
    before = read_results(place) if place.is_dir() else committed(options.against)
    if not before:
        print(f"there are no results in {options.against}")
        return 2
    lost = fallen(fresh, before)
    for one, was in lost:
        print(f"{one.file}: {one.what}, against {one.yardstick}: {was:.3g} -> {one.ratio:.3g}")
    count = len(list(ratios(fresh)))
    print(f"{len(lost)} of {count} ratios fell by more than {FALL:.0%}")
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
