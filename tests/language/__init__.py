"""The language of cells."""
