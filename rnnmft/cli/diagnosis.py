"""The command that looks at a user's network: diagnose."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rnnmft.cli.options import AsJson, Output, Seed
from rnnmft.cli.output import print_json, progress_bar, say
from rnnmft.cli.setting import imported
from rnnmft.errors import CellError, RnnmftError

__all__ = ["diagnose"]


def diagnose(
    module: Annotated[
        str,
        typer.Argument(
            metavar="MODULE",
            help="package.module:name of a torch module, or of a function or class that makes one "
            "without arguments.",
        ),
    ],
    length: Annotated[int, typer.Option(help="Steps over which gradients shall live.")],
    threshold: Annotated[
        float, typer.Option(help="The largest |log10 m_1| that is healthy.")
    ] = 2.0,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="package.module:name of sample sequences, or of a function that returns them.",
        ),
    ] = None,
    budget: Annotated[
        float, typer.Option(help="Seconds after which it ends with what it has.")
    ] = 60.0,
    states: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=WIDTH]", help="A state of a cell of one's own; repeat it."),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(metavar="NAME[=WIDTH]", help="The argument that is the input."),
    ] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="A further argument's value; repeat it."),
    ] = None,
    returned: Annotated[
        list[int] | None,
        typer.Option(help="The place of a new state among the tensors returned; repeat it."),
    ] = None,
    output: Output = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> int:
    """Say whether gradients live through a network's sequences, where it stands, what mends it.

    Exits with 1 when they vanish or explode by more than the error; 0 where they live, or where it
    is borderline. --output writes a page.
    """
    if output is not None and not output.parent.is_dir():
        raise FileNotFoundError(2, "No such folder", str(output.parent))
    network = _made(module)
    sequences = None if data is None else _called(imported(data), data)
    from rnnmft.diagnosis import diagnose as run

    with progress_bar("layers") as progress:
        try:
            found = run(
                network,
                length,
                data=sequences,
                threshold=threshold,
                seed=seed,
                budget=budget,
                progress=progress,
                **_hints(states, input, arguments, returned),
            )
        except RnnmftError:
            raise
        except (Exception, SystemExit) as error:  # whatever the user's forward raises
            raise CellError(f"{module!r} cannot be diagnosed: {_sentence(error)}") from None
    if output is not None:
        found.to_html(output)
    if as_json:
        print_json(found)
    else:
        say(found.report())
    return int(found.verdict == "unhealthy")


def _hints(
    states: list[str] | None,
    input: str | None,
    arguments: list[str] | None,
    returned: list[int] | None,
) -> Any:
    """The hints of `from_torch` that were given."""
    found: dict[str, Any] = {}
    if states:
        found["states"] = _named_widths(states, "--states")
    if input is not None:
        named = _named_widths([input], "--input")
        found["input"] = named if isinstance(named, dict) else named[0]
    if arguments:
        found["arguments"] = dict(_pair(text, "--arguments", float) for text in arguments)
    if returned:
        found["returned"] = returned
    return found


def _named_widths(texts: list[str], option: str) -> list[str] | dict[str, int]:
    """Names, or names with widths where any has one."""
    if not any("=" in text for text in texts):
        return texts
    return dict(_pair(text, option, int) for text in texts)


def _pair(text: str, option: str, kind: type) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, kind(value)
    except ValueError:
        raise CellError(f"{option} must be NAME=NUMBER, got {text!r}") from None


def _made(text: str) -> Any:
    """The torch module that a word names."""
    if ":" not in text:
        raise CellError(f"MODULE must be package.module:name, got {text!r}")
    named = imported(text)
    import torch

    found = named if isinstance(named, torch.nn.Module) else _called(named, text)
    if not isinstance(found, torch.nn.Module):
        raise CellError(
            f"{text!r} is no torch module and makes none: it gave a {type(found).__name__}"
        )
    return found


def _called(named: Any, text: str) -> Any:
    """What a function or class without arguments makes; anything else as it is."""
    if not callable(named):
        return named
    try:
        return named()
    except TypeError as error:
        raise CellError(
            f"{text!r} could not be called without arguments: {error}; name a function that "
            "returns the module"
        ) from None
    except (Exception, SystemExit) as error:  # whatever a user's function raises
        raise CellError(f"{text!r} failed: {_sentence(error)}") from None


def _sentence(error: BaseException) -> str:
    """An error's name and its message's first line."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
