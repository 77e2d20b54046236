"""Chore: one thing the clock does, how often, and beside what."""

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

import psycopg

from ingest.registry import Registry

Connection = psycopg.AsyncConnection[Any]

# Takes an autocommit connection, what is known of the county (not refreshed), the time, and how
# many rows at most; commits by itself, and returns how many rows it did: *most* of them means
# that there may be more at once.
Run = Callable[[Connection, Registry, datetime, int], Awaitable[int]]


class Lane(enum.Enum):
    """Chores of one lane run one after another, on one connection."""

    PEOPLE = "people"  # somebody waits for it: seconds
    BACK = "back"  # judges what came before; the only ones that refresh the registry
    HOUSE = "house"  # may take minutes, and nobody waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """One chore.

    Attributes:
        name: A word for logs, metrics and incidents; stands in the database.
        run: See ``Run``.
        lane: Beside what it runs.
        every_s: How soon it is run again when there was nothing more to do.
        most: Rows a call: one transaction, so a second at most.
        at: Run once a day, from this time of Europe/Stockholm on, instead of ``every_s``.
    """

    name: str
    run: Run
    lane: Lane
    every_s: float
    most: int = 5_000
    at: time | None = None
