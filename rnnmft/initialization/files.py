"""An initialization as a file: JSON with a schema version and a digest of its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnmft.content import json_content
from rnnmft.errors import ParseError
from rnnmft.records import json_safe

__all__ = ["SCHEMA", "VERSION", "read", "write"]

SCHEMA, VERSION = "rnnmft.initialization", 1


def write(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write the content under the present schema.

    Args:
        path: of the file.
        content: JSON-safe.
    """
    data = json_safe(dict(content))
    whole = {"schema": SCHEMA, "version": VERSION, "digest": _digest(data), **data}
    text = json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False)
    Path(path).write_text(f"{text}\n", encoding="utf-8")


def read(path: str | Path) -> dict[str, Any]:
    """The content of a file, if it is whole and of a version that is known.

    Raises:
        ParseError: it is damaged, newer than this rnnmft, or something else altogether.
    """
    name = str(path)
    try:
        data = json_content(Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ParseError("the file is damaged: it is no UTF-8 text", source=name) from None
    except ParseError as error:
        reason = f"the file is damaged: {error.reason}"
        raise ParseError(reason, error.line, error.column, name) from None
    if not isinstance(data, dict) or data.pop("schema", None) != SCHEMA:
        raise ParseError("this is no initialization that rnnmft wrote", source=name)
    version, digest = data.pop("version", None), data.pop("digest", None)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ParseError(f"the file is damaged: its version is {version!r}", source=name)
    if version > VERSION:
        raise ParseError(
            f"the file has version {version}, which a newer rnnmft wrote; this one reads version "
            f"{VERSION}",
            source=name,
        )
    if digest != _digest(data):
        raise ParseError(
            "the file is damaged: its content does not belong to its digest", source=name
        )
    return data


def _digest(data: Mapping[str, Any]) -> str:
    """SHA-256 of the content in one canonical form."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
