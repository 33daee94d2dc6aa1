"""Transport of a law."""
