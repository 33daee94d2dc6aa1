"""The pictures of the README: figures of a report and the explorer, as a browser shows them.

`make pictures` writes them; it needs Chromium. Run from the root of the repository.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

from rnnmft.cli import main
from tests.explorer.browser import CHROMIUM, Page, browser

HERE = Path(__file__).parent / "_static"
WIDTH, HEIGHT, QUALITY = 1360, 860, 80
COMMANDS = {
    "report": "report minimal --quick --output {}",
    "explorer": "explore minimal --output {}",
}
# Until the page is whole; what stands at the top of the picture.
READY = {"report": "document.fonts.status === 'loaded'", "explorer": "state.phase && state.network"}
TOP = {"report": "evolution", "explorer": "answers"}


def picture(page: Page, name: str, folder: Path) -> Path:
    """Write a part of one page as a picture."""
    file, path = folder / f"{name}.html", HERE / f"{name}.webp"
    if main(COMMANDS[name].format(file).split()) not in (0, 1):
        raise SystemExit(f"rnnmft {COMMANDS[name]} failed")
    page.open(file, WIDTH)
    page.wait(READY[name])
    top = page.value(f"document.getElementById('{TOP[name]}').getBoundingClientRect().top")
    clip = {"x": 0, "y": top, "width": WIDTH, "height": HEIGHT, "scale": 1}
    shot = page.send(
        "Page.captureScreenshot",
        format="webp",
        quality=QUALITY,
        clip=clip,
        captureBeyondViewport=True,
    )
    path.write_bytes(base64.b64decode(shot["data"]))
    return path


if __name__ == "__main__":
    if CHROMIUM is None:
        raise SystemExit("pictures need Chromium, and there is none")
    with tempfile.TemporaryDirectory() as name, browser(Path(name) / "profile") as page:
        for which in COMMANDS:
            made = picture(page, which, Path(name))
            sys.stdout.write(f"{made.relative_to(Path.cwd())}: {made.stat().st_size} bytes\n")
