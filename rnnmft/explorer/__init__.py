"""The explorer: a cell's untied theory as one HTML file to play with, computed in the page."""

from rnnmft.explorer.explorer import Explorer

__all__ = ["Explorer"]
