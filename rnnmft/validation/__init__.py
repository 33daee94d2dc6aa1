"""Validation: a theory of infinite width against networks of finite width, able to fail."""

from rnnmft.validation.experiment import validate
from rnnmft.validation.record import Claim, Gap
from rnnmft.validation.report import ValidationReport

__all__ = ["Claim", "Gap", "ValidationReport", "validate"]
