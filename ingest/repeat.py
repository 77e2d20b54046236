"""Repeat: a red value that a second measurement is to confirm or calm, and who decides when.

A red breach under a repeat rule is held: recorded, without an alert. The next value of the same
panel within the time decides, and the mean of the two is what counts; without one the red stands.
Whoever sees both readings decides at once; the clock decides what is due (``settle_due``), so it
does not matter which worker stored which reading, and when.
"""

from datetime import datetime
from typing import Any

import psycopg

from ingest.registry import Registry


async def settle_due(
    connection: psycopg.AsyncConnection[Any], registry: Registry, now: datetime, most: int
) -> int:
    """Decide at most *most* held readings whose time has run out at *now*; return how many.

    Correct if several do it at once. Commits nothing: give it a transaction.
    """
    raise NotImplementedError
