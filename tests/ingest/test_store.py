"""What is in the database after a batch, and after the same batch again."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from msgspec import structs

from devices.quantity import Quantity
from devices.reading import ClockVerdict, Outcome, Value
from ingest import settle
from ingest.batch import from_incoming
from ingest.quarantine import Reason, Refused
from ingest.settle import ASKING_BATCHES, Settled, Settler
from tests.ingest.county import CUFF, GATEWAY, NOW, County, batch_of, pressure, reading, weight
from tests.ingest.wire_cutter import Where, WireCutter


def test_a_reading_is_stored_whole(county: County) -> None:
    one = reading(
        {Quantity.SYSTOLIC: 128.5, Quantity.DIASTOLIC: 81.0, Quantity.PULSE: 64.0},
        slot=2,
        device_time=NOW.replace(tzinfo=None),
        clock_offset_s=1.5,
        battery_percent=80,
        status=4,
    )
    settled = county.settle([one])
    assert (settled.reason.tolist(), settled.new) == ([0], 1)
    assert county.rows(
        "select reading_id, patient_id, gateway_id, device_id, slot, outcome, measured_at,"
        " device_time, received_at, sent_at, arrived_at, clock, clock_offset_s, status, suspicion,"
        " battery_percent, source, payload from reading"
    ) == [
        (
            one.reading_id,
            county.patient_id,
            GATEWAY,
            CUFF,
            2,
            "measured",
            NOW,
            NOW.replace(tzinfo=None),
            NOW,
            NOW,
            NOW,
            "ok",
            1.5,
            4,
            0,
            80,
            "2a35",
            bytes.fromhex("1e80005100"),
        )
    ]
    assert county.rows(
        "select code, value, measured_at, reading_id, suspicion, original_value, original_unit"
        " from sample join quantity using (quantity_id) order by quantity_id"
    ) == [
        (code, value, NOW, one.reading_id, 0, None, None)
        for code, value in [("systolic", 128.5), ("diastolic", 81.0), ("pulse", 64.0)]
    ]


def test_what_a_reading_does_not_tell_is_null(county: County) -> None:
    county.settle([reading()])
    assert county.rows(
        "select slot, device_time, clock_offset_s, battery_percent from reading"
    ) == [(None, None, None, None)]


def test_readings_of_many_shapes_keep_their_own_columns(plain_county: County) -> None:
    """COPY groups rows by layout; no row may end up with another's text."""
    readings = []
    for number in range(60):
        device_id = "D" * (number % 7 + 1)
        readings.append(
            reading(
                device_id=device_id,
                measured_at=NOW - timedelta(days=number),
                slot=number if number % 3 else None,
                battery_percent=number if number % 2 else None,
                device_time=NOW.replace(tzinfo=None) if number % 5 else None,
            )
        )
    for device_id in {one.device_id for one in readings}:
        plain_county.lend(device_id, plain_county.patient_id)
    assert plain_county.settle(readings).new == 60
    stored = {
        row[0]: row[1:]
        for row in plain_county.rows(
            "select reading_id, device_id, slot, battery_percent, device_time is null,"
            " measured_at from reading"
        )
    }
    for one in readings:
        assert stored[one.reading_id] == (
            one.device_id,
            one.slot,
            one.battery_percent,
            one.device_time is None,
            one.measured_at,
        )


def test_the_original_value_and_unit_are_kept(plain_county: County) -> None:
    values = (
        Value(
            quantity="systolic",
            value=120.0,
            unit="mm[Hg]",
            original_value=16.0,
            original_unit="kPa",
        ),
        Value(quantity="diastolic", value=80.0, unit="mm[Hg]"),
    )
    one = reading()
    plain_county.settle(
        [
            type(one)(
                **{name: getattr(one, name) for name in one.__struct_fields__} | {"values": values}
            )
        ]
    )
    rows = plain_county.rows(
        "select original_value, original_unit from sample order by quantity_id"
    )
    assert rows == [(16.0, "kPa"), (None, None)]


def test_a_failed_measurement_is_stored_without_values(county: County) -> None:
    county.settle([reading({}, outcome=Outcome.FAILED, problem="all values are NaN")])
    assert county.rows("select outcome from reading") == [("failed",)]
    assert county.count("sample") == county.count("quarantine") == 0


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


def test_a_repeat_is_stored_whatever_is_thought_of_it_now(county: County) -> None:
    """The loan may have ended otherwise since; the gateway must hear "stored"."""
    one = pressure(120, 80)
    county.settle([one])
    county.connection.execute("update device_loan set returned_at = %s", [NOW - timedelta(days=1)])
    settled = county.settle([one, pressure(120, 80)])
    assert settled.reason.tolist() == [0, Reason.UNASSIGNED.code]
    assert county.count("quarantine") == 1


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


def test_frequency_is_counted_over_batches(county: County) -> None:
    for minute in range(8):
        county.settle([pressure(120, 80, measured_at=NOW - timedelta(minutes=50 - minute))])
    suspicions = county.rows("select suspicion from reading order by measured_at")
    assert [row[0] for row in suspicions] == [0] * 6 + [16, 16]


def test_frequency_is_counted_where_each_reading_is_in_time(plain_county: County) -> None:
    """Old and new readings in one batch, with what is stored near them and between them."""
    old, between = NOW - timedelta(days=300), NOW - timedelta(days=100)
    for begin, count in ((old, 6), (between, 9), (NOW, 5)):
        plain_county.settle(
            [pressure(120, 80, measured_at=begin - timedelta(minutes=n)) for n in range(1, count)]
        )
    last = [pressure(120, 80, measured_at=begin) for begin in (NOW, old)]
    more = [pressure(120, 80, measured_at=old + timedelta(minutes=n)) for n in (1, 2)]
    plain_county.settle([*last, *more])
    suspicions = [
        plain_county.one("select suspicion from reading where reading_id = %s", one.reading_id)
        for one in (*last, *more)
    ]
    assert suspicions == [0, 0, 16, 16]


def test_a_weight_is_held_against_the_stored_median(county: County) -> None:
    for day in range(1, 5):
        county.settle([weight(80, measured_at=NOW - timedelta(days=day))])
    county.settle([weight(86)])
    assert county.rows("select suspicion from sample where value = 86") == [(32,)]


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


def test_a_reading_the_database_refuses_is_quarantined_and_its_neighbours_stored(
    county: County,
) -> None:
    """Sound to every check of ours, and the database has one more."""
    county.connection.execute(
        "alter table reading add constraint odd check (battery_percent <> 66)"
    )
    readings = [
        pressure(
            120, 80, measured_at=NOW - timedelta(hours=n), battery_percent=66 if n == 7 else 50
        )
        for n in range(23)
    ]
    settled = county.settle(readings)
    expected = [Reason.REFUSED_BY_DATABASE.code if n == 7 else 0 for n in range(23)]
    assert settled.reason.tolist() == expected
    assert settled.new == county.count("reading") == 22
    ((reason, detail, reading_id, content),) = county.rows(
        "select reason, detail, reading_id, content from quarantine"
    )
    assert (reason, reading_id) == ("refused_by_database", readings[7].reading_id)
    assert detail.startswith("23514: ")
    assert b'"battery_percent":66' in content


def test_a_batch_of_nothing_but_poison_is_refused_one_by_one(plain_county: County) -> None:
    plain_county.connection.execute("alter table sample add check (value <> 113)")
    settled = plain_county.settle(
        [pressure(113, 80, measured_at=NOW - timedelta(hours=n)) for n in range(5)]
    )
    assert set(settled.reason.tolist()) == {Reason.REFUSED_BY_DATABASE.code}
    assert (plain_county.count("quarantine"), plain_county.count("reading")) == (5, 0)


@pytest.mark.parametrize("stuck", [{7}, set(range(3))])
def test_a_reading_that_takes_the_database_too_long_is_found_by_halving(
    plain_county: County, stuck: set[int]
) -> None:
    """A statement that is cancelled is tried again, yet not for ever."""
    plain_county.connection.execute(
        "create function hang() returns trigger language plpgsql as $$ begin"
        " raise 'canceling statement due to statement timeout' using errcode = '57014'; end $$;"
        "create trigger hangs before insert on reading for each row"
        " when (new.battery_percent = 66) execute function hang()"
    )
    readings = [
        pressure(
            120, 80, measured_at=NOW - timedelta(hours=n), battery_percent=66 if n in stuck else 50
        )
        for n in range(max(stuck) + 1)
    ]
    settled = plain_county.settle(readings)
    refused = Reason.REFUSED_BY_DATABASE.code
    assert settled.reason.tolist() == [refused * (n in stuck) for n in range(len(readings))]
    assert plain_county.rows("select reading_id from reading order by measured_at desc") == [
        (one.reading_id,) for n, one in enumerate(readings) if n not in stuck
    ]
    details = {row[0] for row in plain_county.rows("select detail from quarantine")}
    assert details == {"canceling statement due to statement timeout"}


async def test_a_county_that_takes_too_long_to_read_is_no_readings_fault(
    plain_county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often its reading is broken off, nothing is refused for it."""
    monkeypatch.setattr(settle, "TRANSACTION_S_MAX", 0.2)
    with psycopg.connect(plain_county.dsn) as other:
        other.execute("lock table plan_limit")
        async with Settler(lambda: plain_county.dsn, "test") as settler:
            task = asyncio.create_task(settler.settle(batch_of([pressure(120, 80)]), []))
            await asyncio.sleep(4)  # some five attempts
            assert not task.done()
            monkeypatch.setattr(settle, "TRANSACTION_S_MAX", 60)
            other.rollback()
            assert (await task).reason.tolist() == [0]
    assert plain_county.count("quarantine") == 0


def test_a_fault_of_ours_is_not_retried_for_ever(plain_county: County) -> None:
    plain_county.connection.execute("drop table breach cascade")
    with pytest.raises(psycopg.errors.UndefinedTable):
        plain_county.settle([pressure(192, 112)])


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
