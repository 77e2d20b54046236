"""Which PostgreSQL this is: the one place that looks for TimescaleDB and its licence."""

import enum
from typing import Any

import psycopg

_AVAILABLE = """
select exists (select from pg_extension where extname = 'timescaledb'),
       exists (select from pg_available_extensions where name = 'timescaledb'),
       'timescaledb' = any (string_to_array(
           replace(current_setting('shared_preload_libraries'), ' ', ''), ',')),
       current_setting('timescaledb.license', true)
"""


class Edition(enum.StrEnum):
    """What can be relied on; each one can do what the ones before it can."""

    PLAIN = "plain"  # PostgreSQL 15 or newer, no extension
    TIMESCALEDB = "timescaledb"  # Apache licence: hypertables
    COMMUNITY = "timescaledb-community"  # also compression, continuous aggregates, retention

    def includes(self, other: "Edition") -> bool:
        """Return whether statements written for *other* run here."""
        order = list(Edition)
        return order.index(other) <= order.index(self)


def detect(connection: psycopg.Connection[Any]) -> Edition:
    """Return the edition of the connected database.

    TimescaleDB counts where the extension is in the database, or can be: its files are
    there and the server has loaded its library (``shared_preload_libraries``).
    """
    row = connection.execute(_AVAILABLE).fetchone()
    assert row is not None
    installed, available, loaded, licence = row
    if not (installed or (available and loaded)):
        return Edition.PLAIN
    return Edition.COMMUNITY if licence == "timescale" else Edition.TIMESCALEDB
