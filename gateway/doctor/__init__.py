"""Doctor: what a technician would look at first, each with one cure. Works beside a gateway."""

from gateway.doctor.examine import examine
from gateway.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine"]
