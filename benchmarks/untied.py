"""The untied theory: time to derive each cell, to expand m_1..m_6, and to compute its numbers.

Run as `python -m benchmarks.untied`; writes benchmarks/results/untied.json. Processor seconds of a
first call, each cell in turn; what cells share (imports, SymPy's cache) is warmed up before.
"""

import json
import platform
import time
from pathlib import Path

from rnnmft import MeanField, __version__, cells
from rnnmft.theory.derivation import Derivation, derive

RESULTS = Path(__file__).parent / "results" / "untied.json"
HIGHEST, STEPS = 6, 30
#: Cells whose numbers are timed; a pair of nested pairs makes gru_torch's correlations slow.
NUMBERS = ("vanilla", "minimal", "gru")


def seconds(call):
    """Processor seconds of one call."""
    start = time.process_time()
    call()
    return round(time.process_time() - start, 3)


def symbols(name):
    """Times of the symbolic theory of one cell."""
    found = {}
    cell = cells.get(name)
    found["derive, every step as LaTeX"] = seconds(lambda: derive(cell).latex())
    derivation = derive(cell)
    if isinstance(derivation, Derivation):
        for order in (2, HIGHEST):
            call = seconds(lambda k=order: derivation.jacobian.program(k))
            found[f"moments to m_{order}"] = call
    return found


def numbers(name):
    """Times of the numbers of one cell, from a first call."""
    cell = cells.get(name)
    mf = MeanField(cell, tying="untied")
    return {
        f"evolve({STEPS})": seconds(lambda: mf.evolve(STEPS)),
        "fixed_point": seconds(mf.fixed_point),
        "timescales": seconds(mf.timescales),
        "jacobian moments 2": seconds(lambda: mf.jacobian().moments(2)),
    }


def main():
    """Time every cell, print and write."""
    derive(cells.vanilla()).latex()
    MeanField(cells.vanilla(), tying="untied").jacobian().moments(2)
    found = {
        "symbols": {name: symbols(name) for name in ("vanilla", "minimal", "gru", "gru_torch")},
        "numbers": {name: numbers(name) for name in NUMBERS},
        "version": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
