"""Solvers of the mean-field theory: what each must answer, and one method a room."""
