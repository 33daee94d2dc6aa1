"""Finite networks: what a random recurrent network of width N does. Never imports the theory."""

from rnnmft.simulation.estimates import Estimate, JacobianEstimate, Simulation
from rnnmft.simulation.experiment import simulate

__all__ = ["Estimate", "JacobianEstimate", "Simulation", "simulate"]
