"""The command line: what the library does, for a shell."""

from rnnmft.cli.app import main

__all__ = ["main"]
