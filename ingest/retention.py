"""Retention: removes readings that are older than they are kept. Days and breaches stay."""

from datetime import datetime
from typing import Any

import psycopg


async def run(
    connection: psycopg.AsyncConnection[Any], now: datetime, keep_days: int, most: int
) -> int:
    """Remove at most *most* readings measured more than *keep_days* before *now*; returns how many.

    Less than *most* means that the sweep came to its end; it begins again a day later.
    """
    raise NotImplementedError


async def count(connection: psycopg.AsyncConnection[Any], now: datetime, keep_days: int) -> int:
    """Return how many readings ``run`` would remove in all."""
    raise NotImplementedError
