"""`rnnmft`: the application, its commands, and how errors end it.

Exit codes: 0 done, 1 a claim was rejected, 2 bad input (one line on standard error).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from rnnmft.cli import (
    autonomous,
    bench,
    diagnosis,
    eigenvalues,
    galleries,
    initialization,
    lyapunov,
    networks,
    reports,
    reproduce,
    spectrum,
    theory,
)
from rnnmft.cli import phase as maps
from rnnmft.cli.output import WORDS, say
from rnnmft.errors import RnnmftError

__all__ = ["app", "main"]

# What typer raises for a wrong option or value; it has no public name.
_USAGE = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="rnnmft",
    help="Mean-field theory of recurrent neural networks: derived, computed and validated.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
_FIRST = """\
rnnmft: mean-field theory of recurrent neural networks.

What one would do first:

  rnnmft report minimal --quick   the theory of a cell beside networks: a page, in half a minute
  rnnmft explore minimal          a page with sliders, to play with
  rnnmft cells                    the cells that there are; one of your own is a .toml file
  rnnmft critical lstm            how to draw its weights so that gradients live
  rnnmft diagnose module:Model    a network of yours: do its gradients live?

rnnmft --help lists every command; rnnmft COMMAND --help tells about one.
rnnmft --install-completion makes your shell complete commands, options and cells."""


@app.callback()
def _first(context: typer.Context) -> None:
    """Mean-field theory of recurrent neural networks: derived, computed and validated."""
    if context.invoked_subcommand is None:
        say(_FIRST)


for command in (
    theory.cells,
    theory.derive,
    theory.evolve,
    maps.phase,
    spectrum.spectrum,
    eigenvalues.eigenvalues,
    lyapunov.lyapunov,
    autonomous.autonomous,
    initialization.critical,
    networks.simulate,
    networks.validate,
    reports.report,
    reports.explore,
    galleries.gallery,
    reproduce.reproduce,
    diagnosis.diagnose,
    bench.bench,
):
    app.command()(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what follows the program's name; those of this process if not given.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    WORDS.set(tuple(words))
    try:
        found = app(words, prog_name="rnnmft", standalone_mode=False)
    except typer.Exit as stop:
        return stop.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return _refuse("interrupted", 130)
    except RnnmftError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))
    except Exception as error:
        if not isinstance(error, _USAGE):
            raise
        return _refuse(getattr(error, "format_message", error.__str__)())
    # So typer ends what Ctrl-C interrupted.
    if found == 130:
        return _refuse("interrupted", 130)
    return found if isinstance(found, int) else 0


def _refuse(message: str, code: int = 2) -> int:
    """One line on standard error."""
    sys.stderr.write(f"rnnmft: {' '.join(message.split())}\n")
    return code
