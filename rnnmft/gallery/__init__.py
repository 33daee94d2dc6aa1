"""The gallery: a page a cell, and an index that sorts them by what they are good for."""

from rnnmft.gallery.entries import Entry, read_entries
from rnnmft.gallery.folder import make_gallery

__all__ = ["Entry", "make_gallery", "read_entries"]
