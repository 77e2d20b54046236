"""What is refused lies in quarantine, told apart by its gateway, and its neighbours are stored."""

import asyncio
from datetime import timedelta

import psycopg
from msgspec import structs

from devices.reading import ClockVerdict, Outcome, Value
from ingest.batch import from_incoming
from ingest.quarantine import Reason, Refused
from ingest.settle import Settled, Settler
from tests.ingest.county import GATEWAY, NOW, County, batch_of, pressure, reading


def test_refused_readings_lie_whole_in_quarantine_and_their_neighbours_are_stored(
    county: County,
) -> None:
    refused = {
        Reason.IMPLAUSIBLE: pressure(2047, 2047),
        Reason.UNASSIGNED: reading(device_id="unknown"),
        Reason.BEFORE_LOAN: reading(measured_at=NOW - timedelta(days=400)),
        Reason.IN_FUTURE: reading(measured_at=NOW + timedelta(minutes=11)),
        Reason.TIME_UNKNOWN: reading(clock=ClockVerdict.UNKNOWN),
        Reason.UNREADABLE: reading({}, outcome=Outcome.UNREADABLE, problem="ends at byte 3"),
    }
    settled = county.settle([pressure(120, 80), *refused.values(), pressure(121, 80)])
    assert settled.reason.tolist() == [0, *(reason.code for reason in refused), 0]
    rows = county.rows("select reason, reading_id, content, gateway_id, topic from quarantine")
    assert {row[0]: row[1] for row in rows} == {
        reason.value: one.reading_id for reason, one in refused.items()
    }
    for _, reading_id, content, gateway_id, topic in rows:
        assert str(reading_id).encode() in content
        assert (gateway_id, topic) == (GATEWAY, f"egenmonitor/v1/{GATEWAY}/readings")
    assert (county.count("reading"), county.count("sample")) == (2, 4)


def test_the_same_refusal_again_is_counted_and_not_kept_twice(county: County) -> None:
    one = reading(device_id="unknown")
    county.settle([one])
    county.settle([one])
    assert county.rows("select repeats from quarantine") == [(1,)]


def test_messages_refused_alike_in_one_batch_are_counted(plain_county: County) -> None:
    row = Refused(
        reason=Reason.MALFORMED_MESSAGE,
        detail="not\0JSON \ud800",
        gateway_id=GATEWAY,
        topic="t",
        arrived_at=NOW,
        content=b"\0\xff",
    )

    async def settle(times: int) -> None:
        async with Settler(lambda: plain_county.dsn, "test") as settler:
            await settler.settle(batch_of(), [row] * times)

    asyncio.run(settle(3))
    asyncio.run(settle(2))
    assert plain_county.rows("select content, detail, repeats from quarantine") == [
        (b"\0\xff", "not\\0JSON \\ud800", 4)
    ]


def test_a_reading_partly_refused_is_stored_and_kept_in_quarantine(county: County) -> None:
    values = (
        Value(quantity="pulse", value=64.0, unit="/min"),
        Value(quantity="mood", value=3.0, unit="1"),
    )
    one = reading()
    mixed = type(one)(
        **{name: getattr(one, name) for name in one.__struct_fields__} | {"values": values}
    )
    assert county.settle([mixed]).reason.tolist() == [0]
    assert county.rows("select value from sample") == [(64.0,)]
    assert county.rows("select reason, detail from quarantine") == [
        ("unknown_quantity", "mood 3 1: unknown_quantity")
    ]


def test_an_unknown_or_retired_gateway_stores_nothing(county: County) -> None:
    county.connection.execute("update gateway set retired_at = now() - interval '1 minute'")
    assert county.settle([pressure(120, 80)]).reason.tolist() == [Reason.UNKNOWN_GATEWAY.code]
    assert county.count("reading") == 0


def test_a_retired_gateway_does_not_speak_for_the_one_that_took_its_place(
    plain_county: County,
) -> None:
    """Two boxes hear one scale, and their messages come in one batch."""
    one = pressure(120, 80)
    old, new = batch_of([one], gateway_id="g-old"), batch_of([one], [one])
    batch = from_incoming([*old.origins, *new.origins])

    async def settle() -> Settled:
        async with Settler(lambda: plain_county.dsn, "test") as settler:
            return await settler.settle(batch, [])

    settled = asyncio.run(settle())
    assert settled.reason.tolist() == [Reason.UNKNOWN_GATEWAY.code, 0, 0]
    assert settled.new == plain_county.count("reading") == 1
    assert plain_county.rows("select gateway_id from reading") == [(GATEWAY,)]
    assert plain_county.rows("select gateway_id from quarantine") == [("g-old",)]


def test_a_box_that_knows_the_time_wrongly_does_not_speak_for_the_other(
    plain_county: County,
) -> None:
    """What is refused of one box must not be told to the other, whose reading is sound."""
    plain_county.connection.execute("insert into gateway (gateway_id) values ('g-wrong')")
    one = pressure(120, 80)
    late = structs.replace(one, measured_at=NOW + timedelta(days=400))
    wrong, right = batch_of([late], gateway_id="g-wrong"), batch_of([one])
    batch = from_incoming([*wrong.origins, *right.origins])

    async def settle() -> Settled:
        async with Settler(lambda: plain_county.dsn, "test") as settler:
            return await settler.settle(batch, [])

    settled = asyncio.run(settle())
    assert settled.reason.tolist() == [Reason.IN_FUTURE.code, 0]
    assert plain_county.rows("select gateway_id from reading") == [(GATEWAY,)]
    assert plain_county.rows("select gateway_id from quarantine") == [("g-wrong",)]


async def test_quarantine_is_locked_in_the_order_of_its_fingerprints(plain_county: County) -> None:
    """So two workers that refuse the same again wait for each other, and not in a circle."""
    rows = [
        Refused(
            reason=Reason.MALFORMED_MESSAGE,
            detail="",
            gateway_id=GATEWAY,
            topic="t",
            arrived_at=NOW,
            content=bytes([number]),
        )
        for number in range(3)
    ]
    low, middle, high = sorted(rows, key=Refused.fingerprint)
    lock = "select from quarantine where fingerprint = %s for update"
    async with Settler(lambda: plain_county.dsn, "test") as settler:
        await settler.settle(batch_of(), rows)
        with psycopg.connect(plain_county.dsn) as other:
            other.execute("set lock_timeout = '200ms'")
            other.execute(lock, [middle.fingerprint()])
            settling = asyncio.create_task(settler.settle(batch_of(), [high, low, middle]))
            waiting = "select count(*) from pg_locks where not granted"
            while not plain_county.one(waiting):  # noqa: ASYNC110 - a lock's wait is no event
                await asyncio.sleep(0.01)
            other.execute(lock, [high.fingerprint()])  # the settler does not hold it
        await settling
    assert plain_county.one("select sum(repeats) from quarantine") == 3
