"""The theory: SymPy in, SymPy out. From a cell to its mean-field equations, as named steps."""
