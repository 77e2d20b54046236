"""An incident is one row while it lasts, however often it is said."""

from typing import Any

import psycopg

from ingest import incident
from tests.ingest.county import County
from tests.ingest.looking_back import call


def test_an_incident_is_one_row_while_it_lasts(plain_county: County) -> None:
    async def story(connection: psycopg.AsyncConnection[Any]) -> list[bool]:
        return [
            await incident.open_(connection, "canary", "", "no receipt"),
            await incident.open_(connection, "canary", "", "no breach"),
            await incident.open_(connection, "clock", "days", "x" * 900),
            await incident.close(connection, "clock", "days"),
            await incident.close(connection, "clock", "days"),
            await incident.open_(connection, "clock", "days", "again"),
        ]

    assert call(plain_county, story) == [True, False, True, True, False, True]
    found = call(plain_county, incident.open_ones)
    assert [(one.kind, one.key, one.detail, one.times) for one in found] == [
        ("canary", "", "no breach", 2),
        ("clock", "days", "again", 1),
    ]
    assert found[0].seen_at > found[0].opened_at
    assert plain_county.count("incident") == 3
    assert plain_county.one("select max(length(detail)) from incident") == 500
