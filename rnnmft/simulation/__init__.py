"""Finite networks: what a random recurrent network of width N does. Never imports the theory."""

from rnnmft.simulation.estimates import Estimate, JacobianEstimate, LyapunovEstimate, Simulation
from rnnmft.simulation.experiment import simulate

__all__ = ["Estimate", "JacobianEstimate", "LyapunovEstimate", "Simulation", "simulate"]
