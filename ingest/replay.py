"""Replay: tries again what lies in quarantine, as of when it was measured."""

from datetime import datetime
from typing import Any

import psycopg

from ingest.registry import Registry


async def after_loans(
    connection: psycopg.AsyncConnection[Any], registry: Registry, now: datetime, most: int
) -> int:
    """Try again rows whose device or gateway became known otherwise; returns how many were tried.

    Args:
        connection: In autocommit, with ``pg_binary.register``.
        registry: Brought up to date here, only if something is to be tried.
        now: The time of the lateness of what is stored now.
        most: Rows at most.
    """
    raise NotImplementedError
