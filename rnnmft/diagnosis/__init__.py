"""Diagnosis: where a PyTorch module's parameters put it, and whether its gradients live."""

from rnnmft.diagnosis.examine import diagnose
from rnnmft.diagnosis.record import Diagnosis, LayerDiagnosis

__all__ = ["Diagnosis", "LayerDiagnosis", "diagnose"]
