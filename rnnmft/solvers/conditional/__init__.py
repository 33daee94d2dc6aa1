"""Cells that are linear given their gate: paths of the gate, all else averaged in closed form."""
