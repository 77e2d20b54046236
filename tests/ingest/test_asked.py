"""What people ask to be done with readings is done by the clock, each row once, and says so."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg

from devices.quantity import Quantity
from devices.reading import Status
from ingest import pg_binary
from ingest.clock.chores import chores
from ingest.registry import Registry
from tests.ingest.county import NOW, County, pressure
from tests.ingest.plans import HOUR, agree, breaches

DOUBTED = {"status": Status.BODY_MOVEMENT}
S = Quantity.SYSTOLIC


def clock(county: County, *names: str) -> list[int]:
    """Let these chores of the clock have their turn; return how many rows each did."""

    async def run() -> list[int]:
        async with await psycopg.AsyncConnection.connect(county.dsn, autocommit=True) as connection:
            pg_binary.register(connection)
            registry = Registry()
            by_name = {chore.name: chore for chore in chores(3650)}
            return [
                await by_name[name].run(connection, registry, NOW, by_name[name].most)
                for name in names
            ]

    return asyncio.run(run())


def ask(county: County, reading_id: UUID, verdict: str, to: int | None = None) -> None:
    county.connection.execute(
        "insert into review_request"
        " (reading_id, patient_id, verdict, to_patient_id, staff_id, asked_at)"
        " select %s, patient_id, %s, %s, 7, now() from patient order by patient_id limit 1",
        [reading_id, verdict, to],
    )


def said(county: County) -> list[tuple[Any, ...]]:
    return county.rows(
        "select verdict, done_at is not null, refused, new_reading_id is not null"
        " from review_request order by request_id"
    )


def test_the_clock_does_it_and_the_rules_look_again(county: County) -> None:
    doubted = pressure(192, 80, measured_at=NOW - HOUR, **DOUBTED)
    county.settle([doubted])
    agree(county, limits={S: {"yellow_high": 100}}, since=NOW - 2 * HOUR)
    ask(county, doubted.reading_id, "confirmed")
    assert clock(county, "asked", "rejudge") == [1, 1]
    assert said(county) == [("confirmed", True, None, False)]
    assert [row[2] for row in breaches(county)] == [192.0]
    assert clock(county, "asked") == [0]


def test_what_cannot_be_done_says_why_and_holds_nobody_up(county: County) -> None:
    """Also what only the database knows to be wrong: here a bound that no code knows of."""
    readings = [pressure(120, 80, measured_at=NOW - (3 + n) * HOUR) for n in range(3)]
    county.settle(readings)
    gone, other = UUID(int=7), county.add_patient()
    county.connection.execute(
        "alter table reading_review add constraint never check (verdict <> 'confirmed')"
    )
    ask(county, gone, "rejected")
    ask(county, readings[0].reading_id, "confirmed")
    ask(county, readings[1].reading_id, "rejected")
    assert clock(county, "asked") == [3]
    ask(county, readings[1].reading_id, "moved", other)
    ask(county, readings[2].reading_id, "moved", other)
    assert clock(county, "asked") == [2]
    assert said(county) == [
        ("rejected", True, "gone", False),
        ("confirmed", True, "impossible", False),
        ("rejected", True, None, False),
        ("moved", True, "replaced", False),
        ("moved", True, None, True),
    ]
    assert county.rows("select staff_id, why from reading_review order by review_id") == [
        (7, ""),
        (7, "Mätningen var någon annans."),
    ]
