"""Recheck: was anything missed? Plain SQL (recheck.sql) that shares no code with the rules."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run found."""

    run_id: int
    samples: int  # looked at
    differences: int


async def run(
    connection: psycopg.AsyncConnection[Any],
    from_at: datetime,
    until_at: datetime,
    *,
    is_nightly: bool = False,
) -> Report:
    """Look again at what was stored in [*from_at*, *until_at*), a day at a time.

    A difference is a row of ``recheck_difference`` and opens the incident 'recheck'.
    """
    raise NotImplementedError


async def nightly(connection: psycopg.AsyncConnection[Any], now: datetime) -> int:
    """Look at the last three days; returns how many differences there are. In autocommit."""
    raise NotImplementedError
