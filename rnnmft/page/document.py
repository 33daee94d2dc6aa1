"""One HTML file that holds everything it shows: style, figures, equations; it loads nothing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnmft.page.mathml import mathml
from rnnmft.page.prose import prose

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["Section", "inline_math", "markup", "render", "render_page"]

_HERE = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Section:
    """A part of a page: its heading, an anchor, and its content, which is HTML already."""

    heading: str
    anchor: str
    content: Markup


@lru_cache(maxsize=8)
def _environment(folder: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader([folder, _HERE])
    # Everything is escaped but what is Markup: MathML and fragments rendered here.
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["math"] = inline_math
    made.filters["prose"] = prose
    return made


def inline_math(latex: str) -> Markup:
    """LaTeX as MathML within a line."""
    from markupsafe import Markup

    return Markup(mathml(latex, display=False))


def markup(text: str, **values: str) -> Markup:
    """HTML of ours, with values that are escaped."""
    from markupsafe import Markup

    return Markup(text).format(**values)


def render(folder: Path, template: str, **values: Any) -> Markup:
    """A template of a folder, filled in; text is escaped."""
    from markupsafe import Markup

    return Markup(_environment(folder).get_template(template).render(**values))


def render_page(
    title: str,
    heading: Markup | str,
    lead: Markup | str,
    sections: Sequence[Section],
    foot: str,
    reload: int = 0,
    script: str = "",
) -> str:
    """A whole page.

    Args:
        title: of the window.
        heading: the head line.
        lead: what stands before the sections.
        sections: in order.
        foot: the last line.
        reload: seconds after which the page reads itself again; 0 for never.
        script: of ours, that runs when the page is there.
    """
    from markupsafe import Markup

    style = (_HERE / "style.css").read_text(encoding="utf-8")
    font = base64.b64encode((_HERE.parent / "fonts" / "stix-two-math.woff").read_bytes()).decode()
    return str(
        render(
            _HERE,
            "page.html",
            title=title,
            heading=heading,
            lead=lead,
            sections=sections,
            foot=foot,
            reload=reload,
            font=f"data:font/woff;base64,{font}",
            style=Markup(style),
            script=Markup(script),
        )
    )
