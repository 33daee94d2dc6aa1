"""The command that writes a folder of pages: gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rnnmft.cli.options import AsJson
from rnnmft.cli.output import print_json, progress_bar, say
from rnnmft.errors import ParameterError, did_you_mean

__all__ = ["gallery"]


def gallery(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Of its entries; all of them if none is named."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder; made if it is not there.")
    ] = Path("gallery"),
    entries: Annotated[
        Path | None,
        typer.Option("--entries", help="A .toml file of entries, instead of the package's own."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            min=1.0,
            help="Of the processor, that each part of a page may take; what takes longer is left "
            "out, and said.",
        ),
    ] = 120.0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Compute the pages again that are there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a page for each of many cells, and an index that sorts them by what they are good for.

    Each stands where its gradients neither grow nor vanish, and is measured there: memory, also at
    equal parameters; isometry; how much of the map around it trains. About a minute a gated cell;
    what an interrupted call has written is kept by the next.
    """
    from rnnmft.gallery import make_gallery, read_entries

    found = read_entries(entries)
    known = [entry.name for entry in found]
    for name in names or ():
        if name not in known:
            near = did_you_mean(name, known)
            raise ParameterError(f"no entry {name!r}{near}; there are {', '.join(known)}")
    chosen = [entry for entry in found if not names or entry.name in names]
    with progress_bar("gallery") as progress:
        index = make_gallery(output, chosen, seconds=seconds, fresh=fresh, progress=progress)
    if as_json:
        print_json({"path": str(index), "pages": [str(output / f"{e.name}.html") for e in chosen]})
    else:
        say(f"{index}: {len(chosen)} pages; open it in a browser")
