"""The explorer: a cell's theory as one HTML file to play with, computed in the page or stored."""

from rnnmft.explorer.explorer import Explorer
from rnnmft.explorer.stored_map import stored_map

__all__ = ["Explorer", "stored_map"]
