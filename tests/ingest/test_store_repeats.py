"""What came before is stored once: in one batch, in two, and by two workers."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from ingest.quarantine import Reason
from ingest.settle import ASKING_BATCHES, Settler
from tests.ingest.county import NOW, County, batch_of, pressure
from tests.ingest.wire_cutter import Where, WireCutter


def test_a_reading_twice_in_a_message_and_again_later_is_stored_once(county: County) -> None:
    first, second, third = pressure(192, 85), pressure(120, 80), pressure(121, 80)
    assert county.settle([first, first], [first, second]).new == 2
    settled = county.settle([second, third, first])  # a repeat, a new one, a repeat
    assert (settled.reason.tolist(), settled.new) == ([0, 0, 0], 1)
    assert (county.count("reading"), county.count("sample")) == (3, 6)
    assert (county.count("breach"), county.count("alert_log")) == (1, 1)


def test_a_batch_of_nothing_but_repeats_changes_nothing(county: County) -> None:
    readings = [pressure(192, 112, measured_at=NOW - timedelta(hours=n)) for n in range(5)]
    county.settle(readings)
    before = county.rows("select * from alert")
    assert county.settle(readings).new == 0
    assert county.rows("select * from alert") == before
    assert county.count("alert_log") == 1


def test_a_repeat_is_stored_whatever_is_thought_of_it_now(county: County) -> None:
    """The loan may have ended otherwise since; the gateway must hear "stored"."""
    one = pressure(120, 80)
    county.settle([one])
    county.connection.execute("update device_loan set returned_at = %s", [NOW - timedelta(days=1)])
    settled = county.settle([one, pressure(120, 80)])
    assert settled.reason.tolist() == [0, Reason.UNASSIGNED.code]
    assert county.count("quarantine") == 1


def test_ids_with_zeros_at_the_end_are_told_apart(plain_county: County) -> None:
    """numpy drops trailing zeros of byte strings when it compares them."""
    ids = [type(uuid4())(int=number << 64) for number in (1, 1 << 8, 1 << 16, 257)]
    readings = [
        pressure(120, 80, reading_id=one, measured_at=NOW - timedelta(hours=n))
        for n, one in enumerate(ids)
    ]
    assert plain_county.settle(readings).new == 4
    assert plain_county.settle(readings).new == 0
    stored = {row[0] for row in plain_county.rows("select reading_id from reading")}
    assert stored == set(ids)


@pytest.mark.parametrize("where", ["before", "after"])
async def test_a_connection_that_dies_around_the_commit_loses_and_doubles_nothing(
    county: County, where: Where
) -> None:
    """The commit's outcome is unknown to ingest; its repeat must be harmless both ways."""
    readings = [pressure(192, 112), pressure(120, 80, measured_at=NOW - timedelta(hours=1))]
    async with WireCutter(county.dsn) as wire, Settler(lambda: wire.dsn, "test") as settler:
        wire.cut(where)
        settled = await settler.settle(batch_of(readings), [])
        assert wire.cuts == 1
    assert settled.reason.tolist() == [0, 0]
    assert settled.new == (2 if where == "before" else 0)
    assert (county.count("reading"), county.count("sample")) == (2, 4)
    assert (county.count("breach"), county.count("alert"), county.count("alert_log")) == (2, 1, 1)


def test_two_settlers_with_the_same_readings_store_each_once(county: County) -> None:
    readings = [
        [pressure(192, 112, measured_at=NOW - timedelta(hours=n, minutes=m)) for n in range(20)]
        for m in range(5)
    ]

    async def together() -> list[int]:
        async def settle(order: int) -> int:
            async with Settler(lambda: county.dsn, "test") as settler:
                new = 0
                for some in readings[::order]:
                    new += (await settler.settle(batch_of(some[::order]), [])).new
                return new

        return list(await asyncio.gather(settle(1), settle(-1), settle(1)))

    assert sum(asyncio.run(together())) == 100
    assert (county.count("reading"), county.count("breach")) == (100, 200)
    assert county.rows("select count(*), count(distinct alert_id) from alert") == [(1, 1)]


def test_batches_with_repeats_ask_first_and_then_trust_again(plain_county: County) -> None:
    """Repeats come in bunches: one failed COPY leads to questions, and quiet ends them."""
    older = [pressure(120, 80, measured_at=NOW - timedelta(hours=n)) for n in range(1, 3)]
    newer = [pressure(120, 80, measured_at=NOW + timedelta(minutes=n)) for n in range(3)]

    async def settle() -> list[tuple[int, bool]]:
        async with Settler(lambda: plain_county.dsn, "test") as settler:
            seen = []
            for some in ([older[0]], older, newer[:1], older, newer):
                settled = await settler.settle(batch_of(some), [])
                seen.append((settled.new, settler.asks))
            for _ in range(ASKING_BATCHES):
                some = [pressure(120, 80, measured_at=NOW - timedelta(days=1))]
                await settler.settle(batch_of(some), [])
            return [*seen, (0, settler.asks)]

    assert asyncio.run(settle()) == [
        (1, False),
        (1, True),
        (1, True),
        (0, True),
        (2, True),
        (0, False),
    ]
    assert plain_county.count("reading") == 5 + ASKING_BATCHES


async def test_repeats_are_locked_in_the_order_of_their_ids(plain_county: County) -> None:
    """Whatever the order they came in: so two workers with the same ones wait for each other."""
    low, middle, high = sorted(
        (pressure(120, 80, measured_at=NOW - timedelta(hours=n)) for n in range(3)),
        key=lambda one: one.reading_id,
    )
    stored = pressure(120, 80, measured_at=NOW - timedelta(hours=4))
    insert = (
        "insert into reading (reading_id, patient_id, loan_id, gateway_id, device_id, outcome,"
        " measured_at, received_at, sent_at, arrived_at, clock, source, payload)"
        " values (%s, 1, 1, 'g', 'd', 'failed', now(), now(), now(), now(), 'ok', 's', '')"
    )
    async with Settler(lambda: plain_county.dsn, "test") as settler:
        await settler.settle(batch_of([stored]), [])
        await settler.settle(batch_of([stored]), [])  # from here on it asks first
        with psycopg.connect(plain_county.dsn) as other:
            other.execute("set lock_timeout = '200ms'")  # sooner than a deadlock is looked for
            other.execute(insert, [middle.reading_id])
            settling = asyncio.create_task(settler.settle(batch_of([high, low, middle]), []))
            waiting = "select count(*) from pg_locks where not granted"
            while not plain_county.one(waiting):  # noqa: ASYNC110 - a lock's wait is no event
                await asyncio.sleep(0.01)
            other.execute(insert, [high.reading_id])  # the settler does not hold it
        assert (await settling).new == 1
