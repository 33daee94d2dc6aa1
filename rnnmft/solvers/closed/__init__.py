"""Untied theory of cells affine in their states: moments that close, by quadrature."""
