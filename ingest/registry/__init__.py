"""Registry: whose a device is and what a patient is held against, for a whole county in memory."""

from ingest.registry.registry import Registry

__all__ = ["Registry"]
