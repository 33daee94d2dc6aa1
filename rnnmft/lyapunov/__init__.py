"""Lyapunov exponents: how fast nearby trajectories of a wide network part, by direction."""
