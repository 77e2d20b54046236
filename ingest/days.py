"""Days: the daily values of ``sample_daily``, where no database keeps them by itself."""

from datetime import datetime
from typing import Any

import psycopg


async def roll(connection: psycopg.AsyncConnection[Any], now: datetime, most: int) -> int:
    """Roll days that are over, and days that late readings changed; returns how many.

    Args:
        connection: In autocommit; the work is one transaction.
        now: Today is its day in Europe/Stockholm.
        most: Patient-days at most.
    """
    raise NotImplementedError
