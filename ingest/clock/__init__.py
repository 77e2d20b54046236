"""The clock: what happens because time goes by, not because a reading came.

One worker leads; the others stand by. Law of the rooms here: a chore takes the time as an
argument, does at most so many rows a call, and is correct if two leaders do it at once.
"""

from ingest.clock.clock import Clock

__all__ = ["Clock"]
