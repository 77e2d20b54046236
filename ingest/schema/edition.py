"""Which PostgreSQL this is: the one place that looks for TimescaleDB and its licence."""

import enum
from typing import Any

import psycopg

_INSTALLED = """
select exists (select from pg_extension where extname = 'timescaledb'),
       current_setting('timescaledb.license', true)
"""
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


def installed(connection: psycopg.Connection[Any]) -> Edition:
    """Return the edition of the connected database as it is, for one who may not change it."""
    row = connection.execute(_INSTALLED).fetchone()
    assert row is not None
    return _edition(*row)


def detect(connection: psycopg.Connection[Any]) -> Edition:
    """Return the edition of the connected database.

    TimescaleDB counts where the extension is in the database, or can be: its files are
    there and the server has loaded its library (``shared_preload_libraries``).
    """
    row = connection.execute(_AVAILABLE).fetchone()
    assert row is not None
    is_there, available, loaded, licence = row
    return _edition(is_there or (available and loaded), licence)


def _edition(has_extension: bool, licence: str | None) -> Edition:  # noqa: FBT001 - as queried
    if not has_extension:
        return Edition.PLAIN
    return Edition.COMMUNITY if licence == "timescale" else Edition.TIMESCALEDB
