"""A newcomer's path in a fresh clone: seconds from a command of the README to a page with figures.

Run as `python -m benchmarks.first_page`; writes benchmarks/results/first_page.json. HEAD is cloned
into a folder of its own, without any compiled file, and each command starts a new process there,
with what this Python has installed:

    report --quick  `rnnmft report minimal --quick`, until it ends
    report          `rnnmft report minimal`, as `make report` has it, until its first page is there;
                    it is ended then
    explore         `rnnmft explore minimal`, until it ends
    yardstick       what one would do without rnnmft: import PyTorch and Matplotlib, simulate
                    networks of 1000 units with the report's 30 steps, and draw their second moment
                    and the growth of a perturbation. It says nothing of theory.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rnnmft import __version__

RESULTS = Path(__file__).parent / "results" / "first_page.json"
ROOT = Path(__file__).parents[1]
LIMIT = 60.0
# Seconds after which a command is given up.
PATIENCE = 600.0
RNNMFT = [sys.executable, "-m", "rnnmft"]
COMMANDS = {
    "report --quick": [*RNNMFT, "report", "minimal", "--quick", "--output"],
    "report": [*RNNMFT, "report", "minimal", "--output"],
    "explore": [*RNNMFT, "explore", "minimal", "--output"],
}
# The ensemble is that at which the report of the minimalRNN opens.
YARDSTICK = """
import sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch

N, steps, networks = 1000, 30, 16
figure, (left, right) = plt.subplots(1, 2)
for seed in range(networks):
    torch.manual_seed(seed)
    W = 4.0 * torch.randn(N, N) / N**0.5
    b = 0.5 + 0.3 * torch.randn(N)
    h, d = torch.zeros(N), torch.randn(N)
    second, growth = [], []
    for _ in range(steps):
        x, e = torch.randn(N), W @ h + torch.randn(N) + b
        gate = torch.sigmoid(e)
        moved = gate * d + gate * (1 - gate) * (h - x) * (W @ d)
        h = gate * h + (1 - gate) * x
        growth.append((moved.square().sum() / d.square().sum()).log().item())
        d = moved
        second.append(h.square().mean().item())
    left.plot(second)
    right.plot(growth)
figure.savefig(sys.argv[1])
"""


def has_figures(path):
    """Whether a page is there, whole, with at least one figure in it."""
    if not path.exists():
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    return "</html>" in text and bool(re.search(r"<svg|<img|<canvas", text))


def seconds_until_page(command, clone, page, ends):
    """Seconds until the page is there; a command that goes on after it (`ends` False) is ended."""
    environment = {**os.environ, "PYTHONPATH": str(clone)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    began = time.monotonic()
    with subprocess.Popen([*command, str(page)], cwd=clone, env=environment, **quiet) as process:
        while time.monotonic() - began < PATIENCE:
            if process.poll() is not None or (not ends and has_figures(page)):
                break
            time.sleep(0.05)
        taken = time.monotonic() - began
        process.terminate()
    if page.suffix == ".html" and not has_figures(page):
        raise RuntimeError(f"no page with figures: {' '.join(command)}")
    return taken


def main():
    """Time each command, print and write; 1 where one of ours takes longer than a minute."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    seconds = {name: [] for name in (*COMMANDS, "yardstick")}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            clone = Path(folder) / f"clone-{number}"
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
            for name, command in COMMANDS.items():
                page = clone / f"{name.replace(' ', '')}.html"
                seconds[name].append(seconds_until_page(command, clone, page, name != "report"))
            script = [sys.executable, "-c", YARDSTICK]
            seconds["yardstick"].append(
                seconds_until_page(script, clone, clone / "yardstick.svg", True)
            )
    rows = {name: [round(s, 1) for s in found] for name, found in seconds.items()}
    document = {
        "seconds": rows,
        "limit": LIMIT,
        "provenance": {
            "command": "python -m benchmarks.first_page",
            "rnnmft": __version__,
            "python": platform.python_version(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "load_average": os.getloadavg(),
            "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        },
    }
    options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for name, row in rows.items():
        print(f"{name}: {row} s")
    return int(any(min(rows[name]) >= LIMIT for name in COMMANDS))


if __name__ == "__main__":
    sys.exit(main())
