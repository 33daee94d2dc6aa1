"""Two-time kernels: the exact tied theory wherever Gaussian processes close, by quadrature."""
