"""Feedback for those without a phone: a light or a buzzer that tells what became of a measurement.

Green means that ingest has committed: the receipt drives it, nothing before it does.
"""

from gateway.feedback.feedback import Feedback

__all__ = ["Feedback"]
