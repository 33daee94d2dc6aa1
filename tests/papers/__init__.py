"""Published and derived numbers of the papers."""
