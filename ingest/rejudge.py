"""Rejudge: readings that are to be judged once more, as of when they were measured.

A confirmed or corrected reading, and one whose device turned out to be lent. What was found
before stays and alerts nobody again.
"""

from typing import Any

import psycopg

from ingest.registry import Registry


async def run(connection: psycopg.AsyncConnection[Any], registry: Registry, most: int) -> int:
    """Judge at most *most* readings of the table ``rejudge``; return how many.

    In a transaction of its own (or a part of the caller's). Correct if several do it at once.
    """
    raise NotImplementedError
