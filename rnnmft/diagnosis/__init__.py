"""Diagnosis: where a PyTorch module's parameters put it, and whether its gradients live."""

from rnnmft.diagnosis.diagnosis import Diagnosis
from rnnmft.diagnosis.examine import diagnose
from rnnmft.diagnosis.record import Advice, LayerDiagnosis

__all__ = ["Advice", "Diagnosis", "LayerDiagnosis", "diagnose"]
