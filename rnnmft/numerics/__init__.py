"""Numbers: backends, Gaussian quadrature, and the compilation of expressions. Knows no theory."""
